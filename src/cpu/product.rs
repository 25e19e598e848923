//! The products: large ones through gemm, the recurrent ones through a small tile over packed weights.

use gemm::Parallelism;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// How many rows a tile takes at once. With three vectors of columns that makes 9 sums, enough to hide the latency of a
/// multiply-add. A fourth row would need all 16 registers of AVX2, and one sum that the compiler then keeps in memory
/// makes every multiply-add wait for a store.
pub(super) const TILE_ROWS: usize = 3;

/// How many products a sum takes up before it is added to the sum of all: the rounding error grows with this and with
/// how many such parts there are, not with their product.
const PART: usize = 128;

/// The same for long sums that gemm takes, and how many products are in parts of such parts.
const GEMM_PART: usize = 256;
const GEMM_PARTS: usize = 64 * GEMM_PART;

/// How many vectors of columns a tile takes at once.
pub(super) const TILE_VECTORS: usize = 3;

/// A matrix in a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, `row_stride` from row to row.
    pub(super) fn new(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// Some of the columns.
    fn columns(self, range: Range<usize>) -> Self {
        Self { data: &self.data[range.start * self.col_stride..], cols: range.len(), ..self }
    }

    pub(super) fn transposed(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// Whether every element of a matrix of these sizes and strides lies within so many.
fn fits([rows, cols]: [usize; 2], [row_stride, col_stride]: [usize; 2], len: usize) -> bool {
    let Some((last_row, last_col)) = rows.checked_sub(1).zip(cols.checked_sub(1)) else { return true };
    let down_and_across = last_row.checked_mul(row_stride).zip(last_col.checked_mul(col_stride));
    down_and_across.and_then(|(down, across)| down.checked_add(across)).is_some_and(|last| last < len)
}

/// `destination = lhs . rhs` for sums of any length, on all threads: in parts, and those in parts again, so that a
/// gradient over all steps and rows keeps its digits. The destination holds nothing but the product; `room` is for
/// [`room_for`] times as much.
pub(super) fn multiply_long(destination: &mut [f32], room: &mut [f32], lhs: Matrix<'_>, rhs: Matrix<'_>) {
    let (row_stride, k, len) = (rhs.cols, lhs.cols, destination.len());
    let is_vector = lhs.rows == 1 || rhs.cols == 1;
    let (outer, inner) = room.split_at_mut(if room.is_empty() { 0 } else { len });
    let mut sum_of = |sum: &mut [f32], range: Range<usize>| {
        for begin in range.clone().step_by(GEMM_PART) {
            let end = range.end.min(begin + GEMM_PART);
            let (lhs, rhs) = (lhs.columns(begin..end), rhs.transposed().columns(begin..end).transposed());
            if is_vector && begin > range.start {
                // Here gemm would add product by product to what is there.
                let part = &mut inner[..len];
                multiply_by(part, row_stride, lhs, rhs, false);
                add(sum, part);
            } else {
                multiply_by(sum, row_stride, lhs, rhs, begin > range.start);
            }
        }
    };
    sum_of(destination, 0..k.min(GEMM_PARTS));
    for begin in (GEMM_PARTS..k).step_by(GEMM_PARTS) {
        sum_of(outer, begin..k.min(begin + GEMM_PARTS));
        add(destination, outer);
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// For how many such products [`multiply_long`] needs room besides, if their sums have `k` terms.
pub(super) fn room_for(k: usize, is_vector: bool) -> usize {
    if k > GEMM_PARTS || (is_vector && k > GEMM_PART) { 2 } else { 0 }
}

/// `destination = lhs . rhs`, on all threads. The destination is row-major, `row_stride` from row to row; what lies
/// between its rows is left alone.
pub(super) fn multiply(destination: &mut [f32], row_stride: usize, lhs: Matrix<'_>, rhs: Matrix<'_>) {
    multiply_by(destination, row_stride, lhs, rhs, false);
}

/// The same, added to what is there if that is wanted.
fn multiply_by(destination: &mut [f32], row_stride: usize, lhs: Matrix<'_>, rhs: Matrix<'_>, accumulate: bool) {
    assert_eq!(lhs.cols, rhs.rows, "inner sizes");
    assert!(rhs.cols <= row_stride, "rows of the destination do not overlap");
    assert!(fits([lhs.rows, rhs.cols], [row_stride, 1], destination.len()), "the destination holds the product");
    for side in [lhs, rhs] {
        let strides = [side.row_stride, side.col_stride];
        assert!(fits([side.rows, side.cols], strides, side.data.len()), "the slice holds it");
    }
    let stride = |elements: usize| isize::try_from(elements).expect("a stride that pointers can have");
    let [lhs_strides, rhs_strides] = [lhs, rhs].map(|side| [side.col_stride, side.row_stride].map(stride));
    let destination_strides = [1, stride(row_stride)];
    #[expect(unsafe_code, reason = "gemm takes pointers; the asserts above keep every element inside its slice")]
    // SAFETY: gemm reads element (i, j) of either side for all i and j below its rows and columns, writes, and with
    // `accumulate` reads, each such element of the destination, and is done with all of them when it returns. By the
    // three asserts on `fits`, whose arithmetic cannot overflow, the furthest of these elements lies inside its slice,
    // and so all do, since no stride is negative. The elements of the sides are initialised and not written meanwhile:
    // they are borrowed. The destination is borrowed mutably, so it overlaps neither side, and no two of its elements
    // are one: a row is no longer than what lies between two rows.
    unsafe {
        gemm::gemm(
            lhs.rows,
            rhs.cols,
            lhs.cols,
            destination.as_mut_ptr(),
            destination_strides[0],
            destination_strides[1],
            accumulate,
            lhs.data.as_ptr(),
            lhs_strides[0],
            lhs_strides[1],
            rhs.data.as_ptr(),
            rhs_strides[0],
            rhs_strides[1],
            if accumulate { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}

/// How many floats a vector of this CPU holds.
pub(super) fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}

/// A panel: for each k, the vectors of columns that a tile multiplies with element k of its rows.
pub(super) type Panel<S> = [[<S as Simd>::f32s; TILE_VECTORS]];

/// A slice of packed floats as a panel.
#[inline(always)]
pub(super) fn panel<S: Simd>(packed: &[f32]) -> &Panel<S> {
    S::as_simd_f32s(packed).0.as_chunks().0
}

/// `sums[i] += rows[i] . panel`, for R rows that are as long as the panel.
#[inline(always)]
pub(super) fn add_tile<S: Simd, const R: usize>(
    simd: S,
    panel: &Panel<S>,
    rows: [&[f32]; R],
    sums: &mut [[S::f32s; TILE_VECTORS]; R],
) {
    if R == 1 {
        return add_row(simd, panel, rows[0], &mut sums[0]);
    }
    for (part, panel) in panel.chunks(PART).enumerate() {
        let rows = rows.map(|row| &row[part * PART..][..panel.len()]);
        let mut local = [[simd.splat_f32s(0.0); TILE_VECTORS]; R];
        for (k, columns) in panel.iter().enumerate() {
            for (sums, row) in local.iter_mut().zip(rows) {
                let a = simd.splat_f32s(row[k]);
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(a, column, *sum);
                }
            }
        }
        for (sums, local) in sums.iter_mut().zip(local) {
            for (sum, part) in sums.iter_mut().zip(local) {
                *sum = simd.add_f32s(*sum, part);
            }
        }
    }
}

/// `sums += row . panel`. Three sums alone would wait for each other, so four at a time are summed apart.
#[inline(always)]
fn add_row<S: Simd>(simd: S, panel: &Panel<S>, row: &[f32], sums: &mut [S::f32s; TILE_VECTORS]) {
    for (part, panel) in panel.chunks(4 * PART).enumerate() {
        add_part_of_row(simd, panel, &row[part * 4 * PART..][..panel.len()], sums);
    }
}

#[inline(always)]
fn add_part_of_row<S: Simd>(simd: S, panel: &Panel<S>, row: &[f32], sums: &mut [S::f32s; TILE_VECTORS]) {
    const APART: usize = 4;
    let mut parts = [[simd.splat_f32s(0.0); TILE_VECTORS]; APART];
    let (fours, rest) = panel.as_chunks::<APART>();
    let (row_fours, row_rest) = row.as_chunks::<APART>();
    for (columns, a) in fours.iter().zip(row_fours) {
        for p in 0..APART {
            let a = simd.splat_f32s(a[p]);
            for v in 0..TILE_VECTORS {
                parts[p][v] = simd.mul_add_e_f32s(a, columns[p][v], parts[p][v]);
            }
        }
    }
    for (columns, &a) in rest.iter().zip(row_rest) {
        let a = simd.splat_f32s(a);
        for v in 0..TILE_VECTORS {
            parts[0][v] = simd.mul_add_e_f32s(a, columns[v], parts[0][v]);
        }
    }
    for v in 0..TILE_VECTORS {
        let (a, b) = (simd.add_f32s(parts[0][v], parts[1][v]), simd.add_f32s(parts[2][v], parts[3][v]));
        sums[v] = simd.add_f32s(sums[v], simd.add_f32s(a, b));
    }
}

/// Runs `$body` for all of `$rows` rows, [`TILE_ROWS`] at a time and then what is left: `$row` is the first row of a
/// tile, the constant `$count` how many rows it has.
macro_rules! for_row_tiles {
    ($rows:expr, |$row:ident, $count:ident| $body:expr) => {{
        let rows: usize = $rows;
        let mut $row = 0;
        while $row + $crate::cpu::product::TILE_ROWS <= rows {
            const $count: usize = $crate::cpu::product::TILE_ROWS;
            $body;
            $row += $count;
        }
        match rows - $row {
            2 => {
                const $count: usize = 2;
                $body
            }
            1 => {
                const $count: usize = 1;
                $body
            }
            _ => {}
        }
    }};
}
pub(super) use for_row_tiles;

/// A vector from a slice of at most as many floats; what is missing is 0.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, slice: &[f32]) -> S::f32s {
    match S::as_simd_f32s(slice).0.first() {
        Some(&full) => full,
        None => simd.partial_load_f32s(slice),
    }
}

/// As much of a vector as the slice holds.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, slice: &mut [f32], value: S::f32s) {
    if slice.len() == S::F32_LANES {
        S::as_mut_simd_f32s(slice).0[0] = value;
    } else {
        simd.partial_store_f32s(slice, value);
    }
}
