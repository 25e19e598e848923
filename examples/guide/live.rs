//! Agents that learn while they fly: a stream thinks for them, and a lesson now and then trains the very same weights.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wgpu_gru::{Gpu, Result, wgpu};

use crate::app::App;
use crate::mind::{Lessons, Mind};

/// Lessons after which not much is learned any more.
const COURSE: f32 = 500.0;

/// A world, and what trains the mind of those who live there.
pub(crate) struct Live {
    /// Buffers, shaders, and a `Stream` with a row for each agent.
    pub(crate) app: App,
    /// An `Unrolled` on the same weights, a loss and an optimiser.
    lessons: Lessons,
    taken: usize,
    /// A number on its way from the GPU, and the one that came last.
    reading: Option<Reading>,
    loss: Option<f32>,
}

type Reading = Pin<Box<dyn Future<Output = Result<Vec<f32>>>>>;

impl Live {
    /// Agents that know nothing yet.
    pub(crate) fn new(gpu: &Gpu, agents: usize) -> Result<Self> {
        let mind = Mind::new(gpu)?;
        let (app, lessons) = (App::new(gpu, agents, &mind)?, mind.lessons(false)?);
        Ok(Self { app, lessons, taken: 0, reading: None, loss: None })
    }

    /// Records a frame, and behind it a lesson: the next frame flies by what it taught.
    pub(crate) fn record(&mut self, encoder: &mut wgpu::CommandEncoder, learns: bool) -> Result<()> {
        self.app.record_frame(encoder)?;
        if learns {
            self.lessons.encode(encoder, self.taken as f32 / COURSE)?;
            self.taken += 1;
        }
        Ok(())
    }

    /// How many lessons were taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The loss of one of the last lessons, as soon as there is one. This asks for it, or looks whether it has come, and
    /// never waits; it is for now and then, since a thread waits for each that is asked for.
    pub(crate) fn loss(&mut self) -> Result<Option<f32>> {
        if self.taken > 0 {
            let tensor = self.lessons.loss();
            let reading = self.reading.get_or_insert_with(|| {
                let tensor = tensor.clone();
                Box::pin(async move { tensor.read().await })
            });
            if let Poll::Ready(read) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                self.reading = None;
                self.loss = read?.first().copied();
            }
        }
        Ok(self.loss)
    }
}
