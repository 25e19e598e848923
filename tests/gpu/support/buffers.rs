//! Buffers as an app makes them, and layers that work in them.

use wgpu_gru::Schedule;
use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::{BufferUsages, DeviceType};
use wgpu_gru::{Config, Direction, Gpu, GruConfig, Reset, RnnConfig, Saved, Tensor, Unroll, wgpu};

/// Everything that a layer may do with a buffer.
pub(crate) const ALL: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

/// A buffer for so many numbers, as an app makes it.
pub(crate) fn app_buffer(gpu: &Gpu, len: usize, usage: BufferUsages) -> wgpu::Buffer {
    let size = len as u64 * 4;
    gpu.device().create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}

/// A tensor in the middle of a buffer of the app, full of NaN.
pub(crate) fn given(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let (before, len) =
        (gpu.limits().min_storage_buffer_offset_alignment as usize / 4, shape.iter().product::<usize>());
    let buffer = app_buffer(gpu, before + len + 7, ALL);
    let tensor = Tensor::from_buffer(gpu, buffer.slice(before as u64 * 4..), shape).expect("a tensor");
    tensor.write(&vec![f32::NAN; len]).expect("as many numbers");
    tensor
}

/// Layers and how they are unrolled, of every way in which tensors of the app are read and written.
pub(crate) fn cases() -> Vec<(Config, Unroll)> {
    let gru = || GruConfig::new(5, 8);
    let unroll = || Unroll::training(6, 3);
    let gpu = |unroll: Unroll| unroll.adapter_class(DeviceType::DiscreteGpu);
    vec![
        (gru().erased(), unroll()),
        (gru().erased(), gpu(unroll())),
        (GruConfig::new(3, 7).erased(), unroll().schedule(Schedule::Step)),
        (gru().num_layers(2).direction(Direction::Bidirectional).erased(), gpu(unroll().lengths(true))),
        (gru().num_layers(3).erased(), gpu(unroll().wavefront(true))),
        (gru().num_layers(2).batch_first(true).reset(Reset::Before).erased(), unroll().saved(Saved::Recompute)),
        (gru().direction(Direction::Reverse).erased(), gpu(unroll().saved(Saved::F16).f16_weights(true))),
        (gru().num_layers(2).dropout(0.5).bias(false).erased(), unroll().gradient_norms(true)),
        (RnnConfig::new(4, 6).num_layers(2).erased(), unroll().input_gradient(false)),
    ]
}

/// A batch for one of the cases.
pub(crate) fn batch_of(config: &Config, unroll: &Unroll) -> Batch {
    let mut batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    batch.lengths = unroll.lengths.then(|| vec![6, 0, 3]);
    batch
}
