//! What cannot be a place, or a device, is told before anything is made.

use wgpu_gru::wgpu::{self, BufferUsages};
use wgpu_gru::{CellParameters, Error, ExternalTensors, Gpu, Gru, GruConfig, Parameters, Tensor, Unroll};

use crate::support::{ALL, adapter, app_buffer, assert_error, encoder, open, own, shape};

trials![limits_that_do_not_suffice, bad_buffers, bad_places, bad_parameters];

/// What a device lacks is named when the limits are asked for, and when the layer is made.
fn limits_that_do_not_suffice(gpu: &Gpu) {
    let config = GruConfig::new(64, 256);
    let offered = adapter(gpu).limits();
    let limits = config.required_limits(&offered).expect("it fits");
    assert_eq!(limits.max_buffer_size, offered.max_buffer_size, "as much as there is");
    assert_eq!(limits.max_bind_groups, wgpu::Limits::default().max_bind_groups, "no more than is needed");
    open(gpu, limits);
    let features = Gpu::recommended_features(wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY);
    assert_eq!(features, wgpu::Features::SUBGROUP, "what makes it faster");
    assert_eq!(Gpu::recommended_features(wgpu::Features::empty()), wgpu::Features::empty(), "of what there is");

    let small = wgpu::Limits { max_storage_buffer_binding_size: 3 * 256 * 256 * 4 - 1, ..offered.clone() };
    let what = "weight_hh";
    let refused =
        Error::LimitExceeded { what, limit: "max_storage_buffer_binding_size", required: 786_432, available: 786_431 };
    assert_error(config.required_limits(&small), &refused);
    let few = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..offered };
    let limit = "max_storage_buffers_per_shader_stage";
    let refused = Error::LimitExceeded { what: "the largest kernel", limit, required: 8, available: 4 };
    assert_error(config.required_limits(&few), &refused);
    let bare = open(gpu, wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..wgpu::Limits::default() });
    assert_error(Gru::new(&bare, config, 1).expect("weights fit").unroll(Unroll::inference(1, 1)), &refused);
}

fn bad_buffers(gpu: &Gpu) {
    let tensor = "buffer of the app";
    let buffer = app_buffer(gpu, 256, ALL);
    let of = |slice, shape: &[usize]| Tensor::from_buffer(gpu, slice, shape);
    assert_error(of(buffer.slice(..), &[4, 0]), &Error::ZeroSize { what: tensor });
    let small = |required, available| Error::BufferTooSmall { tensor, required, available };
    assert_error(of(buffer.slice(..), &[257]), &small(1028, 1024));
    assert_error(of(buffer.slice(..96), &[5, 5]), &small(100, 96));
    assert_error(of(buffer.slice(..), &[usize::MAX, 8]), &small(u64::MAX, 1024));
    let alignment = u64::from(gpu.limits().min_storage_buffer_offset_alignment);
    for offset in [1, 2, 4, alignment - 1, alignment + 4] {
        assert_error(of(buffer.slice(offset..), &[1]), &Error::Misaligned { tensor: tensor.into(), offset, alignment });
    }
    let actual = BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let vertices = app_buffer(gpu, 4, actual);
    assert_error(of(vertices.slice(..), &[4]), &Error::BufferUsage { tensor, required: BufferUsages::STORAGE, actual });
    // Two devices of one instance. Of two instances wgpu itself cannot tell buffers apart.
    let adapter = adapter(gpu);
    let [one, other] = [0, 1].map(|_| {
        let (device, queue) =
            pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).expect("a device");
        Gpu::from_device(device, queue)
    });
    let foreign = app_buffer(&other, 4, ALL);
    assert_error(Tensor::from_buffer(&one, foreign.slice(..), &[4]), &Error::ForeignDevice { tensor: tensor.into() });
    Tensor::from_buffer(&other, foreign.slice(..), &[4]).expect("its own device");
    let gone = app_buffer(gpu, 4, ALL);
    gone.destroy();
    let refused = of(gone.slice(..), &[4]);
    assert!(matches!(refused, Err(Error::Refused { what, .. }) if what == tensor), "{refused:?}");

    // What a buffer without copies cannot do.
    let bare = app_buffer(gpu, 4, BufferUsages::STORAGE);
    let bare = of(bare.slice(..), &[4]).expect("a tensor");
    let lacks = |tensor, required| Error::BufferUsage { tensor, required, actual: BufferUsages::STORAGE };
    assert_error(bare.write(&[0.0; 4]), &lacks("tensor to write", BufferUsages::COPY_DST));
    assert_error(bare.read_blocking(), &lacks("tensor to read", BufferUsages::COPY_SRC));
    let whole = Tensor::zeros(gpu, &[4]).expect("a tensor");
    let mut encoder = encoder(gpu);
    assert_error(bare.encode_clear(&mut encoder), &lacks("tensor to clear", BufferUsages::COPY_DST));
    let source = lacks("source of the copy", BufferUsages::COPY_SRC);
    assert_error(whole.encode_copy_from(&mut encoder, &bare), &source);
    let destination = lacks("destination of the copy", BufferUsages::COPY_DST);
    assert_error(bare.encode_copy_from(&mut encoder, &whole), &destination);
    gpu.queue().submit([encoder.finish()]);
}

fn bad_places(gpu: &Gpu) {
    let layer = Gru::new(gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let (training, inference) = (Unroll::training(4, 3), Unroll::inference(4, 3));
    let zeros = |shape: &[usize]| Some(Tensor::zeros(gpu, shape).expect("a tensor"));
    let none = ExternalTensors::default;
    let refused =
        |unroll, places: ExternalTensors, expected: &Error| assert_error(layer.unroll_with(unroll, &places), expected);

    refused(inference, ExternalTensors { input: zeros(&[4, 2, 3]), ..none() }, &shape("input", &[4, 3, 2], &[4, 2, 3]));
    refused(inference, ExternalTensors { h0: zeros(&[3, 5]), ..none() }, &shape("h0", &[1, 3, 5], &[3, 5]));
    refused(
        inference,
        ExternalTensors { output: zeros(&[3, 4, 5]), ..none() },
        &shape("output", &[4, 3, 5], &[3, 4, 5]),
    );
    refused(inference, ExternalTensors { h_n: zeros(&[2, 3, 5]), ..none() }, &shape("h_n", &[1, 3, 5], &[2, 3, 5]));
    refused(training, ExternalTensors { d_output: zeros(&[1]), ..none() }, &shape("d_output", &[4, 3, 5], &[1]));
    let of_training = |option| Error::TrainingOption { option };
    refused(inference, ExternalTensors { d_output: zeros(&[4, 3, 5]), ..none() }, &of_training("d_output"));
    refused(inference, ExternalTensors { d_h_n: zeros(&[1, 3, 5]), ..none() }, &of_training("d_h_n"));
    refused(inference, ExternalTensors { d_input: zeros(&[4, 3, 2]), ..none() }, &of_training("d_input"));
    refused(inference, ExternalTensors { d_h0: zeros(&[1, 3, 5]), ..none() }, &of_training("d_h0"));
    let gradients = Some(layer.parameters().clone());
    refused(inference, ExternalTensors { gradients, ..none() }, &of_training("gradients"));
    let because = "Unroll::input_gradient says that it is not wanted";
    let unwanted = Error::OptionUnavailable { option: "a place for d_input", because };
    refused(training.input_gradient(false), ExternalTensors { d_input: zeros(&[4, 3, 2]), ..none() }, &unwanted);

    let other = own(gpu);
    let foreign = Some(Tensor::zeros(&other, &[4, 3, 2]).expect("a tensor"));
    refused(inference, ExternalTensors { input: foreign, ..none() }, &Error::ForeignDevice { tensor: "input".into() });

    // Bound twice, to be read and to be written.
    let both = Tensor::zeros(gpu, &[1000]).expect("a tensor");
    let part = |begin: usize, shape: &[usize]| {
        let len = shape.iter().product::<usize>();
        Some(both.outer(begin..begin + len).expect("a part").reshape(shape).expect("a shape"))
    };
    let aliased = |first, second| Error::Aliased { first, second };
    let places = ExternalTensors { input: part(0, &[4, 3, 2]), output: part(64, &[4, 3, 5]), ..none() };
    refused(inference, places, &aliased("input", "output"));
    let places = ExternalTensors { output: part(0, &[4, 3, 5]), h_n: part(48, &[1, 3, 5]), ..none() };
    refused(inference, places, &aliased("output", "h_n"));
    let places = ExternalTensors { h0: part(0, &[1, 3, 5]), h_n: part(4, &[1, 3, 5]), ..none() };
    refused(inference, places, &aliased("h0", "h_n"));
    let gradients = Some(layer.parameters().clone());
    refused(training, ExternalTensors { gradients, ..none() }, &aliased("a weight", "a gradient"));
    // What is only written may share a buffer, and so may what is only read.
    let places = ExternalTensors { output: part(0, &[4, 3, 5]), h_n: part(60, &[1, 3, 5]), ..none() };
    layer.unroll_with(inference, &places).expect("two parts");
    let places = ExternalTensors { h0: part(0, &[1, 3, 5]), h_n: part(16, &[1, 3, 5]), ..none() };
    layer.unroll_with(inference, &places).expect("two parts");

    // Where H is a multiple of 4, steps read four numbers at a time.
    let places = ExternalTensors { h0: part(3, &[1, 3, 5]), ..none() };
    layer.unroll_with(inference, &places).expect("steps by single numbers");
    let fours = Gru::new(gpu, GruConfig::new(2, 8), 1).expect("a layer");
    let places = ExternalTensors { h0: part(3, &[1, 3, 8]), ..none() };
    let misaligned = Error::Misaligned { tensor: "h0".into(), offset: 12, alignment: 16 };
    assert_error(fours.unroll_with(inference, &places), &misaligned);
}

fn bad_parameters(gpu: &Gpu) {
    let config = GruConfig::new(2, 5);
    let layer = Gru::new(gpu, config.clone(), 1).expect("a layer");
    let cell = || layer.parameters().cells[0].clone();
    let zeros = |shape: &[usize]| Tensor::zeros(gpu, shape).expect("a tensor");
    let refused = |config: &GruConfig, cells: Vec<CellParameters>, expected: &Error| {
        assert_error(Gru::with_parameters(gpu, config.clone(), Parameters { cells }), expected);
    };
    refused(&config, vec![], &shape("cells of the parameters", &[1], &[0]));
    refused(&config, vec![cell(), cell()], &shape("cells of the parameters", &[1], &[2]));
    let wrong = CellParameters { weight_hh: zeros(&[5, 15]), ..cell() };
    refused(&config, vec![wrong], &shape("weight_hh_l0", &[15, 5], &[5, 15]));
    refused(&config, vec![CellParameters { bias_ih: None, ..cell() }], &shape("bias_ih_l0", &[15], &[0]));
    refused(&config.clone().bias(false), vec![cell()], &shape("bias_ih_l0", &[0], &[15]));
    let other = own(gpu);
    let foreign = CellParameters { weight_ih: Tensor::zeros(&other, &[15, 2]).expect("a tensor"), ..cell() };
    refused(&config, vec![foreign], &Error::ForeignDevice { tensor: "weight_ih_l0".into() });
    let config = GruConfig::new(2, 4);
    let cell = Gru::new(gpu, config.clone(), 1).expect("a layer").parameters().cells[0].clone();
    let odd = zeros(&[100]).outer(1..49).expect("a part").reshape(&[12, 4]).expect("a shape");
    let misaligned = Error::Misaligned { tensor: "weight_hh_l0".into(), offset: 4, alignment: 16 };
    refused(&config, vec![CellParameters { weight_hh: odd, ..cell }], &misaligned);
}
