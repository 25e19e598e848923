//! The two programs of an unrolled layer: which dispatches, on which parts of which buffers, in which order.

use std::ops::Range;

use crate::config::{Cell, Config};
use crate::error::Result;
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::layer::buffers::{Buffers, TrainingBuffers};
use crate::layer::{CellParameters, Parameters};
use crate::ops::{
    self, ArrangeArgs, Arrangement, CellSteps, Dropout, MatmulArgs, Matrix, StepsBackward, SumRowsArgs, Vector,
};
use crate::plan::Plan;
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
}

/// One direction of one layer.
#[derive(Clone, Copy)]
struct CellAt {
    layer: usize,
    direction: usize,
    reverse: bool,
}

impl<'a> Programs<'a> {
    fn sizes(&self, width: usize) -> [usize; 3] {
        [self.unroll.seq_len(), self.unroll.batch(), width]
    }

    /// The directions of a layer.
    fn cells_of(&self, layer: usize) -> impl Iterator<Item = CellAt> + use<> {
        let reversed = self.config.layer_direction().reversed();
        (0..).zip(reversed).map(move |(direction, &reverse)| CellAt { layer, direction, reverse })
    }

    fn index(&self, at: CellAt) -> usize {
        at.layer * self.config.directions() + at.direction
    }

    fn cell_parameters(&self, at: CellAt) -> &'a CellParameters {
        &self.parameters.cells[self.index(at)]
    }

    /// The chunks in the order of a direction, or in the opposite one.
    fn chunks(&self, backwards: bool) -> Vec<Range<usize>> {
        let mut chunks = self.plan.chunks().to_vec();
        if backwards {
            chunks.reverse();
        }
        chunks
    }

    fn steps(&self, at: CellAt, steps: &Range<usize>) -> CellSteps<'a> {
        let layout = self.plan.layout();
        let hidden = self.config.hidden_size();
        let parameters = self.cell_parameters(at);
        let (gates, gates_first) = if layout.keeps_gates { (self.index(at), steps.start) } else { (0, 0) };
        CellSteps {
            cell: self.config.cell(),
            clip: self.config.clip_limit(),
            batch: self.unroll.batch(),
            hidden,
            reverse: at.reverse,
            steps: steps.clone(),
            weight_hh: &parameters.weight_hh,
            packed: self.buffers.packed.get(self.index(at)),
            bias_hh: parameters.bias_hh.as_ref(),
            lengths: self.buffers.lengths_view(),
            h: &self.buffers.h[at.layer],
            h_stride: self.config.output_size(),
            h_column: at.direction * hidden,
            gates: &self.buffers.gates[gates],
            gates_first,
            gates_width: layout.gates_width,
        }
    }

    fn dropout(&self, layer: usize) -> Option<Dropout<'a>> {
        let state = self.buffers.dropout.as_ref()?;
        Some(Dropout { state: state.view().0, layer, share: self.config.dropout_share() })
    }

    /// x_proj of a chunk: `gates[.., 0..GH] = x W_ih^T + b_ih`.
    fn project_input(&self, builder: &mut ProgramBuilder<'a>, at: CellAt, steps: &CellSteps<'a>) {
        let parameters = self.cell_parameters(at);
        let inputs = self.config.layer_input_size(at.layer);
        ops::matmul(
            builder,
            self.plan.tuning().matmul,
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
    fn move_state(&self, builder: &mut ProgramBuilder<'a>, at: CellAt, into_states: bool) {
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
        let size = [1, batch, hidden];
        ops::arrange(builder, ArrangeArgs { size, source, destination, lengths: None, dropout: None });
    }

    /// Layer by layer, direction by direction: each chunk's x_proj by one product, then step by step.
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
        for layer in 0..config.layers() {
            for at in self.cells_of(layer) {
                if layout.copies_h0 {
                    self.move_state(&mut builder, at, true);
                }
                if let Some(packed) = buffers.packed.get(self.index(at)) {
                    let rows = config.cell().gates() * config.hidden_size();
                    ops::pack(&mut builder, &self.cell_parameters(at).weight_hh, rows, packed);
                }
                for chunk in self.chunks(at.reverse) {
                    let steps = self.steps(at, &chunk);
                    self.project_input(&mut builder, at, &steps);
                    steps.forward(&mut builder, self.plan.time_loop(), layout.keeps_gates);
                }
                if layout.copies_h_n {
                    self.move_state(&mut builder, at, false);
                }
            }
            if let Some(dropped) = buffers.layer_inputs.get(layer) {
                let destination = Arrangement::of(dropped, size, false);
                let dropout = self.dropout(layer);
                ops::arrange(
                    &mut builder,
                    ArrangeArgs { size, source: outputs(layer), destination, lengths: None, dropout },
                );
            }
        }
        if layout.copies_output {
            let destination = Arrangement::of(&buffers.output, size, batch_first);
            let source = outputs(config.layers() - 1);
            let lengths = buffers.lengths_view();
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths, dropout: None });
        }
        builder.build()
    }

    /// The last layer first, direction by direction: each chunk's steps in the opposite order, then its share of each
    /// gradient by one product or sum.
    pub(super) fn backward(&self, d: &'a TrainingBuffers) -> Result<Program> {
        let mut builder = ProgramBuilder::new(self.gpu, "gru backward");
        let config = self.config;
        let batch_first = config.is_batch_first();
        let size = self.sizes(config.output_size());
        if let Some(arranged) = &d.arranged_d_output {
            let source = Arrangement::of(&d.d_output, size, batch_first);
            let destination = Arrangement::of(arranged, size, false);
            ops::arrange(&mut builder, ArrangeArgs { size, source, destination, lengths: None, dropout: None });
        }
        for layer in (0..config.layers()).rev() {
            let d_output = match d.d_layers.get(layer) {
                Some(d_layer) => d_layer,
                None => d.arranged_d_output.as_ref().unwrap_or(&d.d_output),
            };
            // Where the gradient of the layer's input goes, if it is wanted.
            let d_input = match layer.checked_sub(1) {
                None => d.arranged_d_input.as_ref().or(d.d_input.as_ref()),
                Some(below) => Some(d.d_dropped.as_ref().unwrap_or(&d.d_layers[below])),
            };
            for at in self.cells_of(layer) {
                self.cell_backward(&mut builder, at, d, d_output, d_input);
            }
            if let (Some(below), Some(dropped)) = (layer.checked_sub(1), &d.d_dropped) {
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

    fn cell_backward(
        &self,
        builder: &mut ProgramBuilder<'a>,
        at: CellAt,
        d: &'a TrainingBuffers,
        d_output: &'a Tensor,
        d_input: Option<&'a Tensor>,
    ) {
        let index = self.index(at);
        let tuning = self.plan.tuning();
        for (number, chunk) in self.chunks(!at.reverse).into_iter().enumerate() {
            let steps = self.steps(at, &chunk);
            if !self.plan.layout().keeps_gates {
                self.make_gates_again(builder, at, &steps, d);
            }
            let from = StepsBackward {
                seq_len: self.unroll.seq_len(),
                cell_index: index,
                is_first_chunk: number == 0,
                d_output,
                d_h_n: &d.d_h_n,
                d_h0: &d.d_h0,
                norms: &d.squares[index],
                has_norms: d.norms.is_some(),
            };
            steps.backward(builder, self.plan.time_loop(), &from);
            self.parameter_gradients(builder, at, &steps, &d.d_parameters.cells[index], number > 0);
            if let Some(d_input) = d_input {
                let inputs = self.config.layer_input_size(at.layer);
                let gates = self.config.cell().gates() * steps.hidden;
                let first = steps.steps.start * steps.batch * inputs;
                ops::matmul(
                    builder,
                    tuning.matmul,
                    MatmulArgs {
                        size: [steps.rows(), inputs, gates],
                        a: steps.gates_matrix(),
                        transpose_a: false,
                        b: Matrix::of(&self.cell_parameters(at).weight_ih, inputs),
                        transpose_b: false,
                        bias: None,
                        c: Matrix::rows_of(d_input, first, steps.rows(), inputs),
                        // The second direction adds to what the first one left.
                        accumulate: at.direction > 0,
                    },
                );
            }
        }
        if let Some(norms) = &d.norms {
            let seq_len = self.unroll.seq_len();
            let squares = &d.squares[index];
            let args = SumRowsArgs {
                input: Matrix::of(squares, seq_len),
                size: [squares.len() / seq_len, seq_len],
                total: Vector::of(norms, index * seq_len),
                accumulate: false,
                root: true,
            };
            ops::sum_rows(builder, tuning.sum_lanes, args);
        }
    }

    /// A chunk's share of the gradients of weights and biases: equation (10).
    fn parameter_gradients(
        &self,
        builder: &mut ProgramBuilder<'a>,
        at: CellAt,
        steps: &CellSteps<'a>,
        d_parameters: &'a CellParameters,
        accumulate: bool,
    ) {
        let tuning = self.plan.tuning();
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
                ops::matmul(builder, tuning.matmul, args);
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
    fn make_gates_again(
        &self,
        builder: &mut ProgramBuilder<'a>,
        at: CellAt,
        steps: &CellSteps<'a>,
        d: &'a TrainingBuffers,
    ) {
        // A plain RNN needs nothing but its states.
        let Some(h_proj) = &d.h_proj else { return };
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
            ops::matmul(builder, self.plan.tuning().matmul, args);
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
