//! Single kernels beside the products against their twins: sums over rows, transposed weights, gates out of halves.

use wgpu_gru::reference::twins::gates_f16::gates_from_f16;
use wgpu_gru::reference::twins::pack::transpose;
use wgpu_gru::reference::twins::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Tensor, Tolerance, harness};

use super::{Outcome, bits, ensure, equal, flat, run};
use crate::support::{close, from_bits, to_bits, wide};

checks![sums_around_the_lanes, transposes, gates_from_halves];

/// The lanes of a sum on CPU-class adapters and on GPUs.
const LANES: [usize; 2] = [32, 8];

/// A sum over rows against its twin in f32 and in f64.
pub(crate) async fn check_sum(gpu: &Gpu, [rows, columns]: [usize; 2], accumulate: bool, seed: u64) -> Outcome {
    let mut uniform = SplitMix64::new(seed);
    let input = uniform.vec(rows * columns, 1.0);
    let total = if accumulate { uniform.vec(columns, 1.0) } else { vec![f32::NAN; columns] };

    let mut narrow = total.clone();
    sum_rows(rows, columns, accumulate, &input, &mut narrow);
    let mut exact = wide(&total);
    sum_rows(rows, columns, accumulate, &wide(&input), &mut exact);

    // Four numbers come before it, which stay.
    let input = Tensor::from_slice(gpu, &[rows, columns], &input)?;
    let whole = flat(gpu, &[&[1.0; 4], &total[..]].concat())?;
    let total = whole.outer(4..4 + columns)?;
    run(gpu, &harness::sum_rows(accumulate, &input, &total)?)?;
    let actual = total.read().await?;
    let name = format!("rows {rows} columns {columns} accumulate {accumulate}: total");
    equal(&whole.read().await?[..4], &[1.0; 4], format_args!("{name}, what comes before it"))?;
    // Numbers of about 1, not of 1/sqrt(rows): the partial sums grow to about sqrt(rows).
    let tolerance = Tolerance::matmul(rows).scaled((rows as f64).sqrt());
    close(&format!("{name} against f64"), &actual, &exact, tolerance)?;
    // Both round.
    Ok(close(&format!("{name} against f32"), &actual, &narrow, tolerance.plus(tolerance))?)
}

async fn sums_around_the_lanes(gpu: &Gpu) -> Outcome {
    let [column_lanes, row_lanes] = LANES;
    for columns in [1, column_lanes - 1, column_lanes, column_lanes + 1, 97] {
        for rows in [1, row_lanes, row_lanes + 1, 101] {
            for accumulate in [false, true] {
                check_sum(gpu, [rows, columns], accumulate, (rows * columns) as u64).await?;
            }
        }
    }
    Ok(())
}

/// The weights as single steps backward of a GPU read them.
async fn transposes(gpu: &Gpu) -> Outcome {
    for (rows, hidden) in [(1, 4), (3, 7), (21, 12), (96, 32), (385, 128)] {
        let source = SplitMix64::new(4).vec(rows * hidden, 1.0);
        let mut expected = vec![f32::NAN; source.len()];
        let packed = flat(gpu, &expected)?;
        run(gpu, &harness::pack(rows, true, false, &flat(gpu, &source)?, &packed)?)?;
        transpose(rows, &source, &mut expected);
        equal(&bits(&packed).await?, &to_bits(&expected), format_args!("{rows} rows of {hidden}"))?;
    }
    Ok(())
}

/// Every half is brought back exactly, but for the smallest ones, below 2^-14, which a device may take for zero.
async fn gates_from_halves(gpu: &Gpu) -> Outcome {
    for shape in [[1, 1, 1], [2, 3, 5], [3, 5, 8], [2, 9, 33], [1, 17, 64]] {
        let [t, b, hidden] = shape;
        let mut uniform = SplitMix64::new(4);
        let words: Vec<u32> = (0..t * b * 2 * hidden).map(|_| uniform.next_u64() as u32 & 0x7bff_7bff).collect();
        let mut expected = vec![f32::NAN; 2 * words.len()];
        gates_from_f16(hidden, &words, &mut expected);
        let (halves, gates) = (flat(gpu, &from_bits(&words))?, flat(gpu, &vec![f32::NAN; expected.len()])?);
        run(gpu, &harness::Steps::gru(shape, &halves, &halves, &gates).halves(true, &halves)?)?;
        let actual = gates.read().await?;
        let smallest = 2_f32.powi(-14);
        close(&format!("{shape:?}: gates"), &actual, &expected, Tolerance { abs: smallest.into(), rel: 0.0 })?;
        let differs = |(a, e): (&f32, &f32)| e.abs() >= smallest && a.to_bits() != e.to_bits();
        let all_exact = !actual.iter().zip(&expected).any(differs);
        ensure(all_exact, format_args!("{shape:?}: exact but for the smallest ones"))?;
    }
    Ok(())
}
