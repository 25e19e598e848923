//! The two programs of an unrolled layer: which dispatches, on which parts of which buffers, in which order.

use crate::config::{Cell, Config};
use crate::error::Result;
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::layer::buffers::{Buffers, TrainingBuffers};
use crate::layer::{CellParameters, Parameters};
use crate::ops::{
    self, ArrangeArgs, Arrangement, CellSteps, Dropout, Lengths, MatmulArgs, Matrix, MoveRowsArgs, Packing, Squares,
    StepsBackward, SumRowsArgs, Vector,
};
use crate::plan::{Block, Keeps, Part, Plan, Tuning, Turn};
use crate::unroll::Unroll;

/// What the programs are built of.
pub(super) struct Programs<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) config: &'a Config,
    pub(super) unroll: &'a Unroll,
    pub(super) plan: &'a Plan,
    pub(super) parameters: &'a Parameters,
    pub(super) buffers: &'a Buffers,
    /// What each layer reads, `[T, B, in]`.
    pub(super) layer_inputs: &'a [Tensor],
    /// Which kernels are used.
    pub(super) tuning: Tuning,
}

impl<'a> Programs<'a> {
    fn sizes(&self, width: usize) -> [usize; 3] {
        [self.unroll.seq_len(), self.unroll.batch(), width]
    }

    /// Every cell of a block once.
    fn cells_of(&self, block: &Block) -> Vec<Part> {
        let last = block.turns.iter().filter(|turn| turn.is_last);
        last.flat_map(|turn| turn.parts.iter().copied()).collect()
    }

    fn index(&self, at: Part) -> usize {
        at.layer * self.config.directions() + at.direction
    }

    fn cell_parameters(&self, at: Part) -> &'a CellParameters {
        &self.parameters.cells[self.index(at)]
    }

    /// The cells of a turn, and their steps.
    fn steps_of(&self, turn: &Turn) -> Vec<CellSteps<'a>> {
        turn.parts.iter().enumerate().map(|(place, &part)| self.steps(part, place)).collect()
    }

    fn steps(&self, at: Part, place: usize) -> CellSteps<'a> {
        let layout = self.plan.layout();
        let hidden = self.config.hidden_size();
        let parameters = self.cell_parameters(at);
        let gates = if layout.keeps == Keeps::Gates { [self.index(at), at.chunk] } else { [place, 0] };
        CellSteps {
            cell: self.config.cell(),
            clip: self.config.clip_limit(),
            batch: self.unroll.batch(),
            hidden,
            index: self.index(at),
            reverse: at.reverse,
            steps: self.plan.chunks()[at.chunk].clone(),
            weight_hh: self.buffers.half_weights.get(self.index(at)).unwrap_or(&parameters.weight_hh),
            packed: self.buffers.packed.get(self.index(at)),
            half_weights: layout.half_weights,
            bias_hh: parameters.bias_hh.as_ref(),
            lengths: self.buffers.lengths_view(),
            h: &self.buffers.h[at.layer],
            h_stride: self.config.output_size(),
            h_column: at.direction * hidden,
            gates: &self.buffers.gates[gates[0]][gates[1]],
            gates_width: layout.gates_width,
        }
    }

    /// Where the gates of a chunk are kept as halves, if they are.
    fn half_gates(&self, at: Part) -> Option<&'a Tensor> {
        Some(&self.buffers.half_gates.get(self.index(at))?[at.chunk])
    }

    fn dropout(&self, layer: usize) -> Option<Dropout<'a>> {
        let state = self.buffers.dropout.as_ref()?;
        Some(Dropout { state: state.view().0, layer, share: self.config.dropout_share() })
    }

    /// x_proj of a chunk: `gates[.., 0..GH] = x W_ih^T + b_ih`.
    fn project_input(&self, builder: &mut ProgramBuilder<'a>, at: Part, steps: &CellSteps<'a>) {
        let parameters = self.cell_parameters(at);
        let inputs = self.config.layer_input_size(at.layer);
        ops::matmul(
            builder,
            &self.tuning,
            MatmulArgs {
                size: [steps.rows(), self.config.cell().gates() * steps.hidden, inputs],
                a: self.input_rows(at.layer, steps),
                transpose_a: false,
                b: Matrix::of(&parameters.weight_ih, inputs),
                transpose_b: true,
                bias: parameters.bias_ih.as_ref().map(|bias| Vector::of(bias, 0)),
                c: steps.gates_matrix(),
                accumulate: false,
            },
        );
    }

    /// What a layer reads during a chunk.
    fn input_rows(&self, layer: usize, steps: &CellSteps<'a>) -> Matrix<'a> {
        let inputs = self.config.layer_input_size(layer);
        let first = steps.steps.start * steps.batch * inputs;
        Matrix::rows_of(&self.layer_inputs[layer], first, steps.rows(), inputs)
    }

    /// Copies the first states of a cell to their slot, or the last ones out of it.
    fn move_state(&self, builder: &mut ProgramBuilder<'a>, at: Part, into_states: bool) {
        let buffers = self.buffers;
        let (seq_len, batch, hidden) = (self.unroll.seq_len(), self.unroll.batch(), self.config.hidden_size());
        let width = self.config.output_size();
        let slot = match (into_states, at.reverse) {
            (true, false) => 0,
            (true, true) => seq_len + 1,
            (false, false) => seq_len,
            (false, true) => 1,
        };
        let begin = slot * batch * width + at.direction * hidden;
        let in_states = Arrangement::state(&buffers.h[at.layer], begin, batch, width, hidden);
        let apart = if into_states { &buffers.h0 } else { &buffers.h_n };
        let apart = Arrangement::state(apart, self.index(at) * batch * hidden, batch, hidden, hidden);
        let (source, destination) = if into_states { (apart, in_states) } else { (in_states, apart) };
        let sources = buffers.sources.as_ref().filter(|_| into_states).map(|sources| sources.view().0);
        ops::move_rows(builder, MoveRowsArgs { rows: batch, width: hidden, source, sources, destination });
    }

    /// Turn by turn: x_proj of each cell's chunk by one product, then step by step.
    pub(super) fn forward(&self) -> Result<Program> {
        let mut builder = ProgramBuilder::new(self.gpu, "gru forward");
        let (config, buffers, layout) = (self.config, self.buffers, self.plan.layout());
        let batch_first = config.is_batch_first();
        if let Some(dropout) = &buffers.dropout {
            ops::count(&mut builder, dropout.view().0);
        }
        if let Some(arranged) = &buffers.arranged_input {
            let size = self.sizes(config.input_size());
            let source = Arrangement::of(&buffers.input, size, batch_first);
            let destination = Arrangement::of(arranged, size, false);
            let lengths = buffers.lengths_view();
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths, dropout: None });
        }
        let size = self.sizes(config.output_size());
        let outputs = |layer: usize| {
            let state = size[1] * size[2];
            let (view, offset) = buffers.h[layer].view_of(state..(size[0] + 1) * state);
            Arrangement { view, offset, strides: [state, size[2]] }
        };
        for block in self.plan.blocks() {
            let cells = self.cells_of(block);
            for &at in &cells {
                if layout.copies_h0 {
                    self.move_state(&mut builder, at, true);
                }
                let (weight_hh, half) = (&self.cell_parameters(at).weight_hh, layout.half_weights);
                let rows = config.cell().gates() * config.hidden_size();
                for (copies, side_by_side) in [(&buffers.packed, true), (&buffers.half_weights, false)] {
                    if let Some(copy) = copies.get(self.index(at)) {
                        ops::pack(&mut builder, weight_hh, rows, Packing { side_by_side, half }, copy);
                    }
                }
            }
            for turn in &block.turns {
                let steps = self.steps_of(turn);
                for (&at, steps) in turn.parts.iter().zip(&steps) {
                    self.project_input(&mut builder, at, steps);
                }
                ops::steps_forward(&mut builder, &steps, self.plan.time_loop(), layout.keeps != Keeps::Nothing);
                for (&at, steps) in turn.parts.iter().zip(&steps) {
                    if let Some(halves) = self.half_gates(at) {
                        ops::halve(&mut builder, steps, halves);
                    }
                }
            }
            if layout.copies_h_n {
                cells.iter().for_each(|&at| self.move_state(&mut builder, at, false));
            }
            for layer in block.layers.clone() {
                if let Some(dropped) = buffers.layer_inputs.get(layer) {
                    let destination = Arrangement::of(dropped, size, false);
                    let (source, dropout) = (outputs(layer), self.dropout(layer));
                    let args = ArrangeArgs { size, source, destination, lengths: None, dropout };
                    ops::arrange(&mut builder, args);
                }
            }
        }
        if layout.copies_output {
            let destination = Arrangement::of(&buffers.output, size, batch_first);
            let source = outputs(config.layers() - 1);
            let lengths = buffers.lengths_view();
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths, dropout: None });
        }
        if let Some(sources) = &buffers.sources {
            ops::number(&mut builder, sources.view().0, self.unroll.batch());
        }
        builder.build()
    }

    /// The last turn first: the steps in the opposite order, then their share of each gradient by one product or sum.
    pub(super) fn backward(&self, d: &'a TrainingBuffers) -> Result<Program> {
        let mut builder = ProgramBuilder::new(self.gpu, "gru backward");
        let config = self.config;
        let batch_first = config.is_batch_first();
        let size = self.sizes(config.output_size());
        if self.plan.layout().copies_d_output {
            let source = Arrangement::of(&d.d_output, size, batch_first);
            let destination = Arrangement::of(&d.d_layers[config.layers() - 1], size, false);
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths: None, dropout: None });
        }
        // Which chunks of each layer's d_input have what one direction adds to them: the other one adds to that.
        let mut begun = vec![vec![false; self.plan.chunks().len()]; config.layers()];
        for block in self.plan.blocks().iter().rev() {
            for turn in block.turns.iter().rev() {
                self.turn_back(&mut builder, turn, d, &mut begun);
            }
            if let Some(norms) = &d.norms {
                self.cells_of(block).into_iter().for_each(|at| self.norms(&mut builder, at, &d.squares, norms));
            }
            let below = block.layers.start.checked_sub(1);
            if let (Some(below), Some(dropped)) = (below, &d.d_dropped) {
                let source = Arrangement::of(dropped, size, false);
                let destination = Arrangement::of(&d.d_layers[below], size, false);
                let dropout = self.dropout(below);
                ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths: None, dropout });
            }
        }
        if let (Some(arranged), Some(d_input)) = (&d.arranged_d_input, &d.d_input) {
            let size = self.sizes(config.input_size());
            let source = Arrangement::of(arranged, size, false);
            let destination = Arrangement::of(d_input, size, batch_first);
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths: None, dropout: None });
        }
        builder.build()
    }

    /// One turn backward: the steps of its cells, then each cell's share of the gradients.
    fn turn_back(
        &self,
        builder: &mut ProgramBuilder<'a>,
        turn: &Turn,
        d: &'a TrainingBuffers,
        begun: &mut [Vec<bool>],
    ) {
        let steps = self.steps_of(turn);
        for (&at, steps) in turn.parts.iter().zip(&steps) {
            match (self.half_gates(at), &d.h_proj) {
                (Some(halves), _) => ops::widen(builder, steps, halves),
                (None, Some(h_proj)) => self.make_gates_again(builder, at, steps, h_proj),
                // They are kept, or, of a plain RNN, not needed.
                (None, None) => {}
            }
        }
        let from = StepsBackward {
            seq_len: self.unroll.seq_len(),
            is_first_chunk: turn.is_last,
            d_outputs: turn.parts.iter().map(|at| &d.d_layers[at.layer]).collect(),
            d_h_n: &d.d_h_n,
            d_h0: &d.d_h0,
            squares: if d.norms.is_some() { Squares::Wanted(&d.squares) } else { Squares::Unused(&d.squares) },
        };
        ops::steps_backward(builder, &steps, self.plan.time_loop(), &from);
        for (&at, steps) in turn.parts.iter().zip(&steps) {
            self.parameter_gradients(builder, at, steps, &d.d_parameters.cells[self.index(at)], !turn.is_last);
            // Where the gradient of the layer's input goes, if it is wanted.
            let d_input = match at.layer.checked_sub(1) {
                None => d.arranged_d_input.as_ref().or(d.d_input.as_ref()),
                Some(below) => Some(d.d_dropped.as_ref().unwrap_or(&d.d_layers[below])),
            };
            if let Some(d_input) = d_input {
                let accumulate = std::mem::replace(&mut begun[at.layer][at.chunk], true);
                self.input_gradient(builder, at, steps, d_input, accumulate);
            }
        }
    }

    /// The norm of d_h at each step of a cell, from the sums of squares that its steps have left.
    fn norms(&self, builder: &mut ProgramBuilder<'a>, at: Part, squares: &'a Tensor, norms: &'a Tensor) {
        let (seq_len, index) = (self.unroll.seq_len(), self.index(at));
        let groups = squares.len() / seq_len / self.config.num_cells();
        let args = SumRowsArgs {
            input: Matrix::rows_of(squares, index * groups * seq_len, groups, seq_len),
            size: [groups, seq_len],
            total: Vector::of(norms, index * seq_len),
            accumulate: false,
            root: true,
        };
        ops::sum_rows(builder, self.tuning.sum_lanes, args);
    }

    /// A chunk's share of the gradient of what a layer read.
    fn input_gradient(
        &self,
        builder: &mut ProgramBuilder<'a>,
        at: Part,
        steps: &CellSteps<'a>,
        d_input: &'a Tensor,
        accumulate: bool,
    ) {
        let inputs = self.config.layer_input_size(at.layer);
        let first = steps.steps.start * steps.batch * inputs;
        // Steps backward of the layer below leave out what is over; others may look at it.
        let lengths = if at.layer == 0 { lengths_of(steps) } else { None };
        ops::matmul_with_lengths(
            builder,
            &self.tuning,
            MatmulArgs {
                size: [steps.rows(), inputs, self.config.cell().gates() * steps.hidden],
                a: steps.gates_matrix(),
                transpose_a: false,
                b: Matrix::of(&self.cell_parameters(at).weight_ih, inputs),
                transpose_b: false,
                bias: None,
                c: Matrix::rows_of(d_input, first, steps.rows(), inputs),
                accumulate,
            },
            lengths,
        );
    }

    /// A chunk's share of the gradients of weights and biases: equation (10).
    fn parameter_gradients(
        &self,
        builder: &mut ProgramBuilder<'a>,
        at: Part,
        steps: &CellSteps<'a>,
        d_parameters: &'a CellParameters,
        accumulate: bool,
    ) {
        let tuning = &self.tuning;
        let (hidden, rows) = (steps.hidden, steps.rows());
        let gates = self.config.cell().gates() * hidden;
        let is_reset_before = self.plan.layout().is_reset_before;
        let d_x_proj = steps.gates_matrix();
        let d_h_proj = match self.config.cell() {
            Cell::Gru { .. } if !is_reset_before => d_x_proj.with_gap(2 * hidden, hidden),
            _ => d_x_proj,
        };
        let product =
            |builder: &mut ProgramBuilder<'a>, a: Matrix<'a>, m: usize, b: Matrix<'a>, n: usize, c: Matrix<'a>| {
                let size = [m, n, rows];
                let args = MatmulArgs { size, a, transpose_a: true, b, transpose_b: false, bias: None, c, accumulate };
                // What is over has gates of zero, but may have kept a state that is not finite.
                ops::matmul_with_lengths(builder, tuning, args, lengths_of(steps));
            };
        let inputs = self.config.layer_input_size(at.layer);
        let x = self.input_rows(at.layer, steps);
        product(builder, d_x_proj, gates, x, inputs, Matrix::of(&d_parameters.weight_ih, inputs));
        let d_weight_hh = Matrix::of(&d_parameters.weight_hh, hidden);
        let of_state = if is_reset_before { 2 * hidden } else { gates };
        product(builder, d_h_proj, of_state, steps.h_before(), hidden, d_weight_hh);
        if is_reset_before {
            // The rows of n were multiplied with r * h, which lies in the fourth place of the gates.
            let d_weight_hn = Matrix { offset: d_weight_hh.offset + (2 * hidden * hidden) as u32, ..d_weight_hh };
            let reset_states = d_x_proj.columns_from(3 * hidden);
            product(builder, d_x_proj.columns_from(2 * hidden), hidden, reset_states, hidden, d_weight_hn);
        }
        for (bias, input) in [(&d_parameters.bias_ih, d_x_proj), (&d_parameters.bias_hh, d_h_proj)] {
            if let Some(bias) = bias {
                let total = Vector::of(bias, 0);
                let args = SumRowsArgs { input, size: [rows, gates], total, accumulate, root: false };
                ops::sum_rows(builder, tuning.sum_lanes, args);
            }
        }
    }

    /// The gates of a chunk, where forward kept the states alone.
    fn make_gates_again(&self, builder: &mut ProgramBuilder<'a>, at: Part, steps: &CellSteps<'a>, h_proj: &'a Tensor) {
        self.project_input(builder, at, steps);
        let parameters = self.cell_parameters(at);
        let (hidden, rows) = (steps.hidden, steps.rows());
        // The rows `first..first + n` of W_hh times a.
        let product = |builder: &mut ProgramBuilder<'a>, a: Matrix<'a>, first: usize, n: usize| {
            let weight = Matrix::of(&parameters.weight_hh, hidden);
            let args = MatmulArgs {
                size: [rows, n, hidden],
                a,
                transpose_a: false,
                b: Matrix { offset: weight.offset + (first * hidden) as u32, ..weight },
                transpose_b: true,
                bias: parameters.bias_hh.as_ref().map(|bias| Vector::of(bias, first)),
                c: Matrix::rows_of(h_proj, 0, rows, 3 * hidden).columns_from(first),
                accumulate: false,
            };
            ops::matmul(builder, &self.tuning, args);
        };
        if self.plan.layout().is_reset_before {
            product(builder, steps.h_before(), 0, 2 * hidden);
            ops::gru_gates(builder, steps, h_proj, 0);
            product(builder, steps.gates_matrix().columns_from(3 * hidden), 2 * hidden, hidden);
            ops::gru_gates(builder, steps, h_proj, 1);
        } else {
            product(builder, steps.h_before(), 0, 3 * hidden);
            ops::gru_gates(builder, steps, h_proj, 0);
        }
    }
}

/// Of which rows of the batch the rows of a chunk are, if they have lengths.
fn lengths_of<'a>(steps: &CellSteps<'a>) -> Option<Lengths<'a>> {
    let of = |lengths| Lengths { lengths, first_step: steps.steps.start, first_row: 0, batch: steps.batch };
    steps.lengths.map(of)
}
