//! Devices of a test's own, and short forms for what every test does with one.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use wgpu_gru::wgpu::{DeviceDescriptor, Features, Limits};
use wgpu_gru::{Activity, Program};
use wgpu_gru::{Gpu, Gru, GruConfig, Output, Tensor, Unrolled, Weights, harness, wgpu};

use super::common::numbers::{from_bits, to_bits};
use super::settings;

/// Planned for the class of adapter that the environment names, if it names one. Every device of the tests is.
pub(crate) fn planned(gpu: Gpu) -> Gpu {
    if let Some(class) = settings::planned_as() {
        harness::plan_as(&gpu, class);
    }
    gpu
}

/// A second device of the same adapter, as an app would make it, with these limits and no feature.
pub(crate) fn open(gpu: &Gpu, required_limits: Limits) -> Gpu {
    let descriptor = DeviceDescriptor { required_limits, ..DeviceDescriptor::default() };
    open_with(&adapter(gpu), &descriptor)
}

/// A device of an adapter, as an app would make it.
pub(crate) fn open_with(adapter: &wgpu::Adapter, descriptor: &DeviceDescriptor<'_>) -> Gpu {
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

/// The same for a check.
pub(crate) async fn own_device(gpu: &Gpu) -> wgpu_gru::Result<Gpu> {
    Ok(own(gpu))
}

/// A tensor that holds these numbers.
pub(crate) fn tensor(gpu: &Gpu, shape: &[usize], host: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, shape, host).expect("a tensor")
}

/// The same of one axis.
pub(crate) fn flat(gpu: &Gpu, host: &[f32]) -> Tensor {
    tensor(gpu, &[host.len()], host)
}

/// The same of numbers of 32 bits that are no f32.
pub(crate) fn words(gpu: &Gpu, words: &[u32]) -> Tensor {
    flat(gpu, &from_bits(words))
}

pub(crate) fn zeros(gpu: &Gpu, shape: &[usize]) -> Tensor {
    Tensor::zeros(gpu, shape).expect("a tensor")
}

pub(crate) fn read(tensor: &Tensor) -> Vec<f32> {
    tensor.read_blocking().expect("a readback")
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    to_bits(&read(tensor))
}

/// Submits what cannot fail to be recorded.
pub(crate) fn record(gpu: &Gpu, commands: impl FnOnce(&mut wgpu::CommandEncoder)) {
    gpu.submit(|encoder| {
        commands(encoder);
        Ok(())
    })
    .expect("a submission");
}

pub(crate) fn run(gpu: &Gpu, program: &Program) {
    record(gpu, |encoder| program.encode(encoder));
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

/// The sizes of subgroups, the least and the largest, where kernels may use them.
pub(crate) fn subgroups(gpu: &Gpu) -> Option<[u32; 2]> {
    let info = gpu.info();
    gpu.device().features().contains(Features::SUBGROUP).then_some([info.subgroup_min_size, info.subgroup_max_size])
}

/// Whether all subgroups have 8 invocations, as the frames of a software rasteriser want them.
pub(crate) fn has_subgroups_of_8(gpu: &Gpu) -> bool {
    subgroups(gpu) == Some([8, 8])
}

/// Whether no subgroup is smaller than 8, as kernels for GPUs want them that use subgroups at all.
pub(crate) fn has_large_subgroups(gpu: &Gpu) -> bool {
    subgroups(gpu).is_some_and(|[least, _]| least >= 8)
}

/// A device of its own whose kernels count.
pub(crate) fn counting(gpu: &Gpu) -> Gpu {
    let adapter = adapter(gpu);
    let descriptor = DeviceDescriptor {
        required_features: adapter.features() & Features::SUBGROUP,
        required_limits: Limits { max_storage_buffers_per_shader_stage: 10, ..Limits::default() },
        ..DeviceDescriptor::default()
    };
    let gpu = open_with(&adapter, &descriptor);
    harness::count_out_of_range(&gpu).expect("a counter");
    gpu
}

pub(crate) fn assert_none_out_of_range(gpu: &Gpu) {
    assert_eq!(harness::out_of_range(gpu).expect("a readback"), [], "indices out of range");
}
