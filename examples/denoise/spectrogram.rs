//! Pictures of sounds: time to the right, frequency up, loudness as light.

use std::error::Error;
use std::f32::consts::TAU;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use easyfft::dyn_size::realfft::DynRealFft as _;

/// Samples of a spectrum, whose lines are 50 Hz apart.
const WINDOW: usize = 960;
/// Lines of a picture: up to 8 kHz.
const LINES: usize = 160;
const WIDTH: usize = 800;
/// Spectra of a column.
const MEAN_OF: usize = 4;
/// Lines between two pictures.
const GAP: usize = 6;
/// What is so many decibels below the loudest is dark.
const RANGE: f32 = 65.0;
/// Colours from dark to light, with others between them.
const COLORS: [[f32; 3]; 6] = [
    [4.0, 4.0, 20.0],
    [59.0, 15.0, 112.0],
    [140.0, 41.0, 129.0],
    [222.0, 73.0, 104.0],
    [254.0, 159.0, 109.0],
    [252.0, 253.0, 191.0],
];
/// So many colours in all, the last of them for the gaps.
const SHADES: usize = 33;

/// Draws sounds of one length below each other, a PNG file.
pub(crate) fn draw(path: &Path, sounds: &[&[f32]]) -> Result<(), Box<dyn Error>> {
    let decibels: Vec<_> = sounds.iter().map(|sound| columns(sound)).collect();
    let loudest = decibels.iter().flatten().flatten().fold(RANGE, |most, &x| most.max(x));
    let gap = (SHADES - 1) as u8;
    let mut pixels = Vec::new();
    for (index, columns) in decibels.iter().enumerate() {
        if index > 0 {
            pixels.resize(pixels.len() + GAP * WIDTH, gap);
        }
        for line in (0..LINES).rev() {
            let shade = |x: f32| ((1.0 + (x - loudest) / RANGE) * (SHADES - 2) as f32).clamp(0.0, (SHADES - 2) as f32);
            pixels.extend(columns.iter().map(|column| shade(column[line]) as u8));
        }
    }
    let cannot = |error| format!("{} cannot be written: {error}", path.display());
    let file = BufWriter::new(File::create(path).map_err(|error| cannot(error.to_string()))?);
    let mut encoder = png::Encoder::new(file, WIDTH as u32, (pixels.len() / WIDTH) as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().map_err(|error| cannot(error.to_string()))?;
    writer.write_image_data(&pixels).map_err(|error| cannot(error.to_string()))?;
    writer.finish().map_err(|error| cannot(error.to_string()))?;
    Ok(())
}

/// The spectra of a sound, as many as the picture is wide, in decibels. Each is the mean of a few, so that noise
/// looks even.
fn columns(sound: &[f32]) -> Vec<[f32; LINES]> {
    let window: Vec<f32> = (0..WINDOW).map(|i| 0.5 - 0.5 * (TAU * (i as f32 + 0.5) / WINDOW as f32).cos()).collect();
    let mut part = vec![0.0; WINDOW];
    let mut column = |index: usize| {
        let mut powers = [1.0; LINES];
        for turn in 0..MEAN_OF {
            let begin = (index * MEAN_OF + turn) * sound.len() / (WIDTH * MEAN_OF);
            part.fill(0.0);
            part.iter_mut().zip(&sound[begin..]).zip(&window).for_each(|((x, sample), weight)| *x = sample * weight);
            let spectrum = part.real_fft();
            powers.iter_mut().zip(&spectrum[..]).for_each(|(power, line)| *power += line.norm_sqr());
        }
        powers.map(|power| 10.0 * power.log10())
    };
    (0..WIDTH).map(&mut column).collect()
}

fn palette() -> Vec<u8> {
    let color = |shade: usize| {
        let at = shade as f32 / (SHADES - 2) as f32 * (COLORS.len() - 1) as f32;
        let (low, share) = ((at as usize).min(COLORS.len() - 2), at.fract());
        let share = if at as usize > low { 1.0 } else { share };
        std::array::from_fn::<u8, 3, _>(|i| ((1.0 - share) * COLORS[low][i] + share * COLORS[low + 1][i]) as u8)
    };
    (0..SHADES - 1).map(color).chain([[255; 3]]).flatten().collect()
}
