//! The bindings and the uniform of each family of kernels. Kernels that do one thing in several ways share them.

use crate::gpu::{Binding, BindingKind, Field, View};

bindings! {
    /// c (+)= op(a) op(b) + bias.
    Matmul;
    uniform(dynamic: false) params: MatmulParams {
        m: u32, n: u32, k: u32,
        a_offset: u32, a_stride: u32, a_split: u32, a_skip: u32,
        b_offset: u32, b_stride: u32,
        words_offset: u32,
        c_offset: u32, c_stride: u32, part: u32,
        first_step: u32, first_row: u32, batch: u32, starts_offset: u32, reverse: u32,
    }
    storage { a: read, b: read, words: read, c: read_write }
}

bindings! {
    /// Steps forward: of a GRU, of its reset gate where that acts before the product, of a plain RNN.
    Step;
    uniform(dynamic: true) params: StepParams {
        steps: u32, batch: u32, hidden: u32, h_stride: u32,
        t: u32, direction: u32,
        h_before: u32, h_after: u32, gates_offset: u32, weights_offset: u32, bias_offset: u32,
        next_t: u32, next_direction: u32,
        next_h_before: u32, next_h_after: u32, next_gates: u32, next_weights: u32, next_bias: u32,
    }
    storage { weight_hh: read, h: read_write, gates: read_write, lengths: read, bias_hh: read }
    exchange { ring: read_write }
}

bindings! {
    /// Steps back through time: of a GRU, of its reset gate where that acts before the product, of a plain RNN.
    StepBackward;
    uniform(dynamic: true) params: StepBackwardParams {
        steps: u32, batch: u32, hidden: u32, h_stride: u32,
        from_d_h_n: u32, has_product: u32, norms_stride: u32,
        t: u32, direction: u32,
        h_before: u32, h_after: u32, gates_offset: u32, d_output_offset: u32,
        d_h_n_offset: u32, d_h0_offset: u32, weights_offset: u32, norms_offset: u32, biases_offset: u32,
        next_t: u32, next_direction: u32,
        next_h_before: u32, next_h_after: u32, next_gates: u32, next_d_output: u32,
        next_d_h_n: u32, next_d_h0: u32, next_weights: u32, next_norms: u32, next_biases: u32,
    }
    storage {
        weight_hh: read, h: read_write, gates: read_write, lengths: read, d_output: read, d_h_n: read,
        d_h0: read_write, sums: read_write,
    }
    exchange { ring: read_write }
}

bindings! {
    /// The gates of many rows from the two products.
    GruGates;
    uniform(dynamic: false) params: GruGatesParams {
        rows: u32, hidden: u32, gates_offset: u32, h_offset: u32, h_stride: u32, pass_index: u32,
    }
    storage { h: read, h_proj: read, gates: read_write }
}

bindings! {
    /// Gates to f16 and back.
    GatesF16;
    uniform(dynamic: false) params: GatesF16Params { rows: u32, hidden: u32, gates_offset: u32 }
    storage { gates: read_write, packed: read_write }
}

bindings! {
    /// The recurrent weights as the steps read them.
    Pack;
    uniform(dynamic: false) params: PackParams {
        rows: u32, columns: u32, source_offset: u32, packed_offset: u32, transposed: u32, workgroups: u32,
    }
    storage { source: read, packed: read_write }
}

bindings! {
    /// A copy into another arrangement, with zeros past the ends of rows, with dropout.
    Arrange;
    uniform(dynamic: false) params: ArrangeParams {
        steps: u32, batch: u32, width: u32,
        source_offset: u32, source_stride_t: u32, source_stride_b: u32,
        destination_offset: u32, destination_stride_t: u32, destination_stride_b: u32,
        layer: u32, threshold: u32, keep_scale: f32,
    }
    storage { source: read, lengths: read, dropout: read, destination: read_write }
}

bindings! {
    /// Adds to the count of forward passes.
    Count;
    uniform(dynamic: false) params: CountParams { by: u32 }
    storage { counter: read_write }
}

bindings! {
    /// Rows of states into their slot or out of it, or from others.
    MoveRows;
    uniform(dynamic: false) params: MoveRowsParams {
        rows: u32, width: u32,
        source_offset: u32, source_stride: u32, destination_offset: u32, destination_stride: u32,
        workgroups: u32,
    }
    storage { source: read, sources: read, destination: read_write }
}

bindings! {
    /// Rows of states in all layers from others, which then are their own sources again.
    Gather;
    uniform(dynamic: false) params: GatherParams {
        layers: u32, rows: u32, width: u32,
        state_offset: u32, gathered_offset: u32,
        workgroups: u32,
    }
    storage { state: read, sources: read_write, gathered: read_write }
}

bindings! {
    /// A frame, with everything that one can have: see [`OptionsOfFrame`].
    Frame;
    uniform(dynamic: false) params: FrameParams {
        batch: u32, hidden: u32, inputs: u32, layers: u32,
        workgroups: u32, below_width: u32, state_width: u32,
        input_offset: u32, before_offset: u32, state_offset: u32, output_offset: u32,
        weight_ih_offset: u32, weight_ih_above: u32, next_weight_ih: u32,
        weight_hh_offset: u32, next_weight_hh: u32,
        bias_ih_offset: u32, next_bias_ih: u32, bias_hh_offset: u32, next_bias_hh: u32,
    }
    storage {
        weight_ih: read, weight_hh: read, input: read, state: read_write, output: read_write,
        bias_ih: read, bias_hh: read, lengths: read, before: read,
    }
}

/// What a frame has besides: each has bindings that no other frame has, since devices bind few buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OptionsOfFrame {
    pub(crate) bias: bool,
    pub(crate) lengths: bool,
    /// The states before lie in another buffer than those after.
    pub(crate) before: bool,
}

impl OptionsOfFrame {
    const COUNT: usize = 8;

    const fn number(self) -> usize {
        self.bias as usize | (self.lengths as usize) << 1 | (self.before as usize) << 2
    }

    /// Whether those of this number have storage binding `place` of [`Frame`].
    const fn has(number: usize, place: usize) -> bool {
        match place {
            5 | 6 => number & 1 != 0,
            7 => number & 2 != 0,
            8 => number & 4 != 0,
            _ => true,
        }
    }

    /// The bindings of the kernel.
    pub(crate) fn bindings(self) -> &'static [Binding] {
        static LISTS: [([Binding; ALL], usize); OptionsOfFrame::COUNT] = {
            let mut lists = [([Frame::BINDINGS[0]; ALL], 0); OptionsOfFrame::COUNT];
            let mut number = 0;
            while number < OptionsOfFrame::COUNT {
                lists[number] = of_frame(number);
                number += 1;
            }
            lists
        };
        let (all, count) = &LISTS[self.number()];
        &all[..*count]
    }

    /// Of the storage bindings those that it has.
    pub(crate) fn of<T>(self, storage: Vec<T>) -> Vec<T> {
        let number = self.number();
        storage.into_iter().enumerate().filter_map(|(place, view)| Self::has(number, place).then_some(view)).collect()
    }
}

const ALL: usize = Frame::BINDINGS.len();

const fn of_frame(number: usize) -> ([Binding; ALL], usize) {
    let mut list = [Frame::BINDINGS[0]; ALL];
    let (mut count, mut index) = (1, 1);
    while index < ALL {
        if OptionsOfFrame::has(number, index - 1) {
            list[count] = Frame::BINDINGS[index];
            count += 1;
        }
        index += 1;
    }
    (list, count)
}

bindings! {
    /// The numbers of rows.
    Number;
    uniform(dynamic: false) params: NumberParams { len: u32, workgroups: u32 }
    storage { sources: read_write }
}

bindings! {
    /// The sum over the rows of a matrix.
    SumRows;
    uniform(dynamic: false) params: SumRowsParams {
        rows: u32, columns: u32,
        input_offset: u32, input_stride: u32, split: u32, skip: u32,
        total_offset: u32,
        accumulate: u32,
        workgroups: u32,
    }
    storage { input: read, total: read_write }
}

bindings! {
    /// The mean of a loss and its gradient.
    Loss;
    uniform(dynamic: false) params: LossParams {
        len: u32,
        prediction_offset: u32, d_prediction_offset: u32,
        workgroups: u32,
        inverse_len: f32,
    }
    storage { prediction: read, expected: read, d_prediction: read_write, partial: read_write }
}

bindings! {
    /// The weighted mean of a loss and its gradient.
    MaskedLoss;
    uniform(dynamic: false) params: MaskedLossParams {
        len: u32,
        prediction_offset: u32, d_prediction_offset: u32,
        workgroups: u32,
        columns: u32,
    }
    storage { prediction: read, expected: read, d_prediction: read_write, partial: read_write, mask: read }
}

bindings! {
    /// The sum of the weights of rows, in parts.
    SumWeights;
    uniform(dynamic: false) params: SumWeightsParams { rows: u32, workgroups: u32, ignored: u32 }
    storage { expected: read, mask: read, partial: read_write }
}

bindings! {
    /// The mean of the cross-entropy of rows and its gradient.
    CrossEntropy;
    uniform(dynamic: false) params: CrossEntropyParams {
        rows: u32, classes: u32,
        prediction_offset: u32, d_prediction_offset: u32,
        workgroups: u32,
        ignored: u32,
        inverse_rows: f32,
    }
    storage { prediction: read, expected: read, mask: read, d_prediction: read_write, partial: read_write }
}

bindings! {
    /// Rows of a table by their numbers.
    Embedding;
    uniform(dynamic: false) params: EmbeddingParams {
        len: u32, dim: u32, rows: u32,
        input_offset: u32,
        workgroups: u32,
    }
    storage { weight: read, input: read, output: read_write }
}

bindings! {
    /// A pass of the sort of places by the numbers that they hold.
    SortIndices;
    uniform(dynamic: false) params: SortIndicesParams { len: u32, width: u32, input_offset: u32, workgroups: u32 }
    storage { input: read, source: read, destination: read_write }
}

bindings! {
    /// The gradient of a table.
    EmbeddingBackward;
    uniform(dynamic: false) params: EmbeddingBackwardParams {
        indices: u32, dim: u32, rows: u32,
        input_offset: u32,
        padding: u32,
        workgroups: u32,
    }
    storage { input: read, order: read, d_output: read, d_weight: read_write }
}

bindings! {
    /// The sum of squares, in parts.
    SumSquares;
    uniform(dynamic: false) params: SumSquaresParams {
        len: u32, input_offset: u32, partial_offset: u32, workgroups: u32,
    }
    storage { input: read, partial: read_write }
}

bindings! {
    /// Adds a gradient to those of earlier backward passes.
    Accumulate;
    uniform(dynamic: false) params: AccumulateParams {
        len: u32, gradient_offset: u32, workgroups: u32, counts: u32,
    }
    storage { gradient: read, accumulated: read_write, state: read_write }
}

bindings! {
    /// The scalars of one step of an optimiser.
    AdamPrepare;
    uniform(dynamic: false) params: AdamPrepareParams {
        partials: u32,
        clip: u32, max_norm: f32, clip_value: f32, skip_nonfinite: u32,
        accumulation: u32,
        beta1: f32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32,
    }
    storage { partial: read, state: read_write, norm: read_write, skipped: read_write }
}

bindings! {
    /// One step of Adam on one parameter.
    Adam;
    uniform(dynamic: false) params: AdamParams {
        len: u32,
        parameter_offset: u32, gradient_offset: u32,
        workgroups: u32,
        beta1: f32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32,
        epsilon: f32, weight_decay: f32,
    }
    storage { state: read, gradient: read, parameter: read_write, moment1: read_write, moment2: read_write }
}

bindings! {
    /// One step of gradient descent on one parameter.
    Sgd;
    uniform(dynamic: false) params: SgdParams {
        len: u32,
        parameter_offset: u32, gradient_offset: u32,
        workgroups: u32,
        weight_decay: f32, momentum: f32, one_minus_dampening: f32, nesterov: u32,
    }
    storage { state: read, gradient: read, parameter: read_write, momentum: read_write }
}

bindings! {
    /// The first number of a tensor that is not finite.
    FindNonFinite;
    uniform(dynamic: false) params: FindNonFiniteParams {
        offset: u32, steps: u32, rows: u32, columns: u32, step_stride: u32, row_stride: u32, reversed: u32,
        workgroups: u32, found_offset: u32,
    }
    storage { input: read, found: read_write }
}
