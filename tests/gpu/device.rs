//! Devices of a test's own, and short forms for what every test does with one.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use wgpu_gru::gpu::Program;
use wgpu_gru::{Gpu, Gru, GruConfig, Output, Tensor, Unrolled, Weights, harness, wgpu};

use crate::settings;

/// Planned for the class of adapter that the environment names, if it names one. Every device of the tests is.
pub(crate) fn planned(gpu: Gpu) -> Gpu {
    if let Some(class) = settings::planned_as() {
        harness::plan_as(&gpu, class);
    }
    gpu
}

/// A second device of the same adapter, as an app would make it, with these limits and no feature.
pub(crate) fn open(gpu: &Gpu, required_limits: wgpu::Limits) -> Gpu {
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    open_with(&adapter(gpu), &descriptor)
}

/// A device of an adapter, as an app would make it.
pub(crate) fn open_with(adapter: &wgpu::Adapter, descriptor: &wgpu::DeviceDescriptor<'_>) -> Gpu {
    let (device, queue) = pollster::block_on(adapter.request_device(descriptor)).expect("the adapter opens a device");
    planned(Gpu::from_device(device, queue))
}

/// The adapter of a device, once more.
pub(crate) fn adapter(gpu: &Gpu) -> wgpu::Adapter {
    let backends = wgpu::Backends::from(gpu.info().backend);
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    let found = adapters.into_iter().find(|adapter| adapter.get_info().name == gpu.info().name);
    found.expect("the adapter is still there")
}

/// A device that the crate opens itself, for a test that counts or breaks things.
pub(crate) fn own(gpu: &Gpu) -> Gpu {
    let mut options = wgpu_gru::GpuOptions::from_env();
    options.adapter_name = Some(gpu.info().name.clone());
    planned(pollster::block_on(Gpu::with_options(options)).expect("the adapter opens once more"))
}

pub(crate) fn tensor(gpu: &Gpu, shape: &[usize], host: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, shape, host).expect("a tensor")
}

pub(crate) fn read(tensor: &Tensor) -> Vec<f32> {
    tensor.read_blocking().expect("a readback")
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    read(tensor).into_iter().map(f32::to_bits).collect()
}

pub(crate) fn run(gpu: &Gpu, program: &Program) {
    gpu.submit(|encoder| {
        program.encode(encoder);
        Ok(())
    })
    .expect("a submission");
}

pub(crate) fn gru(gpu: &Gpu, config: &GruConfig, weights: &Weights) -> Gru {
    Gru::with_weights(gpu, config.clone(), weights).expect("a layer")
}

/// Forward from host numbers.
pub(crate) fn forward(net: &mut Unrolled, gpu: &Gpu, x: &[f32], h0: Option<&[f32]>) -> Output {
    let x = tensor(gpu, net.input().shape(), x);
    let h0 = h0.map(|h0| tensor(gpu, net.h0().shape(), h0));
    net.forward(&x, h0.as_ref()).expect("a forward pass")
}

/// The largest absolute value.
pub(crate) fn largest<R: Copy + Into<f64>>(values: &[R]) -> f64 {
    values.iter().fold(0.0, |most, &value| most.max(value.into().abs()))
}

/// Runs a property over random cases, always the same ones.
pub(crate) fn property<S: Strategy>(cases: u32, strategy: &S, holds: impl Fn(S::Value)) {
    property_from(7, cases, strategy, holds);
}

/// [`property`] from a seed.
pub(crate) fn property_from<S: Strategy>(seed: u64, cases: u32, strategy: &S, holds: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |case| {
        holds(case);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
