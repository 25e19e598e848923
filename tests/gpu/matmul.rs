//! Both matrix products against their twin in f32 and in f64.

use proptest::prelude::*;
use wgpu_gru::plan::MatmulKernel;
use wgpu_gru::reference::matmul::{MatmulParams, matmul};
use wgpu_gru::{Gpu, Tolerance, Uniform, harness};

use crate::device::{property, read, run, tensor};
use crate::support::{assert_close, wide};

trials![around_the_tiles, all_forms, gap, random_products];

const KERNELS: [MatmulKernel; 2] = [MatmulKernel::Tiled, MatmulKernel::Direct];

/// One product on the GPU and by the twin. a is from U(-1, 1), b from U(+-1/sqrt(k)), as weights are.
fn check(gpu: &Gpu, kernel: MatmulKernel, params: &MatmulParams, has_bias: bool, seed: u64) {
    let &MatmulParams { m, n, k, accumulate, .. } = params;
    let mut uniform = Uniform::new(seed);
    let a = uniform.vec(m * k, 1.0);
    let b = uniform.vec(k * n, 1.0 / (k as f32).sqrt());
    let bias = has_bias.then(|| uniform.vec(n, 1.0));
    // Without accumulate what c held must not matter.
    let c = if accumulate { uniform.vec(m * n, 1.0) } else { vec![f32::NAN; m * n] };

    let mut narrow = c.clone();
    matmul(params, &a, &b, bias.as_deref(), &mut narrow);
    let mut exact = wide(&c);
    matmul(params, &wide(&a), &wide(&b), bias.as_deref().map(wide).as_deref(), &mut exact);

    let bias = bias.map(|bias| tensor(gpu, &[n], &bias));
    let (a, b, c) = (tensor(gpu, &[m * k], &a), tensor(gpu, &[k * n], &b), tensor(gpu, &[m * n], &c));
    let program = harness::matmul(kernel, params, &a, &b, bias.as_ref(), &c).expect("a program");
    run(gpu, &program);
    let actual = read(&c);
    let name = format!("{kernel:?} {params:?} bias {has_bias}: c");
    let tolerance = Tolerance::matmul(k);
    assert_close(&format!("{name} against f64"), &actual, &exact, tolerance);
    // Both round.
    assert_close(&format!("{name} against f32"), &actual, &narrow, tolerance.plus(tolerance));
}

fn plain(m: usize, n: usize, k: usize) -> MatmulParams {
    MatmulParams { m, n, k, transpose_a: false, transpose_b: false, accumulate: false }
}

/// One less than a tile, a tile, one more, for each of m, n, k; and sizes of 1.
fn around_the_tiles(gpu: &Gpu) {
    for kernel in KERNELS {
        let [rows, columns] = kernel.tile().map(|size| size as usize);
        for m in [1, rows - 1, rows, rows + 1] {
            for (n, k) in [(1, 16), (columns - 1, 15), (columns, 17), (columns + 1, 1)] {
                check(gpu, kernel, &plain(m, n, k), true, (m * n * k) as u64);
            }
        }
    }
}

/// Every transpose with and without bias and accumulation, on prime, non-square sizes.
fn all_forms(gpu: &Gpu) {
    for kernel in KERNELS {
        for form in 0..16 {
            let [transpose_a, transpose_b, has_bias, accumulate] = [1, 2, 4, 8].map(|bit| form & bit != 0);
            let params = MatmulParams { m: 67, n: 37, k: 131, transpose_a, transpose_b, accumulate };
            check(gpu, kernel, &params, has_bias, form);
        }
    }
}

/// The gates r, z and hn are taken out of rows of r, z, n, hn. The skipped n is NaN, so that touching it shows.
fn gap(gpu: &Gpu) {
    for kernel in KERNELS {
        for (rows, hidden, columns) in [(1, 1, 1), (7, 5, 3), (64, 16, 32), (131, 23, 37), (65, 65, 2)] {
            let mut uniform = Uniform::new(rows as u64);
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

            let (gates, b) = (tensor(gpu, &[gates.len()], &gates), tensor(gpu, &[b.len()], &b));
            let c = tensor(gpu, &[expected.len()], &vec![f32::NAN; expected.len()]);
            run(gpu, &harness::matmul_with_gap(kernel, hidden, &gates, &b, &c).expect("a program"));
            let name = format!("{kernel:?} rows {rows} hidden {hidden} columns {columns}: c");
            assert_close(&name, &read(&c), &expected, Tolerance::matmul(rows));
        }
    }
}

fn random_products(gpu: &Gpu) {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let cases = (1_usize..80, 1_usize..80, 1_usize..80, flags, any::<u64>());
    property(48, &cases, |(m, n, k, (tiled, transpose_a, transpose_b, has_bias, accumulate), seed)| {
        let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate };
        check(gpu, KERNELS[usize::from(tiled)], &params, has_bias, seed);
    });
}
