//! The months as they come: each is one step of a stream, and no window is computed again.

use wgpu_gru::train::LinearInference;
use wgpu_gru::{Gpu, Result, Stream, StreamOptions};

use crate::features::{Features, WINDOW};
use crate::model::Trainer;

/// A stream of one row over the trainer's weights, and its head.
#[derive(Debug)]
pub(crate) struct Follower {
    gpu: Gpu,
    stream: Stream,
    head: LinearInference,
    now: usize,
}

impl Follower {
    pub(crate) fn new(gpu: &Gpu, trainer: &Trainer) -> Result<Self> {
        let stream = trainer.gru.stream(StreamOptions::new(1))?;
        let head = trainer.linear.unroll_inference(stream.state())?;
        Ok(Self { gpu: gpu.clone(), stream, head, now: 0 })
    }

    pub(crate) fn now(&self) -> usize {
        self.now
    }

    /// Forgets everything, and hears the months before `now` as far back as the windows reach of which the model has
    /// learned.
    pub(crate) fn begin(&mut self, features: &Features, now: usize) -> Result<()> {
        self.gpu.submit(|encoder| self.stream.encode_reset(encoder))?;
        for month in now + 1 - WINDOW..now {
            self.hear(features, month)?;
        }
        self.now = now;
        Ok(())
    }

    /// Hears the next month; gives the counts that are expected after it. The square of an expected root is the median
    /// of the count, not its mean.
    pub(crate) async fn next(&mut self, features: &Features) -> Result<Vec<f32>> {
        self.hear(features, self.now)?;
        let level = features.level(self.now, 1.0);
        self.now += 1;
        let differences = self.head.output().read().await?;
        let counts =
            differences.iter().map(|difference| features.scale.count(f64::from(level + difference), 0.0) as f32);
        Ok(counts.collect())
    }

    fn hear(&self, features: &Features, month: usize) -> Result<()> {
        self.stream.input().write(&features.input(month, 1.0))?;
        self.gpu.submit(|encoder| {
            self.stream.encode_step(encoder)?;
            self.head.encode_forward(encoder);
            Ok(())
        })
    }
}
