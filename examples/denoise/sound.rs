//! A sound to try it on: something like a voice, which is known by itself, and noise.

use std::f32::consts::TAU;

use wgpu_gru::rng::SplitMix64;

use super::frames::RATE;

/// The loudest sample of the voice, in units of a number of 16 bits.
const PEAK: f32 = 12_000.0;
/// How wide each resonance of the mouth is, in Hz.
const WIDTHS: [f32; 5] = [70.0, 90.0, 130.0, 200.0, 300.0];
/// The first three resonances of the vowels of "bead", "bid", "bed", "bad", "bod", "bored", "booed", "bud", in Hz
/// (Peterson and Barney 1952, "Control methods used in a study of the vowels").
const VOWELS: [[f32; 3]; 8] = [
    [270.0, 2290.0, 3010.0],
    [390.0, 1990.0, 2550.0],
    [530.0, 1840.0, 2480.0],
    [660.0, 1720.0, 2410.0],
    [730.0, 1090.0, 2440.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
    [640.0, 1190.0, 2390.0],
];
/// Those of "m" and "n".
const NASAL: [f32; 3] = [250.0, 1200.0, 2300.0];

/// What the mouth is on its way to.
#[derive(Debug, Clone, Copy)]
struct Aim {
    /// How loud the vocal cords are, and how loud the air that hisses.
    voice: f32,
    hiss: f32,
    /// In Hz.
    pitch: f32,
    resonances: [f32; 3],
    /// Where the hiss is, in Hz.
    place: f32,
}

/// A voice that says syllables without a meaning, with pauses between the phrases.
pub(crate) fn voice(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    // From one number up to another.
    let mut draw = |from: f32, to: f32| from + (to - from) * (0.5 + 0.5 * random.next_f32());
    let len = (seconds * RATE as f32) as usize;
    let mut mouth = Mouth::new(seed);
    let silence = Aim { voice: 0.0, hiss: 0.0, pitch: 120.0, resonances: VOWELS[7], place: 4000.0 };
    mouth.go(silence, 0.3);
    while mouth.samples.len() < len {
        let syllables = draw(4.0, 10.0) as usize;
        for syllable in 0..syllables {
            // The pitch falls to the end of a phrase, and rises where a syllable is stressed.
            let pitch = draw(105.0, 150.0) * (1.1 - 0.25 * syllable as f32 / syllables as f32);
            let quiet = Aim { pitch, ..silence };
            match draw(0.0, 4.0) as usize {
                0 => mouth.go(Aim { hiss: draw(0.5, 1.0), place: draw(3000.0, 6000.0), ..quiet }, draw(0.06, 0.11)),
                1 => mouth.go(Aim { voice: 0.35, resonances: NASAL, ..quiet }, draw(0.05, 0.09)),
                2 => {
                    mouth.go(quiet, draw(0.04, 0.07));
                    mouth.go(Aim { hiss: 1.0, place: draw(1500.0, 4000.0), ..quiet }, 0.015);
                }
                // None.
                _ => {}
            }
            let vowel = |at: f32| VOWELS[at as usize % VOWELS.len()];
            let said = Aim { voice: draw(0.6, 1.0), resonances: vowel(draw(0.0, 8.0)), ..quiet };
            mouth.go(said, draw(0.08, 0.14));
            mouth.go(Aim { resonances: vowel(draw(0.0, 8.0)), pitch: 0.95 * pitch, ..said }, draw(0.04, 0.10));
        }
        mouth.go(silence, draw(0.3, 0.7));
    }
    let mut samples = mouth.samples;
    samples.truncate(len);
    let loudest = samples.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    samples.iter_mut().for_each(|x| *x *= PEAK / loudest);
    samples
}

/// Pulses of air, or a hiss, through resonances: the source and filter of Fant, "Acoustic theory of speech
/// production", 1960.
#[derive(Debug)]
struct Mouth {
    samples: Vec<f32>,
    random: SplitMix64,
    now: Option<Aim>,
    /// Where in a turn of the vocal cords it is.
    phase: f32,
    flow: [f32; 2],
    rings: [Resonator; 5],
    hiss: Resonator,
}

impl Mouth {
    fn new(seed: u64) -> Self {
        Self {
            samples: Vec::new(),
            random: SplitMix64::new(seed ^ 0xffff),
            now: None,
            phase: 0.0,
            flow: [0.0; 2],
            rings: [Resonator::default(); 5],
            hiss: Resonator::default(),
        }
    }

    /// Moves to an aim, and speaks meanwhile.
    fn go(&mut self, aim: Aim, seconds: f32) {
        let mut now = self.now.unwrap_or(aim);
        for _ in 0..(seconds * RATE as f32) as usize {
            let near = |now: &mut f32, aim: f32, seconds: f32| *now += (aim - *now) / (seconds * RATE as f32);
            near(&mut now.voice, aim.voice, 0.012);
            near(&mut now.hiss, aim.hiss, 0.008);
            near(&mut now.pitch, aim.pitch, 0.06);
            near(&mut now.place, aim.place, 0.01);
            now.resonances.iter_mut().zip(aim.resonances).for_each(|(now, aim)| near(now, aim, 0.025));
            let sample = self.sample(&now);
            self.samples.push(sample);
        }
        self.now = Some(now);
    }

    fn sample(&mut self, now: &Aim) -> f32 {
        // The vocal cords open once a turn, never quite evenly.
        self.phase += now.pitch * (1.0 + 0.1 * self.random.next_f32()) / RATE as f32;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        let breath = 0.003 * self.random.next_f32();
        // Two poles make a pulse of air soft; from the lips comes how it changes.
        let before = self.flow[1];
        let softness = 1.0 - (-TAU * 400.0 / RATE as f32).exp();
        self.flow[0] += softness * (now.voice * (pulse + breath) - self.flow[0]);
        self.flow[1] += softness * (self.flow[0] - self.flow[1]);
        let mut x = 300.0 * (self.flow[1] - before);
        let [first, second, third] = now.resonances;
        for ((ring, frequency), width) in self.rings.iter_mut().zip([first, second, third, 3500.0, 4500.0]).zip(WIDTHS)
        {
            x = ring.next(x, frequency, width);
        }
        x + 0.06 * now.hiss * self.hiss.next(self.random.next_f32(), now.place, 2000.0)
    }
}

/// A filter of two poles that lets a frequency ring, with a gain of 1 at 0 Hz.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    last: [f32; 2],
}

impl Resonator {
    fn next(&mut self, x: f32, frequency: f32, width: f32) -> f32 {
        let radius = (-TAU / 2.0 * width / RATE as f32).exp();
        let (b, c) = (2.0 * radius * (TAU * frequency / RATE as f32).cos(), -radius * radius);
        let y = (1.0 - b - c) * x + b * self.last[0] + c * self.last[1];
        self.last = [y, self.last[0]];
        y
    }
}

/// Noise as of a fan, softer in the high tones, at so many decibels below a voice of a given power.
pub(crate) fn noise(len: usize, voice: f64, decibels: f64, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    let mut low = 0.0;
    let mut noise: Vec<f32> = (0..len)
        .map(|_| {
            let white = random.next_f32();
            low += 0.05 * (white - low);
            low + 0.1 * white
        })
        .collect();
    let scale = (voice / power(&noise) / 10_f64.powf(decibels / 10.0)).sqrt() as f32;
    noise.iter_mut().for_each(|x| *x *= scale);
    noise
}

/// The mean square.
pub(crate) fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}
