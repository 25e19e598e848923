//! Weights by name, files of safetensors that PyTorch wrote, and the layouts of other sources; no GPU.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use support::error::{assert_error, shape};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{
    Array, Biases, CellLayout, CellWeights, Direction, Error, GateOrder, GruConfig, RnnConfig, StateDict, Weights,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/state_dict").join(name)
}

fn load(name: &str) -> StateDict {
    StateDict::load(golden(name)).expect("a file that PyTorch wrote")
}

/// What the layers of `generate_state_dict.py` are.
fn encoder() -> GruConfig {
    GruConfig::new(4, 5).num_layers(2).direction(Direction::Bidirectional)
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wgpu-gru-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn configs_follow_from_shapes() {
    let dict = load("model.safetensors");
    assert_eq!(dict.gru_config("encoder.").expect("a GRU"), encoder());
    let rnn = dict.rnn_config("rnn.").expect("a plain RNN");
    assert_eq!(rnn, RnnConfig::new(10, 3).bias(false));
    assert_eq!(dict.metadata().get("format").map(String::as_str), Some("pt"));
    // Of nn.GRU itself, so without a prefix.
    assert_eq!(load("f16.safetensors").gru_config("").expect("a GRU"), encoder());
}

#[test]
fn every_direction_and_number_of_layers_comes_back() {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for (num_layers, bias) in [(1, true), (3, false), (12, true)] {
            let config = GruConfig::new(2, 3).num_layers(num_layers).direction(direction).bias(bias);
            let weights = Weights::random(&config, 5);
            let mut dict = StateDict::new();
            dict.insert_weights("a.b.", &config, &weights).expect("weights");
            assert_eq!(dict.gru_config("a.b.").expect("a GRU"), config);
            assert_eq!(dict.weights("a.b.", &config).expect("weights"), weights);
        }
    }
}

/// The names and the numbers are PyTorch's: taken by hand from the file, byte by byte.
#[test]
fn numbers_are_the_bytes_of_the_file() {
    let bytes = fs::read(golden("model.safetensors")).expect("a file");
    let header_len = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_len]).expect("a header");
    let dict = load("model.safetensors");
    let mut compared = 0;
    for (name, info) in header.as_object().expect("names").iter().filter(|(name, _)| *name != "__metadata__") {
        let [begin, end] =
            [0, 1].map(|end| 8 + header_len + info["data_offsets"][end].as_u64().expect("bytes") as usize);
        if info["dtype"] == "F32" {
            let values: Vec<u8> =
                dict.get(name).expect(name).values().iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(values, bytes[begin..end], "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 16 + 2 + 2 + 1, "encoder, rnn, head, embedding");
}

/// Half precision is read exactly: what PyTorch rounded lies within half a unit of the last place of what it was.
#[test]
fn halves_are_read_exactly() {
    let whole = load("model.safetensors");
    for (file, bits) in [("f16.safetensors", 10), ("bf16.safetensors", 7)] {
        let halves = load(file);
        let mut differ = 0;
        for name in halves.names() {
            let (half, whole) = (halves.get(name).expect(name), whole.get(&format!("encoder.{name}")).expect(name));
            assert_eq!(half.shape(), whole.shape(), "{file}: {name}");
            for (half, whole) in half.values().iter().zip(whole.values()) {
                // All are normal numbers in both formats.
                let digits = half.to_bits() << (9 + bits);
                assert_eq!(digits, 0, "{file}: {name}: {half} has {bits} bits");
                assert!(
                    (half - whole).abs() <= whole.abs() * 2.0_f32.powi(-bits - 1),
                    "{file}: {name}: {half}, {whole}"
                );
                differ += usize::from(half != whole);
            }
        }
        assert!(differ > 100, "{file} is rounded");
    }
}

#[test]
fn what_cannot_be_represented_is_refused() {
    let dict = load("model.safetensors");
    let tensor = "steps".to_owned();
    assert_error(dict.get("steps"), &Error::TensorType { tensor, dtype: "I64".into() });
    let tensor = "weight_ih_l0".to_owned();
    assert_error(load("f64.safetensors").gru_config(""), &Error::TensorType { tensor, dtype: "F64".into() });
    // An LSTM has four gates.
    assert_error(load("lstm.safetensors").gru_config(""), &shape("weight_ih_l0", &[15, 4], &[20, 4]));
    // A GRU is no plain RNN, and the other way round.
    assert_error(dict.rnn_config("encoder."), &shape("encoder.weight_ih_l0", &[5, 4], &[15, 4]));
    assert_error(dict.gru_config("rnn."), &shape("rnn.weight_ih_l0", &[9, 10], &[3, 10]));
    // Another layer than the file's.
    let wider = GruConfig::new(4, 6).num_layers(2).direction(Direction::Bidirectional);
    assert_error(dict.weights("encoder.", &wider), &shape("encoder.weight_ih_l0", &[18, 4], &[15, 4]));

    let found: Vec<_> = dict.names().map(Into::into).collect();
    let missing = Error::MissingTensor { tensor: "decoder.weight_ih_l0".into(), found };
    assert_error(dict.gru_config("decoder."), &missing);
    let text = missing.to_string();
    assert!(
        text.starts_with("there is no tensor decoder.weight_ih_l0; there is embedding.weight, ")
            && text.ends_with(" more"),
        "{text}"
    );
}

/// Nothing of a layer is left out in silence.
#[test]
fn a_gap_is_no_layer() {
    let config = GruConfig::new(2, 3).num_layers(3).direction(Direction::Bidirectional);
    let mut whole = StateDict::new();
    whole.insert_weights("x.", &config, &Weights::random(&config, 5)).expect("weights");
    let names: Vec<String> = whole.names().map(Into::into).collect();
    assert_eq!(names.len(), 24, "four of each of six cells");
    for left_out in &names {
        let mut dict = StateDict::new();
        for name in names.iter().filter(|name| *name != left_out) {
            dict.insert(name.clone(), whole.get(name).expect("an array").clone());
        }
        let error = dict.gru_config("x.").expect_err(left_out);
        assert!(matches!(error, Error::MissingTensor { .. } | Error::UnexpectedTensor { .. }), "{left_out}: {error}");
    }
    // What only looks like one is not taken for one.
    whole.insert("x.weight_ih_layer", Array::new(&[1], vec![0.0]).expect("an array"));
    assert_eq!(whole.gru_config("x.").expect("a GRU"), config);
}

#[test]
fn a_round_trip_is_exact() {
    let mut dict = load("model.safetensors");
    dict.metadata_mut().insert("step".into(), "17".into());
    dict.insert("odd", Array::new(&[2, 2], vec![f32::NAN, -0.0, f32::INFINITY, 1e-45]).expect("an array"));
    let folder = folder("round-trip");
    let path = folder.join("model.safetensors");
    dict.save(&path).expect("a file");
    let again = StateDict::load(&path).expect("the same");
    assert_eq!(again.metadata(), dict.metadata());
    let mut compared = 0;
    for name in dict.names().filter(|name| *name != "steps") {
        let [before, after] = [&dict, &again].map(|dict| dict.get(name).expect(name));
        assert_eq!(before.shape(), after.shape(), "{name}");
        let [before, after] =
            [before, after].map(|array| array.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        assert_eq!(before, after, "{name}");
        compared += 1;
    }
    assert_eq!((compared, again.names().count()), (22, 22), "all but the whole number");
    fs::remove_dir_all(folder).expect("removed");
}

/// A file that cannot be put in its place leaves what was there, and no part of itself; what an earlier crash left does
/// not matter.
#[test]
fn a_failed_save_loses_nothing() {
    let folder = folder("save");
    let dict = load("model.safetensors");
    // A folder that is not empty can be replaced by no file.
    let taken = folder.join("taken.safetensors");
    fs::create_dir_all(taken.join("inside")).expect("a folder");
    let error = dict.save(&taken).expect_err("no file fits there");
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("taken.safetensors")), "{error}");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing but the folder");

    let path = folder.join("model.safetensors");
    dict.save(&path).expect("a file");
    let before = fs::read(&path).expect("a file");
    // As a crash in the middle of writing leaves it.
    fs::write(folder.join("model.safetensors.1.partial"), &before[..100]).expect("half a file");
    assert_eq!(fs::read(&path).expect("a file"), before, "the old one is whole");
    StateDict::new().save(&path).expect("a file");
    assert_eq!(StateDict::load(&path).expect("an empty one"), StateDict::new());

    let nowhere = folder.join("nowhere/model.safetensors");
    for error in [dict.save(&nowhere).expect_err("no folder"), StateDict::load(&nowhere).expect_err("no file")] {
        assert!(matches!(error, Error::File { kind: std::io::ErrorKind::NotFound, .. }), "{error}");
    }
    fs::remove_dir_all(folder).expect("removed");
}

/// A header that says what is not so: a typed error, in no time and memory.
#[test]
fn hostile_headers() {
    let with = |header: &str, data: &[u8]| [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat();
    let info = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"weight_ih_l0":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let good = with(&info("F32", "[1]", "[0,4]"), &[0; 4]);
    assert_eq!(StateDict::from_safetensors(&good).expect("a file").names().count(), 1);
    let mut cases = vec![
        Vec::new(),
        good[..8].to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        [&(1_u64 << 63).to_le_bytes()[..], &good[8..]].concat(),
        with("{", &[]),
        with("[1]", &[]),
        with("\u{feff}{}", &[]),
    ];
    for (dtype, shape, offsets) in [
        ("F32", "[2]", "[0,4]"),
        ("F32", "[1]", "[0,8]"),
        ("F32", "[1]", "[4,8]"),
        ("F32", "[1]", "[4,0]"),
        ("F32", "[-1]", "[0,4]"),
        ("F33", "[1]", "[0,4]"),
        ("F32", "[9223372036854775808]", "[0,4]"),
        ("F32", "[4294967296,4294967296,4294967296]", "[0,4]"),
        ("F32", "[1]", "[0,18446744073709551615]"),
        ("F32", "1", "[0,4]"),
        ("F16", "[1]", "[0,4]"),
    ] {
        cases.push(with(&info(dtype, shape, offsets), &[0; 4]));
    }
    for case in cases {
        let error = StateDict::from_safetensors(&case).expect_err("no file");
        assert!(matches!(error, Error::InvalidFile { format: "file of safetensors", .. }), "{error}");
    }
    // Sizes that are zero are no layer.
    for shape in ["[0,4]", "[3,0]", "[]", "[0]"] {
        let len = if shape == "[]" { 4 } else { 0 };
        let one = format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[0,{len}]}}"#);
        let two = one.replace(&format!("[0,{len}]}}"), &format!("[{len},{}]}}", 2 * len));
        let file = with(&format!(r#"{{"weight_ih_l0":{one},"weight_hh_l0":{two}}}"#), &vec![0; 2 * len]);
        let dict = StateDict::from_safetensors(&file).expect("a file");
        let error = dict.gru_config("").expect_err(shape);
        assert!(matches!(error, Error::ShapeMismatch { .. } | Error::ZeroSize { .. }), "{shape}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Bits that flipped and ends that are missing: an answer or a typed error, and never another layer in silence.
    #[test]
    fn damaged_files(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 0..4), end in any::<prop::sample::Index>(), cut: bool) {
        let mut bytes = fs::read(golden("model.safetensors")).expect("a file");
        // The header is where a flip matters.
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        for (place, bit) in flips {
            bytes[place.index(header)] ^= 1 << bit;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        match StateDict::from_safetensors(&bytes) {
            Ok(dict) => {
                let found = dict.gru_config("encoder.").and_then(|config| Ok((dict.weights("encoder.", &config)?, config)));
                // All of it, bit by bit, or nothing.
                let whole = load("model.safetensors").weights("encoder.", &encoder()).expect("weights");
                prop_assert!(found.is_err() || found.is_ok_and(|found| found == (whole, encoder())));
            }
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
    }
}

/// A cell by hand, I = 1, H = 2: the row of unit u of gate g holds 10 g + u.
#[test]
fn layouts_by_hand() {
    let config = GruConfig::new(1, 2);
    let rzn = CellWeights {
        weight_ih: vec![0., 1., 10., 11., 20., 21.],
        weight_hh: vec![0., 0.5, 1., 1.5, 10., 10.5, 11., 11.5, 20., 20.5, 21., 21.5],
        bias_ih: vec![0., 1., 10., 11., 20., 21.],
        bias_hh: vec![-0., -1., -10., -11., -20., -21.],
    };
    let zrn = [10., 11., 0., 1., 20., 21.];
    let onnx_hh = [10., 10.5, 11., 11.5, 0., 0.5, 1., 1.5, 20., 20.5, 21., 21.5];
    // Row k is what unit k of the state adds to all six.
    let keras_hh = [10., 11., 0., 1., 20., 21., 10.5, 11.5, 0.5, 1.5, 20.5, 21.5];
    let both: Vec<f32> = zrn.iter().copied().chain(zrn.iter().map(|bias| -bias)).collect();
    for (layout, hh) in [(CellLayout::ONNX, onnx_hh), (CellLayout::KERAS, keras_hh)] {
        let cell = CellWeights::from_layout(&config, 0, layout, &zrn, &hh, Biases::Joined(&both)).expect("a cell");
        assert_eq!(cell, rzn, "{layout:?}");
        let back = rzn.to_layout(&config, 0, layout).expect("arrays");
        assert_eq!(back, [zrn.to_vec(), hh.to_vec(), zrn.to_vec(), both[6..].to_vec()], "{layout:?}");
    }
    let cell =
        CellWeights::from_layout(&config, 0, CellLayout::ONNX, &zrn, &onnx_hh, Biases::Input(&zrn)).expect("a cell");
    assert_eq!((cell.bias_ih, cell.bias_hh), (rzn.bias_ih.clone(), vec![0.0; 6]));
    // The gates of a plain RNN have no order.
    let rnn = RnnConfig::new(1, 2).bias(false);
    let cell = CellWeights::from_layout(&rnn, 0, CellLayout::KERAS, &[1., 2.], &[1., 2., 3., 4.], Biases::None)
        .expect("a cell");
    assert_eq!((cell.weight_ih, cell.weight_hh), (vec![1., 2.], vec![1., 3., 2., 4.]));
}

#[test]
fn layouts_there_and_back() {
    for config in [GruConfig::new(3, 5).num_layers(2).erased(), RnnConfig::new(4, 2).bias(false).num_layers(2).erased()]
    {
        let cells = Weights::random(&config, 3).cells;
        for (layer, cell) in cells.iter().enumerate() {
            for gates in [GateOrder::ResetUpdateNew, GateOrder::UpdateResetNew] {
                for transposed in [false, true] {
                    let layout = CellLayout { gates, transposed };
                    let [ih, hh, bias_ih, bias_hh] = cell.to_layout(&config, layer, layout).expect("arrays");
                    let biases = if config.bias { Biases::Two { ih: &bias_ih, hh: &bias_hh } } else { Biases::None };
                    let again = CellWeights::from_layout(&config, layer, layout, &ih, &hh, biases).expect("a cell");
                    assert_eq!(&again, cell, "{layout:?}");
                    let is_same = !transposed && (gates == GateOrder::ResetUpdateNew || config.cell().gates() == 1);
                    assert_eq!(ih == cell.weight_ih, is_same, "{layout:?} of {config:?}");
                }
            }
        }
    }
}

#[test]
fn wrong_arrays_of_other_sources() {
    let (config, numbers) = (GruConfig::new(2, 3), SplitMix64::new(1).vec(64, 1.0));
    let make = |layer, layout, [ih, hh]: [usize; 2], biases: Biases<'_>| {
        CellWeights::from_layout(&config, layer, layout, &numbers[..ih], &numbers[..hh], biases)
    };
    let [none, two] = [Biases::None, Biases::Two { ih: &numbers[..9], hh: &numbers[..9] }];
    assert!(make(0, CellLayout::KERAS, [18, 27], two).is_ok());
    assert_error(make(0, CellLayout::PYTORCH, [17, 27], two), &shape("weight_ih", &[9, 2], &[17]));
    assert_error(make(0, CellLayout::KERAS, [17, 27], two), &shape("weight_ih", &[2, 9], &[17]));
    assert_error(make(0, CellLayout::ONNX, [18, 26], two), &shape("weight_hh", &[9, 3], &[26]));
    let short = Biases::Two { ih: &numbers[..9], hh: &numbers[..8] };
    assert_error(make(0, CellLayout::ONNX, [18, 27], short), &shape("bias_hh", &[9], &[8]));
    assert_error(make(0, CellLayout::ONNX, [18, 27], Biases::Joined(&numbers[..9])), &shape("biases", &[2, 9], &[9]));
    assert_error(make(0, CellLayout::ONNX, [18, 27], Biases::Input(&numbers[..18])), &shape("bias", &[9], &[18]));
    for (error, option) in
        [(make(1, CellLayout::ONNX, [18, 27], two), "layer"), (make(0, CellLayout::ONNX, [18, 27], none), "biases")]
    {
        let error = error.expect_err(option);
        assert!(matches!(error, Error::InvalidOption { option: found, .. } if found == option), "{error}");
    }
    let zero = CellWeights::from_layout(&GruConfig::new(0, 3), 0, CellLayout::KERAS, &[], &numbers[..27], two);
    assert_error(zero, &Error::ZeroSize { what: "input_size" });
}
