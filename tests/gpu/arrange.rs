//! The copy into another arrangement, with lengths and dropout, and the count that dropout draws from, against their
//! twins: a copy is exact.

use wgpu_gru::reference::dropout::dropout_factor;
use wgpu_gru::reference::twins::arrange::arrange;
use wgpu_gru::reference::twins::count::count;
use wgpu_gru::reference::twins::move_rows::{move_rows, number};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, harness};

use crate::support::{bits, flat, run, tensor, to_bits, words};

trials![transposes, gaps, more_rows_than_a_grid, moves_rows, counts];

/// T, B, F: ones, primes, and the neighbours of the 64 elements of a workgroup.
const SHAPES: [[usize; 3]; 8] =
    [[1, 1, 1], [5, 1, 3], [1, 7, 2], [3, 2, 63], [2, 3, 64], [2, 2, 65], [7, 5, 11], [1, 1, 129]];

/// Seed and number of the pass.
const STATE: [u32; 2] = [0x89AB_CDEF, 3];

/// A copy with these options by GPU and twin. NaN lies past the ends of rows, and where the copy goes.
fn check(
    gpu: &Gpu,
    size: [usize; 3],
    batch_first: [bool; 2],
    lengths: Option<&[usize]>,
    dropout: Option<(usize, f32)>,
) {
    let [steps, batch, width] = size;
    let place = |batch_first: bool, t: usize, b: usize| if batch_first { b * steps + t } else { t * batch + b };
    let mut source = SplitMix64::new(1).vec(steps * batch * width, 1.0);
    for (row, &length) in lengths.unwrap_or(&[]).iter().enumerate() {
        for t in length..steps {
            source[place(batch_first[0], t, row) * width..][..width].fill(f32::NAN);
        }
    }
    let unwritten = vec![f32::NAN; source.len()];
    let mut expected = unwritten.clone();
    let [seed, pass] = STATE;
    let factor = |element| dropout.map_or(1.0, |(layer, share)| dropout_factor(element, layer, seed, pass, share));
    arrange(size, batch_first, &source, lengths, factor, &mut expected);

    let (from, to) = (flat(gpu, &source), flat(gpu, &unwritten));
    let state = words(gpu, &STATE);
    let lengths = lengths.map(|lengths| words(gpu, &lengths.iter().map(|&length| length as u32).collect::<Vec<_>>()));
    let strides = batch_first.map(|first| if first { [width, steps * width] } else { [batch * width, width] });
    let places =
        [(&from, strides[0]), (&to, strides[1])].map(|(tensor, strides)| harness::Place { tensor, begin: 0, strides });
    let dropout_on_gpu = dropout.map(|(layer, share)| (&state, layer, share));
    run(gpu, &harness::arrange(size, places, lengths.as_ref(), dropout_on_gpu).expect("a program"));
    // A zero may have either sign.
    let plain =
        |values: Vec<u32>| values.into_iter().map(|word| if word << 1 == 0 { 0 } else { word }).collect::<Vec<_>>();
    let expected = plain(to_bits(&expected));
    assert_eq!(plain(bits(&to)), expected, "{size:?} batch first {batch_first:?} {dropout:?}");
}

fn transposes(gpu: &Gpu) {
    for size in SHAPES {
        let [steps, batch, _] = size;
        let lengths: Vec<_> = (0..batch).map(|row| (steps + row * 3) % (steps + 1)).collect();
        for batch_first in [[false, false], [false, true], [true, false], [true, true]] {
            for lengths in [None, Some(&lengths[..])] {
                for dropout in [None, Some((0, 0.5)), Some((3, 0.1)), Some((1, 0.999)), Some((2, 0.0))] {
                    check(gpu, size, batch_first, lengths, dropout);
                }
            }
        }
    }
}

/// One step out of wider rows and from the middle of a tensor, and back into others; what lies between stays.
fn gaps(gpu: &Gpu) {
    let (batch, width) = (5, 3);
    let source = SplitMix64::new(2).vec(100, 1.0);
    let (from, to) = (tensor(gpu, &[100], &source), tensor(gpu, &[200], &[f32::NAN; 200]));
    let places = [(&from, 9, 7), (&to, 70, 11)].map(|(tensor, begin, stride)| harness::Place {
        tensor,
        begin,
        strides: [0, stride],
    });
    run(gpu, &harness::arrange([1, batch, width], places, None, None).expect("a program"));
    let mut expected = [f32::NAN; 200];
    for row in 0..batch {
        expected[70 + row * 11..][..width].copy_from_slice(&source[9 + row * 7..][..width]);
    }
    assert_eq!(bits(&to), to_bits(&expected), "rows of 3 out of rows of 7 into rows of 11");
}

/// Rows beyond the 65535 workgroups of one axis.
fn more_rows_than_a_grid(gpu: &Gpu) {
    check(gpu, [70_001, 2, 1], [false, true], None, None);
    check(gpu, [3, 33_333, 1], [true, false], None, Some((0, 0.3)));
}

/// Rows that go elsewhere, with gaps, from others, with zeros where there is no such row, and the numbers after that;
/// beyond the 65535 workgroups of one axis.
fn moves_rows(gpu: &Gpu) {
    for (rows, width, gaps) in [
        (1, 1, [0, 0]),
        (5, 3, [0, 2]),
        (7, 64, [0, 4]),
        (65, 32, [8, 0]),
        (9, 8, [1, 0]),
        (300, 4, [0, 0]),
        (70_000, 241, [0, 0]),
    ] {
        let strides = gaps.map(|gap| width + gap);
        let source = SplitMix64::new(3).vec(rows * strides[0], 1.0);
        let mut sources: Vec<u32> = (0..rows)
            .map(|row| match row % 5 {
                0 => u32::MAX,
                1 => rows as u32,
                2 => (rows - 1 - row) as u32,
                3 => (row / 2) as u32,
                _ => 1 << 31,
            })
            .collect();
        let numbers = words(gpu, &sources);
        let from = flat(gpu, &source);
        for wanted in [false, true] {
            let mut expected = vec![f32::NAN; rows * strides[1]];
            let to = flat(gpu, &expected);
            move_rows([rows, width], strides, &source, wanted.then_some(&sources), &mut expected);
            let program = harness::move_rows([rows, width], strides, &from, wanted.then_some(&numbers), &to);
            run(gpu, &program.expect("a program"));
            assert_eq!(bits(&to), to_bits(&expected), "{rows} rows of {width}, gaps {gaps:?}, sources {wanted}");
        }
        run(gpu, &harness::number(&numbers).expect("a program"));
        number(&mut sources);
        assert_eq!(bits(&numbers), sources, "{rows} rows");
    }
}

fn counts(gpu: &Gpu) {
    let state = words(gpu, &[7, u32::MAX - 1]);
    let mut expected = [7, u32::MAX - 1];
    for _ in 0..3 {
        run(gpu, &harness::count(&state).expect("a program"));
        count(1, &mut expected);
        assert_eq!(bits(&state), expected, "one more pass, the same seed");
    }
}
