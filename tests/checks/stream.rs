//! Streams: step after step what a forward pass over all frames gives, whatever happens to the rows in between.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, expectation_of};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Config, ExternalTensors, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Schedule, Stream, StreamOptions, Tensor,
    Tolerance, Unroll,
};

use super::{Outcome, bits, ensure, equal, tensor};
use crate::support::{close, from_bits};

checks![
    each_step_against_the_oracle,
    equals_a_forward_pass,
    chunks_on_one_state,
    rows_come_and_go,
    rows_as_shaders_say,
    rows_that_rest,
    snapshots,
    rows_between_streams,
    many_rows,
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

fn layer(gpu: &Gpu, config: &Config) -> wgpu_gru::Result<Recurrent> {
    Recurrent::new(gpu, config.clone(), 3)
}

/// One step with these frames.
fn step(gpu: &Gpu, stream: &Stream, frames: &[f32]) -> wgpu_gru::Result<()> {
    stream.input().write(frames)?;
    gpu.submit(|encoder| stream.encode_step(encoder))
}

/// Both sides compute the same sums, maybe in another order.
fn near(what: &str, config: &Config, actual: &[f32], expected: &[f32]) -> Outcome {
    let sum = Tolerance::matmul(config.input_size + config.hidden_size);
    Ok(close(what, actual, expected, sum.plus(sum))?)
}

/// The last states of a row that has seen these frames, `[T, I]`, by a forward pass over all of them.
async fn whole(gpu: &Gpu, layer: &Recurrent, frames: &[f32]) -> Outcome<Vec<f32>> {
    let config = layer.config();
    let seq_len = frames.len() / config.input_size;
    let batch_first = config.batch_first;
    let shape = [if batch_first { 1 } else { seq_len }, if batch_first { seq_len } else { 1 }, config.input_size];
    Ok(layer.forward(&tensor(gpu, &shape, frames)?, None)?.h_n.read().await?)
}

/// The state of one row, `[L, H]`, out of `[L, B, H]`.
async fn row_of(state: &Tensor, row: usize) -> Outcome<Vec<f32>> {
    let [_, rows, hidden] = <[usize; 3]>::try_from(state.shape())?;
    let values = state.read().await?;
    Ok(values.chunks(rows * hidden).flat_map(|layer| layer[row * hidden..][..hidden].to_vec()).collect())
}

/// Every row of a stream is as if it alone had seen the frames of its life.
async fn as_alone(gpu: &Gpu, layer: &Recurrent, stream: &Stream, lives: &[Vec<f32>]) -> Outcome {
    for (row, frames) in lives.iter().enumerate() {
        let expected = whole(gpu, layer, frames).await?;
        near(&format!("row {row}"), layer.config(), &row_of(stream.state(), row).await?, &expected)?;
    }
    Ok(())
}

/// Of one frame, and of several.
async fn each_step_against_the_oracle(gpu: &Gpu) -> Outcome {
    const ROWS: usize = 4;
    for config in configs() {
        for (class, frames) in [DeviceType::Cpu, DeviceType::DiscreteGpu].into_iter().flat_map(|c| [(c, 1), (c, 3)]) {
            let layer = layer(gpu, &config)?;
            let weights = layer.read_weights().await?;
            let options = StreamOptions::new(ROWS).frames(frames).with(|unroll| unroll.adapter_class(class));
            let stream = layer.stream(options)?;
            for seed in 0..4 {
                let h0 = stream.state().read().await?;
                let batch = Batch { h0, ..Batch::random(&config, frames, ROWS, seed) };
                step(gpu, &stream, &batch.x)?;
                let expected = expectation_of(&config, &Unroll::inference(frames, ROWS), &weights, &batch);
                for (tensor, expected) in [(stream.output(), &expected[0]), (stream.state(), &expected[1])] {
                    let name = format!("{config:?}: {}", expected.tensor);
                    close(&name, &tensor.read().await?, &expected.values, expected.tolerance)?;
                }
            }
        }
    }
    Ok(())
}

async fn equals_a_forward_pass(gpu: &Gpu) -> Outcome {
    for config in configs() {
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            let layer = layer(gpu, &config)?;
            let (frames, rows, inputs) = (7, 9, config.input_size);
            let x = SplitMix64::new(5).vec(frames * rows * inputs, 1.0);
            let options = |frames| StreamOptions::new(rows).frames(frames).with(|unroll| unroll.adapter_class(class));
            let stream = layer.stream(options(1))?;
            let mut outputs = Vec::new();
            for frame in x.chunks(rows * inputs) {
                step(gpu, &stream, frame)?;
                outputs.extend(stream.output().read().await?);
            }
            // Time-major frames, whatever the layer wants.
            let mut net =
                Recurrent::with_parameters(gpu, config.clone().batch_first(false), layer.parameters().clone())?
                    .unroll(Unroll::inference(frames, rows).adapter_class(class))?;
            let out = net.forward(&tensor(gpu, net.input().shape(), &x)?, None)?;
            near("outputs", &config, &outputs, &out.output.read().await?)?;
            near("last states", &config, &stream.state().read().await?, &out.h_n.read().await?)?;
        }
    }
    Ok(())
}

/// Two streams on one state: one frame at a time, and four.
async fn chunks_on_one_state(gpu: &Gpu) -> Outcome {
    let config = GruConfig::new(3, 8).num_layers(2).erased();
    let layer = layer(gpu, &config)?;
    let rows = 5;
    let single = layer.stream(StreamOptions::new(rows))?;
    let places = ExternalTensors { h0: Some(single.state().clone()), ..ExternalTensors::default() };
    let four = layer.stream_with(StreamOptions::new(rows).frames(4), &places)?;
    let x = SplitMix64::new(6).vec(10 * rows * 3, 1.0);
    let mut begin = 0;
    for frames in [1, 4, 1, 4] {
        let chunk = &x[begin * rows * 3..][..frames * rows * 3];
        step(gpu, if frames == 1 { &single } else { &four }, chunk)?;
        begin += frames;
    }
    let out = layer.forward(&tensor(gpu, &[10, rows, 3], &x)?, None)?;
    near("last states", &config, &single.state().read().await?, &out.h_n.read().await?)?;
    equal(&bits(single.state()).await?, &bits(four.state()).await?, "one state")?;
    Ok(())
}

/// Rows that join, leave, are reset, copied and swapped at random, recorded by the CPU, in the same submission as the
/// step.
async fn rows_come_and_go(gpu: &Gpu) -> Outcome {
    for config in [GruConfig::new(3, 5).erased(), GruConfig::new(2, 8).num_layers(2).erased()] {
        let layer = layer(gpu, &config)?;
        let (rows, inputs) = (6, config.input_size);
        let stream = layer.stream(StreamOptions::new(rows))?;
        let mut lives: Vec<Vec<f32>> = vec![Vec::new(); rows];
        let mut random = SplitMix64::new(11);
        let mut draw = |below: usize| ((random.vec(1, 0.5)[0] + 0.5) * below as f32) as usize % below;
        let mut numbers = SplitMix64::new(12);
        for _ in 0..24 {
            let frame = numbers.vec(rows * inputs, 1.0);
            stream.input().write(&frame)?;
            let (what, a, b) = (draw(5), draw(rows), draw(rows));
            gpu.submit(|encoder| {
                match what {
                    0 => {
                        // A run of neighbours.
                        let run: Vec<usize> = (a..(a + 3).min(rows)).collect();
                        stream.encode_reset_rows(encoder, &run)?;
                        run.iter().for_each(|&row| lives[row].clear());
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
                        lives[b].clear();
                    }
                }
                stream.encode_step(encoder)
            })?;
            lives.iter_mut().zip(frame.chunks(inputs)).for_each(|(life, frame)| life.extend(frame));
            // After each step: what a row was before fades.
            as_alone(gpu, &layer, &stream, &lives).await?;
        }
    }
    Ok(())
}

/// Rows that begin anew, swap and multiply as the numbers in a buffer say; a step uses them up.
async fn rows_as_shaders_say(gpu: &Gpu) -> Outcome {
    for config in [GruConfig::new(3, 5).erased(), GruConfig::new(2, 8).num_layers(2).erased()] {
        // By a frame where there is one, and by single steps.
        let schedules =
            [(DeviceType::Cpu, None), (DeviceType::DiscreteGpu, None), (DeviceType::Cpu, Some(Schedule::Step))];
        for (class, schedule) in schedules {
            let layer = layer(gpu, &config)?;
            let (rows, inputs) = (5, config.input_size);
            let options = StreamOptions::new(rows).gather(true).with(|unroll| {
                let unroll = unroll.adapter_class(class);
                schedule.map_or(unroll, |schedule| unroll.schedule(schedule))
            });
            let stream = layer.stream(options)?;
            let mut lives: Vec<Vec<f32>> = vec![Vec::new(); rows];
            let mut numbers = SplitMix64::new(13);
            let fresh = u32::MAX;
            for sources in
                [None, Some([1, 0, 2, fresh, 3]), None, Some([4, 4, 4, 1, 0]), Some([5, 1, 2, 3, 1000]), None]
            {
                if let Some(sources) = sources {
                    stream.gather_indices()?.write(&from_bits(&sources))?;
                    lives = sources.iter().map(|&row| lives.get(row as usize).cloned().unwrap_or_default()).collect();
                }
                let frame = numbers.vec(rows * inputs, 1.0);
                step(gpu, &stream, &frame)?;
                lives.iter_mut().zip(frame.chunks(inputs)).for_each(|(life, frame)| life.extend(frame));
                let after = bits(stream.gather_indices()?).await?;
                equal(&after, &(0..rows as u32).collect::<Vec<_>>(), "each goes on from itself")?;
                as_alone(gpu, &layer, &stream, &lives).await?;
            }
        }
    }
    Ok(())
}

/// A row of length 0 keeps its state, whatever its input holds.
async fn rows_that_rest(gpu: &Gpu) -> Outcome {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased())?;
    let stream = layer.stream(StreamOptions::new(3).lengths(true))?;
    step(gpu, &stream, &[0.5; 6])?;
    let before = row_of(stream.state(), 1).await?;
    stream.set_lengths(&[1, 0, 1])?;
    step(gpu, &stream, &[0.1, 0.2, f32::NAN, f32::NAN, 0.3, 0.4])?;
    equal(&row_of(stream.state(), 1).await?, &before, "it rests")?;
    ensure(stream.output().read().await?[5..10].iter().all(|&output| output == 0.0), "and has no output")?;
    ensure(row_of(stream.state(), 0).await? != before, "the others go on")?;
    Ok(())
}

async fn snapshots(gpu: &Gpu) -> Outcome {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased())?;
    let stream = layer.stream(StreamOptions::new(3))?;
    let snapshot = stream.snapshot()?;
    step(gpu, &stream, &[0.5, 0.1, 0.2, 0.3, 0.7, 0.9])?;
    gpu.submit(|encoder| stream.encode_save(encoder, &snapshot))?;
    let saved = bits(stream.state()).await?;
    step(gpu, &stream, &[-0.5; 6])?;
    let later = bits(stream.state()).await?;
    ensure(later != saved, "it went on")?;
    gpu.submit(|encoder| stream.encode_restore_rows(encoder, &snapshot, &[(2, 0), (1, 1)]))?;
    equal(&row_of(stream.state(), 0).await?, &row_of(&snapshot, 2).await?, "another row of the snapshot")?;
    equal(&row_of(stream.state(), 1).await?, &row_of(&snapshot, 1).await?, "the same row")?;
    gpu.submit(|encoder| stream.encode_restore(encoder, &snapshot))?;
    equal(&bits(stream.state()).await?, &saved, "as it was")?;
    step(gpu, &stream, &[-0.5; 6])?;
    equal(&bits(stream.state()).await?, &later, "and goes on as it did")?;
    gpu.submit(|encoder| stream.encode_reset(encoder))?;
    ensure(stream.state().read().await?.iter().all(|&state| state == 0.0), "all begin anew")?;
    Ok(())
}

/// A row moves to a stream of more rows.
async fn rows_between_streams(gpu: &Gpu) -> Outcome {
    let layer = layer(gpu, &GruConfig::new(2, 5).num_layers(2).erased())?;
    let (few, many) = (layer.stream(StreamOptions::new(3))?, layer.stream(StreamOptions::new(40))?);
    step(gpu, &few, &[0.5, 0.1, 0.2, 0.3, 0.7, 0.9])?;
    gpu.submit(|encoder| many.encode_restore_rows(encoder, few.state(), &[(0, 39), (2, 7)]))?;
    equal(&row_of(many.state(), 39).await?, &row_of(few.state(), 0).await?, "the last row")?;
    equal(&row_of(many.state(), 7).await?, &row_of(few.state(), 2).await?, "one of the others")?;
    ensure(row_of(many.state(), 8).await?.iter().all(|&state| state == 0.0), "nothing else")?;
    Ok(())
}

/// Every row does what it would do alone, and resets of thousands are recorded.
async fn many_rows(gpu: &Gpu) -> Outcome {
    let config = GruConfig::new(4, 16).erased();
    let layer = layer(gpu, &config)?;
    let rows = 5000;
    let stream = layer.stream(StreamOptions::new(rows).gather(true))?;
    let x = SplitMix64::new(8).vec(2 * rows * 4, 1.0);
    step(gpu, &stream, &x[..rows * 4])?;
    let even: Vec<usize> = (0..rows).step_by(2).collect();
    gpu.submit(|encoder| stream.encode_reset_rows(encoder, &even))?;
    step(gpu, &stream, &x[rows * 4..])?;
    for row in [0, 1, 2, 2049, 4096, 4999] {
        let of_frame = |frame: usize| x[(frame * rows + row) * 4..][..4].to_vec();
        let frames = if row % 2 == 0 { of_frame(1) } else { [of_frame(0), of_frame(1)].concat() };
        let expected = whole(gpu, &layer, &frames).await?;
        near(&format!("row {row}"), &config, &row_of(stream.state(), row).await?, &expected)?;
    }
    Ok(())
}
