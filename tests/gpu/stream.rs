//! Streams: step after step what a forward pass over all frames gives, whatever happens to the rows in between.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Config, Direction, Error, ExternalTensors, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Stream, StreamOptions,
    Tensor, Tolerance, Unroll, wgpu,
};

use crate::support::{
    app_buffer, assert_close, assert_error, assert_none_out_of_range, bits, counting, counts, encoder, objects, own,
    read, shape, tensor,
};

trials![
    equals_a_forward_pass,
    chunks_on_one_state,
    rows_come_and_go,
    rows_as_shaders_say,
    sources_out_of_range,
    rows_that_rest,
    snapshots,
    rows_between_streams,
    many_rows,
    recording_makes_nothing,
    ten_thousand_steps,
    bad_input,
];

/// L, I, H.
fn configs() -> [Config; 6] {
    [
        GruConfig::new(3, 5).erased(),
        GruConfig::new(4, 8).num_layers(2).erased(),
        GruConfig::new(3, 12).reset(Reset::Before).num_layers(2).erased(),
        GruConfig::new(3, 7).batch_first(true).erased(),
        RnnConfig::new(2, 6).num_layers(3).erased(),
        GruConfig::new(5, 33).bias(false).erased(),
    ]
}

fn layer(gpu: &Gpu, config: &Config) -> Recurrent {
    Recurrent::new(gpu, config.clone(), 3).expect("a layer")
}

fn submit(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder) -> wgpu_gru::Result<()>) {
    gpu.submit(record).expect("a submission");
}

/// One step with these frames.
fn step(gpu: &Gpu, stream: &Stream, frames: &[f32]) {
    stream.input().write(frames).expect("frames of the right size");
    submit(gpu, |encoder| stream.encode_step(encoder));
}

/// Both sides compute the same sums, maybe in another order.
#[track_caller]
fn assert_near(what: &str, config: &Config, actual: &[f32], expected: &[f32]) {
    let sum = Tolerance::matmul(config.input_size + config.hidden_size);
    assert_close(what, actual, expected, sum.plus(sum));
}

/// What a layer on the CPU side of a test does: all frames of one row `[T, I]` from a state `[L, H]`, by the GPU's own forward
/// pass over the whole time axis. Gives the last states.
fn whole(gpu: &Gpu, layer: &Recurrent, frames: &[f32], state: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let config = layer.config();
    let seq_len = frames.len() / config.input_size;
    let x_shape = if config.batch_first { [1, seq_len, config.input_size] } else { [seq_len, 1, config.input_size] };
    let x = tensor(gpu, &x_shape, frames);
    let h0 = tensor(gpu, &[config.num_cells(), 1, config.hidden_size], state);
    let out = layer.forward(&x, Some(&h0)).expect("a forward pass");
    (read(&out.output), read(&out.h_n))
}

/// The state of one row, `[L, H]`, out of `[L, B, H]`.
fn row_of(state: &Tensor, row: usize) -> Vec<f32> {
    let [_, rows, hidden] = <[usize; 3]>::try_from(state.shape()).expect("three axes");
    let values = read(state);
    values.chunks(rows * hidden).flat_map(|layer| layer[row * hidden..][..hidden].to_vec()).collect()
}

fn equals_a_forward_pass(gpu: &Gpu) {
    for config in configs() {
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            let layer = layer(gpu, &config);
            let (frames, rows, inputs) = (7, 9, config.input_size);
            let x = SplitMix64::new(5).vec(frames * rows * inputs, 1.0);
            let options = |frames| StreamOptions::new(rows).frames(frames).with(|unroll| unroll.adapter_class(class));
            let stream = layer.stream(options(1)).expect("a stream");
            let mut outputs = Vec::new();
            for frame in x.chunks(rows * inputs) {
                step(gpu, &stream, frame);
                outputs.extend(read(stream.output()));
            }
            // Time-major frames, whatever the layer wants.
            let mut net =
                Recurrent::with_parameters(gpu, config.clone().batch_first(false), layer.parameters().clone())
                    .expect("the same weights")
                    .unroll(Unroll::inference(frames, rows).adapter_class(class))
                    .expect("an unroll");
            let out = net.forward(&tensor(gpu, net.input().shape(), &x), None).expect("a forward pass");
            assert_near("outputs", &config, &outputs, &read(&out.output));
            assert_near("last states", &config, &read(stream.state()), &read(&out.h_n));
        }
    }
}

/// Two streams on one state: one frame at a time, and four.
fn chunks_on_one_state(gpu: &Gpu) {
    let config = GruConfig::new(3, 8).num_layers(2).erased();
    let layer = layer(gpu, &config);
    let rows = 5;
    let single = layer.stream(StreamOptions::new(rows)).expect("a stream");
    let places = ExternalTensors { h0: Some(single.state().clone()), ..ExternalTensors::default() };
    let four = layer.stream_with(StreamOptions::new(rows).frames(4), &places).expect("a stream");
    let x = SplitMix64::new(6).vec(10 * rows * 3, 1.0);
    let mut begin = 0;
    for frames in [1, 4, 1, 4] {
        let chunk = &x[begin * rows * 3..][..frames * rows * 3];
        step(gpu, if frames == 1 { &single } else { &four }, chunk);
        begin += frames;
    }
    let out = layer.forward(&tensor(gpu, &[10, rows, 3], &x), None).expect("a forward pass");
    assert_near("last states", &config, &read(single.state()), &read(&out.h_n));
    assert_eq!(bits(single.state()), bits(four.state()), "one state");
}

/// What a row has seen since it began, and from which state. The model that streams are held to.
#[derive(Clone, Default)]
struct Life {
    frames: Vec<f32>,
    first: Vec<f32>,
}

/// Rows that join, leave, are reset, copied and swapped at random, recorded by the CPU, in the same submission as the step.
fn rows_come_and_go(gpu: &Gpu) {
    for config in [GruConfig::new(3, 5).erased(), GruConfig::new(2, 8).num_layers(2).erased()] {
        let layer = layer(gpu, &config);
        let (rows, inputs) = (6, config.input_size);
        let zero = vec![0.0; config.num_cells() * config.hidden_size];
        let stream = layer.stream(StreamOptions::new(rows)).expect("a stream");
        let mut lives = vec![Life { frames: Vec::new(), first: zero.clone() }; rows];
        let mut random = SplitMix64::new(11);
        let mut draw = |below: usize| ((random.vec(1, 0.5)[0] + 0.5) * below as f32) as usize % below;
        let mut numbers = SplitMix64::new(12);
        for _ in 0..24 {
            let frame = numbers.vec(rows * inputs, 1.0);
            stream.input().write(&frame).expect("a frame");
            let (what, a, b) = (draw(5), draw(rows), draw(rows));
            gpu.submit(|encoder| {
                match what {
                    0 => {
                        // A run of neighbours.
                        let run: Vec<usize> = (a..(a + 3).min(rows)).collect();
                        stream.encode_reset_rows(encoder, &run)?;
                        run.iter().for_each(|&row| lives[row] = Life { frames: Vec::new(), first: zero.clone() });
                    }
                    1 => {
                        stream.encode_copy_rows(encoder, &[(a, b)])?;
                        lives[b] = lives[a].clone();
                    }
                    2 => {
                        let pairs = if a == b { vec![(a, a)] } else { vec![(a, b), (b, a)] };
                        stream.encode_copy_rows(encoder, &pairs)?;
                        lives.swap(a, b);
                    }
                    _ => {
                        stream.encode_reset_rows(encoder, &[b])?;
                        lives[b] = Life { frames: Vec::new(), first: zero.clone() };
                    }
                }
                stream.encode_step(encoder)
            })
            .expect("a submission");
            for (life, frame) in lives.iter_mut().zip(frame.chunks(inputs)) {
                life.frames.extend(frame);
            }
            // After each step: what a row was before fades.
            for (row, life) in lives.iter().enumerate() {
                let (_, expected) = whole(gpu, &layer, &life.frames, &life.first);
                assert_near(&format!("row {row}"), &config, &row_of(stream.state(), row), &expected);
            }
        }
    }
}

fn words(values: &[u32]) -> Vec<f32> {
    values.iter().map(|&word| f32::from_bits(word)).collect()
}

/// Rows that begin anew, swap and multiply as the numbers in a buffer say; a step uses them up.
fn rows_as_shaders_say(gpu: &Gpu) {
    for config in [GruConfig::new(3, 5).erased(), GruConfig::new(2, 8).num_layers(2).erased()] {
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            let layer = layer(gpu, &config);
            let (rows, inputs) = (5, config.input_size);
            let zero = vec![0.0; config.num_cells() * config.hidden_size];
            let options = StreamOptions::new(rows).gather(true).with(|unroll| unroll.adapter_class(class));
            let stream = layer.stream(options).expect("a stream");
            let mut lives = vec![Life { frames: Vec::new(), first: zero.clone() }; rows];
            let mut numbers = SplitMix64::new(13);
            let fresh = u32::MAX;
            for sources in
                [None, Some([1, 0, 2, fresh, 3]), None, Some([4, 4, 4, 1, 0]), Some([5, 1, 2, 3, 1000]), None]
            {
                if let Some(sources) = sources {
                    stream.gather_indices().expect("sources").write(&words(&sources)).expect("as many as rows");
                    lives = sources
                        .iter()
                        .map(|&row| {
                            lives.get(row as usize).cloned().unwrap_or(Life { frames: Vec::new(), first: zero.clone() })
                        })
                        .collect();
                }
                let frame = numbers.vec(rows * inputs, 1.0);
                step(gpu, &stream, &frame);
                for (life, frame) in lives.iter_mut().zip(frame.chunks(inputs)) {
                    life.frames.extend(frame);
                }
                let after = bits(stream.gather_indices().expect("sources"));
                assert_eq!(after, (0..rows as u32).collect::<Vec<_>>(), "each goes on from itself");
                for (row, life) in lives.iter().enumerate() {
                    let (_, expected) = whole(gpu, &layer, &life.frames, &life.first);
                    assert_near(&format!("row {row}"), &config, &row_of(stream.state(), row), &expected);
                }
            }
        }
    }
}

/// No number that a shader may leave there makes a kernel leave its range.
fn sources_out_of_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    let layer = layer(&gpu, &GruConfig::new(3, 5).num_layers(2).erased());
    let stream = layer.stream(StreamOptions::new(4).gather(true).lengths(true)).expect("a stream");
    stream.gather_indices().expect("sources").write(&words(&[u32::MAX, 4, 1 << 31, 3])).expect("as many as rows");
    stream.lengths().expect("lengths").write(&words(&[u32::MAX, 2, 0, 1])).expect("as many as rows");
    step(&gpu, &stream, &[0.5; 12]);
    assert!(read(stream.state()).iter().all(|state| state.abs() < 1.0), "states of a GRU");
    assert_none_out_of_range(&gpu);
}

/// A row of length 0 keeps its state, whatever its input holds.
fn rows_that_rest(gpu: &Gpu) {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased());
    let stream = layer.stream(StreamOptions::new(3).lengths(true)).expect("a stream");
    step(gpu, &stream, &[0.5; 6]);
    let before = row_of(stream.state(), 1);
    stream.set_lengths(&[1, 0, 1]).expect("good lengths");
    step(gpu, &stream, &[0.1, 0.2, f32::NAN, f32::NAN, 0.3, 0.4]);
    assert_eq!(row_of(stream.state(), 1), before, "it rests");
    assert!(read(stream.output())[5..10].iter().all(|&output| output == 0.0), "and has no output");
    assert_ne!(row_of(stream.state(), 0), before, "the others go on");
}

fn snapshots(gpu: &Gpu) {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased());
    let stream = layer.stream(StreamOptions::new(3)).expect("a stream");
    let snapshot = stream.snapshot().expect("room");
    step(gpu, &stream, &[0.5, 0.1, 0.2, 0.3, 0.7, 0.9]);
    submit(gpu, |encoder| stream.encode_save(encoder, &snapshot));
    let saved = bits(stream.state());
    step(gpu, &stream, &[-0.5; 6]);
    let later = bits(stream.state());
    assert_ne!(later, saved, "it went on");
    submit(gpu, |encoder| stream.encode_restore_rows(encoder, &snapshot, &[(2, 0), (1, 1)]));
    assert_eq!(row_of(stream.state(), 0), row_of(&snapshot, 2), "another row of the snapshot");
    assert_eq!(row_of(stream.state(), 1), row_of(&snapshot, 1), "the same row");
    submit(gpu, |encoder| stream.encode_restore(encoder, &snapshot));
    assert_eq!(bits(stream.state()), saved, "as it was");
    step(gpu, &stream, &[-0.5; 6]);
    assert_eq!(bits(stream.state()), later, "and goes on as it did");
    submit(gpu, |encoder| stream.encode_reset(encoder));
    assert!(read(stream.state()).iter().all(|&state| state == 0.0), "all begin anew");
}

/// A row moves to a stream of more rows.
fn rows_between_streams(gpu: &Gpu) {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased());
    let [few, many] = [3, 40].map(|rows| layer.stream(StreamOptions::new(rows)).expect("a stream"));
    step(gpu, &few, &[0.5, 0.1, 0.2, 0.3, 0.7, 0.9]);
    submit(gpu, |encoder| many.encode_restore_rows(encoder, few.state(), &[(0, 39), (2, 7)]));
    assert_eq!(row_of(many.state(), 39), row_of(few.state(), 0), "the last row");
    assert_eq!(row_of(many.state(), 7), row_of(few.state(), 2), "one of the others");
    assert!(row_of(many.state(), 8).iter().all(|&state| state == 0.0), "nothing else");
}

/// Every row does what it would do alone, and resets of thousands are recorded.
fn many_rows(gpu: &Gpu) {
    let config = GruConfig::new(4, 16).erased();
    let layer = layer(gpu, &config);
    let rows = 5000;
    let stream = layer.stream(StreamOptions::new(rows).gather(true)).expect("a stream");
    let x = SplitMix64::new(8).vec(2 * rows * 4, 1.0);
    step(gpu, &stream, &x[..rows * 4]);
    let even: Vec<usize> = (0..rows).step_by(2).collect();
    submit(gpu, |encoder| stream.encode_reset_rows(encoder, &even));
    step(gpu, &stream, &x[rows * 4..]);
    for row in [0, 1, 2, 2049, 4096, 4999] {
        let of_frame = |frame: usize| x[(frame * rows + row) * 4..][..4].to_vec();
        let frames = if row % 2 == 0 { of_frame(1) } else { [of_frame(0), of_frame(1)].concat() };
        let (_, expected) = whole(gpu, &layer, &frames, &[0.0; 16]);
        assert_near(&format!("row {row}"), &config, &row_of(stream.state(), row), &expected);
    }
}

fn recording_makes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let layer = layer(&gpu, &GruConfig::new(4, 8).num_layers(2).erased());
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
    let layer = layer(&gpu, &GruConfig::new(2, 4).erased());
    let stream = layer.stream(StreamOptions::new(3)).expect("a stream");
    let steps = |count: usize| {
        for _ in 0..count {
            submit(&gpu, |encoder| (0..10).try_for_each(|_| stream.encode_step(encoder)));
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
    let of = |config: Config| layer(gpu, &config);
    let gru = of(GruConfig::new(2, 5).num_layers(2).erased());
    let stream = gru.stream(StreamOptions::new(3)).expect("a stream");
    let other = own(gpu);
    let foreign = Tensor::zeros(&other, &[2, 3, 5]).expect("a tensor");
    let zeros = |shape: &[usize]| Tensor::zeros(gpu, shape).expect("a tensor");
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
