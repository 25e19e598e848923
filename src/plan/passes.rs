//! The two passes of an unrolled layer: which operations, on which parts of which tensors, in which order.

use super::buffers::{CellTensors, Lists, Roles, TrainingRoles};
use super::frame::{FrameCut, before_is_apart};
use super::layout::Keeps;
use super::ops::{
    Arrange, Arrangement, CellSteps, Dropout, F16Gates, Frame, Gather, Lister, Matrix, MoveRows, Op, Pack, Product,
    RecomputeGates, RowsOfBatch, Steps, StepsBackward, SumRows, Vector,
};
use super::tensors::{Id, Tensors};
use super::turns::{Block, Part, Turn};
use crate::config::Cell;

/// What the passes are made of.
pub(super) struct Passes<'a> {
    pub(super) lists: Lists<'a>,
    pub(super) tensors: &'a Tensors,
    pub(super) roles: &'a Roles,
}

impl<'a> Passes<'a> {
    fn lister(&self) -> Lister<'a> {
        let unroll = self.lists.unroll;
        let rows = unroll.seq_len.saturating_mul(unroll.batch);
        Lister::new(self.tensors, self.lists.target, rows).with_f16_products(unroll.f16_products)
    }

    fn sizes(&self, width: usize) -> [usize; 3] {
        [self.lists.unroll.seq_len, self.lists.unroll.batch, width]
    }

    /// Every cell of a block once.
    fn cells_of(block: &Block) -> Vec<Part> {
        let last = block.turns.iter().filter(|turn| turn.is_last);
        last.flat_map(|turn| turn.parts.iter().copied()).collect()
    }

    fn index(&self, at: Part) -> usize {
        at.layer * self.lists.config.directions() + at.direction
    }

    /// weight_ih and weight_hh, bias_ih and bias_hh of a cell, or their gradients.
    fn of_cell(&self, tensors: &[CellTensors], at: Part) -> ([Id; 2], [Option<Id>; 2]) {
        match tensors[self.index(at)] {
            [Some(weight_ih), Some(weight_hh), bias_ih, bias_hh] => ([weight_ih, weight_hh], [bias_ih, bias_hh]),
            _ => unreachable!("every cell has weights"),
        }
    }

    /// The cells of a turn, and their steps.
    fn steps_of(&self, turn: &Turn) -> Vec<CellSteps> {
        turn.parts.iter().enumerate().map(|(place, &part)| self.steps(part, place)).collect()
    }

    fn steps(&self, at: Part, place: usize) -> CellSteps {
        let Lists { config, layout, .. } = self.lists;
        let (roles, index, hidden) = (self.roles, self.index(at), config.hidden_size);
        let ([_, weight_hh], [_, bias_hh]) = self.of_cell(&roles.weights, at);
        let gates = if layout.keeps == Keeps::Gates { [index, at.chunk] } else { [place, 0] };
        CellSteps {
            cell: config.cell_of(at.direction),
            clip: config.clip,
            batch: self.lists.unroll.batch,
            hidden,
            index,
            reverse: at.reverse,
            steps: self.lists.chunks[at.chunk].clone(),
            weight_hh: roles.f16_weights.get(index).copied().unwrap_or(weight_hh),
            transposed: roles.transposed.get(index).copied(),
            f16_weights: layout.f16_weights,
            bias_hh,
            lengths: roles.lengths,
            episodes: roles.episodes,
            h: roles.h[at.layer],
            h_stride: config.output_size(),
            h_column: at.direction * hidden,
            gates: roles.gates[gates[0]][gates[1]],
            gates_width: layout.gates_width,
        }
    }

    /// Where the gates of a chunk are kept as f16, if they are.
    fn f16_gates(&self, at: Part) -> Option<Id> {
        Some(self.roles.f16_gates.get(self.index(at))?[at.chunk])
    }

    fn dropout(&self, layer: usize) -> Option<Dropout> {
        let rate = self.lists.config.dropout;
        self.roles.dropout.map(|state| Dropout { state, layer, rate })
    }

    /// A copy of `[T, B, width]` to or from batch-first, or through dropout.
    fn arrange(
        list: &mut Lister<'_>,
        size: [usize; 3],
        [(source, source_batch_first), (destination, destination_batch_first)]: [(Id, bool); 2],
        lengths: Option<Id>,
        dropout: Option<Dropout>,
    ) {
        let source = Arrangement::whole(source, size, source_batch_first);
        let destination = Arrangement::whole(destination, size, destination_batch_first);
        list.push(Op::Arrange(Arrange { size, source, destination, lengths, dropout }));
    }

    /// x_proj of a chunk: `gates[.., 0..GH] = x W_ih^T + b_ih`.
    fn project_input(&self, list: &mut Lister<'_>, at: Part, steps: &CellSteps) {
        let ([weight_ih, _], [bias_ih, _]) = self.of_cell(&self.roles.weights, at);
        let inputs = self.lists.config.layer_input_size(at.layer);
        let units = self.lists.config.cell().gates() * steps.hidden;
        list.matmul(Product {
            size: [steps.rows(), units, inputs],
            a: self.input_rows(at.layer, steps),
            transpose_a: false,
            b: Matrix::rows_of(weight_ih, 0, units, inputs),
            transpose_b: true,
            bias: bias_ih.map(|tensor| Vector { tensor, begin: 0 }),
            c: steps.gates_matrix(),
            accumulate: false,
            rows: None,
        });
    }

    /// What a layer reads during a chunk.
    fn input_rows(&self, layer: usize, steps: &CellSteps) -> Matrix {
        let inputs = self.lists.config.layer_input_size(layer);
        let first = steps.steps.start * steps.batch * inputs;
        Matrix::rows_of(self.roles.layer_inputs[layer], first, steps.rows(), inputs)
    }

    /// Copies the first states of a cell to their slot, or the last ones out of it.
    fn move_state(&self, list: &mut Lister<'_>, at: Part, into_states: bool) {
        let Roles { h, h0, h_n, sources, .. } = self.roles;
        let config = self.lists.config;
        let [seq_len, rows, width] = self.sizes(config.output_size());
        let hidden = config.hidden_size;
        let slot = match (into_states, at.reverse) {
            (true, false) => 0,
            (true, true) => seq_len + 1,
            (false, false) => seq_len,
            (false, true) => 1,
        };
        let begin = slot * rows * width + at.direction * hidden;
        let in_states = Arrangement::state(h[at.layer], begin, rows, width, hidden);
        let apart = if into_states { *h0 } else { *h_n };
        let apart = Arrangement::state(apart, self.index(at) * rows * hidden, rows, hidden, hidden);
        let (source, destination) = if into_states { (apart, in_states) } else { (in_states, apart) };
        let sources = sources.filter(|_| into_states);
        let lengths = self.roles.lengths.filter(|_| into_states && self.lists.unroll.zero_empty_rows);
        list.move_rows(MoveRows { rows, width: hidden, source, sources, lengths, destination });
    }

    /// A copy of a cell's recurrent weights, if there is one, in the order and the format in which the steps read it.
    fn pack(&self, list: &mut Lister<'_>, at: Part, transposed: bool) {
        let Lists { config, layout, .. } = self.lists;
        let ([_, source], _) = self.of_cell(&self.roles.weights, at);
        let size = [config.cell().gates() * config.hidden_size, config.hidden_size];
        let copies = if transposed { &self.roles.transposed } else { &self.roles.f16_weights };
        if let Some(&packed) = copies.get(self.index(at)) {
            list.push(Op::Pack(Pack { source, packed, size, transposed, f16: layout.f16_weights }));
        }
    }

    /// A frame, and before it the rows that it goes on from, where the app says which these are.
    fn frame(&self, cut: FrameCut) -> Vec<Op> {
        let mut list = self.lister();
        let Lists { config, unroll, external, target, .. } = self.lists;
        let roles = self.roles;
        let (batch, hidden) = (unroll.batch, config.hidden_size);
        let gathered = roles.sources.zip(roles.carried);
        if let Some((sources, gathered)) = gathered {
            let (layers, state, software) = (config.num_layers, roles.h0, target.is_software());
            list.push(Op::Gather(Gather { layers, rows: batch, width: hidden, state, sources, gathered, software }));
        }
        let of_layer = |layer: usize| {
            let (weights, biases) =
                self.of_cell(&roles.weights, Part { layer, direction: 0, reverse: false, chunk: 0 });
            (weights, biases[0].zip(biases[1]).map(|(ih, hh)| [ih, hh]))
        };
        let layers: Vec<_> = (0..config.num_layers).map(of_layer).collect();
        let is_vec4 = |kind: usize, columns: &dyn Fn(usize) -> usize| {
            let of_layer = |(layer, (weights, _)): (usize, &([Id; 2], _))| {
                columns(layer).is_multiple_of(4) && self.tensors.phase(weights[kind]) == 0
            };
            layers.iter().enumerate().all(of_layer)
        };
        let vec4 = [is_vec4(0, &|layer| config.layer_input_size(layer)), is_vec4(1, &|_| hidden)];
        list.push(Op::Frame(Frame {
            cell: config.cell(),
            clip: config.clip,
            batch,
            inputs: config.input_size,
            hidden,
            layers,
            f16_weights: unroll.f16_weights,
            input: roles.input,
            before: gathered.map_or(roles.h0, |(_, gathered)| gathered),
            before_is_apart: before_is_apart(external),
            state: roles.h_n,
            output: roles.output,
            lengths: roles.lengths,
            zero_empty_rows: unroll.zero_empty_rows,
            cut,
            vec4,
        }));
        list.done()
    }

    /// Turn by turn: x_proj of each cell's chunk by one product, then step by step.
    pub(super) fn forward(&self) -> Vec<Op> {
        if let Some(cut) = self.lists.layout.frame {
            return self.frame(cut);
        }
        let mut list = self.lister();
        let Lists { config, layout, time_loop, .. } = self.lists;
        let roles = self.roles;
        let batch_first = config.batch_first;
        if let Some(state) = roles.dropout {
            list.push(Op::Count { state });
        }
        if let Some(arranged) = roles.arranged_input {
            let places = [(roles.input, batch_first), (arranged, false)];
            Self::arrange(&mut list, self.sizes(config.input_size), places, roles.lengths, None);
        }
        let size = self.sizes(config.output_size());
        for block in self.lists.blocks {
            let cells = Self::cells_of(block);
            for &at in &cells {
                if layout.copies_h0 {
                    self.move_state(&mut list, at, true);
                }
                self.pack(&mut list, at, false);
            }
            for turn in &block.turns {
                let cells = self.steps_of(turn);
                for (&at, steps) in turn.parts.iter().zip(&cells) {
                    self.project_input(&mut list, at, steps);
                }
                let save = layout.keeps != Keeps::Nothing;
                list.push(Op::Steps(Steps { cells: cells.clone(), time_loop: *time_loop, ring: roles.ring, save }));
                for (&at, steps) in turn.parts.iter().zip(cells) {
                    if let Some(f16) = self.f16_gates(at) {
                        list.push(Op::F16Gates(F16Gates { steps, f16, unpack: false }));
                    }
                }
            }
            if layout.copies_h_n {
                cells.iter().for_each(|&at| self.move_state(&mut list, at, false));
            }
            // Dropout acts on the outputs of all layers but the last.
            let dropped = block.layers.clone().filter(|&layer| layout.has_dropout && layer + 1 < config.num_layers);
            for layer in dropped {
                let places = [(roles.outputs[layer], false), (roles.layer_inputs[layer + 1], false)];
                Self::arrange(&mut list, size, places, None, self.dropout(layer));
            }
        }
        if layout.copies_output {
            let source = Arrangement::whole(roles.outputs[config.num_layers - 1], size, false);
            let destination = Arrangement::whole(roles.output, size, batch_first).reversed(config.reversed_output);
            list.push(Op::Arrange(Arrange { size, source, destination, lengths: roles.lengths, dropout: None }));
        }
        if let Some(sources) = roles.sources {
            list.push(Op::Number { sources, rows: size[1] });
        }
        list.done()
    }

    /// The last turn first: the steps in the opposite order, then their share of each gradient by one product or sum.
    /// Empty for inference.
    pub(super) fn backward(&self) -> Vec<Op> {
        let Some(d) = &self.roles.training else { return Vec::new() };
        let mut list = self.lister();
        let Lists { config, layout, .. } = self.lists;
        let batch_first = config.batch_first;
        let size = self.sizes(config.output_size());
        if layout.copies_d_output {
            let source = Arrangement::whole(d.d_output, size, batch_first).reversed(config.reversed_output);
            let destination = Arrangement::whole(d.d_layers[config.num_layers - 1], size, false);
            list.push(Op::Arrange(Arrange { size, source, destination, lengths: None, dropout: None }));
        }
        // Which chunks of each layer's d_input have what one direction adds to them: the other one adds to that.
        let mut begun = vec![vec![false; self.lists.chunks.len()]; config.num_layers];
        for block in self.lists.blocks.iter().rev() {
            Self::cells_of(block).into_iter().for_each(|at| self.pack(&mut list, at, true));
            for turn in block.turns.iter().rev() {
                self.turn_back(&mut list, turn, d, &mut begun);
            }
            if let (Some(squares), Some(norms)) = (d.squares, d.norms) {
                let squares = Vector { tensor: d.sums, begin: squares };
                Self::cells_of(block).into_iter().for_each(|at| self.norms(&mut list, at, squares, norms));
            }
            let below = block.layers.start.checked_sub(1);
            if let (Some(below), Some(dropped)) = (below, d.d_dropped) {
                let places = [(dropped, false), (d.d_layers[below], false)];
                Self::arrange(&mut list, size, places, None, self.dropout(below));
            }
        }
        if let (Some(arranged), Some(d_input)) = (d.arranged_d_input, d.d_input) {
            let places = [(arranged, false), (d_input, batch_first)];
            Self::arrange(&mut list, self.sizes(config.input_size), places, None, None);
        }
        list.done()
    }

    /// One turn backward: the steps of its cells, then each cell's share of the gradients.
    fn turn_back(&self, list: &mut Lister<'_>, turn: &Turn, d: &TrainingRoles, begun: &mut [Vec<bool>]) {
        let cells = self.steps_of(turn);
        for (&at, steps) in turn.parts.iter().zip(&cells) {
            match (self.f16_gates(at), d.h_proj) {
                (Some(f16), _) => list.push(Op::F16Gates(F16Gates { steps: steps.clone(), f16, unpack: true })),
                (None, Some(h_proj)) => self.recompute_gates(list, at, steps, h_proj),
                // They are kept, or, of a plain RNN, not needed.
                (None, None) => {}
            }
        }
        list.push(Op::StepsBackward(StepsBackward {
            cells: cells.clone(),
            time_loop: *self.lists.time_loop,
            ring: self.roles.ring,
            seq_len: self.lists.unroll.seq_len,
            is_first_chunk: turn.is_last,
            d_outputs: turn.parts.iter().map(|at| d.d_layers[at.layer]).collect(),
            d_h_n: d.d_h_n,
            d_h0: d.d_h0,
            sums: d.sums,
            squares: d.squares,
            biases: d.biases,
        }));
        for (number, (&at, steps)) in turn.parts.iter().zip(&cells).enumerate() {
            let sums = d.biases.map(|begin| steps.sums_of_biases(d.sums, begin, number, self.lists.time_loop));
            self.parameter_gradients(list, at, steps, sums, (&d.d_weights, d.parts), !turn.is_last);
            // Where the gradient of the layer's input goes, if it is wanted.
            let d_input = match at.layer.checked_sub(1) {
                None => d.arranged_d_input.or(d.d_input),
                Some(below) => Some(d.d_dropped.unwrap_or(d.d_layers[below])),
            };
            if let Some(d_input) = d_input {
                let accumulate = std::mem::replace(&mut begun[at.layer][at.chunk], true);
                self.input_gradient(list, at, steps, d_input, accumulate);
            }
        }
    }

    /// The norm of d_h at each step of a cell, from the sums of squares that its steps have left.
    fn norms(&self, list: &mut Lister<'_>, at: Part, squares: Vector, norms: Id) {
        let Lists { config, unroll, time_loop, .. } = self.lists;
        let (seq_len, index) = (unroll.seq_len, self.index(at));
        let groups = time_loop.groups(unroll.batch, config.hidden_size);
        list.push(Op::SumRows(SumRows {
            input: Matrix::rows_of(squares.tensor, squares.begin + index * groups * seq_len, groups, seq_len),
            size: [groups, seq_len],
            total: Vector { tensor: norms, begin: index * seq_len },
            accumulate: false,
            root: true,
        }));
    }

    /// A chunk's share of the gradient of what a layer read.
    fn input_gradient(&self, list: &mut Lister<'_>, at: Part, steps: &CellSteps, d_input: Id, accumulate: bool) {
        let ([weight_ih, _], _) = self.of_cell(&self.roles.weights, at);
        let inputs = self.lists.config.layer_input_size(at.layer);
        let units = self.lists.config.cell().gates() * steps.hidden;
        let first = steps.steps.start * steps.batch * inputs;
        list.matmul(Product {
            size: [steps.rows(), inputs, units],
            a: steps.gates_matrix(),
            transpose_a: false,
            b: Matrix::rows_of(weight_ih, 0, units, inputs),
            transpose_b: false,
            bias: None,
            c: Matrix::rows_of(d_input, first, steps.rows(), inputs),
            accumulate,
            // Steps backward of the layer below leave out what is over; others may look at it.
            rows: if at.layer == 0 { steps.row_lengths() } else { None },
        });
    }

    /// A chunk's share of the gradients of weights and biases: equation (10).
    fn parameter_gradients(
        &self,
        list: &mut Lister<'_>,
        at: Part,
        steps: &CellSteps,
        sums: Option<(Matrix, usize)>,
        (d_weights, parts): (&[CellTensors], [Option<Id>; 3]),
        accumulate: bool,
    ) {
        let Lists { config, layout, .. } = self.lists;
        let ([d_weight_ih, d_weight_hh], d_biases) = self.of_cell(d_weights, at);
        let (hidden, rows) = (steps.hidden, steps.rows());
        let gates = config.cell().gates() * hidden;
        let d_x_proj = steps.gates_matrix();
        // Of rows like those of the gates.
        let of_h_proj = |rows: Matrix| match config.cell() {
            Cell::Gru { .. } if !layout.is_reset_before => rows.with_gap(2 * hidden, hidden),
            _ => rows,
        };
        let d_h_proj = of_h_proj(steps.gates_matrix());
        // What is over has gates of zero, but may have kept a state that is not finite.
        let product =
            |[m, n]: [usize; 2], a: Matrix, b: Matrix, c: Matrix, rows_of_batch: Option<RowsOfBatch>| Product {
                size: [m, n, rows],
                a,
                transpose_a: true,
                b,
                transpose_b: false,
                bias: None,
                c,
                accumulate,
                rows: rows_of_batch,
            };
        let inputs = config.layer_input_size(at.layer);
        let c = Matrix::rows_of(d_weight_ih, 0, gates, inputs);
        let of_input =
            product([gates, inputs], d_x_proj.clone(), self.input_rows(at.layer, steps), c, steps.row_lengths());
        let c = Matrix::rows_of(d_weight_hh, 0, gates, hidden);
        let units = if layout.is_reset_before { 2 * hidden } else { gates };
        let of_state =
            product([units, hidden], d_h_proj.clone(), steps.h_before(), c.clone(), steps.rows_with_states());
        // The rows of n were multiplied with r * h, which lies in the fourth place of the gates.
        let of_reset_state = layout.is_reset_before.then(|| {
            let (of_n, reset_states) = (d_x_proj.clone().from(2 * hidden), d_x_proj.clone().from(3 * hidden));
            product([hidden, hidden], of_n, reset_states, c.from(2 * hidden * hidden), steps.rows_with_states())
        });
        list.sums_over_rows([of_input, of_state].into_iter().chain(of_reset_state).zip(parts));
        let (input, rows) = sums.unwrap_or((d_x_proj, rows));
        for (bias, input) in d_biases.into_iter().zip([input.clone(), of_h_proj(input)]) {
            if let Some(tensor) = bias {
                let total = Vector { tensor, begin: 0 };
                list.push(Op::SumRows(SumRows { input, size: [rows, gates], total, accumulate, root: false }));
            }
        }
    }

    /// The gates of a chunk, where forward kept the states alone.
    fn recompute_gates(&self, list: &mut Lister<'_>, at: Part, steps: &CellSteps, h_proj: Id) {
        self.project_input(list, at, steps);
        let ([_, weight_hh], [_, bias_hh]) = self.of_cell(&self.roles.weights, at);
        let (hidden, rows) = (steps.hidden, steps.rows());
        // The rows `first..first + n` of W_hh times a.
        let product = |list: &mut Lister<'_>, a: Matrix, first: usize, n: usize| {
            list.matmul(Product {
                size: [rows, n, hidden],
                a,
                transpose_a: false,
                b: Matrix::rows_of(weight_hh, 0, 3 * hidden, hidden).from(first * hidden),
                transpose_b: true,
                bias: bias_hh.map(|tensor| Vector { tensor, begin: first }),
                c: Matrix::rows_of(h_proj, 0, rows, 3 * hidden).from(first),
                accumulate: false,
                rows: None,
            });
        };
        let pass = |pass: u32| Op::RecomputeGates(RecomputeGates { steps: steps.clone(), h_proj, pass });
        if self.lists.layout.is_reset_before {
            product(list, steps.h_before(), 0, 2 * hidden);
            list.push(pass(0));
            product(list, steps.gates_matrix().from(3 * hidden), 2 * hidden, hidden);
            list.push(pass(1));
        } else {
            product(list, steps.h_before(), 0, 3 * hidden);
            list.push(pass(0));
        }
    }
}
