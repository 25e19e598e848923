//! THE table of kernels: for each WGSL file its bindings, its uniform struct and its overrides. Layouts, bind groups and
//! uniforms come from here, and the tests below hold every entry against the WGSL text.
//!
//! `kernel!` makes of an entry a struct with one named field a storage binding, so that no call passes buffers by
//! position, and a `Pod` struct of the uniform. Files with the same interface (two ways to do one thing) share an entry.

use crate::gpu::{Binding, BindingKind, Field, KernelSpec, View};

macro_rules! binding_kind {
    (read) => {
        BindingKind::Read
    };
    (read_write) => {
        BindingKind::ReadWrite
    };
}

/// A kernel is called as its file is, or by a name of its own where a file is the text of several.
macro_rules! label {
    ($file:literal) => {
        $file
    };
    ($file:literal $label:literal) => {
        $label
    };
}

macro_rules! kernel {
    (
        $(#[$doc:meta])*
        $kernel:ident = $(
            $spec:ident $file:literal $(as $label:literal)? with [$($shared:literal),*] [$($override:literal),*]
            $(and $also:ident with [$($also_shared:literal),*])*
        ),+;
        uniform(dynamic: $dynamic:literal) $uniform:ident: $params:ident { $($field:ident: $ty:ty),* $(,)? }
        storage { $($binding:ident: $kind:ident),* $(,)? }
    ) => {
        $(#[$doc])*
        pub(crate) struct $kernel<'a> {
            $(pub(crate) $binding: View<'a>,)*
        }

        #[doc = concat!("The uniform of ", stringify!($kernel), ".")]
        #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub(crate) struct $params {
            $(pub(crate) $field: $ty,)*
        }

        impl<'a> $kernel<'a> {
            const BINDINGS: &'static [Binding] = &[
                Binding {
                    name: stringify!($uniform),
                    kind: BindingKind::Uniform {
                        size: size_of::<$params>() as u64,
                        fields: &[$(Field {
                            name: stringify!($field),
                            offset: std::mem::offset_of!($params, $field),
                        },)*],
                        dynamic: $dynamic,
                    },
                },
                $(Binding { name: stringify!($binding), kind: binding_kind!($kind) },)*
            ];

            /// The storage bindings, in order.
            pub(crate) fn storage(self) -> Vec<View<'a>> {
                vec![$(self.$binding,)*]
            }
        }

        $(pub(crate) static $spec: KernelSpec = KernelSpec {
            label: label!($file $($label)?),
            source: concat!(
                $(include_str!(concat!("../shaders/shared/", $shared, ".wgsl")), "\n",)*
                include_str!(concat!("../shaders/", $file, ".wgsl"))
            ),
            shared_bindings: $kernel::BINDINGS,
            own_bindings: &[],
            overrides: &[$($override),*],
        };
        $(pub(crate) static $also: KernelSpec = KernelSpec {
            label: $spec.label,
            source: concat!(
                $(include_str!(concat!("../shaders/shared/", $also_shared, ".wgsl")), "\n",)*
                include_str!(concat!("../shaders/", $file, ".wgsl"))
            ),
            shared_bindings: $kernel::BINDINGS,
            own_bindings: &[],
            overrides: $spec.overrides,
        };)*)+
    };
}

/// Every kernel there is, by the name of its entry: a label can be that of several.
macro_rules! table {
    ($($spec:ident),* $(,)?) => {
        #[cfg(any(test, feature = "harness"))]
        pub(crate) static ALL: &[(&str, &KernelSpec)] = &[$((stringify!($spec), &$spec)),*];
    };
}

table![
    MATMUL_TILED,
    MATMUL_TILED_SCALAR,
    MATMUL_FEW_ROWS,
    MATMUL_FEW_ROWS_SCALAR,
    MATMUL_FEW_ROWS_SUBGROUP,
    MATMUL_BROADCAST,
    MATMUL_BROADCAST_SCALAR,
    MATMUL_DIRECT,
    MATMUL_DIRECT_SCALAR,
    MATMUL_COOPERATIVE_16,
    MATMUL_COOPERATIVE_16_SCALAR,
    MATMUL_COOPERATIVE_8,
    MATMUL_COOPERATIVE_8_SCALAR,
    GRU_STEP,
    GRU_STEP_SINGLES,
    GRU_STEP_HALF,
    GRU_RESET,
    GRU_RESET_SINGLES,
    GRU_RESET_HALF,
    RNN_STEP,
    RNN_STEP_SINGLES,
    RNN_STEP_HALF,
    GRU_STEP_BACKWARD,
    GRU_STEP_BACKWARD_SINGLES,
    GRU_STEP_BACKWARD_HALF,
    GRU_RESET_BACKWARD,
    GRU_RESET_BACKWARD_SINGLES,
    GRU_RESET_BACKWARD_HALF,
    RNN_STEP_BACKWARD,
    RNN_STEP_BACKWARD_SINGLES,
    RNN_STEP_BACKWARD_HALF,
    GRU_STEP_RESIDENT,
    RNN_STEP_RESIDENT,
    GRU_STEP_BACKWARD_RESIDENT,
    RNN_STEP_BACKWARD_RESIDENT,
    RESIDENT_BEGIN,
    GRU_GATES,
    HALVE,
    WIDEN,
    PACK,
    PACK_HALF,
    ARRANGE,
    COUNT,
    MOVE_ROWS,
    MOVE_ROWS_SINGLES,
    NUMBER,
    SUM_ROWS,
    MSE,
    SUM_SQUARES,
    ADAM_PREPARE,
    ADAM,
    SGD,
];

kernel! {
    /// c (+)= op(a) op(b) + bias: through workgroup memory for GPUs, of few rows, without it for CPU-class adapters, with and without
    /// subgroups, and of halves with cooperative matrices. Each with loads of four numbers, and with loads of one for sizes that
    /// are no multiples of four.
    Matmul =
        MATMUL_TILED "matmul_tiled" with ["matmul", "matmul_vec4"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "TILE"
        ],
        MATMUL_TILED_SCALAR "matmul_tiled" as "matmul_tiled_scalar" with ["matmul", "matmul_scalar"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "TILE"
        ],
        MATMUL_FEW_ROWS "matmul_few_rows" with ["matmul", "matmul_vec4", "slices_memory"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_FEW_ROWS_SCALAR "matmul_few_rows" as "matmul_few_rows_scalar" with ["matmul", "matmul_scalar", "slices_memory"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_FEW_ROWS_SUBGROUP "matmul_few_rows" as "matmul_few_rows_subgroup" with ["matmul", "matmul_vec4", "slices_subgroup"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_BROADCAST "matmul_broadcast" with ["matmul", "matmul_vec4"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_BROADCAST_SCALAR "matmul_broadcast" as "matmul_broadcast_scalar" with ["matmul", "matmul_scalar"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_DIRECT "matmul_direct" with ["matmul", "matmul_vec4"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_DIRECT_SCALAR "matmul_direct" as "matmul_direct_scalar" with ["matmul", "matmul_scalar"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL"
        ],
        MATMUL_COOPERATIVE_16 "matmul_cooperative"
            with ["cooperative_16", "matmul", "matmul_vec4"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "LANES"
        ],
        MATMUL_COOPERATIVE_16_SCALAR "matmul_cooperative" as "matmul_cooperative_scalar"
            with ["cooperative_16", "matmul", "matmul_scalar"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "LANES"
        ],
        MATMUL_COOPERATIVE_8 "matmul_cooperative"
            with ["cooperative_8", "matmul", "matmul_vec4"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "LANES"
        ],
        MATMUL_COOPERATIVE_8_SCALAR "matmul_cooperative" as "matmul_cooperative_scalar"
            with ["cooperative_8", "matmul", "matmul_scalar"] [
            "TRANSPOSE_A", "TRANSPOSE_B", "HAS_BIAS", "HAS_LENGTHS", "ACCUMULATE", "LONG_K", "K_TAIL", "N_TAIL", "LANES"
        ];
    uniform(dynamic: false) params: MatmulParams {
        m: u32, n: u32, k: u32,
        a_offset: u32, a_stride: u32, a_split: u32, a_skip: u32,
        b_offset: u32, b_stride: u32,
        words_offset: u32,
        c_offset: u32, c_stride: u32,
        first_step: u32, first_row: u32, batch: u32,
    }
    storage { a: read, b: read, words: read, c: read_write }
}

kernel! {
    /// Steps forward: of a GRU, of its reset gate where that acts before the product, of a plain RNN. Each in three forms: by
    /// fours for H that is a multiple of 4, by single numbers, and by fours with weights of 16 bits.
    Step =
        GRU_STEP "gru_step" with ["activation", "walk", "quads", "states", "weights", "alone", "step"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_BIAS", "PACKED", "HAS_LENGTHS", "HAS_CLIP", "CLIP",
            "GATE", "GATE_ALPHA", "GATE_BETA", "CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA",
            "RESET_BEFORE", "SAVE"
        ] and GRU_STEP_SINGLES with ["activation", "walk", "singles", "alone", "step"]
        and GRU_STEP_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step"],
        GRU_RESET "gru_reset" with ["activation", "walk", "quads", "states", "weights", "alone", "step"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_BIAS", "PACKED", "HAS_LENGTHS", "HAS_CLIP", "CLIP",
            "GATE", "GATE_ALPHA", "GATE_BETA"
        ] and GRU_RESET_SINGLES with ["activation", "walk", "singles", "alone", "step"]
        and GRU_RESET_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step"],
        RNN_STEP "rnn_step" with ["activation", "walk", "quads", "states", "weights", "alone", "step"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_BIAS", "PACKED", "HAS_LENGTHS", "HAS_CLIP", "CLIP",
            "ACTIVATION", "ALPHA", "BETA", "SAVE"
        ] and RNN_STEP_SINGLES with ["activation", "walk", "singles", "alone", "step"]
        and RNN_STEP_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step"];
    uniform(dynamic: true) params: StepParams {
        steps: u32, batch: u32, hidden: u32, h_stride: u32,
        t: u32, direction: u32,
        h_before: u32, h_after: u32, gates_offset: u32, weights_offset: u32, bias_offset: u32,
        next_t: u32, next_direction: u32,
        next_h_before: u32, next_h_after: u32, next_gates: u32, next_weights: u32, next_bias: u32,
    }
    storage { weight_hh: read, h: read_write, gates: read_write, lengths: read, bias_hh: read }
}

kernel! {
    /// Steps back through time: of a GRU, of its reset gate where that acts before the product, of a plain RNN. Each in three
    /// forms, as forward.
    StepBackward =
        GRU_STEP_BACKWARD "gru_step_backward" with ["activation", "walk", "quads", "states", "weights", "alone", "step_backward"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_LENGTHS", "HAS_NORMS", "HAS_CLIP", "CLIP",
            "GATE", "GATE_ALPHA", "GATE_BETA", "CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA",
            "RESET_BEFORE"
        ] and GRU_STEP_BACKWARD_SINGLES with ["activation", "walk", "singles", "alone", "step_backward"]
        and GRU_STEP_BACKWARD_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step_backward"],
        GRU_RESET_BACKWARD "gru_reset_backward" with ["activation", "walk", "quads", "states", "weights", "alone", "step_backward"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_LENGTHS", "HAS_NORMS", "HAS_CLIP", "CLIP",
            "GATE", "GATE_ALPHA", "GATE_BETA"
        ] and GRU_RESET_BACKWARD_SINGLES with ["activation", "walk", "singles", "alone", "step_backward"]
        and GRU_RESET_BACKWARD_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step_backward"],
        RNN_STEP_BACKWARD "rnn_step_backward" with ["activation", "walk", "quads", "states", "weights", "alone", "step_backward"] [
            "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_LENGTHS", "HAS_NORMS", "HAS_CLIP", "CLIP",
            "ACTIVATION", "ALPHA", "BETA"
        ] and RNN_STEP_BACKWARD_SINGLES with ["activation", "walk", "singles", "alone", "step_backward"]
        and RNN_STEP_BACKWARD_HALF with ["activation", "walk", "quads", "states", "weights_half", "alone", "step_backward"];
    uniform(dynamic: true) params: StepBackwardParams {
        steps: u32, batch: u32, hidden: u32, h_stride: u32,
        from_d_h_n: u32, has_product: u32, has_final: u32, norms_stride: u32,
        t: u32, direction: u32,
        h_before: u32, h_after: u32, gates_offset: u32, d_output_offset: u32,
        d_h_n_offset: u32, d_h0_offset: u32, weights_offset: u32, norms_offset: u32,
        next_t: u32, next_direction: u32,
        next_h_before: u32, next_h_after: u32, next_gates: u32, next_d_output: u32,
        next_d_h_n: u32, next_d_h0: u32, next_weights: u32, next_norms: u32,
    }
    storage {
        weight_hh: read, h: read_write, gates: read_write, lengths: read, d_output: read, d_h_n: read,
        d_h0: read_write, norms: read_write,
    }
}

/// The words where workgroups meet.
const MEETING: &[Binding] = &[Binding { name: "meeting", kind: BindingKind::ReadWrite }];

/// A kernel of steps by fours whose workgroups meet after each.
macro_rules! resident {
    ($kernel:ident $steps:literal: $($spec:ident $file:literal as $label:literal [$($override:literal),*]),+) => {
        $(pub(crate) static $spec: KernelSpec = KernelSpec {
            label: $label,
            source: concat!(
                include_str!("../shaders/shared/activation.wgsl"), "\n",
                include_str!("../shaders/shared/walk.wgsl"), "\n",
                include_str!("../shaders/shared/quads.wgsl"), "\n",
                include_str!("../shaders/shared/states_coherent.wgsl"), "\n",
                include_str!("../shaders/shared/weights.wgsl"), "\n",
                include_str!("../shaders/shared/resident.wgsl"), "\n",
                include_str!(concat!("../shaders/shared/", $steps, ".wgsl")), "\n",
                include_str!(concat!("../shaders/", $file, ".wgsl"))
            ),
            shared_bindings: $kernel::BINDINGS,
            own_bindings: MEETING,
            overrides: &["FIRST_LOOKS", "LATER_LOOKS", $($override),*],
        };)+
    };
}

resident! { Step "step":
    GRU_STEP_RESIDENT "gru_step" as "gru_step_resident" [
        "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_BIAS", "PACKED", "HAS_LENGTHS", "HAS_CLIP", "CLIP",
        "GATE", "GATE_ALPHA", "GATE_BETA", "CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA",
        "RESET_BEFORE", "SAVE"
    ],
    RNN_STEP_RESIDENT "rnn_step" as "rnn_step_resident" [
        "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_BIAS", "PACKED", "HAS_LENGTHS", "HAS_CLIP", "CLIP",
        "ACTIVATION", "ALPHA", "BETA", "SAVE"
    ]
}

resident! { StepBackward "step_backward":
    GRU_STEP_BACKWARD_RESIDENT "gru_step_backward" as "gru_step_backward_resident" [
        "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_LENGTHS", "HAS_NORMS", "HAS_CLIP", "CLIP",
        "GATE", "GATE_ALPHA", "GATE_BETA", "CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA",
        "RESET_BEFORE"
    ],
    RNN_STEP_BACKWARD_RESIDENT "rnn_step_backward" as "rnn_step_backward_resident" [
        "LANES", "SPLIT", "ROWS", "SUMS", "SUMS_OF_ALL", "MANY", "WIDTH", "HAS_LENGTHS", "HAS_NORMS", "HAS_CLIP", "CLIP",
        "ACTIVATION", "ALPHA", "BETA"
    ]
}

kernel! {
    /// Before steps whose workgroups meet.
    ResidentBegin = RESIDENT_BEGIN "resident_begin" with [] [];
    uniform(dynamic: false) params: ResidentBeginParams { x: u32, y: u32, z: u32 }
    storage { meeting: read_write }
}

kernel! {
    /// The gates of many rows from the two products.
    GruGates = GRU_GATES "gru_gates" with ["activation"] [
        "HAS_CLIP", "CLIP",
        "GATE", "GATE_ALPHA", "GATE_BETA", "CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA",
        "RESET_BEFORE"
    ];
    uniform(dynamic: false) params: GruGatesParams {
        rows: u32, hidden: u32, gates_offset: u32, h_offset: u32, h_stride: u32, pass_index: u32,
    }
    storage { h: read, h_proj: read, gates: read_write }
}

kernel! {
    /// Gates as halves, and back.
    Halves = HALVE "halve" with ["f16", "halves"] [], WIDEN "widen" with ["halves"] [];
    uniform(dynamic: false) params: HalvesParams { rows: u32, hidden: u32, gates_offset: u32, halves_offset: u32 }
    storage { gates: read_write, halves: read_write }
}

kernel! {
    /// The recurrent weights as the steps read them.
    Pack = PACK "pack" with ["fours"] [] and PACK_HALF with ["f16", "fours_half"];
    uniform(dynamic: false) params: PackParams {
        rows: u32, fours: u32, source_offset: u32, packed_offset: u32, side_by_side: u32, workgroups: u32,
    }
    storage { source: read, packed: read_write }
}

kernel! {
    /// A copy into another arrangement, with zeros past the ends of rows, with dropout.
    Arrange = ARRANGE "arrange" with [] ["HAS_LENGTHS", "HAS_DROPOUT"];
    uniform(dynamic: false) params: ArrangeParams {
        steps: u32, batch: u32, width: u32,
        source_offset: u32, source_stride_t: u32, source_stride_b: u32,
        destination_offset: u32, destination_stride_t: u32, destination_stride_b: u32,
        layer: u32, threshold: u32, keep_scale: f32,
    }
    storage { source: read, lengths: read, dropout: read, destination: read_write }
}

kernel! {
    /// Adds to the count of forward passes.
    Count = COUNT "count" with [] [];
    uniform(dynamic: false) params: CountParams { by: u32 }
    storage { counter: read_write }
}

kernel! {
    /// Rows of states into their slot or out of it, or from others.
    MoveRows = MOVE_ROWS "move_rows" with ["item_four"] ["HAS_SOURCES"] and MOVE_ROWS_SINGLES with ["item_single"];
    uniform(dynamic: false) params: MoveRowsParams {
        rows: u32, width: u32,
        source_offset: u32, source_stride: u32, destination_offset: u32, destination_stride: u32,
        workgroups: u32,
    }
    storage { source: read, sources: read, destination: read_write }
}

kernel! {
    /// The numbers of rows.
    Number = NUMBER "number" with [] [];
    uniform(dynamic: false) params: NumberParams { len: u32, workgroups: u32 }
    storage { sources: read_write }
}

kernel! {
    /// The sum over the rows of a matrix.
    SumRows = SUM_ROWS "sum_rows" with [] ["COLUMN_LANES", "ROW_LANES", "ROOT"];
    uniform(dynamic: false) params: SumRowsParams {
        rows: u32, columns: u32,
        input_offset: u32, input_stride: u32, split: u32, skip: u32,
        total_offset: u32,
        accumulate: u32,
        workgroups: u32,
    }
    storage { input: read, total: read_write }
}

kernel! {
    /// Mean squared error and its gradient.
    Mse = MSE "mse" with ["reduce"] [];
    uniform(dynamic: false) params: MseParams {
        len: u32,
        prediction_offset: u32, expected_offset: u32, d_prediction_offset: u32,
        workgroups: u32,
        inverse_len: f32,
    }
    storage { prediction: read, expected: read, d_prediction: read_write, partial: read_write }
}

kernel! {
    /// The sum of squares, in parts.
    SumSquares = SUM_SQUARES "sum_squares" with ["norm", "reduce"] [];
    uniform(dynamic: false) params: SumSquaresParams { len: u32, input_offset: u32, partial_offset: u32, workgroups: u32 }
    storage { input: read, partial: read_write }
}

kernel! {
    /// The scalars of one step of an optimiser.
    AdamPrepare = ADAM_PREPARE "adam_prepare" with ["norm", "reduce", "adam"] [];
    uniform(dynamic: false) params: AdamPrepareParams {
        partials: u32,
        clip: u32, max_norm: f32, skip_nonfinite: u32,
        beta1: f32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32,
    }
    storage { partial: read, state: read_write, norm: read_write, skipped: read_write }
}

kernel! {
    /// One step of Adam on one parameter.
    Adam = ADAM "adam" with ["adam"] [];
    uniform(dynamic: false) params: AdamParams {
        len: u32,
        parameter_offset: u32, gradient_offset: u32,
        workgroups: u32,
        beta1: f32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32,
        epsilon: f32,
    }
    storage { state: read, gradient: read, parameter: read_write, moment1: read_write, moment2: read_write }
}

kernel! {
    /// One step of gradient descent on one parameter.
    Sgd = SGD "sgd" with ["adam"] [];
    uniform(dynamic: false) params: SgdParams {
        len: u32,
        parameter_offset: u32, gradient_offset: u32,
        workgroups: u32,
    }
    storage { state: read, gradient: read, parameter: read_write }
}

#[cfg(test)]
mod tests;
