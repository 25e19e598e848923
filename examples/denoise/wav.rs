//! WAV files, as samples in units of a number of 16 bits.

use std::error::Error;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::frames::RATE;

/// Ten times as loud as a number of 16 bits can say, which a file of floats can.
const LOUDEST: f32 = 10.0 * 32768.0;

/// Reads a file: the samples of each of its channels.
pub(crate) fn read(path: &Path) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    // With quotation marks: whatever the name is, an error is one line.
    let name = format!("{path:?}");
    let reader = WavReader::open(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if sample_rate as usize != RATE {
        return Err(format!("{name} has {sample_rate} samples a second, and RNNoise takes {RATE}").into());
    }
    let samples: Result<Vec<f32>, _> = match sample_format {
        SampleFormat::Float => reader.into_samples::<f32>().map(|sample| Ok(sample? * 32768.0)).collect(),
        SampleFormat::Int => {
            let scale = 65536.0 / (bits_per_sample as f32).exp2();
            reader.into_samples::<i32>().map(|sample| Ok(sample? as f32 * scale)).collect()
        }
    };
    let samples = samples.map_err(|error: hound::Error| format!("{name} cannot be read: {error}"))?;
    if channels == 0 || samples.len() < usize::from(channels) {
        return Err(format!("{name} holds no sound").into());
    }
    // NaN is not below it.
    if !samples.iter().all(|sample| sample.abs() <= LOUDEST) {
        return Err(format!("{name} holds samples that are no sound").into());
    }
    let channels = usize::from(channels);
    Ok((0..channels).map(|channel| samples.iter().skip(channel).step_by(channels).copied().collect()).collect())
}

/// Writes a file of 16 bits a sample.
pub(crate) fn write(path: &Path, channels: &[Vec<f32>]) -> Result<(), Box<dyn Error>> {
    let (count, sample_rate) = (channels.len() as u16, RATE as u32);
    let spec = WavSpec { channels: count, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let cannot = |error| format!("{} cannot be written: {error}", path.display());
    let mut writer = WavWriter::create(path, spec).map_err(cannot)?;
    for i in 0..channels.iter().map(Vec::len).min().unwrap_or(0) {
        for channel in channels {
            // What is too loud is cut off, as `as` does it.
            writer.write_sample(channel[i].round() as i16).map_err(cannot)?;
        }
    }
    Ok(writer.finalize().map_err(cannot)?)
}
