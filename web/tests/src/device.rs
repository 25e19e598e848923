//! Device, readback, mistakes of the caller, and a device that goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Error, Gpu, GpuOptions, Gru, GruConfig, Tensor, Unroll, harness, wgpu};
use wgpu_gru::{MatmulKernel, Reset, Schedule};

use crate::checks::{Outcome, bits, check, ensure, equal, flat};
use crate::run::{Beyond, Run, browser_checks, open};
use crate::support::to_bits;

browser_checks![
    capabilities,
    products,
    readback,
    activity,
    complaints_are_heard,
    mistakes,
    native_only,
    with_runtime_checks,
    exchange,
    lost,
];

async fn capabilities(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let features = gpu.device().features();
    let native = wgpu::Features::all_native_mask() & features;
    ensure(native.is_empty(), format_args!("native features in a browser: {native:?}"))?;
    let limits = gpu.limits();
    run.note(format!(
        "bindings of {} MiB, buffers of {} MiB, {} invocations, class {:?}",
        limits.max_storage_buffer_binding_size >> 20,
        limits.max_buffer_size >> 20,
        limits.max_compute_invocations_per_workgroup,
        gpu.info().device_type
    ));
    // An app's own device needs no more than the defaults.
    let own = Run::new(open(wgpu::Limits::default()).await?, Beyond::default());
    let layer = async { check(own.gpu(), &GruConfig::new(3, 8), Unroll::training(4, 3)).await.map(drop) };
    run.note(own.check(layer).await?);
    Ok(())
}

/// The products that a browser can have.
async fn products(run: &Run) -> Outcome {
    for kernel in MatmulKernel::ALL {
        let always = [
            MatmulKernel::TiledLarge,
            MatmulKernel::Tiled,
            MatmulKernel::TiledSmall,
            MatmulKernel::FewRows,
            MatmulKernel::Direct,
        ];
        let wanted = always.contains(&kernel) || (kernel == MatmulKernel::Broadcast && run.beyond().subgroups);
        equal(&harness::supports(run.gpu(), kernel), &wanted, format_args!("{kernel:?}"))?;
    }
    Ok(())
}

/// Parts, sizes that are no multiple of anything, and several readbacks at a time.
async fn readback(run: &Run) -> Outcome {
    for len in [1, 3, 64, 1009, 300_007] {
        let host = SplitMix64::new(len as u64).vec(len, 1.0);
        let tensor = flat(run.gpu(), &host)?;
        ensure(bits(&tensor).await? == to_bits(&host), format_args!("{len} numbers came back as others"))?;
        let half = tensor.outer(len / 2..len)?;
        ensure(bits(&half).await? == to_bits(&host[len / 2..]), format_args!("the second half of {len}"))?;
        let other: Vec<f32> = host.iter().map(|number| number + 1.0).collect();
        tensor.write(&other)?;
        ensure(bits(&tensor).await? == to_bits(&other), format_args!("{len} numbers that were written"))?;
    }
    // The first is under way when the second begins.
    let (first, second) = (flat(run.gpu(), &[1.0, 2.0])?, flat(run.gpu(), &[3.0])?);
    let mut first = pin!(first.read());
    let begun = poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await;
    ensure(begun.is_pending(), "a readback was over before it was waited for")?;
    let second = second.read().await?;
    equal(&(first.await?, second), &(vec![1.0, 2.0], vec![3.0]), "two readbacks at a time")
}

/// What is made shows in the counters; recording makes nothing; a readback keeps its staging buffer.
async fn activity(run: &Run) -> Outcome {
    let gpu = Gpu::new().await?;
    let begin = gpu.activity();
    let gru = Gru::new(&gpu, GruConfig::new(3, 5), 1)?;
    let mut net = gru.unroll(Unroll::training(4, 2))?;
    let made = gpu.activity();
    ensure(begin.buffers == 0 && made.buffers > 10, format_args!("{made:?}"))?;
    ensure(made.pipelines > 4 && made.bind_groups >= made.pipelines, format_args!("{made:?}"))?;
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    net.encode_forward(&mut encoder)?;
    net.encode_backward(&mut encoder)?;
    equal(&gpu.activity(), &made, "recording did something")?;
    gpu.queue().submit([encoder.finish()]);
    net.h_n().read().await?;
    let once = gpu.activity();
    net.h_n().read().await?;
    let twice = gpu.activity();
    ensure(once.buffers == made.buffers + 1 && twice.buffers == once.buffers, format_args!("{once:?}, {twice:?}"))?;
    run.note(format!("{} buffers, {} bind groups, {} pipelines", made.buffers, made.bind_groups, made.pipelines));
    Ok(())
}

/// That errors of the device reach a check is checked too: a shader that Tint rejects.
async fn complaints_are_heard(_: &Run) -> Outcome {
    let own = Run::new(Gpu::new().await?, Beyond::default());
    let broken = async {
        let source = wgpu::ShaderSource::Wgsl("@compute @workgroup_size(1) fn main() { wrong_on_purpose(); }".into());
        drop(own.gpu().device().create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source }));
        Ok(())
    };
    let outcome = own.check(broken).await;
    ensure(outcome.is_err_and(|why| why.contains("wrong_on_purpose")), "nobody heard of a shader that is wrong")
}

/// Fails unless a call fails in the way that it should.
fn refused<T>(what: &str, outcome: wgpu_gru::Result<T>, expected: impl Fn(&Error) -> bool) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("{what} was not refused").into()),
        Err(error) => ensure(expected(&error), format_args!("{what}: {error:?}")),
    }
}

/// What is too large or not there for this device, before anything is made.
async fn mistakes(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let gru = Gru::new(gpu, GruConfig::new(3, 5), 1)?;
    let before = gpu.activity();
    for shape in [[1 << 30, 2], [usize::MAX, 7]] {
        refused("a tensor beyond all limits", Tensor::zeros(gpu, &shape), |e| {
            matches!(e, Error::LimitExceeded { .. })
        })?;
    }
    let huge = Unroll::training(1 << 20, 1 << 10);
    refused("what fits in no device", gru.unroll(huge), |e| matches!(e, Error::LimitExceeded { .. }))?;
    equal(&gpu.activity(), &before, "what was refused left something behind")?;
    let mut options = GpuOptions::default();
    options.adapter_name = Some("no adapter is called so".into());
    refused("an adapter by name", Gpu::with_options(options).await, |e| matches!(e, Error::NoAdapter { .. }))
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

/// A browser checks in any case; asking for it does no harm.
async fn with_runtime_checks(run: &Run) -> Outcome {
    let gpu = run.gpu();
    gpu.set_runtime_checks(true);
    let outcome = async {
        check(gpu, &GruConfig::new(5, 7), Unroll::training(6, 3).schedule(Schedule::Step)).await?;
        check(gpu, &GruConfig::new(4, 8), Unroll::training(6, 3).adapter_class(wgpu::DeviceType::DiscreteGpu)).await
    };
    let outcome = outcome.await;
    gpu.set_runtime_checks(false);
    outcome.map(drop)
}

/// Workgroups that wait for each other, where a device has as many buffers as they need.
async fn exchange(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let unroll = Unroll::training(5, 3).schedule(Schedule::Exchange);
    if gpu.limits().max_storage_buffers_per_shader_stage < 9 {
        run.note("too few storage buffers to exchange".into());
        let gru = Gru::new(gpu, GruConfig::new(3, 20), 1)?;
        return refused("an exchange", gru.unroll(unroll), |e| matches!(e, Error::OptionUnavailable { .. }));
    }
    check(gpu, &GruConfig::new(3, 20), unroll).await?;
    check(gpu, &GruConfig::new(3, 20).reset(Reset::Before), unroll.gradient_norms(true)).await.map(drop)
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
