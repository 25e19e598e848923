//! More workgroups than one axis of a grid has: on a device that allows few of them small tensors are large ones. Every
//! kernel whose grid is folded takes rows of workgroups, and a wrong stride leaves out numbers or takes them twice.

use wgpu_gru::reference::twins::embedding_backward::embedding_backward;
use wgpu_gru::reference::twins::move_rows::{move_rows, number};
use wgpu_gru::reference::twins::pack::transpose;
use wgpu_gru::reference::twins::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::Embedding;
use wgpu_gru::{Gpu, Tolerance, harness, wgpu};

use crate::support::{
    assert_close, assert_halves, assert_none_out_of_range, bits, flat, open, read, run, tensor, to_bits, wide, words,
};

trials![packs, moves_rows, numbers, arranges, sums, tables];

/// Workgroups that an axis of a grid has at most. A prime: no size is a multiple of it by chance.
const MOST: u32 = 7;

fn small(gpu: &Gpu) -> Gpu {
    open(gpu, wgpu::Limits { max_compute_workgroups_per_dimension: MOST, ..wgpu::Limits::default() })
}

/// Weights in both orders, whole and halved: 256 words a workgroup.
fn packs(gpu: &Gpu) {
    let gpu = small(gpu);
    // One row of the grid; just more; nearly three.
    for (rows, hidden) in [(128, 14), (129, 14), (256, 14), (257, 14), (521, 18)] {
        let source = SplitMix64::new(4).vec(rows * hidden, 1.0);
        let from = flat(&gpu, &source);
        for transposed in [true, false] {
            let mut expected = source.clone();
            if transposed {
                transpose(rows, &source, &mut expected);
            }
            let to = tensor(&gpu, &[source.len()], &vec![f32::NAN; source.len()]);
            run(&gpu, &harness::pack(rows, transposed, false, &from, &to).expect("a program"));
            assert_eq!(bits(&to), to_bits(&expected), "{rows} rows of {hidden}");

            let to = tensor(&gpu, &[source.len() / 2], &vec![f32::NAN; source.len() / 2]);
            run(&gpu, &harness::pack(rows, transposed, true, &from, &to).expect("a program"));
            assert_halves(&format!("{rows} rows of {hidden}"), &bits(&to), &expected);
        }
    }
}

/// 256 items a workgroup: fours, and single numbers.
fn moves_rows(gpu: &Gpu) {
    let gpu = small(gpu);
    for (rows, width) in [(112, 64), (113, 64), (180, 65)] {
        let strides = [width + 4, width];
        let source = SplitMix64::new(3).vec(rows * strides[0], 1.0);
        let sources: Vec<u32> = (0..rows as u32).map(|row| (row * 7 + 1) % (rows as u32 + 3)).collect();
        for wanted in [false, true] {
            let mut expected = vec![f32::NAN; rows * strides[1]];
            let (from, to) = (flat(&gpu, &source), flat(&gpu, &expected));
            move_rows([rows, width], strides, &source, wanted.then_some(&sources), &mut expected);
            let numbers = words(&gpu, &sources);
            let program = harness::move_rows([rows, width], strides, &from, wanted.then_some(&numbers), &to);
            run(&gpu, &program.expect("a program"));
            assert_eq!(bits(&to), to_bits(&expected), "{rows} rows of {width}, sources {wanted}");
        }
    }
}

fn numbers(gpu: &Gpu) {
    let gpu = small(gpu);
    for rows in [7 * 256, 7 * 256 + 1, 3 * 7 * 256 + 100] {
        let tensor = words(&gpu, &vec![u32::MAX; rows]);
        run(&gpu, &harness::number(&tensor).expect("a program"));
        let mut expected = vec![u32::MAX; rows];
        number(&mut expected);
        assert_eq!(bits(&tensor), expected, "{rows} rows");
    }
}

/// A workgroup a row and 64 columns: rows beyond the second axis go on in the third.
fn arranges(gpu: &Gpu) {
    let gpu = small(gpu);
    for [steps, batch, width] in [[7, 1, 65], [4, 2, 448], [3, 13, 130]] {
        let source = SplitMix64::new(2).vec(steps * batch * width, 1.0);
        let [from, to] = [source.clone(), vec![f32::NAN; source.len()]].map(|host| flat(&gpu, &host));
        let strides = [[batch * width, width], [width, steps * width]];
        let places = [(&from, strides[0]), (&to, strides[1])];
        let places = places.map(|(tensor, strides)| harness::Place { tensor, begin: 0, strides });
        run(&gpu, &harness::arrange([steps, batch, width], places, None, None).expect("a program"));
        let mut expected = vec![f32::NAN; source.len()];
        for (place, numbers) in source.chunks(width).enumerate() {
            let [t, b] = [place / batch, place % batch];
            expected[(b * steps + t) * width..][..width].copy_from_slice(numbers);
        }
        assert_eq!(bits(&to), to_bits(&expected), "{steps} steps of {batch} rows of {width}");
    }
}

/// 32 columns per workgroup.
fn sums(gpu: &Gpu) {
    let gpu = small(gpu);
    for columns in [7 * 32, 7 * 32 + 1, 33 * 32 - 5] {
        let rows = 11;
        let input = SplitMix64::new(5).vec(rows * columns, 1.0);
        let from = tensor(&gpu, &[input.len()], &input);
        let total = tensor(&gpu, &[columns], &vec![f32::NAN; columns]);
        run(&gpu, &harness::sum_rows(false, &from, &total).expect("a program"));
        let mut expected = vec![0.0; columns];
        sum_rows(rows, columns, false, &wide(&input), &mut expected);
        let tolerance = Tolerance::matmul(rows).scaled((rows as f64).sqrt());
        assert_close(&format!("{columns} columns"), &read(&total), &expected, tolerance);
    }
}

/// A workgroup for 32 columns of a row of the table; those that are too many touch nothing.
fn tables(gpu: &Gpu) {
    let gpu = small(gpu);
    harness::count_out_of_range(&gpu).expect("a counter");
    for [rows, dim] in [[7, 32], [8, 32], [30, 5], [4, 70], [13, 65]] {
        let indices: Vec<u32> = (0..25).map(|place| place * place % rows as u32).collect();
        let d_output = SplitMix64::new(2).vec(indices.len() * dim, 1.0);
        let layer = Embedding::new(&gpu, rows, dim, 1).and_then(|table| table.unroll(&words(&gpu, &indices)));
        let layer = layer.expect("an unroll");
        let [d_weight] = layer.gradients();
        d_weight.write(&vec![f32::NAN; rows * dim]).expect("a write");
        layer.d_output().write(&d_output).expect("a write");
        gpu.submit(|encoder| {
            layer.encode_forward(encoder);
            layer.encode_backward(encoder)
        })
        .expect("a submission");
        let mut exact = vec![0.0; rows * dim];
        embedding_backward([rows, dim], &indices, None, &wide(&d_output), &mut exact);
        assert_close(&format!("[{rows}, {dim}]"), &read(d_weight), &exact, Tolerance::matmul(25));
    }
    assert_none_out_of_range(&gpu);
}
