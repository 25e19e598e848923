//! Streams: each step from the states before it, which are moved in every way there is.

use wgpu_gru::verify::{Batch, expectation_of};
use wgpu_gru::wgpu::{CommandEncoder, DeviceType};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{
    Config, Error, GruConfig, Recurrent, Reset, Result, RnnConfig, Stream, StreamOptions, Tensor, Unroll,
    Weights,
};

use crate::run::{Outcome, Run, bits, checks, ensure};

checks!["stream": steps, rows, sources_of_rows, mistakes];

const ROWS: usize = 4;

/// Numbers moved by fours, and one by one.
fn configs() -> [Config; 4] {
    [
        GruConfig::new(4, 8).num_layers(2).erased(),
        GruConfig::new(3, 5).num_layers(2).erased(),
        GruConfig::new(3, 12).reset(Reset::Before).erased(),
        RnnConfig::new(2, 7).num_layers(3).erased(),
    ]
}

/// A stream, and what a step of it is held to.
struct Held<'a> {
    run: &'a Run,
    layer: Recurrent,
    weights: Weights,
    stream: Stream,
    numbers: SplitMix64,
}

impl<'a> Held<'a> {
    async fn new(run: &'a Run, config: &Config, options: StreamOptions) -> Outcome<Self> {
        let layer = Recurrent::new(run.gpu(), config.clone(), 3)?;
        let weights = layer.read_weights().await?;
        Ok(Self { run, stream: layer.stream(options)?, layer, weights, numbers: SplitMix64::new(7) })
    }

    /// Each row of the states in all layers is that of the row of the same place before, or zero.
    async fn moved(&self, states: &[f32], from: [Option<usize>; ROWS]) -> Outcome<Vec<f32>> {
        let width = self.layer.config().hidden_size;
        let layers = states.chunks_exact(ROWS * width);
        let rows = layers.flat_map(|states| {
            from.map(|row| row.map_or(vec![0.0; width], |row| states[row * width..][..width].to_vec()))
        });
        Ok(rows.flatten().collect())
    }

    /// A step of random input: the oracle's from these states.
    async fn step(
        &mut self,
        before: Vec<f32>,
        record: impl FnOnce(&Stream, &mut CommandEncoder) -> Result<()>,
    ) -> Outcome {
        let config = self.layer.config().erased();
        let (frames, unroll) = (self.stream.frames(), Unroll::inference(self.stream.frames(), ROWS));
        let x = self.numbers.vec(frames * ROWS * config.input_size, 1.0);
        self.stream.input().write(&x)?;
        self.run.gpu().submit(|encoder| {
            record(&self.stream, encoder)?;
            self.stream.encode_step(encoder)
        })?;
        let batch = Batch { x, h0: before, ..Batch::random(&config, frames, ROWS, 5) };
        let expected = expectation_of(&config, &unroll, &self.weights, &batch);
        for (tensor, expected) in [(self.stream.output(), &expected[0]), (self.stream.state(), &expected[1])] {
            let name = format!("{config:?}: {}", expected.tensor);
            self.run.close(&name, &tensor.read().await?, &expected.values, expected.tolerance)?;
        }
        Ok(())
    }
}

async fn steps(run: &Run) -> Outcome {
    for config in configs() {
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            for frames in [1, 3] {
                let options = StreamOptions::new(ROWS).frames(frames).with(|unroll| unroll.adapter_class(class));
                let mut held = Held::new(run, &config, options).await?;
                for _ in 0..4 {
                    let before = held.stream.state().read().await?;
                    held.step(before, |_, _| Ok(())).await?;
                }
            }
        }
    }
    Ok(())
}

/// By the app's commands: rows that begin anew, are copied, saved and restored.
async fn rows(run: &Run) -> Outcome {
    for config in configs() {
        let mut held = Held::new(run, &config, StreamOptions::new(ROWS)).await?;
        held.step(vec![0.0; held.stream.state().len()], |_, _| Ok(())).await?;
        let saved = held.stream.snapshot()?;
        let first = held.stream.state().read().await?;
        run.gpu().submit(|encoder| held.stream.encode_save(encoder, &saved))?;

        let before = held.moved(&first, [Some(0), None, None, Some(3)]).await?;
        held.step(before, |stream, encoder| stream.encode_reset_rows(encoder, &[1, 2])).await?;
        let before = held.moved(&held.stream.state().read().await?, [Some(3), Some(1), Some(0), Some(1)]).await?;
        held.step(before, |stream, encoder| stream.encode_copy_rows(encoder, &[(3, 0), (0, 2), (1, 3)])).await?;
        held.step(first.clone(), |stream, encoder| stream.encode_restore(encoder, &saved)).await?;
        ensure(bits(&saved.read().await?) == bits(&first), || "the snapshot has changed".into())?;
        held.step(vec![0.0; first.len()], Stream::encode_reset).await?;
    }
    Ok(())
}

/// By numbers in a buffer, as a shader leaves them.
async fn sources_of_rows(run: &Run) -> Outcome {
    const FRESH: u32 = u32::MAX;
    for config in configs() {
        let mut held = Held::new(run, &config, StreamOptions::new(ROWS).gather(true)).await?;
        held.step(vec![0.0; held.stream.state().len()], |_, _| Ok(())).await?;
        for sources in [[1, 0, FRESH, 2], [3, 3, 3, 4], [0, 1, 2, 3]] {
            let from = sources.map(|row| (row < ROWS as u32).then_some(row as usize));
            let before = held.moved(&held.stream.state().read().await?, from).await?;
            let words: Vec<f32> = sources.iter().map(|&row| f32::from_bits(row)).collect();
            held.stream.gather_indices()?.write(&words)?;
            held.step(before, |_, _| Ok(())).await?;
            let after = bits(&held.stream.gather_indices()?.read().await?);
            ensure(after == [0, 1, 2, 3], || format!("sources are {after:?} after a step"))?;
        }
    }
    Ok(())
}

async fn mistakes(run: &Run) -> Outcome {
    let layer = Recurrent::new(run.gpu(), GruConfig::new(3, 5), 3)?;
    let stream = layer.stream(StreamOptions::new(ROWS))?;
    let row = run.gpu().submit(|encoder| stream.encode_reset_rows(encoder, &[ROWS]));
    ensure(matches!(row, Err(Error::NoSuchRow { .. })), || format!("a row too many: {row:?}"))?;
    let small = Tensor::zeros(run.gpu(), &[1])?;
    let saved = run.gpu().submit(|encoder| stream.encode_save(encoder, &small));
    ensure(matches!(saved, Err(Error::ShapeMismatch { .. })), || format!("a snapshot too small: {saved:?}"))
}
