//! The example `denoise`, held to nnnoiseless: another implementation of RNNoise, on the CPU, which looks its sigmoid
//! and tanh up in a table. So there are four of everything: the GPU and the network in f64 with exact activations,
//! nnnoiseless and the network in f64 with its activations. The first two are to be equal within rounding, and the
//! last two; how far the GPU is from nnnoiseless is then what its activations make, and rounding.

use nnnoiseless::DenoiseState;
use wgpu_gru::{Gpu, Tolerance};

#[expect(dead_code, reason = "the example tells the times")]
#[path = "../../examples/denoise/denoiser.rs"]
mod denoiser;
#[path = "../../examples/denoise/frames.rs"]
mod frames;
#[path = "../../examples/denoise/network.rs"]
mod network;
#[path = "denoise/reference.rs"]
mod reference;
#[path = "../../examples/denoise/sound.rs"]
mod sound;
#[path = "../../examples/denoise/weights.rs"]
mod weights;

use crate::support::note;
use denoiser::Denoiser;
use frames::{Analysis, FRAME, Frame, Gains, Synthesis};
use network::{ANSWERS, Network};
use reference::{APPROXIMATED, Activations, Answers, EXACT, Number, Reference};
use weights::{BANDS, FEATURES, Model};

trials![answers_of_the_network, samples_of_nnnoiseless];

const FILE: &[u8] = include_bytes!("../../examples/data/rnnoise/weights.rnn");
const CHANNELS: usize = 3;
/// Frames of a block, of which 200 frames are no multiple.
const BLOCK: usize = 18;

fn model() -> Model {
    Model::rnnoise().expect("RNNoise's own weights")
}

/// Two seconds of a voice in more and in less noise. One channel falls silent for more than two blocks.
fn sounds() -> Vec<Vec<f32>> {
    let sound = |channel: usize| {
        let voice = sound::voice(2.0, channel as u64);
        let mut sound = sound::noise(voice.len(), sound::power(&voice), 5.0 * channel as f64, 10);
        sound.iter_mut().zip(&voice).for_each(|(noise, voice)| *noise += voice);
        if channel == 1 {
            sound[90 * FRAME..140 * FRAME].fill(0.0);
        }
        sound
    };
    (0..CHANNELS).map(sound).collect()
}

fn frames_of(sound: &[f32]) -> Vec<Frame> {
    let mut analysis = Analysis::new();
    sound.chunks_exact(FRAME).map(|samples| analysis.frame(samples)).collect()
}

/// What the network in f64 says of each frame; nothing of silent ones.
fn expected(frames: &[Frame], activations: Activations) -> Vec<Option<Answers>> {
    let mut reference = Reference::new(FILE, activations);
    frames.iter().map(|frame| (!frame.is_silent).then(|| reference.frame(&frame.features))).collect()
}

/// Samples and voice of nnnoiseless, which keeps its gains to itself.
fn nnnoiseless(sound: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut state = DenoiseState::new();
    let mut samples = vec![0.0; sound.len()];
    let frames = samples.chunks_exact_mut(FRAME).zip(sound.chunks_exact(FRAME));
    let voice = frames.map(|(output, input)| state.process_frame(output, input)).collect();
    (samples, voice)
}

/// Fails where a number is further off than it may be.
#[track_caller]
fn assert_within(what: impl Fn() -> String, actual: f64, expected: f64, off: f64) {
    let share = (Tolerance { abs: off, rel: 0.0 }).share(actual, expected);
    note(share);
    assert!(share <= 1.0, "{} is {actual:e}, expected {expected:e}: {share:.2} of its budget of {off:e}", what());
}

/// The sums of squares by which the GPU and nnnoiseless are off the two networks in f64.
#[derive(Default)]
struct Distances {
    /// Of exact activations, and of those of a table.
    gpu: [f64; 2],
    nnnoiseless: [f64; 2],
}

impl Distances {
    fn add(sums: &mut [f64; 2], actual: f64, expected: [f64; 2]) {
        sums.iter_mut().zip(expected).for_each(|(sum, expected)| *sum += (actual - expected).powi(2));
    }

    /// With exact activations in the place of its own, the network is further from nnnoiseless; with those of the
    /// table, from the GPU. So it is they that make the difference.
    fn expect_each_at_its_own(&self) {
        let Self { gpu, nnnoiseless } = self;
        assert!(gpu[0] < gpu[1], "the GPU is nearer to exact activations: {gpu:?}");
        assert!(nnnoiseless[1] < nnnoiseless[0], "nnnoiseless is nearer to its own: {nnnoiseless:?}");
    }
}

/// Gains and voice of the network on the GPU, and the voice of nnnoiseless.
fn answers_of_the_network(gpu: &Gpu) {
    const FRAMES: usize = 120;
    let mut distances = Distances::default();
    for (channel, sound) in sounds().iter().enumerate() {
        let frames = frames_of(sound);
        let [exact, table] = [EXACT, APPROXIMATED].map(|activations| expected(&frames, activations));
        let heard: Vec<&Frame> = frames.iter().filter(|frame| !frame.is_silent).collect();
        assert_eq!(heard.len() < frames.len(), channel == 1, "one channel falls silent: {}", heard.len());
        let network = Network::new(gpu, &model(), 1, FRAMES).expect("a network");
        let answers = heard.chunks(FRAMES).flat_map(|frames| {
            let mut features: Vec<f32> = frames.iter().flat_map(|frame| frame.features).collect();
            features.resize(FRAMES * FEATURES, f32::NAN);
            let mut answers = network.run(&features, &[frames.len()]).expect("answers");
            answers.truncate(frames.len() * ANSWERS);
            answers
        });
        let all = |of: &[Option<Answers>]| of.iter().flatten().flatten().copied().collect::<Vec<_>>();
        let (exact, all_of_table) = (all(&exact), all(&table));
        let answers: Vec<f32> = answers.collect();
        assert_eq!(answers.len(), exact.len(), "answers to every frame that is heard");
        for (i, (&answer, (exact, table))) in answers.iter().zip(exact.iter().zip(&all_of_table)).enumerate() {
            let what = || format!("channel {channel}, frame {}, answer {} of the GPU", i / ANSWERS, i % ANSWERS);
            assert_within(what, answer.into(), exact.value, exact.off);
            Distances::add(&mut distances.gpu, answer.into(), [exact.value, table.value]);
        }
        let mut exact = exact.chunks_exact(ANSWERS);
        for (frame, (&voice, table)) in nnnoiseless(sound).1.iter().zip(&table).enumerate() {
            let Some(table) = table else {
                assert_eq!(voice, 0.0, "channel {channel}, frame {frame}: silence");
                continue;
            };
            let exact = exact.next().expect("an answer")[BANDS].value;
            let Number { value, off } = table[BANDS];
            let what = || format!("channel {channel}, frame {frame}, voice of nnnoiseless");
            assert_within(what, voice.into(), value, off);
            Distances::add(&mut distances.nnnoiseless, voice.into(), [exact, value]);
        }
    }
    distances.expect_each_at_its_own();
}

/// What is to come of gains, and of each frame by how much its samples may be off.
struct Samples {
    samples: Vec<f32>,
    off: Vec<f64>,
}

impl Samples {
    /// With the gains of the network, and with all of them as much over or under these as they may be.
    fn of(frames: &[Frame], activations: Activations) -> Self {
        let answers = expected(frames, activations);
        let samples = |over: f64| -> Vec<f32> {
            let mut synthesis = Synthesis::new();
            let made = frames.iter().zip(&answers).flat_map(|(frame, answers)| {
                let gain = |answer: &Number| (answer.value + over * answer.off).clamp(0.0, 1.0) as f32;
                let gains = answers.map(|answers| -> Gains { std::array::from_fn(|band| gain(&answers[band])) });
                synthesis.samples(frame.clone(), gains.as_ref())
            });
            made.collect()
        };
        let [samples, over, under] = [0.0, 1.0, -1.0].map(samples);
        let largest = |other: &[f32], begin: usize| {
            let frame = begin..begin + FRAME;
            let off = other[frame.clone()].iter().zip(&samples[frame]).map(|(other, x)| f64::from((other - x).abs()));
            off.fold(0.0, f64::max)
        };
        let begins = (0..samples.len()).step_by(FRAME);
        let off = begins.map(|begin| largest(&over, begin).max(largest(&under, begin))).collect();
        Self { samples, off }
    }
}

/// The whole example: several channels in blocks, one of them silent for a time.
fn samples_of_nnnoiseless(gpu: &Gpu) {
    let sounds = sounds();
    let mut denoiser = Denoiser::new(gpu, &model(), CHANNELS, BLOCK).expect("a denoiser");
    let mut made = vec![Vec::new(); CHANNELS];
    for begin in (0..sounds[0].len()).step_by(BLOCK * FRAME) {
        let part = |sound: &'_ Vec<f32>| begin..sound.len().min(begin + BLOCK * FRAME);
        let parts: Vec<&[f32]> = sounds.iter().map(|sound| &sound[part(sound)]).collect();
        let samples = denoiser.block(&parts).expect("a block");
        made.iter_mut().zip(samples).for_each(|(made, samples)| made.extend_from_slice(samples));
    }
    let mut distances = Distances::default();
    for (channel, (sound, made)) in sounds.iter().zip(&made).enumerate() {
        let frames = frames_of(sound);
        let [exact, table] = [EXACT, APPROXIMATED].map(|activations| Samples::of(&frames, activations));
        let (rival, _) = nnnoiseless(sound);
        assert_eq!([made.len(), rival.len()], [exact.samples.len(); 2], "as many samples");
        for i in 0..made.len() {
            let [gpu, rival, exact_sample, table_sample] =
                [made, &rival, &exact.samples, &table.samples].map(|samples| f64::from(samples[i]));
            let what = |of: &str| format!("channel {channel}, frame {}, sample {} of {of}", i / FRAME, i % FRAME);
            let [exact_off, table_off] = [exact.off[i / FRAME], table.off[i / FRAME]];
            assert_within(|| what("the GPU"), gpu, exact_sample, exact_off);
            assert_within(|| what("nnnoiseless"), rival, table_sample, table_off);
            let activations = (exact_sample - table_sample).abs();
            assert_within(|| what("the GPU beside nnnoiseless"), gpu, rival, activations + exact_off + table_off);
            Distances::add(&mut distances.gpu, gpu, [exact_sample, table_sample]);
            Distances::add(&mut distances.nnnoiseless, rival, [exact_sample, table_sample]);
        }
    }
    distances.expect_each_at_its_own();
}
