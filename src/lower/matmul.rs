//! Matrix products.

use super::{On, split_and_skip};
use crate::gpu::{KernelSpec, ProgramBuilder};
use crate::kernels::{
    MATMUL_BROADCAST, MATMUL_BROADCAST_SCALAR, MATMUL_COOPERATIVE_8, MATMUL_COOPERATIVE_8_SCALAR,
    MATMUL_COOPERATIVE_16, MATMUL_COOPERATIVE_16_SCALAR, MATMUL_DIRECT, MATMUL_DIRECT_SCALAR, MATMUL_FEW_ROWS,
    MATMUL_FEW_ROWS_SCALAR, MATMUL_FEW_ROWS_SUBGROUP, MATMUL_SMALL, MATMUL_SMALL_SCALAR, MATMUL_TILED,
    MATMUL_TILED_SCALAR, Matmul, MatmulParams,
};
use crate::plan::{MatmulKernel, is_long, ops};

pub(super) fn matmul<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::Matmul) {
    let product = &args.product;
    debug_assert!(
        product.bias.is_none() || product.rows.is_none(),
        "one binding holds the bias or the words of the rows"
    );
    let [m, n, _] = product.size;
    let [columns, rows] = args.kernel.grid(m, n);
    let ((a, a_offset), (b, b_offset)) = (on.matrix(&product.a), on.matrix(&product.b));
    let ((c, c_offset), c_stride) = match &args.parts {
        Some(parts) => (on.whole(parts.parts), n),
        None => (on.matrix(&product.c), product.c.stride),
    };
    let [a_split, a_skip] = split_and_skip(&product.a);
    // Something must be bound; without HAS_BIAS, HAS_LENGTHS and HAS_STARTS it is not read.
    let of_rows = product.rows.map(|rows| (on.whole(rows.words).0, 0));
    let (words, words_offset) = product.bias.map(|bias| on.vector(bias)).or(of_rows).unwrap_or((b, 0));
    for range in args.ranges() {
        // How far the elements of row 1 of a sum lie behind those of row 0.
        let a_step = if product.transpose_a { product.a.stride } else { 1 };
        let b_step = if product.transpose_b { 1 } else { product.b.stride };
        let first = range.start == 0;
        let has_bias = product.bias.is_some() && first;
        let accumulate = args.parts.is_none() && (product.accumulate || !first);
        let terms = args.parts.as_ref().map_or(range.len(), |parts| parts.terms);
        let rows_of_batch = product.rows.map(|rows| rows.further(range.start));
        let params = MatmulParams {
            m: m as u32,
            n: n as u32,
            k: range.len() as u32,
            a_offset: a_offset + (range.start * a_step) as u32,
            a_stride: product.a.stride as u32,
            a_split,
            a_skip,
            b_offset: b_offset + (range.start * b_step) as u32,
            b_stride: product.b.stride as u32,
            words_offset,
            c_offset,
            c_stride: c_stride as u32,
            part: terms as u32,
            first_step: rows_of_batch.map_or(0, |rows| rows.first_step as u32),
            first_row: rows_of_batch.map_or(0, |rows| rows.first_row as u32),
            batch: rows_of_batch.map_or(1, |rows| rows.batch as u32),
            starts_offset: rows_of_batch.and_then(|rows| rows.starts).unwrap_or(0) as u32,
            reverse: u32::from(rows_of_batch.is_some_and(|rows| rows.reverse)),
        };
        // Scalar loads always look for the ends, so that sizes that are no multiples of four share one pipeline.
        let has_tail = |size: usize| f64::from(!args.vec4 || !size.is_multiple_of(4));
        let mut overrides = vec![
            ("TRANSPOSE_A", f64::from(product.transpose_a)),
            ("TRANSPOSE_B", f64::from(product.transpose_b)),
            ("HAS_BIAS", f64::from(has_bias)),
            ("HAS_LENGTHS", f64::from(rows_of_batch.is_some_and(|rows| rows.has_lengths))),
            ("HAS_STARTS", f64::from(rows_of_batch.is_some_and(|rows| rows.starts.is_some()))),
            ("ACCUMULATE", f64::from(accumulate)),
            ("LONG_K", f64::from(product.transpose_a && is_long(terms.min(range.len())))),
            ("K_TAIL", has_tail(range.len())),
        ];
        match args.kernel {
            MatmulKernel::TiledLarge | MatmulKernel::Tiled => {
                overrides.push(("WARPS", f64::from(args.kernel.tile()[1] / 64)));
            }
            MatmulKernel::Cooperative16 | MatmulKernel::Cooperative8 => {
                overrides.push(("LANES", f64::from(builder.gpu().info().subgroup_min_size)));
            }
            MatmulKernel::TiledSmall | MatmulKernel::FewRows | MatmulKernel::Direct | MatmulKernel::Broadcast => {}
        }
        let kernel = builder.gpu().kernel(spec(args), &overrides);
        let parts = args.parts.as_ref().map_or(1, |parts| parts.count() as u32);
        builder.once(kernel, &params, Matmul { a, b, words, c }.storage(), [columns, rows, parts]);
    }
}

/// The entry of the table.
fn spec(&ops::Matmul { kernel, vec4, subgroups, .. }: &ops::Matmul) -> &'static KernelSpec {
    match (kernel, vec4) {
        (MatmulKernel::TiledLarge | MatmulKernel::Tiled, true) => &MATMUL_TILED,
        (MatmulKernel::TiledLarge | MatmulKernel::Tiled, false) => &MATMUL_TILED_SCALAR,
        (MatmulKernel::TiledSmall, true) => &MATMUL_SMALL,
        (MatmulKernel::TiledSmall, false) => &MATMUL_SMALL_SCALAR,
        (MatmulKernel::FewRows, true) if subgroups => &MATMUL_FEW_ROWS_SUBGROUP,
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
