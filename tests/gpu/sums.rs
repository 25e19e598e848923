//! The sum over rows, with the lanes of GPUs and of CPU-class adapters, against its twin in f32 and in f64.

use proptest::prelude::*;
use wgpu_gru::reference::sum_rows::sum_rows;
use wgpu_gru::{Gpu, Tolerance, Uniform, harness};

use crate::support::{assert_close, property, read, run, tensor, wide};

trials![around_the_lanes, random_sums];

const LANES: [[u32; 2]; 2] = [[8, 1], [32, 8]];

fn check(gpu: &Gpu, lanes: [u32; 2], [rows, columns]: [usize; 2], accumulate: bool, seed: u64) {
    let mut uniform = Uniform::new(seed);
    let input = uniform.vec(rows * columns, 1.0);
    let total = if accumulate { uniform.vec(columns, 1.0) } else { vec![f32::NAN; columns] };

    let mut narrow = total.clone();
    sum_rows(rows, columns, accumulate, &input, &mut narrow);
    let mut exact = wide(&total);
    sum_rows(rows, columns, accumulate, &wide(&input), &mut exact);

    let (input, total) = (tensor(gpu, &[rows, columns], &input), tensor(gpu, &[columns], &total));
    run(gpu, &harness::sum_rows(lanes, accumulate, &input, &total).expect("a program"));
    let actual = read(&total);
    let name = format!("lanes {lanes:?} rows {rows} columns {columns} accumulate {accumulate}: total");
    // Numbers of about 1, not of 1/sqrt(rows): the partial sums grow to about sqrt(rows).
    let tolerance = Tolerance::matmul(rows).scaled((rows as f64).sqrt());
    assert_close(&format!("{name} against f64"), &actual, &exact, tolerance);
    // Both round.
    assert_close(&format!("{name} against f32"), &actual, &narrow, tolerance.plus(tolerance));
}

fn around_the_lanes(gpu: &Gpu) {
    for lanes in LANES {
        let [column_lanes, row_lanes] = lanes.map(|lanes| lanes as usize);
        for columns in [1, column_lanes - 1, column_lanes, column_lanes + 1, 97] {
            for rows in [1, row_lanes, row_lanes + 1, 101] {
                for accumulate in [false, true] {
                    check(gpu, lanes, [rows, columns], accumulate, (rows * columns) as u64);
                }
            }
        }
    }
}

fn random_sums(gpu: &Gpu) {
    property(24, &(1_usize..300, 1_usize..100, any::<[bool; 2]>(), any::<u64>()), |(rows, columns, flags, seed)| {
        let [wide_lanes, accumulate] = flags;
        check(gpu, LANES[usize::from(wide_lanes)], [rows, columns], accumulate, seed);
    });
}
