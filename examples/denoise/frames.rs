//! What stands before and behind the network: samples to features, gains to samples.
//!
//! The features are nnnoiseless's. What they were made of, the spectrum of the frame and that of the frame one pitch
//! period before, is kept until the gains are there, since these come a block of frames later. nnnoiseless keeps to
//! itself how gains become samples, all but the pitch filter, so that is written here from the paper: J.-M. Valin, "A
//! Hybrid DSP/Deep Learning Approach to Real-Time Full-Band Speech Enhancement", 2018,
//! <https://arxiv.org/abs/1709.08243>.

use std::f64::consts::FRAC_PI_2;

use easyfft::dyn_size::realfft::{DynRealDft, DynRealIfft as _};
use nnnoiseless::DenoiseFeatures;

use super::weights::{BANDS, FEATURES};

/// Samples a second.
pub(crate) const RATE: usize = 48_000;
/// Samples of a frame, 10 ms. A spectrum is that of two frames, so its lines are 50 Hz apart.
pub(crate) const FRAME: usize = 480;
/// The middle of each band, in lines. Between two of them, gains are interpolated; above the last, 20 kHz, nothing
/// passes.
const MIDDLES: [usize; BANDS] =
    [0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 136, 160, 192, 240, 312, 400];
/// What of a band's gain is left a frame later, at least: a room does not fall silent at once either.
const DECAY: f32 = 0.6;

/// A gain for each band.
pub(crate) type Gains = [f32; BANDS];

/// A frame between analysis and synthesis.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) features: [f32; FEATURES],
    /// Nothing is heard: such a frame passes by the network, whose states stay as they are.
    pub(crate) is_silent: bool,
    spectrum: DynRealDft<f32>,
    /// The spectrum one pitch period earlier.
    pitch: DynRealDft<f32>,
    /// By bands: the energies of the two spectra, and how much they are alike.
    energy: Gains,
    pitch_energy: Gains,
    alike: Gains,
}

/// The front end of a channel.
pub(crate) struct Analysis(Box<DenoiseFeatures>);

impl Analysis {
    pub(crate) fn new() -> Self {
        Self(Box::new(DenoiseFeatures::new()))
    }

    /// Takes the next 480 samples, in units of a number of 16 bits.
    pub(crate) fn frame(&mut self, samples: &[f32]) -> Frame {
        let of = &mut *self.0;
        of.shift_and_filter_input(samples);
        let is_silent = of.compute_frame_features();
        let mut features = [0.0; FEATURES];
        features.copy_from_slice(of.features());
        let (spectrum, pitch) = (of.x.clone(), of.p.clone());
        Frame { features, is_silent, spectrum, pitch, energy: of.ex, pitch_energy: of.ep, alike: of.exp }
    }
}

/// The back end of a channel.
pub(crate) struct Synthesis {
    /// Only lent its pitch filter: all that this needs is handed over with each frame.
    filter: Box<DenoiseFeatures>,
    last_gains: Gains,
    /// What the frame before leaves for the next.
    overlap: [f32; FRAME],
    window: [f32; 2 * FRAME],
}

impl Synthesis {
    pub(crate) fn new() -> Self {
        // Vorbis's window: in front and behind the spectrum it makes overlapping frames add up to 1.
        let window = std::array::from_fn(|i| {
            let sine = (FRAC_PI_2 * (i.min(2 * FRAME - 1 - i) as f64 + 0.5) / FRAME as f64).sin();
            (FRAC_PI_2 * sine * sine).sin() as f32
        });
        let filter = Box::new(DenoiseFeatures::new());
        Self { filter, last_gains: [0.0; BANDS], overlap: [0.0; FRAME], window }
    }

    /// The samples of a frame with gains, or as they came; they are those of the frame before, for which this one was
    /// still missing.
    pub(crate) fn samples(&mut self, frame: Frame, gains: Option<&Gains>) -> [f32; FRAME] {
        let mut spectrum = frame.spectrum;
        if let Some(gains) = gains.filter(|_| !frame.is_silent) {
            // What repeats with the pitch is the voice: where a gain is low, more of it is taken.
            let filter = &mut *self.filter;
            (filter.x, filter.p) = (spectrum, frame.pitch);
            (filter.ex, filter.ep, filter.exp) = (frame.energy, frame.pitch_energy, frame.alike);
            filter.pitch_filter(gains);
            spectrum = filter.x.clone();
            for (last, gain) in self.last_gains.iter_mut().zip(gains) {
                *last = gain.max(DECAY * *last);
            }
            spectrum *= &lines(&self.last_gains)[..];
        }
        let mut wide = spectrum.real_ifft();
        // The spectrum was divided by half its length, and the transform back does not divide.
        wide.iter_mut().zip(&self.window).for_each(|(sample, weight)| *sample = *sample / 2.0 * weight);
        let samples = std::array::from_fn(|i| wide[i] + self.overlap[i]);
        self.overlap.copy_from_slice(&wide[FRAME..]);
        samples
    }
}

/// A gain for each line of a spectrum.
fn lines(gains: &Gains) -> [f32; FRAME + 1] {
    let mut lines = [0.0; FRAME + 1];
    for (ends, gains) in MIDDLES.windows(2).zip(gains.windows(2)) {
        let width = ends[1] - ends[0];
        for i in 0..width {
            let share = i as f32 / width as f32;
            lines[ends[0] + i] = (1.0 - share) * gains[0] + share * gains[1];
        }
    }
    lines
}
