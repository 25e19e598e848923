//! Many channels through the whole of it: features on the CPU, the network on the GPU, samples on the CPU.

use std::thread;
use std::time::{Duration, Instant};

use wgpu_gru::{Gpu, Result};

use super::frames::{Analysis, FRAME, Frame, Gains, Synthesis};
use super::network::{ANSWERS, Network};
use super::weights::{BANDS, FEATURES, Model};

/// N channels, each with what it remembers.
pub(crate) struct Denoiser {
    network: Network,
    channels: Vec<Channel>,
    /// T, the most frames of a block.
    frames: usize,
    times: Times,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) analysis: Duration,
    pub(crate) network: Duration,
    pub(crate) synthesis: Duration,
}

struct Channel {
    analysis: Analysis,
    synthesis: Synthesis,
    /// Of the block under way.
    frames: Vec<Frame>,
    samples: Vec<f32>,
}

impl Denoiser {
    /// N channels that take blocks of up to T frames.
    pub(crate) fn new(gpu: &Gpu, model: &Model, channels: usize, frames: usize) -> Result<Self> {
        let network = Network::new(gpu, model, channels, frames)?;
        // Drivers finish compiling when a kernel first runs: here, in a block in which every channel rests.
        network.run(&vec![0.0; frames * channels * FEATURES], &vec![0; channels])?;
        let channel = || Channel {
            analysis: Analysis::new(),
            synthesis: Synthesis::new(),
            frames: Vec::new(),
            samples: Vec::new(),
        };
        let channels = (0..channels).map(|_| channel()).collect();
        Ok(Self { network, channels, frames, times: Times::default() })
    }

    /// Takes the next block: of each channel the samples of as many frames, up to T. Gives as many samples of each
    /// back, a frame late.
    pub(crate) fn block(&mut self, samples: &[&[f32]]) -> Result<Vec<&[f32]>> {
        let begin = Instant::now();
        in_threads(&mut self.channels, |index, channel| {
            channel.frames.clear();
            channel.frames.extend(samples[index].chunks_exact(FRAME).map(|samples| channel.analysis.frame(samples)));
        });
        self.times.analysis += begin.elapsed();

        let begin = Instant::now();
        let (features, lengths) = self.features();
        let answers = self.network.run(&features, &lengths)?;
        self.times.network += begin.elapsed();

        let begin = Instant::now();
        let count = self.channels.len();
        in_threads(&mut self.channels, |index, channel| {
            channel.samples.clear();
            let mut rows = answers.chunks_exact(ANSWERS).skip(index).step_by(count);
            for frame in channel.frames.drain(..) {
                let mut gains: Option<Gains> = None;
                if !frame.is_silent {
                    gains = rows.next().and_then(|row| row[..BANDS].try_into().ok());
                }
                channel.samples.extend(channel.synthesis.samples(frame, gains.as_ref()));
            }
        });
        self.times.synthesis += begin.elapsed();
        Ok(self.channels.iter().map(|channel| &channel.samples[..]).collect())
    }

    /// The features `[T, N, 42]` of all frames that are not silent, each channel's one behind the other, and how many
    /// there are of each.
    fn features(&self) -> (Vec<f32>, Vec<usize>) {
        let count = self.channels.len();
        let mut features = vec![0.0; self.frames * count * FEATURES];
        let mut lengths = vec![0; count];
        for (index, (channel, length)) in self.channels.iter().zip(&mut lengths).enumerate() {
            for frame in channel.frames.iter().filter(|frame| !frame.is_silent) {
                let at = (*length * count + index) * FEATURES;
                features[at..at + FEATURES].copy_from_slice(&frame.features);
                *length += 1;
            }
        }
        (features, lengths)
    }

    /// Where the time of all blocks went.
    pub(crate) fn times(&self) -> Times {
        self.times
    }
}

impl Times {
    pub(crate) fn total(&self) -> Duration {
        self.analysis + self.network + self.synthesis
    }
}

/// Does something with each channel, on all cores.
pub(crate) fn in_threads<C: Send>(channels: &mut [C], work: impl Fn(usize, &mut C) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = channels.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for (thread, channels) in channels.chunks_mut(share).enumerate() {
            let work = &work;
            scope.spawn(move || {
                channels.iter_mut().enumerate().for_each(|(i, channel)| work(thread * share + i, channel));
            });
        }
    });
}
