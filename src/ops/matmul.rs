//! Matrix products.

use super::{Matrix, Vector};
use crate::gpu::{KernelSpec, ProgramBuilder, View};
use crate::kernels::{
    MATMUL_BROADCAST, MATMUL_BROADCAST_SCALAR, MATMUL_COOPERATIVE_8, MATMUL_COOPERATIVE_8_SCALAR,
    MATMUL_COOPERATIVE_16, MATMUL_COOPERATIVE_16_SCALAR, MATMUL_DIRECT, MATMUL_DIRECT_SCALAR, MATMUL_FEW_ROWS,
    MATMUL_FEW_ROWS_SCALAR, MATMUL_FEW_ROWS_SUBGROUP, MATMUL_TILED, MATMUL_TILED_SCALAR, Matmul, MatmulParams,
};
use crate::plan::{MatmulKernel, Tuning, is_long, ranges_of_rows};

/// c `[m, n]` (+)= op(a) `[m, k]` op(b) `[k, n]` + bias `[n]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatmulArgs<'a> {
    pub(crate) size: [usize; 3],
    pub(crate) a: Matrix<'a>,
    /// a is stored `[k, m]`.
    pub(crate) transpose_a: bool,
    pub(crate) b: Matrix<'a>,
    /// b is stored `[n, k]`.
    pub(crate) transpose_b: bool,
    pub(crate) bias: Option<Vector<'a>>,
    pub(crate) c: Matrix<'a>,
    /// Add to what c holds.
    pub(crate) accumulate: bool,
}

/// Of which rows of a batch the m rows of a product are, or with `transpose_a` the k's: those of step `first_step` from row
/// `first_row` on, and of the steps after it. Rows that are over take no part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths<'a> {
    /// `[B]`, whole numbers.
    pub(crate) lengths: View<'a>,
    pub(crate) first_step: usize,
    pub(crate) first_row: usize,
    /// B.
    pub(crate) batch: usize,
}

impl Lengths<'_> {
    /// The same so many rows further.
    fn further(self, rows: usize) -> Self {
        let row = self.first_row + rows;
        Self { first_step: self.first_step + row / self.batch, first_row: row % self.batch, ..self }
    }
}

/// A product, by the kernel that suits its size.
pub(crate) fn matmul<'a>(builder: &mut ProgramBuilder<'a>, tuning: &Tuning, args: MatmulArgs<'a>) {
    matmul_with_lengths(builder, tuning, args, None);
}

/// [`matmul`] without the rows that are over. A product with lengths has no bias.
pub(crate) fn matmul_with_lengths<'a>(
    builder: &mut ProgramBuilder<'a>,
    tuning: &Tuning,
    args: MatmulArgs<'a>,
    lengths: Option<Lengths<'a>>,
) {
    let ([m, n, k], gpu) = (args.size, builder.gpu());
    let kernel = tuning.matmul.for_product([m, n], tuning.few_rows, gpu.limits(), gpu.has_subgroups_of_8());
    let has_parts = args.transpose_a && is_long(k);
    let kernel = if has_parts { kernel.for_long_sum([m, n], gpu.limits()) } else { kernel };
    matmul_by(builder, kernel, args, lengths);
}

/// A product by this very kernel. A sum over many rows of a batch is as many dispatches as [`ranges_of_rows`] says.
pub(crate) fn matmul_by<'a>(
    builder: &mut ProgramBuilder<'a>,
    kernel: MatmulKernel,
    args: MatmulArgs<'a>,
    lengths: Option<Lengths<'a>>,
) {
    if !args.transpose_a {
        return dispatch(builder, kernel, args, lengths);
    }
    let [m, n, k] = args.size;
    for rows in ranges_of_rows(k) {
        let further = |matrix: Matrix<'a>, elements: usize| Matrix {
            offset: matrix.offset + (rows.start * elements) as u32,
            ..matrix
        };
        let part = MatmulArgs {
            size: [m, n, rows.len()],
            a: further(args.a, args.a.stride),
            b: further(args.b, if args.transpose_b { 1 } else { args.b.stride }),
            bias: args.bias.filter(|_| rows.start == 0),
            accumulate: args.accumulate || rows.start > 0,
            ..args
        };
        dispatch(builder, kernel, part, lengths.map(|lengths| lengths.further(rows.start)));
    }
}

fn dispatch<'a>(
    builder: &mut ProgramBuilder<'a>,
    kernel: MatmulKernel,
    args: MatmulArgs<'a>,
    lengths: Option<Lengths<'a>>,
) {
    debug_assert!(args.bias.is_none() || lengths.is_none(), "one binding holds the bias or the lengths");
    let [columns, rows] = kernel.grid(args.size[0], args.size[1]);
    let [m, n, k] = args.size.map(|size| size as u32);
    let [a_split, a_skip] = args.a.split_and_skip();
    let params = MatmulParams {
        m,
        n,
        k,
        a_offset: args.a.offset,
        a_stride: args.a.stride as u32,
        a_split,
        a_skip,
        b_offset: args.b.offset,
        b_stride: args.b.stride as u32,
        words_offset: args.bias.map_or(0, |bias| bias.offset),
        c_offset: args.c.offset,
        c_stride: args.c.stride as u32,
        first_step: lengths.map_or(0, |lengths| lengths.first_step as u32),
        first_row: lengths.map_or(0, |lengths| lengths.first_row as u32),
        batch: lengths.map_or(1, |lengths| lengths.batch as u32),
    };
    let is_aligned = [args.a, args.b, args.c].iter().all(Matrix::is_aligned);
    // Scalar loads always look for the ends, so that sizes that are no multiples of four share one pipeline.
    let has_tail = |size: u32| f64::from(!is_aligned || !size.is_multiple_of(4));
    let mut overrides = vec![
        ("TRANSPOSE_A", f64::from(args.transpose_a)),
        ("TRANSPOSE_B", f64::from(args.transpose_b)),
        ("HAS_BIAS", f64::from(args.bias.is_some())),
        ("HAS_LENGTHS", f64::from(lengths.is_some())),
        ("ACCUMULATE", f64::from(args.accumulate)),
        ("LONG_K", f64::from(args.transpose_a && is_long(args.size[2]))),
        ("K_TAIL", has_tail(k)),
        ("N_TAIL", has_tail(n)),
    ];
    match kernel {
        MatmulKernel::Tiled | MatmulKernel::TiledSmall => overrides.push(("TILE", f64::from(kernel.tile()[0]))),
        MatmulKernel::Cooperative16 | MatmulKernel::Cooperative8 => {
            overrides.push(("LANES", f64::from(builder.gpu().info().subgroup_min_size)));
        }
        MatmulKernel::FewRows | MatmulKernel::Direct | MatmulKernel::Broadcast => {}
    }
    let words = args.bias.map(|bias| bias.view).or(lengths.map(|lengths| lengths.lengths));
    let storage = Matmul {
        a: args.a.view,
        b: args.b.view,
        // Something must be bound; without HAS_BIAS and HAS_LENGTHS it is not read.
        words: words.unwrap_or(args.b.view),
        c: args.c.view,
    };
    let has_subgroups = builder.gpu().has_subgroups();
    let spec = spec(kernel, is_aligned, args.transpose_b && has_subgroups);
    let kernel = builder.gpu().kernel(spec, &overrides);
    builder.once(kernel, &params, storage.storage(), [columns, rows, 1]);
}

/// The text of a kernel. `meet_in_subgroups`: slices can.
fn spec(kernel: MatmulKernel, is_aligned: bool, meet_in_subgroups: bool) -> &'static KernelSpec {
    match (kernel, is_aligned) {
        (MatmulKernel::Tiled | MatmulKernel::TiledSmall, true) => &MATMUL_TILED,
        (MatmulKernel::Tiled | MatmulKernel::TiledSmall, false) => &MATMUL_TILED_SCALAR,
        (MatmulKernel::FewRows, true) if meet_in_subgroups => &MATMUL_FEW_ROWS_SUBGROUP,
        (MatmulKernel::FewRows, true) => &MATMUL_FEW_ROWS,
        (MatmulKernel::FewRows, false) => &MATMUL_FEW_ROWS_SCALAR,
        (MatmulKernel::Broadcast, true) => &MATMUL_BROADCAST,
        (MatmulKernel::Broadcast, false) => &MATMUL_BROADCAST_SCALAR,
        (MatmulKernel::Direct, true) => &MATMUL_DIRECT,
        (MatmulKernel::Direct, false) => &MATMUL_DIRECT_SCALAR,
        (MatmulKernel::Cooperative16, true) => &MATMUL_COOPERATIVE_16,
        (MatmulKernel::Cooperative16, false) => &MATMUL_COOPERATIVE_16_SCALAR,
        (MatmulKernel::Cooperative8, true) => &MATMUL_COOPERATIVE_8,
        (MatmulKernel::Cooperative8, false) => &MATMUL_COOPERATIVE_8_SCALAR,
    }
}
