//! Device, readback, mistakes of the caller, and a device that goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use wgpu_gru::Schedule;
use wgpu_gru::train::{Adam, AdamOptions};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Error, Gpu, GpuOptions, Gru, GruConfig, Tensor, Unroll, Weights, wgpu};

use crate::run::{Beyond, Failure, Outcome, Run, bits, checks, ensure, open};

checks!["device": capabilities, readback, activity, complaints_are_heard, mistakes, native_only, lost];

async fn capabilities(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let features = gpu.device().features();
    let native = wgpu::Features::all_native_mask() & features;
    ensure(native.is_empty(), || format!("native features in a browser: {native:?}"))?;
    let limits = gpu.limits();
    run.note(format!(
        "bindings of {} MiB, buffers of {} MiB, {} invocations, class {:?}",
        limits.max_storage_buffer_binding_size >> 20,
        limits.max_buffer_size >> 20,
        limits.max_compute_invocations_per_workgroup,
        gpu.info().device_type
    ));
    // An app's own device needs no more than the defaults.
    async fn layer(run: &Run) -> Outcome {
        run.layer(&GruConfig::new(3, 8), Unroll::training(4, 3)).await?;
        Ok(())
    }
    let own = Run::new(open(wgpu::Limits::default()).await?, Beyond::default());
    run.note(own.check(("default limits", |own| Box::pin(layer(own)))).await?);
    Ok(())
}

/// Parts, sizes that are no multiple of anything, and several readbacks at a time.
async fn readback(run: &Run) -> Outcome {
    for len in [1, 3, 64, 1009, 300_007] {
        let host = SplitMix64::new(len as u64).vec(len, 1.0);
        let tensor = run.tensor(&host)?;
        ensure(bits(&tensor.read().await?) == bits(&host), || format!("{len} numbers came back as others"))?;
        let half = tensor.outer(len / 2..len)?;
        ensure(bits(&half.read().await?) == bits(&host[len / 2..]), || format!("the second half of {len}"))?;
        let other: Vec<f32> = host.iter().map(|number| number + 1.0).collect();
        tensor.write(&other)?;
        ensure(bits(&tensor.read().await?) == bits(&other), || format!("{len} numbers that were written"))?;
    }
    // The first is under way when the second begins.
    let (first, second) = (run.tensor(&[1.0, 2.0])?, run.tensor(&[3.0])?);
    let mut first = pin!(first.read());
    let begun = poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await;
    ensure(begun.is_pending(), || "a readback was over before it was waited for".into())?;
    let second = second.read().await?;
    ensure((first.await?, second) == (vec![1.0, 2.0], vec![3.0]), || "two readbacks at a time".into())
}

/// What is made shows in the counters; recording makes nothing; a readback keeps its staging buffer.
async fn activity(run: &Run) -> Outcome {
    let gpu = Gpu::new().await?;
    let begin = gpu.activity();
    let gru = Gru::new(&gpu, GruConfig::new(3, 5), 1)?;
    let mut net = gru.unroll(Unroll::training(4, 2))?;
    let made = gpu.activity();
    ensure(begin.buffers == 0 && made.buffers > 10, || format!("{made:?}"))?;
    ensure(made.pipelines > 4 && made.bind_groups >= made.pipelines, || format!("{made:?}"))?;
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    net.encode_forward(&mut encoder)?;
    net.encode_backward(&mut encoder)?;
    ensure(gpu.activity() == made, || format!("recording did something: {made:?}, {:?}", gpu.activity()))?;
    gpu.queue().submit([encoder.finish()]);
    net.h_n().read().await?;
    let once = gpu.activity();
    net.h_n().read().await?;
    let twice = gpu.activity();
    ensure(once.buffers == made.buffers + 1 && twice.buffers == once.buffers, || format!("{once:?}, {twice:?}"))?;
    run.note(format!("{} buffers, {} bind groups, {} pipelines", made.buffers, made.bind_groups, made.pipelines));
    Ok(())
}

/// That errors of the device reach a check is checked too: a shader that Tint rejects.
async fn complaints_are_heard(_: &Run) -> Outcome {
    async fn broken(run: &Run) -> Outcome {
        let source = wgpu::ShaderSource::Wgsl("@compute @workgroup_size(1) fn main() { wrong_on_purpose(); }".into());
        drop(run.gpu().device().create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source }));
        Ok(())
    }
    let own = Run::new(Gpu::new().await?, Beyond::default());
    let outcome = own.check(("broken", |run| Box::pin(broken(run)))).await;
    ensure(outcome.is_err_and(|why| why.contains("wrong_on_purpose")), || {
        "nobody heard of a shader that is wrong".into()
    })
}

/// Fails unless a call fails in the way that it should.
fn refused<T>(what: &str, outcome: wgpu_gru::Result<T>, expected: impl Fn(&Error) -> bool) -> Outcome {
    match outcome {
        Ok(_) => Err(Failure::from(format!("{what} was not refused"))),
        Err(error) => ensure(expected(&error), || format!("{what}: {error:?}")),
    }
}

/// Each is an error with a type, found before anything is recorded.
async fn mistakes(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let before = gpu.activity();
    refused("no unit", Gru::new(gpu, GruConfig::new(3, 0), 1), |e| matches!(e, Error::ZeroSize { .. }))?;
    refused("a wrong shape", Tensor::from_slice(gpu, &[2, 3], &[0.0; 5]), |e| {
        matches!(e, Error::ShapeMismatch { .. })
    })?;
    refused("a tensor beyond all limits", Tensor::zeros(gpu, &[1 << 30, 1 << 1]), |e| {
        matches!(e, Error::LimitExceeded { .. })
    })?;
    refused("a tensor beyond all numbers", Tensor::zeros(gpu, &[usize::MAX, 7]), |e| {
        matches!(e, Error::LimitExceeded { .. })
    })?;
    refused("clip 0", Gru::new(gpu, GruConfig::new(3, 5).clip(0.0), 1), |e| matches!(e, Error::InvalidOption { .. }))?;
    refused("a NaN", Gru::new(gpu, GruConfig::new(3, 5).num_layers(2).dropout(f32::NAN), 1), |e| {
        matches!(e, Error::InvalidOption { .. })
    })?;
    let other = Weights::random(&GruConfig::new(3, 6), 1);
    refused("another layer's weights", Gru::with_weights(gpu, GruConfig::new(3, 5), &other), |e| {
        matches!(e, Error::ShapeMismatch { .. })
    })?;
    ensure(gpu.activity() == before, || "what was refused left something behind".into())?;

    let gru = Gru::new(gpu, GruConfig::new(3, 5), 1)?;
    refused("no step", gru.unroll(Unroll::training(0, 2)), |e| matches!(e, Error::ZeroSize { .. }))?;
    let huge = Unroll::training(1 << 20, 1 << 10);
    refused("what fits in no device", gru.unroll(huge), |e| matches!(e, Error::LimitExceeded { .. }))?;
    let mut net = gru.unroll(Unroll::inference(4, 2))?;
    refused("backward of inference", net.backward(None, None), |e| matches!(e, Error::NotTraining))?;
    refused("lengths", net.set_lengths(&[1, 2]), |e| matches!(e, Error::NoLengths))?;
    refused("a seed", net.set_dropout_seed(1), |e| matches!(e, Error::NoDropout))?;
    refused("a short input", net.input().write(&[0.0; 3]), |e| matches!(e, Error::ShapeMismatch { .. }))?;
    let mut net = gru.unroll(Unroll::training(4, 2))?;
    refused("backward first", net.backward(None, None), |e| matches!(e, Error::BackwardWithoutForward))?;
    let foreign = Tensor::zeros(&Gpu::new().await?, &[4, 2, 3])?;
    refused("another device", net.forward(&foreign, None), |e| matches!(e, Error::ForeignDevice { .. }))?;
    refused("no parameter", Adam::new(&[], &AdamOptions::default()), |e| matches!(e, Error::ZeroSize { .. }))?;
    let mut options = GpuOptions::default();
    options.adapter_name = Some("no adapter is called so".into());
    refused("an adapter by name", Gpu::with_options(options).await, |e| matches!(e, Error::NoAdapter { .. }))?;
    Ok(())
}

/// What needs a native device is refused by name.
async fn native_only(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let gru = Gru::new(gpu, GruConfig::new(8, 8), 1)?;
    refused("products of halves", gru.unroll(Unroll::inference(4, 2).f16_products(true)), |e| {
        matches!(e, Error::OptionUnavailable { option: "f16_products", .. })
    })?;
    refused("cooperative matrices", gpu.set_cooperative_matrices(&[]), |e| {
        matches!(e, Error::OptionUnavailable { option: "cooperative matrices", .. })
    })
}

/// A device that is destroyed gives errors, no numbers, no panic, and no wait without end.
async fn lost(_: &Run) -> Outcome {
    let gpu = Gpu::new().await?;
    let tensor = Tensor::from_slice(&gpu, &[3], &[1.0, 2.0, 3.0])?;
    tensor.read().await?;
    gpu.device().destroy();
    let is_told = |e: &Error| matches!(e, Error::DeviceLost { .. } | Error::Readback(_));
    refused("a readback", tensor.read().await, is_told)?;
    refused("another readback", tensor.read().await, is_told)
}
