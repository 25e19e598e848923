//! nnnoiseless by itself: the same, all of it on the CPU.

use std::time::{Duration, Instant};

use nnnoiseless::DenoiseState;

use super::denoiser::in_threads;
use super::frames::FRAME;

/// A channel of it.
struct Channel {
    state: Box<DenoiseState<'static>>,
    samples: Vec<f32>,
}

/// N channels.
pub(crate) struct Rival {
    channels: Vec<Channel>,
    pub(crate) time: Duration,
    /// The largest difference of a sample so far.
    pub(crate) apart: f32,
}

impl Rival {
    pub(crate) fn new(channels: usize) -> Self {
        let channel = |_| Channel { state: DenoiseState::new(), samples: Vec::new() };
        Self { channels: (0..channels).map(channel).collect(), time: Duration::ZERO, apart: 0.0 }
    }

    /// N.
    pub(crate) fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Takes the next block of each channel, and compares with what else was made of it.
    pub(crate) fn block(&mut self, samples: &[&[f32]], made: &[&[f32]]) {
        let begin = Instant::now();
        in_threads(&mut self.channels, |index, channel| {
            channel.samples.resize(samples[index].len(), 0.0);
            let frames = channel.samples.chunks_exact_mut(FRAME).zip(samples[index].chunks_exact(FRAME));
            for (output, input) in frames {
                channel.state.process_frame(output, input);
            }
        });
        self.time += begin.elapsed();
        for (channel, made) in self.channels.iter().zip(made) {
            let differences = channel.samples.iter().zip(*made).map(|(rival, made)| (rival - made).abs());
            self.apart = differences.fold(self.apart, f32::max);
        }
    }
}
