//! Takes the noise out of speech with RNNoise's network, of many channels at once.
//!
//! ```sh
//! cargo run --release --example denoise
//! cargo run --release --example denoise -- recording.wav
//! ```
//!
//! The network (Valin 2018, <https://arxiv.org/abs/1709.08243>) looks at 42 features of every 10 ms of sound and says
//! how much of each of 22 bands is to pass. It has three GRUs, with the reset gate before the product and ReLU in the
//! place of tanh; each is a stream of the crate with a row for every channel. Features are those of the crate
//! nnnoiseless. The example
//!
//! 1. reads a WAV file, or makes something like a voice, and noise;
//! 2. takes all channels through the network, a block of frames at a time, and through nnnoiseless, and says how long
//!    that takes;
//! 3. says how much nearer to the voice the sound is then, if it knows the voice;
//! 4. writes the sound, and its spectrogram before and after.
//!
//! `tests/gpu/denoise.rs` holds it to nnnoiseless, sample by sample.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

#[path = "../support/args.rs"]
mod args;
mod command_line;
mod denoiser;
mod frames;
mod network;
#[path = "../support/progress.rs"]
mod progress;
mod rival;
mod score;
mod sound;
mod spectrogram;
mod wav;
mod weights;

use std::error::Error;
use std::process::ExitCode;

use wgpu_gru::Gpu;

use args::Args;
use command_line::{Options, PROGRAM};
use denoiser::{Denoiser, Times};
use frames::{FRAME, RATE};
use rival::Rival;
use score::Score;
use weights::Model;

/// Loudness of the voice over that of the noise, in decibels.
const SNR: f64 = 5.0;

/// What is to be denoised.
struct Sound {
    /// Samples of each channel.
    noisy: Vec<Vec<f32>>,
    /// The same without noise, where that is known.
    voice: Option<Vec<f32>>,
}

impl Sound {
    fn made(seconds: f32, seed: u64) -> Self {
        let voice = sound::voice(seconds, seed);
        let mut noisy = sound::noise(voice.len(), sound::power(&voice), SNR, seed.wrapping_add(1));
        noisy.iter_mut().zip(&voice).for_each(|(noise, voice)| *noise += voice);
        Self { noisy: vec![noisy], voice: Some(voice) }
    }

    /// Samples of each channel.
    fn len(&self) -> usize {
        self.noisy[0].len()
    }

    fn seconds(&self) -> f64 {
        self.len() as f64 / RATE as f64
    }

    /// Samples of one of any number of channels, which begin later and later in the sound and go on from its end at its
    /// beginning. Behind its length there is silence.
    fn part(&self, channel: usize, begin: usize, len: usize) -> Vec<f32> {
        let (of, turn) = (&self.noisy[channel % self.noisy.len()], channel / self.noisy.len());
        let sample = |i: usize| if i < of.len() { of[(i + turn * RATE / 3) % of.len()] } else { 0.0 };
        (begin..begin + len).map(sample).collect()
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let options = Options::read(args)?;
    let file = options.input.as_deref().map(wav::read).transpose()?;
    let gpu = Gpu::new_blocking()?;
    println!("{}", gpu.describe());
    let sound = match file {
        Some(noisy) => Sound { noisy, voice: None },
        None => Sound::made(options.seconds, options.seed),
    };
    let channels = options.channels(sound.noisy.len())?;
    std::fs::create_dir_all(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;

    let model = Model::rnnoise()?;
    let mut denoiser = Denoiser::new(&gpu, &model, channels, options.block)?;
    let mut rival = Rival::new(channels);
    let denoised = denoise(&mut denoiser, &mut rival, &sound, &options)?;
    println!("{channels} channels of {:.1} s, {} frames of 10 ms at a time:", sound.seconds(), options.block);
    tell(denoiser.times(), &rival, sound.seconds());
    if let Some(voice) = &sound.voice {
        let [voice, before] = [voice, &sound.noisy[0]].map(|sound| score::passed_through(sound));
        let [before, after] = [&before, &denoised[0]].map(|sound| Score::of(&voice, sound));
        println!("\n                  before  denoised");
        println!("voice over noise  {:6.1}  {:8.1} dB", before.snr, after.snr);
        println!("in its pauses     {:6.1}  {:8.1} dB", before.pauses, after.pauses);
    }

    let file = |name: &str| options.out.join(name);
    wav::write(&file("denoised.wav"), &denoised)?;
    let mut shown: Vec<&[f32]> = vec![&sound.noisy[0], &denoised[0]];
    if let Some(voice) = &sound.voice {
        wav::write(&file("noisy.wav"), &sound.noisy)?;
        shown.push(voice);
    }
    spectrogram::draw(&file("spectrogram.png"), &shown)?;
    println!("\nWritten to {}", options.out.display());
    Ok(())
}

/// Takes all of a sound through the network, and through nnnoiseless beside it. Gives the channels back that are not
/// copies.
fn denoise(
    denoiser: &mut Denoiser,
    rival: &mut Rival,
    sound: &Sound,
    options: &Options,
) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    // One more frame, since the samples of a frame come with the next.
    let frames = sound.len().div_ceil(FRAME) + 1;
    let mut denoised = vec![Vec::new(); sound.noisy.len()];
    let bar = progress::bar("Denoising", frames);
    for begin in (0..frames).step_by(options.block) {
        let len = options.block.min(frames - begin);
        let part = |channel| sound.part(channel, begin * FRAME, len * FRAME);
        let parts: Vec<Vec<f32>> = (0..rival.channels()).map(part).collect();
        let parts: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
        let made = denoiser.block(&parts)?;
        rival.block(&parts, &made);
        denoised.iter_mut().zip(made).for_each(|(all, made)| all.extend_from_slice(made));
        bar.inc(len as u64);
    }
    bar.finish_and_clear();
    for samples in &mut denoised {
        samples.drain(..FRAME);
        samples.truncate(sound.len());
    }
    Ok(denoised)
}

/// Says how long it took.
fn tell(times: Times, rival: &Rival, seconds: f64) {
    let parts = [
        ("features, on the CPU", times.analysis),
        ("network, on the GPU", times.network),
        ("samples, on the CPU", times.synthesis),
        ("together", times.total()),
        ("nnnoiseless, on the CPU", rival.time),
    ];
    for (name, time) in parts {
        let time = time.as_secs_f64();
        let (factor, at_once) = (time / seconds, rival.channels() as f64 * seconds / time);
        println!("  {name:23}  {time:7.3} s  real-time factor {factor:6.3}, so {at_once:6.0} channels in real time");
    }
    println!("  The samples are those of nnnoiseless, but for {:.3} of a step of 16 bits at most.", rival.apart);
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
