//! The parts of the example `denoise` that read files: weights and sounds. What it computes is held in
//! `tests/gpu/denoise.rs`.

use std::collections::HashSet;
use std::path::PathBuf;

#[expect(dead_code, reason = "the example uses the rest")]
#[path = "../examples/denoise/frames.rs"]
mod frames;
#[path = "../examples/denoise/wav.rs"]
mod wav;
#[expect(dead_code, reason = "the example uses the rest")]
#[path = "../examples/denoise/weights.rs"]
mod weights;

use hound::{SampleFormat, WavSpec, WavWriter};
use weights::{FEATURES, Model, ModelError};

const FILE: &[u8] = include_bytes!("../examples/data/rnnoise/weights.rnn");

#[test]
fn models_that_are_none_are_refused() {
    let truncated = |len: usize| match Model::read(&FILE[..len]) {
        Err(ModelError::Truncated { layer }) => layer,
        other => panic!("of {len} bytes: {:?}", other.map(|_| "a model")),
    };
    let layers: HashSet<_> = (0..FILE.len()).step_by(101).map(truncated).collect();
    assert_eq!(layers.len(), 5, "all but the last, whose 28 bytes this does not hit: {layers:?}");
    assert_eq!([0, 2, FILE.len() - 1].map(truncated), ["the input layer", "the input layer", "the layer of speech"]);
    let changed = |place: usize, byte: u8| {
        let mut file = FILE.to_vec();
        file[place] = byte;
        Model::read(&file).map(|_| "a model")
    };
    let (layer, expected) = ("the input layer", [FEATURES, 24]);
    assert_eq!(changed(0, 255), Err(ModelError::Sizes { layer, inputs: 255, neurons: 24, expected }), "more inputs");
    assert_eq!(changed(1, 0), Err(ModelError::Sizes { layer, inputs: FEATURES, neurons: 0, expected }), "no neurons");
    assert_eq!(changed(2, 128), Err(ModelError::Activation { layer, code: -128 }), "no activation");
    assert_eq!(Model::read(&[FILE, &[0]].concat()).map(|_| "a model"), Err(ModelError::TooLong(1)), "a byte more");
}

/// A file of the test's own, removed at its end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("wgpu-gru-{}-{name}.wav", std::process::id())))
    }

    fn written<S: hound::Sample + Copy>(name: &str, spec: WavSpec, samples: &[S]) -> Self {
        let file = Self::new(name);
        let mut writer = WavWriter::create(&file.0, spec).expect("a file");
        samples.iter().for_each(|&sample| writer.write_sample(sample).expect("a sample"));
        writer.finalize().expect("a file");
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

const SPEC: WavSpec =
    WavSpec { channels: 2, sample_rate: 48_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
const FLOATS: WavSpec = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..SPEC };

/// Every format in units of 16 bits; and what is written is read again, rounded, and cut off where it is too loud.
#[test]
fn sounds_are_read_and_written() {
    let read = |file: &Temporary| wav::read(&file.0).expect("a sound");
    let expected = [vec![1.0, 3.0], vec![-2.0, -32768.0]];
    assert_eq!(read(&Temporary::written("16", SPEC, &[1, -2, 3, -32768])), expected, "16 bits");
    let spec = WavSpec { bits_per_sample: 24, ..SPEC };
    assert_eq!(read(&Temporary::written("24", spec, &[256, -512, 768, -8_388_608])), expected, "24 bits");
    let floats = [1.0, -2.0, 3.0, -32768.0].map(|sample: f32| sample / 32768.0);
    assert_eq!(read(&Temporary::written("floats", FLOATS, &floats)), expected, "floats");

    let file = Temporary::new("written");
    wav::write(&file.0, &[vec![1.4, 40_000.0], vec![-1.6, -40_000.0]]).expect("a file");
    assert_eq!(read(&file), [vec![1.0, 32767.0], vec![-2.0, -32768.0]], "as written");
}

#[test]
fn sounds_that_are_none_are_refused() {
    let refused = |file: &Temporary, why: &str| {
        let error = wav::read(&file.0).expect_err(why).to_string();
        assert!(error.contains(why) && !error.contains('\n'), "{why:?} is not in {error:?}");
    };
    refused(&Temporary::new("absent"), "cannot be read");
    refused(&Temporary::written("rate", WavSpec { sample_rate: 44_100, ..SPEC }, &[0_i16; 4]), "44100");
    refused(&Temporary::written("empty", SPEC, &[0_i16; 0]), "no sound");
    refused(&Temporary::written("NaN", FLOATS, &[0.0, f32::NAN]), "no sound");
    refused(&Temporary::written("loud", FLOATS, &[0.0, 1e30]), "no sound");
    // Every file that ends early; and one that says of itself that gigabytes follow.
    let whole = std::fs::read(&Temporary::written("whole", SPEC, &[7_i16; 40]).0).expect("it was written");
    let file = Temporary::new("cut");
    for len in 0..whole.len() {
        std::fs::write(&file.0, &whole[..len]).expect("a file");
        refused(&file, "cannot be read");
    }
    let mut huge = whole.clone();
    let data = huge.windows(4).position(|part| part == b"data").expect("a part of samples") + 4;
    huge[data..data + 4].copy_from_slice(&0xffff_fffc_u32.to_le_bytes());
    std::fs::write(&file.0, &huge).expect("a file");
    refused(&file, "cannot be read");
}
