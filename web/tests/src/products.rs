//! Single kernels against their twins in f64: products, sums, packed weights, gates as halves.

use wgpu_gru::harness;
use wgpu_gru::MatmulKernel;
use wgpu_gru::reference::f16::gates_from_f16;
use wgpu_gru::reference::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::pack::pack;
use wgpu_gru::reference::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Tolerance, };

use crate::run::{Outcome, Run, bits, checks, ensure, wide};

checks!["products": which, around_the_tiles, all_forms, gap, sums, packed_weights, gates_from_halves];

/// Those that a browser can have.
fn kernels(run: &Run) -> Vec<MatmulKernel> {
    let with_subgroups = run.beyond().subgroups.then_some(MatmulKernel::Broadcast);
    let always = [MatmulKernel::Tiled, MatmulKernel::TiledSmall, MatmulKernel::FewRows, MatmulKernel::Direct];
    always.into_iter().chain(with_subgroups).collect()
}

async fn which(run: &Run) -> Outcome {
    for kernel in MatmulKernel::ALL {
        let (wanted, has) = (kernels(run).contains(&kernel), harness::supports(run.gpu(), kernel));
        ensure(wanted == has, || format!("{kernel:?}: {has}, expected {wanted}"))?;
    }
    Ok(())
}

async fn product(run: &Run, kernel: MatmulKernel, params: &MatmulParams, has_bias: bool) -> Outcome {
    let &MatmulParams { m, n, k, accumulate, .. } = params;
    let mut uniform = SplitMix64::new((m * n * k) as u64);
    let a = uniform.vec(m * k, 1.0);
    let b = uniform.vec(k * n, 1.0 / (k as f32).sqrt());
    let bias = has_bias.then(|| uniform.vec(n, 1.0));
    // Without accumulate what c held must not matter.
    let c = if accumulate { uniform.vec(m * n, 1.0) } else { vec![f32::NAN; m * n] };
    let mut exact = wide(&c);
    matmul(params, &wide(&a), &wide(&b), bias.as_deref().map(wide).as_deref(), &mut exact);

    let [a, b, c] = [a, b, c].map(|host| run.tensor(&host));
    let (a, b, c, bias) = (a?, b?, c?, bias.map(|bias| run.tensor(&bias)).transpose()?);
    run.submit(&harness::matmul(kernel, params, &a, &b, bias.as_ref(), &c)?)?;
    let name = format!("{kernel:?} {params:?} bias {has_bias}: c");
    run.close(&name, &c.read().await?, &exact, Tolerance::matmul(k))
}

fn plain(m: usize, n: usize, k: usize) -> MatmulParams {
    MatmulParams { m, n, k, transpose_a: false, transpose_b: false, accumulate: false }
}

/// One less than a tile, a tile, one more; sizes of 1; and sizes of four more, which loads of four allow.
async fn around_the_tiles(run: &Run) -> Outcome {
    for kernel in kernels(run) {
        let [rows, columns] = kernel.tile().map(|size| size as usize);
        for m in [1, rows - 1, rows, rows + 1, rows + 4] {
            for (n, k) in [(1, 16), (columns - 1, 15), (columns, 17), (columns + 1, 1), (columns + 4, 36)] {
                product(run, kernel, &plain(m, n, k), true).await?;
            }
        }
    }
    Ok(())
}

/// Every transpose, with and without bias and accumulation: half of them on primes, half on multiples of 4 and on whole tiles.
/// Each is a pipeline, and those take their time on a software adapter; the native tests have all.
async fn all_forms(run: &Run) -> Outcome {
    let sizes = [([67, 37, 131], [0, 3]), ([68, 44, 132], [1, 2]), ([64, 128, 64], [1, 2])];
    for kernel in kernels(run) {
        for ([m, n, k], forms) in sizes {
            for form in forms {
                let (transpose_a, transpose_b) = (form & 1 != 0, form & 2 != 0);
                let params = MatmulParams { transpose_a, transpose_b, accumulate: transpose_a, ..plain(m, n, k) };
                product(run, kernel, &params, transpose_a != transpose_b).await?;
            }
        }
    }
    Ok(())
}

/// The gates r, z and hn are taken out of rows of r, z, n, hn. The skipped n is NaN, so that touching it shows.
async fn gap(run: &Run) -> Outcome {
    for kernel in kernels(run) {
        for (rows, hidden, columns) in [(1, 1, 1), (7, 5, 3), (64, 16, 32), (65, 65, 2), (33, 6, 8)] {
            let mut uniform = SplitMix64::new(rows as u64);
            let mut gates = uniform.vec(rows * 4 * hidden, 1.0);
            let b = uniform.vec(rows * columns, 1.0 / (rows as f32).sqrt());
            let mut dense = Vec::new();
            for row in gates.chunks_exact_mut(4 * hidden) {
                row[2 * hidden..3 * hidden].fill(f32::NAN);
                dense.extend_from_slice(&row[..2 * hidden]);
                dense.extend_from_slice(&row[3 * hidden..]);
            }
            let params = MatmulParams { transpose_a: true, ..plain(3 * hidden, columns, rows) };
            let mut expected = vec![0.0; 3 * hidden * columns];
            matmul(&params, &wide(&dense), &wide(&b), None, &mut expected);
            let (gates, b) = (run.tensor(&gates)?, run.tensor(&b)?);
            let c = run.tensor(&vec![f32::NAN; expected.len()])?;
            run.submit(&harness::matmul_with_gap(kernel, hidden, &gates, &b, &c)?)?;
            let name = format!("{kernel:?} rows {rows} hidden {hidden} columns {columns}: c");
            run.close(&name, &c.read().await?, &expected, Tolerance::matmul(rows))?;
        }
    }
    Ok(())
}

async fn sums(run: &Run) -> Outcome {
    for (rows, columns) in [(1, 1), (8, 32), (9, 33), (101, 97)] {
        for accumulate in [false, true] {
            let mut uniform = SplitMix64::new((rows * columns) as u64);
            let input = uniform.vec(rows * columns, 1.0);
            let total = if accumulate { uniform.vec(columns, 1.0) } else { vec![f32::NAN; columns] };
            let mut exact = wide(&total);
            sum_rows(rows, columns, accumulate, &wide(&input), &mut exact);
            let (input, total) = (run.tensor(&input)?, run.tensor(&total)?);
            run.submit(&harness::sum_rows(accumulate, &input, &total)?)?;
            let tolerance = Tolerance::matmul(rows).scaled((rows as f64).sqrt());
            let name = format!("rows {rows} columns {columns} accumulate {accumulate}: total");
            run.close(&name, &total.read().await?, &exact, tolerance)?;
        }
    }
    Ok(())
}

async fn packed_weights(run: &Run) -> Outcome {
    for (rows, hidden) in [(1, 4), (3, 8), (21, 12), (385, 128)] {
        let source = SplitMix64::new(5).vec(rows * hidden, 1.0);
        let mut expected = source.clone();
        pack(rows, &source, &mut expected);
        let (source, packed) = (run.tensor(&source)?, run.tensor(&vec![f32::NAN; source.len()])?);
        run.submit(&harness::pack(rows, true, false, &source, &packed)?)?;
        let same = bits(&packed.read().await?) == bits(&expected);
        ensure(same, || format!("{rows} rows of {hidden} are not packed as the twin has them"))?;
    }
    Ok(())
}

/// Every half is brought back exactly, but for the smallest ones, which a device may take for zero.
async fn gates_from_halves(run: &Run) -> Outcome {
    for shape in [[1, 1, 1], [2, 3, 5], [3, 5, 8], [2, 9, 33]] {
        let [t, b, hidden] = shape;
        let mut uniform = SplitMix64::new(4);
        let words: Vec<u32> = (0..t * b * 2 * hidden).map(|_| uniform.next_u64() as u32 & 0x7bff_7bff).collect();
        let mut expected = vec![f32::NAN; 2 * words.len()];
        gates_from_f16(hidden, &words, &mut expected);
        let halves = run.tensor(&words.iter().map(|&word| f32::from_bits(word)).collect::<Vec<_>>())?;
        let gates = run.tensor(&vec![f32::NAN; expected.len()])?;
        run.submit(&harness::Steps::gru(shape, &halves, &halves, &gates).halves(true, &halves)?)?;
        let tolerance = Tolerance { abs: 2_f64.powi(-14), rel: 0.0 };
        run.close(&format!("{shape:?}: gates"), &gates.read().await?, &wide(&expected), tolerance)?;
    }
    Ok(())
}
