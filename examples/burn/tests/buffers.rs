//! What burn's buffers allow: a layer can be bound to them without a copy, but not as burn places tensors by default.

use burn::tensor::wgpu::MemoryConfiguration;
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::cubecl::wgpu::{
    AutoCompiler, AutoGraphicsApi, RuntimeOptions, WgpuDevice, WgpuServer, init_device, init_setup,
};
use wgpu_gru::{Error, ExternalTensors, Gpu, Gru, GruConfig, Tensor, Unroll};

/// A tensor where burn has put it.
fn bound(client: &Client, gpu: &Gpu, handle: &Handle, shape: &[usize]) -> Tensor {
    let managed = client.get_resource::<WgpuServer<AutoCompiler>>(handle.clone()).expect("a buffer of wgpu");
    let place = managed.resource();
    Tensor::from_buffer(gpu, place.buffer.slice(place.offset..place.offset + place.size), shape).expect("aligned")
}

#[test]
fn bound_where_burn_has_put_them() {
    let setup = init_setup::<AutoGraphicsApi>(&WgpuDevice::default(), RuntimeOptions::default());
    let gpu = Gpu::from_device(setup.device.clone(), setup.queue.clone());
    // The same device of wgpu, by burn with the memory of its default, and with a buffer for each tensor.
    let pages = CubeDevice::Wgpu(WgpuDevice::default()).client();
    let options = RuntimeOptions { memory_config: MemoryConfiguration::ExclusivePages, ..RuntimeOptions::default() };
    let apart = CubeDevice::Wgpu(init_device(setup, options)).client();

    let (steps, rows, inputs, units) = (3, 2, 5, 4);
    let layer = Gru::new(&gpu, GruConfig::new(inputs, units).batch_first(true), 7).expect("a layer");
    let x: Vec<f32> = (0..rows * steps * inputs).map(|index| (index as f32).sin()).collect();
    let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_ne_bytes()).collect();
    let unroll = |client: &Client| {
        let (input, output) = (client.create_from_slice(&bytes), client.empty(rows * steps * units * 4));
        let places = ExternalTensors {
            input: Some(bound(client, &gpu, &input, &[rows, steps, inputs])),
            output: Some(bound(client, &gpu, &output, &[rows, steps, units])),
            ..ExternalTensors::default()
        };
        let unrolled = layer.unroll_with(Unroll::inference(steps, rows), &places);
        (unrolled, output)
    };

    // What a GPU reads and what it writes would lie in one buffer.
    let (refused, _) = unroll(&pages);
    assert!(matches!(refused, Err(Error::Aliased { .. })), "{refused:?}");

    let (unrolled, output) = unroll(&apart);
    let mut unrolled = unrolled.expect("buffers of their own");
    gpu.submit(|encoder| unrolled.encode_forward(encoder)).expect("a forward pass");
    let bytes = apart.read_one(output).expect("what the pass has written");
    let x = Tensor::from_slice(&gpu, &[rows, steps, inputs], &x).expect("a tensor");
    let expected = layer.forward(&x, None).and_then(|made| made.output.read_blocking()).expect("a forward pass");
    let expected: Vec<u8> = expected.iter().flat_map(|value| value.to_ne_bytes()).collect();
    assert_eq!(&bytes[..], &expected[..]);
}
