//! How near a sound is to the voice that is in it.

use super::frames::{Analysis, FRAME, Synthesis};
use super::sound::power;

/// A frame in which the voice has less than this share of its mean power is a pause.
const PAUSE: f64 = 1e-4;

/// In decibels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score {
    /// Power of the voice over that of all that differs from it.
    pub(crate) snr: f64,
    /// Power of the voice over that of the sound in its pauses.
    pub(crate) pauses: f64,
}

impl Score {
    pub(crate) fn of(voice: &[f32], sound: &[f32]) -> Self {
        let (mut off, mut heard, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
        let mean = power(voice);
        for (voice, sound) in voice.chunks(FRAME).zip(sound.chunks(FRAME)) {
            off.extend(voice.iter().zip(sound).map(|(voice, sound)| sound - voice));
            if power(voice) < PAUSE * mean { &mut pauses } else { &mut heard }.extend_from_slice(sound);
        }
        let decibels = |noise: &[f32]| 10.0 * (mean / power(noise).max(f64::MIN_POSITIVE)).log10();
        Self { snr: decibels(&off), pauses: decibels(&pauses) }
    }
}

/// A sound as it comes through with every gain at 1: without what is too low to be heard, which the front end takes
/// away.
pub(crate) fn passed_through(sound: &[f32]) -> Vec<f32> {
    let (mut analysis, mut synthesis) = (Analysis::new(), Synthesis::new());
    let mut padded = sound.to_vec();
    padded.resize((sound.len().div_ceil(FRAME) + 1) * FRAME, 0.0);
    let frames = padded.chunks_exact(FRAME);
    let mut made: Vec<f32> = frames.flat_map(|samples| synthesis.samples(analysis.frame(samples), None)).collect();
    made.drain(..FRAME);
    made.truncate(sound.len());
    made
}
