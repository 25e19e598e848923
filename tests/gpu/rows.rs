//! The generated rows kernel against the twin of the plain step.

use wgpu_gru::harness::{self, Rows};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::wgpu::{Backend, Features};
use wgpu_gru::{Activation, Cell, Cut, Gpu, Reset, Schedule, TimeLoop, Tolerance};

use crate::recurrence::{Steps, check_states};
use crate::support::{assert_close, assert_none_out_of_range, counting, own, read, run, tensor};

trials![sizes, as_the_plain_step, one_kernel_a_size, indices_in_range];

/// H, slices, steps ahead, whether slices are added in subgroups, whether the device stores single components: every H
/// with several ways to divide its work. Three slices of a unit are not in one vector of a software adapter, so their
/// barrier counts. Such an adapter takes seconds to compile the large ones.
const TABLE: [(usize, u32, u32, bool, bool); 20] = [
    (1, 1, 1, false, true),
    (1, 4, 4, false, false),
    (1, 8, 2, true, true),
    (7, 1, 4, false, false),
    (7, 2, 3, false, true),
    (7, 4, 1, true, true),
    (7, 8, 8, true, false),
    (20, 1, 2, false, true),
    (20, 2, 2, true, false),
    (20, 3, 1, false, true),
    (33, 1, 2, false, false),
    (33, 2, 1, true, true),
    (33, 4, 1, false, true),
    (64, 1, 1, false, true),
    (64, 4, 2, true, false),
    (96, 2, 1, false, true),
    (100, 2, 1, true, false),
    (100, 2, 2, false, true),
    (128, 2, 1, true, true),
    (128, 2, 2, false, false),
];

/// Those of the table for some H that the adapter can have.
fn table(gpu: &Gpu, hidden: impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, Rows)> {
    let has_subgroups = gpu.device().features().contains(Features::SUBGROUP) && gpu.info().subgroup_min_size >= 8;
    let is_vulkan = gpu.info().backend == Backend::Vulkan;
    TABLE.into_iter().filter_map(move |(size, slices, ahead, in_subgroups, has_exact_stores)| {
        let can = hidden(size) && (has_subgroups || !in_subgroups) && (is_vulkan || !has_exact_stores);
        can.then_some((size, Rows { slices, ahead, in_subgroups, has_exact_stores }))
    })
}

fn check(gpu: &Gpu, rows: Rows, shape: [usize; 3], save: bool, seed: u64) {
    let steps = Steps::random(shape, save, 1.0, seed);
    let made = steps.gpu_by(gpu, false, |steps, save| steps.forward_by_rows(rows, save));
    check_states(&format!("{rows:?}"), &steps, &made, 1.0);
}

/// Fewer steps than are loaded ahead, as many, and more, with a rest.
fn sizes(gpu: &Gpu) {
    for (seed, (hidden, rows)) in (1..).zip(table(gpu, |_| true)) {
        let saves = if hidden < 64 { &[true, false][..] } else { &[seed % 2 == 0] };
        for &save in saves {
            for (t, batch) in [(1, 1), (2, 3), (4, 1), (9, 2), (11, 1)] {
                check(gpu, rows, [t, batch, hidden], save, seed);
            }
        }
    }
}

/// In reverse, into columns of a wider state, with activations and a clip. A weight is infinite, so what lies past H
/// counts as nothing and not as zero.
fn as_the_plain_step(gpu: &Gpu) {
    [7, 20].into_iter().for_each(|hidden| as_the_plain_step_of(gpu, [5, 3, hidden]));
}

fn as_the_plain_step_of(gpu: &Gpu, [t, batch, hidden]: [usize; 3]) {
    let (mut uniform, bound) = (SplitMix64::new(1), 1.0 / (hidden as f32).sqrt());
    let mut flat = |len: usize, bound: f32| tensor(gpu, &[len], &uniform.vec(len, bound));
    let (weight_hh, bias_hh) = (flat(3 * hidden * hidden, bound), flat(3 * hidden, bound));
    let mut weights = read(&weight_hh);
    weights[(hidden + 3) * hidden - 1] = f32::INFINITY;
    weight_hh.write(&weights).expect("it is the tensor's length");
    let (states, x_proj) = (flat((t + 2) * batch * 2 * hidden, 1.0), flat(t * batch * 4 * hidden, 1.0));
    let cut = Cut { lanes: 8, split: 1, rows: 1, vec4: false };
    let time_loop = TimeLoop { schedule: Schedule::PerStep, steps: 1, forward: cut, backward: cut };
    let (gate, candidate) = (Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }, Activation::Softsign);
    let cell = Cell::Gru { reset: Reset::After, gate, candidate };
    for reverse in [false, true] {
        let by = |rows: Option<Rows>| {
            let [h, gates] = [&states, &x_proj].map(|from| tensor(gpu, from.shape(), &read(from)));
            let plain = harness::Steps::gru([t, batch, hidden], &weight_hh, &h, &gates);
            let (columns, bias_hh) = ([2 * hidden, hidden], Some(&bias_hh));
            let steps = harness::Steps { cell, clip: Some(0.5), reverse, columns, bias_hh, ..plain };
            let program = rows.map_or(steps.forward(&time_loop, true), |rows| steps.forward_by_rows(rows, true));
            run(gpu, &program.expect("a program"));
            [read(&h), read(&gates)]
        };
        let plain = by(None);
        for (_, rows) in table(gpu, |size| size == hidden) {
            for (name, (made, expected)) in ["h", "gates"].into_iter().zip(by(Some(rows)).iter().zip(&plain)) {
                let name = format!("{rows:?} reverse {reverse}: {name}");
                assert_close(&name, made, expected, Tolerance::through_time(hidden, t));
            }
        }
    }
}

/// A kernel is made once for its sizes and overrides, whatever T and B are.
fn one_kernel_a_size(gpu: &Gpu) {
    let gpu = own(gpu);
    let rows = Rows { slices: 1, ahead: 2, in_subgroups: false, has_exact_stores: false };
    let made = |rows: Rows, shape: [usize; 3]| {
        let before = gpu.activity().pipelines;
        check(&gpu, rows, shape, true, 1);
        gpu.activity().pipelines - before
    };
    assert_eq!(made(rows, [2, 1, 8]), 1, "the first");
    assert_eq!(made(rows, [5, 3, 8]), 0, "other steps and rows");
    assert_eq!(made(rows, [2, 1, 9]), 1, "another H");
    assert_eq!(made(Rows { ahead: 1, ..rows }, [2, 1, 8]), 1, "another distance");
    assert_eq!(made(rows, [2, 1, 8]), 0, "the first is still there");
}

fn indices_in_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    for (hidden, rows) in table(&gpu, |hidden| hidden <= 33) {
        check(&gpu, rows, [5, 2, hidden], true, 1);
    }
    assert_none_out_of_range(&gpu);
}
