//! Recording makes nothing and submits nothing, by the crate's own count and by wgpu's; and it records as many
//! dispatches as the plan says.

use wgpu_gru::Activity;
use wgpu_gru::Schedule;
use wgpu_gru::train::{Adam, AdamOptions, Linear};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Gpu, Gru, GruConfig, StreamOptions, Tensor, Unroll, Unrolled, harness, wgpu};

use crate::checks::train::Trainer;
use crate::support::{adapter, bits, counts, encoder, forward, objects, open_with, own, settings};

trials![
    recording_makes_nothing,
    forward_and_backward_make_nothing,
    a_second_readback_makes_nothing,
    the_count_can_fail,
    dispatches_of_the_issue,
    dispatches_are_as_planned,
    pipelines_are_shared,
    pipelines_are_cached,
    planned_as_told,
    what_it_made_ends_with_it,
];

/// Layer, head, loss and optimiser, each at the first time and again.
fn recording_makes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let mut trainer = Trainer::new(&gpu, [7, 3, 2, 9, 4]).expect("a trainer");
    let mut commands = encoder(&gpu);
    let before = counts(&gpu);
    for _ in 0..3 {
        trainer.encode(&mut commands).expect("a step");
        assert_eq!(counts(&gpu), before, "recording makes nothing");
    }
    gpu.queue().submit([commands.finish()]);
    gpu.wait_blocking().expect("the GPU is done");
    assert_eq!(gpu.activity(), before.0, "the app's submission is not the crate's");
}

/// The convenient forms submit once each and make nothing either.
fn forward_and_backward_make_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let gru = Gru::new(&gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let mut net = gru.unroll(Unroll::training(4, 3)).expect("an unroll");
    let x = Tensor::zeros(&gpu, &[4, 3, 2]).expect("a tensor");
    let before = gpu.activity();
    net.forward(&x, None).expect("a forward pass");
    net.backward(None, None).expect("a backward pass");
    assert_eq!(gpu.activity(), Activity { submissions: before.submissions + 2, ..before }, "two submissions");
}

/// The staging buffer is kept.
fn a_second_readback_makes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let large = Tensor::zeros(&gpu, &[100]).expect("a tensor");
    let small = Tensor::zeros(&gpu, &[10]).expect("a tensor");
    large.read_blocking().expect("a readback");
    let before = gpu.activity();
    for tensor in [&large, &small, &large] {
        tensor.read_blocking().expect("a readback");
    }
    assert_eq!(gpu.activity(), Activity { submissions: before.submissions + 3, ..before }, "three submissions");
}

/// Control: both counts see one buffer, one bind group, one pipeline, one submission.
fn the_count_can_fail(gpu: &Gpu) {
    let gpu = own(gpu);
    let differing = |before: [(&'static str, isize); 8]| -> Vec<_> {
        objects(&gpu).into_iter().zip(before).filter(|(now, before)| now != before).map(|(now, _)| now.0).collect()
    };
    let (activity, before) = counts(&gpu);
    let tensor = Tensor::zeros(&gpu, &[1000]).expect("a tensor");
    assert_eq!(gpu.activity(), Activity { buffers: activity.buffers + 1, ..activity }, "one buffer");
    assert!(differing(before).contains(&"buffers"), "wgpu sees the buffer");

    let gradient = Tensor::zeros(&gpu, &[1000]).expect("a tensor");
    let (activity, before) = counts(&gpu);
    let _adam = Adam::new([(&tensor, &gradient)], &AdamOptions::default()).expect("an optimiser");
    let after = gpu.activity();
    assert!(after.pipelines == activity.pipelines + 3 && after.bind_groups == activity.bind_groups + 3, "{after:?}");
    for kind in ["bind_groups", "compute_pipelines"] {
        assert!(differing(before).contains(&kind), "wgpu sees the {kind}: {:?}", differing(before));
    }
    let submissions = gpu.activity().submissions;
    gpu.submit(|_| Ok(())).expect("a submission");
    assert_eq!(gpu.activity().submissions, submissions + 1, "one submission");
}

/// (T, B, I, H) = (64, 32, 128, 128) with a dispatch a step: T + 1 dispatches forward, T + 6 backward; a GPU
/// transposes the weights in one more backward, and adds up the parts of two long sums in two more. What a plan chooses for
/// itself has no more than that. One submission a pass.
fn dispatches_of_the_issue(gpu: &Gpu) {
    let gpu = own(gpu);
    let gru = Gru::new(&gpu, GruConfig::new(128, 128), 1).expect("a layer");
    let training = Unroll::training(64, 32);
    for (class, forward, backward) in [(DeviceType::Cpu, 65, 70), (DeviceType::DiscreteGpu, 65, 73)] {
        let unroll = training.adapter_class(class);
        let net = gru.unroll(unroll.schedule(Schedule::Step)).expect("an unroll");
        let planned = [net.plan().forward_dispatches(), net.plan().backward_dispatches()];
        assert_eq!(planned, [forward, backward], "T + 1 and T + 6 (and two sums and a copy): {class:?}");
        assert_as_planned(&net);
        let net = gru.unroll(unroll).expect("an unroll");
        assert!(
            net.plan().forward_dispatches() <= forward && net.plan().backward_dispatches() <= backward,
            "{class:?}"
        );
        assert_as_planned(&net);
    }

    let mut net = gru.unroll(training).expect("an unroll");
    let before = gpu.activity();
    forward(&mut net, &gpu, &vec![0.0; 64 * 32 * 128], None);
    net.backward(None, None).expect("a backward pass");
    assert_eq!(gpu.activity().submissions, before.submissions + 2, "one submission a pass");
    gpu.wait_blocking().expect("the GPU is done");
}

/// What is recorded is what the plan counts and what `explain` says, and the steps have the dispatches of its schedule.
fn assert_as_planned(net: &Unrolled) {
    crate::support::assert_as_planned(net);
    let (plan, text) = (net.plan(), net.explain());
    let time_loop = plan.time_loop();
    let [forward, backward] = net.recorded();
    let steps = net.unroll().seq_len.div_ceil(time_loop.steps());
    let is_step = plan.schedule() == Schedule::Step;
    let [step, step_backward] = match is_step {
        _ if plan.frame().is_some() => ["gru_frame", ""],
        true => ["gru_step", "gru_step_backward"],
        false => ["gru_rows", "gru_rows_backward"],
    };
    assert!(forward.contains(&(step, steps)), "{steps} of {step}: {forward:?}");
    assert!(text.contains(&format!("forward: {} dispatches", plan.forward_dispatches())), "{text}");
    if net.gradients().is_ok() {
        // With a dispatch a step the last product is one of its own.
        let steps = steps + usize::from(is_step);
        assert!(backward.contains(&(step_backward, steps)), "{steps} of {step_backward}: {backward:?}");
        assert!(text.contains(&format!("backward: {} dispatches", plan.backward_dispatches())), "{text}");
    } else {
        assert!(!text.contains("backward") && plan.backward_dispatches() == 0, "{text}");
    }
    // Every kernel has a line with as many dispatches as it has.
    for (label, count) in forward.into_iter().chain(backward) {
        let lines = text.lines().filter(|line| {
            line.trim_start()
                .split_once(' ')
                .is_some_and(|(_, rest)| rest.split(['+', ':', ',', ' ']).any(|word| word == label))
        });
        let counts = lines.filter_map(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        assert!(counts.sum::<usize>() >= count, "{count} of {label}: {text}");
    }
}

/// The plan's arithmetic is what the programs record, for every mode, class of adapter and schedule.
fn dispatches_are_as_planned(gpu: &Gpu) {
    let gru = Gru::new(gpu, GruConfig::new(3, 5), 1).expect("a layer");
    for unroll in [
        Unroll::inference(1, 1),
        Unroll::inference(9, 2),
        Unroll::training(1, 1),
        Unroll::training(9, 2),
        Unroll::training(9, 2).input_gradient(false),
    ] {
        for unroll in [unroll, unroll.adapter_class(DeviceType::Cpu), unroll.adapter_class(DeviceType::DiscreteGpu)] {
            for unroll in [unroll, unroll.schedule(Schedule::Step), unroll.schedule(Schedule::Rows)] {
                assert_as_planned(&gru.unroll(unroll).expect("an unroll"));
            }
        }
    }
}

/// A second layer of another size that is cut like the first makes no pipeline, if neither size is a multiple of four,
/// or both are.
fn pipelines_are_shared(gpu: &Gpu) {
    let gpu = own(gpu);
    let unroll = |class, schedule, [i, h, t]: [usize; 3]| {
        let gru = Gru::new(&gpu, GruConfig::new(i, h), 1).expect("a layer");
        let unroll = Unroll::training(t, 5).adapter_class(class).schedule(schedule);
        let net = gru.unroll(unroll).expect("an unroll");
        *net.plan().time_loop()
    };
    // Whether H is a multiple of four, and what else a cut looks at: how many lanes H fills, and how many slices. Steps
    // by rows are made for their H.
    for (class, schedule, sizes) in [
        (DeviceType::Cpu, Schedule::Step, [[[3, 5, 2], [7, 33, 9]], [[4, 8, 2], [8, 36, 10]]]),
        (DeviceType::DiscreteGpu, Schedule::Step, [[[3, 5, 2], [7, 13, 9]], [[4, 8, 2], [8, 12, 10]]]),
        (DeviceType::DiscreteGpu, Schedule::Rows, [[[3, 7, 2], [7, 7, 9]], [[4, 28, 2], [8, 28, 10]]]),
    ] {
        for [first, second] in sizes {
            let cut = unroll(class, schedule, first);
            let before = gpu.activity().pipelines;
            assert_eq!(unroll(class, schedule, second), cut, "{class:?} {schedule:?}: {second:?} is cut as {first:?}");
            let after = gpu.activity().pipelines;
            assert_eq!(after, before, "{class:?} {schedule:?}: no pipeline for {second:?} after {first:?}");
        }
    }
}

/// Pipelines go into the app's cache, if the adapter has one, and another device takes them out.
fn pipelines_are_cached(gpu: &Gpu) {
    let adapter = adapter(gpu);
    let required_features = adapter.features() & wgpu::Features::PIPELINE_CACHE;
    let descriptor = wgpu::DeviceDescriptor { required_features, ..wgpu::DeviceDescriptor::default() };
    let pass = |stored: Option<Vec<u8>>| {
        let gpu = open_with(&adapter, &descriptor);
        let cache = (!required_features.is_empty()).then(|| {
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: stored.as_deref(), fallback: false };
            #[expect(unsafe_code, reason = "the test answers for the data: its own of a moment ago")]
            // SAFETY: `stored` is nothing, or what the cache of the same adapter gave.
            unsafe {
                gpu.device().create_pipeline_cache(&descriptor)
            }
        });
        gpu.set_pipeline_cache(cache.clone()).expect("a cache of this device");
        let gru = Gru::new(&gpu, GruConfig::new(2, 5), 1).expect("a layer");
        let mut net = gru.unroll(Unroll::training(4, 3)).expect("an unroll");
        let output = bits(&forward(&mut net, &gpu, &[0.5; 24], None).output);
        (output, cache.and_then(|cache| cache.get_data()))
    };
    let (output, stored) = pass(None);
    assert_eq!(stored.is_some(), !required_features.is_empty(), "what there is to be stored");
    assert!(stored.as_ref().is_none_or(|data| !data.is_empty()), "something is in it");
    assert_eq!(pass(stored).0, output, "the same numbers");
}

/// A device that is to be planned for as a discrete GPU gets a GPU's kernels in all that is made on it, where nothing
/// else is asked for by name: so the suite in that plan tests them.
fn planned_as_told(gpu: &Gpu) {
    let made = |class, name: &str| {
        let gpu = open_unplanned(gpu);
        harness::plan_as(&gpu, class);
        let gru = Gru::new(&gpu, GruConfig::new(2, 8), 1).expect("a layer");
        let x = Tensor::zeros(&gpu, &[5, 3, 2]).expect("a tensor");
        let d_x = Tensor::zeros(&gpu, &[5, 3, 2]).expect("a tensor");
        match name {
            "forward" => drop(gru.forward(&x, None).expect("a pass")),
            "training" => drop(gru.unroll(Unroll::training(5, 3)).expect("an unroll")),
            "stream" => drop(gru.stream(StreamOptions::new(9).frames(2)).expect("a stream")),
            "verify" => {
                drop(pollster::block_on(wgpu_gru::verify(&gpu, &GruConfig::new(2, 8), 5, 3, 1)).expect("right"));
            }
            _ => drop(Linear::new(&gpu, 2, 3, 1).expect("a head").unroll(&x, &d_x).expect("an unroll")),
        }
        let all = harness::kernels(&gpu).into_iter();
        all.filter(|(kernel, made)| *made && kernel.starts_with("MATMUL")).map(|(kernel, _)| kernel).collect::<Vec<_>>()
    };
    for name in ["forward", "training", "stream", "verify", "head"] {
        let small = |kernels: &[&str]| kernels.iter().all(|kernel| kernel.contains("SMALL"));
        let (discrete, cpu) = (made(DeviceType::DiscreteGpu, name), made(DeviceType::Cpu, name));
        assert!(!discrete.is_empty() && small(&discrete), "{name}: {discrete:?}");
        assert!(!cpu.is_empty() && !small(&cpu), "{name}: {cpu:?}");
    }
    let own = gpu.info().device_type;
    let net =
        Gru::new(gpu, GruConfig::new(2, 8), 1).expect("a layer").unroll(Unroll::training(5, 3)).expect("an unroll");
    let software = settings::planned_as().unwrap_or(own) == DeviceType::Cpu;
    let kernels = net.plan().kernels();
    assert!(kernels[0].iter().any(|(label, _)| label.starts_with("matmul")), "{kernels:?}");
    let is_small = kernels[0].iter().any(|(label, _)| label.starts_with("matmul_small"));
    assert_eq!(is_small, !software, "as the environment says");
}

/// On a device of the app nothing is left when the crate's last object is gone: what keeps kernels is not kept by them.
fn what_it_made_ends_with_it(gpu: &Gpu) {
    let (device, queue) =
        pollster::block_on(adapter(gpu).request_device(&wgpu::DeviceDescriptor::default())).expect("a device");
    let pipelines = || device.get_internal_counters().hal.compute_pipelines.read();
    // wgpu has some of its own.
    let before = pipelines();
    let of_app = Gpu::from_device(device.clone(), queue);
    let layer = Gru::new(&of_app, GruConfig::new(2, 8), 1).expect("a layer");
    let net = layer.unroll(Unroll::training(5, 3)).expect("an unroll");
    assert!(pipelines() > before, "it has made some");
    drop((net, layer, of_app));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is idle");
    assert_eq!(pipelines(), before, "pipelines are left");
}

/// A device that is planned for as the adapter that it is of.
fn open_unplanned(gpu: &Gpu) -> Gpu {
    let (device, queue) =
        pollster::block_on(adapter(gpu).request_device(&wgpu::DeviceDescriptor::default())).expect("a device");
    Gpu::from_device(device, queue)
}
