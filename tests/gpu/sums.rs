//! The sum over rows against its twin in f32 and in f64.

use proptest::prelude::*;
use wgpu_gru::reference::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Tolerance, harness};

use crate::support::{assert_close, property, read, run, tensor, wide};

trials![around_the_lanes, random_sums];

/// Columns and partial sums of a workgroup.
const LANES: [usize; 2] = [32, 8];

fn check(gpu: &Gpu, [rows, columns]: [usize; 2], accumulate: bool, seed: u64) {
    let mut uniform = SplitMix64::new(seed);
    let input = uniform.vec(rows * columns, 1.0);
    let total = if accumulate { uniform.vec(columns, 1.0) } else { vec![f32::NAN; columns] };

    let mut narrow = total.clone();
    sum_rows(rows, columns, accumulate, &input, &mut narrow);
    let mut exact = wide(&total);
    sum_rows(rows, columns, accumulate, &wide(&input), &mut exact);

    let (input, total) = (tensor(gpu, &[rows, columns], &input), tensor(gpu, &[columns], &total));
    run(gpu, &harness::sum_rows(accumulate, &input, &total).expect("a program"));
    let actual = read(&total);
    let name = format!("rows {rows} columns {columns} accumulate {accumulate}: total");
    // Numbers of about 1, not of 1/sqrt(rows): the partial sums grow to about sqrt(rows).
    let tolerance = Tolerance::matmul(rows).scaled((rows as f64).sqrt());
    assert_close(&format!("{name} against f64"), &actual, &exact, tolerance);
    // Both round.
    assert_close(&format!("{name} against f32"), &actual, &narrow, tolerance.plus(tolerance));
}

fn around_the_lanes(gpu: &Gpu) {
    let [column_lanes, row_lanes] = LANES;
    for columns in [1, column_lanes - 1, column_lanes, column_lanes + 1, 97] {
        for rows in [1, row_lanes, row_lanes + 1, 101] {
            for accumulate in [false, true] {
                check(gpu, [rows, columns], accumulate, (rows * columns) as u64);
            }
        }
    }
}

fn random_sums(gpu: &Gpu) {
    property(24, &(1_usize..300, 1_usize..100, any::<bool>(), any::<u64>()), |(rows, columns, accumulate, seed)| {
        check(gpu, [rows, columns], accumulate, seed);
    });
}
