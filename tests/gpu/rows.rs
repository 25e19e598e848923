//! The kernels by rows of every H.

use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Direction, Gpu, GruConfig, Mode, Reset, RnnConfig, Schedule, TimeLoop, Unroll};

use crate::checks::check_inference;
use crate::recurrence::{Steps, check_backward, check_forward};
use crate::support::{assert_none_out_of_range, by_rows, check, counting, own, settings};

trials![every_hidden_size, planned, one_kernel_a_size, sums_of_biases, indices_in_range];

/// Of each H as it is planned; with `WGPU_GRU_CASES=160` of every H up to 160. Fewer steps than are loaded ahead, as
/// many, and more, with a rest.
fn every_hidden_size(gpu: &Gpu) {
    let all = settings::cases().is_some_and(|cases| cases >= 160);
    let some = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31, 33, 64, 65, 100, 127, 160];
    for hidden in (1..=160).filter(|hidden| all || some.contains(hidden)) {
        let [t, batch] = [[1, 1], [2, 3], [4, 1], [7, 2]][hidden % 4];
        let mode = if hidden % 3 == 0 { Unroll::inference(t, batch) } else { Unroll::training(t, batch) };
        let class = if hidden % 2 == 0 && hidden <= 128 { DeviceType::DiscreteGpu } else { DeviceType::Cpu };
        let unroll = mode.schedule(Schedule::Rows).adapter_class(class);
        pollster::block_on(check_inference(gpu, &GruConfig::new(2, hidden), unroll)).expect("as the oracle");
        if mode.mode == Mode::Training {
            check(gpu, &GruConfig::new(2, hidden), unroll);
        }
    }
}

/// As they are planned, of both classes of adapters: every cell with options.
fn planned(gpu: &Gpu) {
    for (class, hidden, batch) in
        [(DeviceType::Cpu, 96, 2), (DeviceType::DiscreteGpu, 96, 2), (DeviceType::DiscreteGpu, 40, 259)]
    {
        let unroll = Unroll::training(5, batch).adapter_class(class).schedule(Schedule::Rows);
        check(gpu, &GruConfig::new(3, hidden), unroll);
        check(gpu, &GruConfig::new(3, hidden).reset(Reset::Before).clip(0.5), unroll.gradient_norms(true));
        check(gpu, &RnnConfig::new(3, hidden).clip(0.5), unroll.gradient_norms(true));
        check(gpu, &GruConfig::new(3, hidden), unroll.f16_weights(true));
    }
}

/// A kernel is made once for its sizes and overrides, whatever T and B are.
fn one_kernel_a_size(gpu: &Gpu) {
    let gpu = own(gpu);
    let Some(time_loop @ TimeLoop::Rows { steps, forward, backward }) = by_rows(&gpu).next() else { panic!("a way") };
    let made = |time_loop: &TimeLoop, shape: [usize; 3]| {
        let before = gpu.activity().pipelines;
        check_forward(&gpu, time_loop, &Steps::random(shape, true, 1.0, 1), 1.0);
        gpu.activity().pipelines - before
    };
    assert_eq!(made(&time_loop, [2, 1, 8]), 1, "the first");
    assert_eq!(made(&time_loop, [5, 3, 8]), 0, "other steps and rows");
    assert_eq!(made(&time_loop, [2, 1, 9]), 1, "another H");
    let forward = wgpu_gru::RowsCut { ahead: forward.ahead + 1, ..forward };
    assert_eq!(made(&TimeLoop::Rows { steps, forward, backward }, [2, 1, 8]), 1, "another distance");
    assert_eq!(made(&time_loop, [2, 1, 8]), 0, "the first is still there");
}

/// The gradients of the biases over more steps than are added up at a time, in several dispatches.
fn sums_of_biases(gpu: &Gpu) {
    for (number, time_loop) in by_rows(gpu).enumerate().filter(|(number, _)| number % 3 == 0) {
        let TimeLoop::Rows { forward, backward, .. } = time_loop else { panic!("by rows") };
        let time_loop = TimeLoop::Rows { steps: 100, forward, backward };
        check_backward(gpu, &time_loop, &Steps::random([230, 3, 5], true, 1.0, number as u64), 1);
    }
}

/// Some, each with what another one has not: counting makes a text twice as long for the compiler.
fn indices_in_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    for (number, time_loop) in by_rows(&gpu).enumerate().filter(|(number, _)| [0, 1, 5].contains(number)) {
        let steps = Steps::random([4, 3, 5], true, 1.0, number as u64);
        check_forward(&gpu, &time_loop, &steps, 1.0);
        check_backward(&gpu, &time_loop, &steps, 1);
    }
    let unroll = |class| Unroll::training(4, 3).adapter_class(class).schedule(Schedule::Rows).gradient_norms(true);
    check(&gpu, &GruConfig::new(2, 6).reset(Reset::Before), unroll(DeviceType::DiscreteGpu));
    check(&gpu, &RnnConfig::new(2, 6).clip(0.5), unroll(DeviceType::Cpu));
    let both = GruConfig::new(2, 8).direction(Direction::Bidirectional);
    check(&gpu, &both, unroll(DeviceType::DiscreteGpu).f16_weights(true));
    assert_none_out_of_range(&gpu);
}
