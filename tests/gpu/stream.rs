//! Streams beside the checks of `tests/checks/stream.rs`: what needs counters, or waits for the GPU; and what is
//! refused.

use wgpu_gru::{
    Config, Direction, Error, ExternalTensors, Gpu, GruConfig, Recurrent, StreamOptions, Tensor, Unroll, wgpu,
};

use crate::support::{
    app_buffer, assert_error, assert_none_out_of_range, bits, counting, counts, encoder, from_bits, objects, own, read,
    shape, zeros,
};

trials![sources_out_of_range, recording_makes_nothing, ten_thousand_steps, bad_input];

/// No number that a shader may leave there makes a kernel leave its range.
fn sources_out_of_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    let layer = Recurrent::new(&gpu, GruConfig::new(3, 5).num_layers(2), 3).expect("a layer");
    let stream = layer.stream(StreamOptions::new(4).gather(true).lengths(true)).expect("a stream");
    stream.gather_indices().expect("sources").write(&from_bits(&[u32::MAX, 4, 1 << 31, 3])).expect("as many as rows");
    stream.lengths().expect("lengths").write(&from_bits(&[u32::MAX, 2, 0, 1])).expect("as many as rows");
    stream.input().write(&[0.5; 12]).expect("a frame");
    gpu.submit(|encoder| stream.encode_step(encoder)).expect("a submission");
    assert!(read(stream.state()).iter().all(|state| state.abs() < 1.0), "states of a GRU");
    assert_none_out_of_range(&gpu);
}

fn recording_makes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let layer = Recurrent::new(&gpu, GruConfig::new(4, 8).num_layers(2), 3).expect("a layer");
    let stream = layer.stream(StreamOptions::new(9).gather(true).lengths(true)).expect("a stream");
    let snapshot = stream.snapshot().expect("room");
    let mut commands = encoder(&gpu);
    let before = counts(&gpu);
    for _ in 0..3 {
        stream.encode_step(&mut commands).expect("a step");
        let mut pass = commands.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        stream.record_step(&mut pass).expect("a step");
        drop(pass);
        stream.encode_reset_rows(&mut commands, &[8, 0, 1]).expect("rows");
        stream.encode_copy_rows(&mut commands, &[(0, 1), (1, 0)]).expect("rows");
        stream.encode_save(&mut commands, &snapshot).expect("a snapshot");
        stream.encode_restore(&mut commands, &snapshot).expect("a snapshot");
        stream.encode_restore_rows(&mut commands, &snapshot, &[(0, 1), (1, 0)]).expect("rows");
        stream.encode_reset(&mut commands).expect("all rows");
        assert_eq!(counts(&gpu), before, "recording makes nothing");
    }
    gpu.queue().submit([commands.finish()]);
    gpu.wait_blocking().expect("the GPU is done");
    assert_eq!(gpu.activity(), before.0, "the app's submission is not the crate's");
}

/// Frame after frame in a submission of its own, memory stays as it is.
fn ten_thousand_steps(gpu: &Gpu) {
    let gpu = own(gpu);
    let layer = Recurrent::new(&gpu, GruConfig::new(2, 4), 3).expect("a layer");
    let stream = layer.stream(StreamOptions::new(3)).expect("a stream");
    let steps = |count: usize| {
        for _ in 0..count {
            gpu.submit(|encoder| (0..10).try_for_each(|_| stream.encode_step(encoder))).expect("a submission");
            gpu.wait_blocking().expect("the GPU is done");
        }
    };
    stream.input().write(&[0.5; 6]).expect("a frame");
    steps(10);
    // The first readback makes a staging buffer.
    let fixed_point = bits(stream.state());
    let before = objects(&gpu);
    steps(990);
    assert_eq!(objects(&gpu), before, "wgpu has made nothing");
    assert_eq!(bits(stream.state()), fixed_point, "a state that has settled stays");
}

fn bad_input(gpu: &Gpu) {
    let of = |config: Config| Recurrent::new(gpu, config, 3).expect("a layer");
    let gru = of(GruConfig::new(2, 5).num_layers(2).erased());
    let stream = gru.stream(StreamOptions::new(3)).expect("a stream");
    let other = own(gpu);
    let foreign = zeros(&other, &[2, 3, 5]);
    let zeros = |shape: &[usize]| zeros(gpu, shape);
    let mut encoder = encoder(gpu);

    for direction in [Direction::Reverse, Direction::Bidirectional] {
        let because = "a direction that runs in reverse begins at the last frame";
        let refused = of(GruConfig::new(2, 5).direction(direction).erased()).stream(StreamOptions::new(3));
        assert_error(refused, &Error::OptionUnavailable { option: "a stream", because });
    }
    assert_error(gru.stream(StreamOptions::new(0)), &Error::ZeroSize { what: "batch" });
    assert_error(gru.stream(StreamOptions::new(1).frames(0)), &Error::ZeroSize { what: "seq_len" });
    let because = "a stream has no backward pass";
    let training = StreamOptions::new(1).with(|_| Unroll::training(1, 1));
    assert_error(gru.stream(training), &Error::OptionUnavailable { option: "training", because });
    let because = "h_n of a stream is the state, which is to be given as h0";
    let places = ExternalTensors { h_n: Some(zeros(&[2, 3, 5])), ..ExternalTensors::default() };
    let refused = gru.stream_with(StreamOptions::new(3), &places);
    assert_error(refused, &Error::OptionUnavailable { option: "a place for h_n", because });
    let because = "the stream was made without: see StreamOptions::gather";
    assert_error(stream.gather_indices(), &Error::OptionUnavailable { option: "gather_indices", because });
    assert_error(stream.lengths(), &Error::NoLengths);
    assert_error(stream.set_lengths(&[1; 3]), &Error::NoLengths);

    let no_row = |row, rows| Error::NoSuchRow { row, rows };
    assert_error(stream.encode_reset_rows(&mut encoder, &[0, 3]), &no_row(3, 3));
    assert_error(stream.encode_copy_rows(&mut encoder, &[(3, 0)]), &no_row(3, 3));
    assert_error(stream.encode_copy_rows(&mut encoder, &[(0, 7)]), &no_row(7, 3));
    let twice = Error::RowUnavailable { row: 2, because: "it is to become a copy of two rows" };
    assert_error(stream.encode_copy_rows(&mut encoder, &[(0, 2), (1, 2)]), &twice);
    let save = stream.encode_save(&mut encoder, &zeros(&[2, 4, 5]));
    assert_error(save, &shape("source of the copy", &[2, 4, 5], &[2, 3, 5]));
    assert_error(
        stream.encode_restore(&mut encoder, &foreign),
        &Error::ForeignDevice { tensor: "source of the copy".into() },
    );
    let snapshot = zeros(&[2, 9, 5]);
    assert_error(stream.encode_restore_rows(&mut encoder, &snapshot, &[(9, 0)]), &no_row(9, 9));
    assert_error(stream.encode_restore_rows(&mut encoder, &snapshot, &[(8, 3)]), &no_row(3, 3));
    let of_another = stream.encode_restore_rows(&mut encoder, &zeros(&[1, 9, 5]), &[(0, 0)]);
    assert_error(of_another, &shape("snapshot", &[2, 9, 5], &[1, 9, 5]));
    let of_another = stream.encode_restore_rows(&mut encoder, &zeros(&[7]), &[(0, 0)]);
    assert_error(of_another, &shape("snapshot", &[2, 0, 5], &[7]));
    let of_another = stream.encode_restore_rows(&mut encoder, &foreign, &[(0, 0)]);
    assert_error(of_another, &Error::ForeignDevice { tensor: "snapshot".into() });
    let itself = stream.encode_restore_rows(&mut encoder, stream.state(), &[(0, 0)]);
    assert_error(itself, &Error::Aliased { first: "snapshot", second: "state" });

    // A state in a buffer that nothing can be copied to.
    let bare = app_buffer(gpu, 2 * 3 * 5, wgpu::BufferUsages::STORAGE);
    let state = Tensor::from_buffer(gpu, bare.slice(..), &[2, 3, 5]).expect("a tensor");
    let places = ExternalTensors { h0: Some(state), ..ExternalTensors::default() };
    let stream = gru.stream_with(StreamOptions::new(3), &places).expect("a stream");
    stream.encode_step(&mut encoder).expect("shaders can write it");
    let lacks = |tensor, required| Error::BufferUsage { tensor, required, actual: wgpu::BufferUsages::STORAGE };
    let (from, to) = (wgpu::BufferUsages::COPY_SRC, wgpu::BufferUsages::COPY_DST);
    assert_error(stream.encode_reset(&mut encoder), &lacks("tensor to clear", to));
    assert_error(stream.encode_reset_rows(&mut encoder, &[0]), &lacks("state", to));
    assert_error(stream.encode_copy_rows(&mut encoder, &[(0, 1)]), &lacks("state", from | to));
    gpu.queue().submit([encoder.finish()]);
    gpu.wait_blocking().expect("all that was recorded is valid");
}
