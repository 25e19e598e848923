//! Steps whose workgroups stay and meet: where they all run, where they do not, and where one does not come. The device is
//! opened by the test, as an app has to.

use wgpu_gru::plan::{Resident, Schedule, TimeLoop};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Config, Direction, Error, Gpu, Gru, GruConfig, Reset, RnnConfig, Saved, Tolerance, Unroll, wgpu};

use crate::recurrence::{Steps, check_backward, check_forward};
use crate::support::{adapter, bits, check, check_lengths, open_with, own, read, tensor, wide};

trials![layers, chunks, steps, they_wait_for_each_other, decisions, one_that_does_not_come, what_it_cannot_have];

/// What the device needs.
pub(crate) const FEATURES: wgpu::Features = wgpu::Features::MEMORY_DECORATION_COHERENT;

pub(crate) fn open(gpu: &Gpu) -> Gpu {
    let adapter = adapter(gpu);
    let descriptor = wgpu::DeviceDescriptor {
        required_features: FEATURES | adapter.features() & wgpu::Features::SUBGROUP,
        required_limits: wgpu::Limits { max_storage_buffers_per_shader_stage: 9, ..wgpu::Limits::default() },
        ..wgpu::DeviceDescriptor::default()
    };
    open_with(&adapter, &descriptor)
}

fn layers(gpu: &Gpu) {
    let gpu = open(gpu);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        // One workgroup, two, and more than a software adapter runs at a time.
        for (hidden, batch) in [(4, 1), (16, 1), (132, 9)] {
            let unroll = Unroll::training(7, batch).schedule(Schedule::Resident).adapter_class(class);
            let gru = GruConfig::new(5, hidden);
            check(&gpu, &gru, unroll);
            check(&gpu, &RnnConfig::new(5, hidden).direction(Direction::Reverse), unroll.saved(Saved::StatesOnly));
        }
        let unroll = Unroll::training(9, 3).schedule(Schedule::Resident).adapter_class(class);
        check_lengths(&gpu, &GruConfig::new(5, 8).direction(Direction::Bidirectional), unroll, &[9, 0, 4]);
        check(&gpu, &GruConfig::new(5, 8).num_layers(3), unroll.wavefront(true));
    }
}

/// So many FLOPs a step that a dispatch has a few of them only.
fn chunks(gpu: &Gpu) {
    let gpu = open(gpu);
    let gru = Gru::new(&gpu, GruConfig::new(4, 512), 1).expect("a layer");
    let unroll = Unroll::inference(7, 512);
    let batch = 512 * 4 * 7;
    let outputs = [Schedule::Resident, Schedule::PerStep].map(|schedule| {
        let mut net = gru.unroll(unroll.schedule(schedule)).expect("an unroll");
        let x = tensor(&gpu, net.input().shape(), &vec![0.5; batch]);
        read(&net.forward(&x, None).expect("a forward pass").output)
    });
    let steps = TimeLoop::cut(Schedule::Resident, 512, 512, 3, DeviceType::Cpu).steps;
    assert!((2..7).contains(&steps), "{steps} steps a dispatch");
    let worst = Tolerance::through_time(516, 7).compare(&outputs[0], &wide(&outputs[1]));
    assert!(worst.passed(), "{worst:?}");
}

fn time_loop(class: DeviceType, [_, batch, hidden]: [usize; 3]) -> TimeLoop {
    TimeLoop::cut(Schedule::Resident, batch, hidden, 3, class)
}

/// Against the twins, on both sides.
fn steps(gpu: &Gpu) {
    let gpu = open(gpu);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        for (seed, shape) in (1..).zip([[1, 1, 4], [7, 2, 16], [5, 13, 36], [2, 3, 128]]) {
            check_forward(&gpu, &time_loop(class, shape), &Steps::random(shape, true, 1.0, seed), 1.0);
            check_backward(&gpu, &time_loop(class, shape), &Steps::random(shape, true, 1.0, seed), seed);
        }
    }
}

/// Looks as often as it takes, where two workgroups run at a time, so that a busy machine does not make them leave. Others would
/// look for long, and leave in the end.
fn patient(gpu: &Gpu, time_loop: TimeLoop) -> TimeLoop {
    let resident = time_loop.resident.map(|resident| Resident { looks: [1 << 30; 2], ..resident });
    if runs_workgroups(gpu).is_some_and(|count| count > 1) { TimeLoop { resident, ..time_loop } } else { time_loop }
}

/// How many workgroups run at a time, where that is known: lavapipe runs one on each core (and no API promises any number).
fn runs_workgroups(gpu: &Gpu) -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (gpu.info().driver == "llvmpipe").then_some(cores)
}

/// What workgroups decided, from the words where they met: whether all went on. Either all went on and came to every meeting, or
/// all came once and left the work to the dispatch behind.
fn went_on([behind_x, behind_y, behind_z, came, decision]: [u32; 5], workgroups: u32, meetings: u32) -> bool {
    let words = [behind_x, behind_y, behind_z, came, decision];
    match decision {
        1 => assert_eq!([behind_x, came], [0, workgroups * meetings], "{words:?}: no work is left"),
        2 => assert!(behind_x > 0 && came == workgroups, "{words:?}: all came once, and their work is left"),
        _ => panic!("{words:?}: nobody waited in vain"),
    }
    decision == 1
}

/// Two workgroups over many steps, of which each needs what the other one made in the step before. (Backward a workgroup owns
/// four times as many units.) Where they do not run at a time the dispatch behind has the same numbers.
fn they_wait_for_each_other(gpu: &Gpu) {
    let gpu = open(gpu);
    let time_loop = |shape| patient(&gpu, time_loop(DeviceType::Cpu, shape));
    for seed in 0..4 {
        let shape = [200, 1, 16];
        let steps = Steps::random(shape, true, 1.0, seed);
        check_forward(&gpu, &time_loop(shape), &steps, 1.0);
        let shape = [200, 1, 64];
        let steps = Steps::random(shape, true, 1.0, seed);
        check_backward(&gpu, &time_loop(shape), &steps, seed);
    }
    let words = last_states(&gpu, [200, 1, 16], &time_loop([200, 1, 16])).1;
    let went_on = went_on(words, 2, 200);
    assert!(went_on || runs_workgroups(&gpu).is_none_or(|count| count < 2), "{words:?}: both can run");
}

/// The last states of some steps, and what the workgroups decided.
fn last_states(gpu: &Gpu, shape: [usize; 3], time_loop: &TimeLoop) -> (Vec<f32>, [u32; 5]) {
    let [h, _, meeting] = Steps::random(shape, false, 1.0, 1).gpu(gpu, time_loop);
    let [t, batch, hidden] = shape;
    let words = bits(&meeting).try_into().expect("five words");
    (read(&h)[t * batch * hidden..].to_vec(), words)
}

/// One workgroup goes on. Where some of them cannot run before others are done, as on a software adapter, all leave, and the
/// dispatch behind has the work. Either way there are the numbers.
fn decisions(gpu: &Gpu) {
    let gpu = open(gpu);
    let shape = [6, 1, 8];
    let (_, words) = last_states(&gpu, shape, &time_loop(DeviceType::Cpu, shape));
    assert!(went_on(words, 1, 6), "{words:?}: one workgroup waits for nobody");
    // 64 workgroups, by one of the cores each.
    let shape = [6, 16, 256];
    let (states, words) = last_states(&gpu, shape, &time_loop(DeviceType::Cpu, shape));
    let went_on = went_on(words, 64, 6);
    assert!(!went_on || runs_workgroups(&gpu).is_none_or(|count| count >= 64), "{words:?}: not all can run");
    let per_step = TimeLoop::cut(Schedule::PerStep, 16, 256, 3, DeviceType::Cpu);
    let expected = last_states(&gpu, shape, &per_step).0;
    let worst = Tolerance::through_time(256, 6).compare(&states, &wide(&expected));
    assert!(worst.passed(), "{worst:?}");
}

/// Who finds that another one does not come between two steps leaves NaN: never a number that looks like one. Where all are
/// there already whenever one of them looks, as on a GPU, the numbers are right.
fn one_that_does_not_come(gpu: &Gpu) {
    let gpu = open(gpu);
    let shape = [6, 1, 16];
    let plain = time_loop(DeviceType::Cpu, shape);
    let expected = last_states(&gpu, shape, &TimeLoop::cut(Schedule::PerStep, 1, 16, 3, DeviceType::Cpu)).0;
    let impatient = plain.resident.map(|resident| Resident { looks: [1 << 22, 0], ..resident });
    let (states, words) = last_states(&gpu, shape, &TimeLoop { resident: impatient, ..plain });
    match words[4] {
        // Two workgroups, of which one was the first to come. The other may have been through by then.
        3 => {
            let tolerance = Tolerance::through_time(16, 6);
            let near = |(&state, &right): (&f32, &f32)| state.is_nan() || tolerance.accepts(state.into(), right.into());
            assert!(states.iter().any(|state| state.is_nan()), "{states:?}");
            assert!(states.iter().zip(&expected).all(near), "{states:?} in place of {expected:?}");
        }
        // All came in time, or a machine that runs one workgroup after the other.
        1 | 2 => assert!(Tolerance::through_time(16, 6).compare(&states, &wide(&expected)).passed(), "{states:?}"),
        _ => panic!("{words:?}: nothing was decided"),
    }
}

fn what_it_cannot_have(gpu: &Gpu) {
    let with = open(gpu);
    let unroll = Unroll::training(5, 2).schedule(Schedule::Resident);
    let error = |gpu: &Gpu, config: GruConfig, unroll: Unroll| {
        Gru::new(gpu, config, 1).expect("a layer").unroll(unroll).expect_err("it cannot be had")
    };
    let config = || GruConfig::new(3, 8);
    for error in [
        error(&with, config().reset(Reset::Before), unroll),
        error(&with, GruConfig::new(3, 7), unroll),
        error(&with, config(), unroll.half_weights(true)),
        error(&with, config(), unroll.gradient_norms(true)),
        // The device lacks the feature; for training it lacks a binding before.
        error(&own(gpu), config(), Unroll::inference(5, 2).schedule(Schedule::Resident)),
    ] {
        assert!(matches!(error, Error::ScheduleUnavailable { schedule: Schedule::Resident, .. }), "{error}");
    }
    let error = error(&own(gpu), config(), unroll);
    let limit = "max_storage_buffers_per_shader_stage";
    assert!(matches!(error, Error::LimitExceeded { limit: found, required: 9, .. } if found == limit), "{error}");
    // Never without being asked for.
    fn schedule<C: Copy + Into<Cell>>(config: &Config<C>) -> Schedule {
        let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 16, ..wgpu::Limits::default() };
        let plan = wgpu_gru::Plan::new(config, &Unroll::training(64, 2), &limits, DeviceType::DiscreteGpu);
        plan.expect("it fits").schedule()
    }
    assert!(
        [8, 64, 512].iter().all(|&hidden| schedule(&GruConfig::new(3, hidden)) != Schedule::Resident),
        "by name only"
    );
}
