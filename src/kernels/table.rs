//! THE table of kernels: a line for each.
//!
//! `NAME = "file of shaders/" [what its variant defines] as "label": bindings;`
//!
//! Variants that do the same in the same plan share a label, which is what programs, errors and tests call a kernel.
//! The overrides of a kernel are those that its text declares.

use super::bindings::*;
use super::source::{File, resolve};
use crate::gpu::KernelSpec;

kernels! {
    // Products: through workgroup memory for GPUs, of few rows, without it for CPU-class adapters with subgroups of 8
    // and without, and in f16 with cooperative matrices. Scalar ones are for sizes that are no multiples of 4.
    MATMUL_TILED                 = "matmul_tiled"       [VEC4]                                         : Matmul;
    MATMUL_TILED_SCALAR          = "matmul_tiled"       []              as "matmul_tiled_scalar"       : Matmul;
    MATMUL_SMALL                 = "matmul_small"       [VEC4]                                         : Matmul;
    MATMUL_SMALL_SCALAR          = "matmul_small"       []              as "matmul_small_scalar"       : Matmul;
    MATMUL_FEW_ROWS              = "matmul_few_rows"    [VEC4]                                         : Matmul;
    MATMUL_FEW_ROWS_SCALAR       = "matmul_few_rows"    []              as "matmul_few_rows_scalar"    : Matmul;
    MATMUL_FEW_ROWS_SUBGROUP     = "matmul_few_rows"    [VEC4 SUBGROUP] as "matmul_few_rows_subgroup"  : Matmul;
    MATMUL_BROADCAST             = "matmul_broadcast"   [VEC4]                                         : Matmul;
    MATMUL_BROADCAST_SCALAR      = "matmul_broadcast"   []              as "matmul_broadcast_scalar"   : Matmul;
    MATMUL_DIRECT                = "matmul_direct"      [VEC4]                                         : Matmul;
    MATMUL_DIRECT_SCALAR         = "matmul_direct"      []              as "matmul_direct_scalar"      : Matmul;
    MATMUL_COOPERATIVE_16        = "matmul_cooperative" [VEC4 SIZE_16]                                 : Matmul;
    MATMUL_COOPERATIVE_16_SCALAR = "matmul_cooperative" [SIZE_16]       as "matmul_cooperative_scalar" : Matmul;
    MATMUL_COOPERATIVE_8         = "matmul_cooperative" [VEC4]                                         : Matmul;
    MATMUL_COOPERATIVE_8_SCALAR  = "matmul_cooperative" []              as "matmul_cooperative_scalar" : Matmul;

    // Beside the steps, whose texts are made: `generated`.
    GRU_GATES                    = "gru_gates"          []                                             : GruGates;

    // Copies.
    F16_FROM_GATES               = "gates_f16"          [PACK]          as "f16_from_gates"            : GatesF16;
    GATES_FROM_F16               = "gates_f16"          []              as "gates_from_f16"            : GatesF16;
    PACK                         = "pack"               []                                             : Pack;
    PACK_F16                     = "pack"               [F16]                                          : Pack;
    ARRANGE                      = "arrange"            []                                             : Arrange;
    COUNT                        = "count"              []                                             : Count;
    MOVE_ROWS                    = "move_rows"          [VEC4]                                         : MoveRows;
    MOVE_ROWS_SCALAR             = "move_rows"          []                                             : MoveRows;
    GATHER                       = "gather"             []                                             : Gather;
    GATHER_BY_ROWS               = "gather"             [SOFTWARE]                                     : Gather;
    NUMBER                       = "number"             []                                             : Number;

    // Sums, losses, embedding, optimisers.
    SUM_ROWS                     = "sum_rows"           []                                             : SumRows;
    MSE                          = "mse"                []                                             : Loss;
    MSE_MASKED                   = "mse"                [MASKED]                                       : MaskedLoss;
    BCE                          = "bce"                []                                             : Loss;
    BCE_MASKED                   = "bce"                [MASKED]                                       : MaskedLoss;
    SUM_WEIGHTS                  = "sum_weights"        []                                             : SumWeights;
    CROSS_ENTROPY                = "cross_entropy"      []                                             : CrossEntropy;
    EMBEDDING                    = "embedding"          []                                             : Embedding;
    SORT_INDICES                 = "sort_indices"       []                                             : SortIndices;
    EMBEDDING_BACKWARD           = "embedding_backward" []                                             : EmbeddingBackward;
    SUM_SQUARES                  = "sum_squares"        []                                             : SumSquares;
    ACCUMULATE                   = "accumulate"         []                                             : Accumulate;
    ADAM_PREPARE                 = "adam_prepare"       []                                             : AdamPrepare;
    ADAM                         = "adam"               []                                             : Adam;
    SGD                          = "sgd"                []                                             : Sgd;

    // What looks at numbers.
    FIND_NON_FINITE              = "find_non_finite"    []                                             : FindNonFinite;
}
