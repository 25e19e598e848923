//! Recording makes nothing and submits nothing, by the crate's own count and by wgpu's; and it records as many dispatches
//! as the plan says.

use wgpu_gru::gpu::Activity;
use wgpu_gru::train::{Adam, AdamOptions};
use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Unroll, wgpu};

use crate::device::{adapter, bits, forward, own};
use crate::training::Trainer;

trials![
    recording_makes_nothing,
    forward_and_backward_make_nothing,
    a_second_readback_makes_nothing,
    the_count_can_fail,
    dispatches_of_the_issue,
    dispatches_are_as_planned,
    pipelines_are_shared,
    pipelines_are_cached,
];

/// What wgpu itself counts on a device.
pub(crate) fn objects(gpu: &Gpu) -> [(&'static str, isize); 8] {
    let hal = gpu.device().get_internal_counters().hal;
    [
        ("buffers", hal.buffers.read()),
        ("bind_groups", hal.bind_groups.read()),
        ("bind_group_layouts", hal.bind_group_layouts.read()),
        ("pipeline_layouts", hal.pipeline_layouts.read()),
        ("compute_pipelines", hal.compute_pipelines.read()),
        ("shader_modules", hal.shader_modules.read()),
        ("buffer_memory", hal.buffer_memory.read()),
        ("memory_allocations", hal.memory_allocations.read()),
    ]
}

/// What `work` makes: nothing if both are the same before and after.
pub(crate) fn counts(gpu: &Gpu) -> (Activity, [(&'static str, isize); 8]) {
    (gpu.activity(), objects(gpu))
}

pub(crate) fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// Layer, head, loss and optimiser, each at the first time and again.
fn recording_makes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let mut trainer = Trainer::new(&gpu, [7, 3, 2, 9, 4]);
    let mut commands = encoder(&gpu);
    let before = counts(&gpu);
    for _ in 0..3 {
        trainer.encode(&mut commands);
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
    let _adam = Adam::new(&[(&tensor, &gradient)], &AdamOptions::default()).expect("an optimiser");
    let after = gpu.activity();
    assert!(after.pipelines == activity.pipelines + 3 && after.bind_groups == activity.bind_groups + 3, "{after:?}");
    for kind in ["bind_groups", "compute_pipelines"] {
        assert!(differing(before).contains(&kind), "wgpu sees the {kind}: {:?}", differing(before));
    }
    let submissions = gpu.activity().submissions;
    gpu.submit(|_| Ok(())).expect("a submission");
    assert_eq!(gpu.activity().submissions, submissions + 1, "one submission");
}

/// The dispatches of each kernel in the line of `explain` that begins with `what`.
fn recorded(text: &str, what: &str) -> Vec<(String, usize)> {
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix(what)).unwrap_or_else(|| panic!("no {what}: {text}"));
    let words: Vec<_> = line.split_whitespace().collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].parse().expect("a count"))).collect()
}

fn total(recorded: &[(String, usize)]) -> usize {
    recorded.iter().map(|(_, count)| count).sum()
}

/// (T, B, I, H) = (64, 32, 128, 128): T + 1 dispatches forward, T + 6 backward, one submission each.
fn dispatches_of_the_issue(gpu: &Gpu) {
    let gpu = own(gpu);
    let gru = Gru::new(&gpu, GruConfig::new(128, 128), 1).expect("a layer");
    let mut net = gru.unroll(Unroll::training(64, 32)).expect("an unroll");
    assert_eq!((net.plan().forward_dispatches(), net.plan().backward_dispatches()), (65, 70), "T + 1 and T + 6");
    let text = net.explain();
    assert!(text.contains("forward  65 dispatches") && text.contains("backward 70 dispatches"), "{text}");
    assert_eq!(total(&recorded(&text, "recorded forward:")), 65, "{text}");
    assert_eq!(total(&recorded(&text, "recorded backward:")), 70, "{text}");

    let before = gpu.activity();
    forward(&mut net, &gpu, &vec![0.0; 64 * 32 * 128], None);
    net.backward(None, None).expect("a backward pass");
    assert_eq!(gpu.activity().submissions, before.submissions + 2, "one submission a pass");
    gpu.wait_blocking().expect("the GPU is done");
}

/// The plan's arithmetic is what the programs record, for every mode.
fn dispatches_are_as_planned(gpu: &Gpu) {
    let gru = Gru::new(gpu, GruConfig::new(3, 5), 1).expect("a layer");
    for unroll in [
        Unroll::inference(1, 1),
        Unroll::inference(9, 2),
        Unroll::training(1, 1),
        Unroll::training(9, 2),
        Unroll::training(9, 2).input_gradient(false),
    ] {
        let net = gru.unroll(unroll).expect("an unroll");
        let text = net.explain();
        let steps = ("gru_step".to_owned(), unroll.seq_len());
        let forward = recorded(&text, "recorded forward:");
        assert!(forward.contains(&steps) && total(&forward) == net.plan().forward_dispatches(), "{text}");
        if net.gradients().is_ok() {
            let backward = recorded(&text, "recorded backward:");
            let steps = ("gru_step_backward".to_owned(), unroll.seq_len() + 1);
            assert!(backward.contains(&steps) && total(&backward) == net.plan().backward_dispatches(), "{text}");
        } else {
            assert!(!text.contains("backward") && net.plan().backward_dispatches() == 0, "{text}");
        }
    }
}

/// A second layer of another size makes no pipeline, if neither size is a multiple of four, or both are.
fn pipelines_are_shared(gpu: &Gpu) {
    let gpu = own(gpu);
    let unroll = |[i, h, t]: [usize; 3]| {
        let gru = Gru::new(&gpu, GruConfig::new(i, h), 1).expect("a layer");
        gru.unroll(Unroll::training(t, 2)).expect("an unroll");
    };
    for [first, second] in [[[3, 5, 2], [7, 33, 9]], [[4, 8, 2], [8, 36, 10]]] {
        unroll(first);
        let before = gpu.activity().pipelines;
        unroll(second);
        assert_eq!(gpu.activity().pipelines, before, "no pipeline for {second:?} after {first:?}");
    }
}

/// Pipelines go into the app's cache, if the adapter has one, and another device takes them out.
fn pipelines_are_cached(gpu: &Gpu) {
    let adapter = adapter(gpu);
    let required_features = adapter.features() & wgpu::Features::PIPELINE_CACHE;
    let descriptor = wgpu::DeviceDescriptor { required_features, ..wgpu::DeviceDescriptor::default() };
    let pass = |stored: Option<Vec<u8>>| {
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let gpu = Gpu::from_device(device, queue);
        let cache = (!required_features.is_empty()).then(|| {
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: stored.as_deref(), fallback: false };
            #[expect(unsafe_code, reason = "the test answers for the data: its own of a moment ago")]
            // SAFETY: `stored` is nothing, or what the cache of the same adapter gave.
            unsafe {
                gpu.device().create_pipeline_cache(&descriptor)
            }
        });
        gpu.set_pipeline_cache(cache.clone());
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
