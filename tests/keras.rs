//! What Keras saves, and files of NumPy; no GPU.

mod support;

use proptest::prelude::*;
use support::error::{assert_error, shape};
use support::hdf5::{Hdf5, ROOT};
use support::keras::{FUNCTIONAL, RNN_WEIGHTS, SEQUENTIAL, cases, gru_configs, model, rnn_config};
use support::numbers::{assert_close, largest};
use support::zip::{Member, archive, bomb};
use wgpu_gru::keras::{self, CellNames, Kind, Model};
use wgpu_gru::verify::expectation;
use wgpu_gru::{Error, GruConfig, Reset, StateDict, Tolerance};

const ARRAYS: &[u8] = include_bytes!("golden/keras/arrays.npz");
const PATHS: &[u8] = include_bytes!("golden/keras/paths.npz");

/// Every recurrent layer of every file makes the numbers of Keras, forward and backward, in the oracle. Both compute in
/// f64; what Keras made was rounded to f32 once, and the slope 1/6 of its hard sigmoid is no f32 number, which moves each
/// of its steps by that share of 1/2 at most.
#[test]
fn the_oracle_agrees_with_keras() {
    let mut compared = 0;
    for case in cases() {
        let roundings = if case.name == "gru_1" { 1 + case.batch.seq_len } else { 1 };
        let made = expectation(&case.config, &case.weights, &case.batch);
        for (tensor, expected) in &case.expected {
            let values = &made.iter().find(|made| made.tensor == *tensor).expect(tensor).values;
            let bound = roundings as f64 * Tolerance::UNIT_ROUNDOFF * largest(expected);
            assert!(bound > 0.0, "{}: {tensor}: numbers to compare with", case.name);
            assert_close(&format!("{}: {tensor}", case.name), values, expected, Tolerance { abs: bound, rel: 0.0 });
            compared += 1;
        }
    }
    assert_eq!(compared, 7 * 2 + 8 + 3 + 8 + 2 + 4 + 3 + 2, "every array of every layer");
}

#[test]
fn layers_are_what_keras_says() {
    for (file, name, config) in gru_configs() {
        let model = model(file);
        let Kind::Gru(found) = &model.layer(name).expect(name).kind else { panic!("{name} is a GRU") };
        assert_eq!(*found, config, "{name}");
    }
    let model = model(SEQUENTIAL);
    assert!(model.keras_version().starts_with("3."), "{}", model.keras_version());
    let Kind::Rnn(found) = &model.layer("simple_rnn").expect("a layer").kind else { panic!("an RNN") };
    assert_eq!(*found, rnn_config());
    let lines: Vec<String> = model.layers().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "embedding (Embedding): embedding, 7 vectors of 4",
            "bidirectional (Bidirectional): GRU, 4 to 6",
            "gru_1 (GRU): GRU, 6 to 5",
            "simple_rnn (SimpleRNN): plain RNN, 5 to 2",
            "dense (Dense): linear, 2 to 3",
        ]
    );
    assert_eq!(model.to_string(), lines.join("\n"));
    assert!(model.layer("gru_1").expect("a layer").return_sequences);
}

/// The report tells what was used, what is left, and what is not read, with the reason.
#[test]
fn nothing_is_left_out_in_silence() {
    let model = model(FUNCTIONAL);
    let names: Vec<&str> = model.layers().iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["stack/lower", "stack/upper", "cell", "backwards", "lstm", "concatenate", "head"]);
    let (_, _, report) = model.gru_weights(&["cell"]).expect("a GRU");
    assert_eq!(report.used, ["layers/rnn/cell/vars/0", "layers/rnn/cell/vars/1"]);
    assert_eq!(report.unused, Vec::<String>::new());
    let cell = model.layer("cell").expect("a layer");
    assert_eq!(cell.ignored.len(), 1);
    assert_eq!((cell.ignored[0].option, cell.ignored[0].value.as_str()), ("dropout", "0.25"));
    assert!(!cell.return_sequences);
    let head = model.layer("head").expect("a layer");
    let ignored: Vec<_> = head.ignored.iter().map(|ignored| (ignored.option, ignored.value.as_str())).collect();
    assert_eq!(ignored, [("use_bias", "false"), ("activation", "softmax")]);
    let error = model.gru_weights(&["lstm"]).expect_err("no GRU");
    assert_eq!(
        error.to_string(),
        "layer lstm: class_name is LSTM, expected GRU, SimpleRNN, RNN or Bidirectional of these, Dense or Embedding"
    );
    let error = model.gru_weights(&["head"]).expect_err("no GRU");
    assert_eq!(error.to_string(), "layer head: class_name is Dense, expected GRU");
    let found = names.iter().map(|&name| name.to_owned()).collect();
    assert_error(model.gru_weights(&["gru"]), &Error::MissingLayer { layer: "gru".into(), found });
}

#[test]
fn only_what_fits_is_stacked() {
    let model = model(FUNCTIONAL);
    let (config, _, report) = model.gru_weights(&["stack/lower", "stack/upper"]).expect("two GRUs");
    assert_eq!(config, GruConfig::new(3, 4).num_layers(2).batch_first(true));
    assert_eq!((report.used.len(), report.unused.len()), (6, 0));
    let refused = |names: &[&str]| model.gru_weights(names).expect_err("not alike").to_string();
    let prefix = "layers/sequential/layers";
    assert_eq!(
        refused(&["stack/upper", "stack/lower"]),
        format!("{prefix}/gru/cell/vars/0 has shape [3, 12], expected [4, 12]")
    );
    assert_eq!(refused(&["stack/upper", "cell"]), "layer cell: units is another, expected that of the layer below");
    assert_eq!(
        refused(&["cell", "stack/upper"]),
        "layer cell: return_sequences is false, expected true in a layer below another"
    );
    assert_error(model.gru_weights(&[]), &Error::ZeroSize { what: "number of layers" });
}

/// The same GRU from `numpy.savez` and `savez_compressed`, without any config.
#[test]
fn files_of_numpy() {
    let (config, whole, _) = model(FUNCTIONAL).gru_weights(&["stack/lower"]).expect("a GRU");
    let dict = StateDict::from_npz(ARRAYS).expect("a file that NumPy wrote");
    let cells = [CellNames::numbered("arr_", 0)];
    assert_eq!(keras::gru_config(&dict, &cells).expect("a GRU"), config);
    let (weights, report) = keras::weights(&dict, &config, &cells).expect("weights");
    assert_eq!(weights, whole);
    assert_eq!((report.used.len(), report.unused.len()), (3, 0));

    let dict = StateDict::from_npz(PATHS).expect("a file that NumPy wrote");
    let cells = [CellNames::variables("stack/lower/gru_cell/")];
    assert_eq!(keras::gru_config(&dict, &cells).expect("a GRU"), config);
    let (weights, report) = keras::weights(&dict, &config, &cells).expect("weights");
    assert_eq!(report.unused, ["steps"]);
    assert_error(dict.get("steps"), &Error::TensorType { tensor: "steps".into(), dtype: "<i8".into() });
    let (halves, whole) = (&weights.cells[0], &whole.cells[0]);
    assert_eq!((&halves.weight_ih, &halves.weight_hh), (&whole.weight_ih, &whole.weight_hh), "to the bit");
    for (half, whole) in halves.bias_ih.iter().zip(&whole.bias_ih).chain(halves.bias_hh.iter().zip(&whole.bias_hh)) {
        assert_eq!(half.to_bits() << 19, 0, "{half} has 10 bits");
        assert!((half - whole).abs() <= whole.abs() / 2048.0, "{half} is {whole}, rounded");
    }
}

/// The biases say where the reset gate acts, and a config that says otherwise is an error.
#[test]
fn arrays_that_do_not_fit() {
    let dict = StateDict::from_npz(ARRAYS).expect("a file that NumPy wrote");
    let cells = [CellNames::numbered("arr_", 0)];
    let config = keras::gru_config(&dict, &cells).expect("a GRU");
    let with = |config: &GruConfig| keras::weights(&dict, config, &cells);
    assert_error(with(&config.clone().reset(Reset::Before)), &shape("arr_2", &[12], &[2, 12]));
    let mut wider = config.clone();
    wider.hidden_size = 5;
    assert_error(with(&wider), &shape("arr_0", &[3, 15], &[3, 12]));
    let error = with(&config.clone().bias(false)).expect_err("biases");
    assert!(matches!(error, Error::InvalidOption { option: "biases", .. }), "{error}");
    let error = keras::weights(&dict, &config, &[cells[0].clone().without_bias()]).expect_err("no biases");
    assert!(matches!(error, Error::InvalidOption { option: "biases", .. }), "{error}");
    assert_error(with(&config.clone().num_layers(2)), &shape("cells of the weights", &[2], &[1]));
    // A GRU is no plain RNN, and the other way round.
    assert_error(keras::rnn_config(&dict, &cells), &shape("arr_0", &[3, 4], &[3, 12]));
    let rnn = StateDict::from_keras(RNN_WEIGHTS).expect("a file that Keras wrote");
    let names = [CellNames::saved("layers/simple_rnn/cell/")];
    assert_error(keras::gru_config(&rnn, &names), &shape("layers/simple_rnn/cell/vars/0", &[3, 6], &[3, 2]));
    let elsewhere = [CellNames::saved("layers/gru/cell/")];
    let found = rnn.names().map(Into::into).collect();
    let missing = Error::MissingTensor { tensor: "layers/gru/cell/vars/0".into(), found };
    assert_error(keras::gru_config(&rnn, &elsewhere), &missing);
}

/// The members of a `.keras`, which Keras stores as they are.
fn members(file: &[u8]) -> [Vec<u8>; 3] {
    ["metadata.json", "config.json", "model.weights.h5"].map(|name| {
        let place = file.windows(name.len()).position(|window| window == name.as_bytes()).expect(name);
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        // The size, the name, what else the header has.
        let (len, extra) = (number(place - 8), number(place - 4) >> 16);
        let begin = place + name.len() + extra;
        file[begin..begin + len].to_vec()
    })
}

fn with_members([metadata, config, weights]: &[Vec<u8>; 3]) -> Vec<u8> {
    archive(&[
        Member::stored("metadata.json", metadata),
        Member::stored("config.json", config),
        Member::stored("model.weights.h5", weights),
    ])
}

/// The text of the config replaced.
fn with_config(from: &str, to: &str) -> Model {
    let mut files = members(FUNCTIONAL);
    let text = String::from_utf8(files[1].clone()).expect("text");
    assert!(text.contains(from), "{from} is in the config");
    files[1] = text.replace(from, to).into_bytes();
    Model::from_bytes(&with_members(&files)).expect("a model")
}

/// Options that are not here, each named with what is expected.
#[test]
fn what_cannot_be_represented_is_refused() {
    for (from, to, layer, expected) in [
        (r#""activation": "softsign""#, r#""activation": "gelu""#, "cell", "layer cell: activation is gelu, expected "),
        (
            r#""recurrent_activation": "elu""#,
            r#""recurrent_activation": {"class_name": "function", "config": "mine"}"#,
            "cell",
            "layer cell: recurrent_activation is function mine, expected sigmoid, tanh, relu, ",
        ),
        (r#""GRUCell""#, r#""LSTMCell""#, "cell", "layer cell: cell is LSTMCell, expected GRUCell"),
        (r#""units": 2"#, r#""units": -2"#, "cell", "layer cell: units is -2, expected a size"),
        (r#""units": 2"#, r#""units": 3"#, "cell", "layers/rnn/cell/vars/0 has shape [4, 6], expected [4, 9]"),
        (
            r#""units": 2"#,
            r#""units": 9223372036854775807"#,
            "cell",
            "the number of parameters needs 18446744073709551615, ",
        ),
        (r#""use_bias": false"#, r#""use_bias": "no""#, "cell", "layer cell: use_bias is no, expected true or false"),
        (r#""use_bias": false"#, r#""use_bias": true"#, "cell", "there is no tensor layers/rnn/cell/vars/2; there is "),
        (r#""go_backwards": true"#, r#""go_backwards": 1"#, "backwards", "layer backwards: go_backwards is 1, "),
        (
            r#""reset_after": true"#,
            r#""reset_after": false"#,
            "backwards",
            "layers/gru/cell/vars/2 has shape [2, 9], expected [9]",
        ),
        (r#""input_dim""#, r#""other""#, "stack/lower", ""),
    ]
    .into_iter()
    .filter(|(.., expected)| !expected.is_empty())
    {
        let model = with_config(from, to);
        let error = model.gru_weights(&[layer]).expect_err(to).to_string();
        assert!(error.starts_with(expected), "{to}: {error}");
    }
    // Layers that are stacked in reverse would go forward again.
    let model = with_config(r#""go_backwards": false"#, r#""go_backwards": true"#);
    let error = model.gru_weights(&["stack/lower", "stack/upper"]).expect_err("in reverse").to_string();
    assert!(error.starts_with("layer stack/upper: go_backwards is true, expected false"), "{error}");
    let model = with_config(r#""stateful": false"#, r#""stateful": true"#);
    assert_eq!(model.layer("backwards").expect("a layer").ignored[0].option, "stateful");
}

#[test]
fn both_directions_are_alike() {
    let with = |from: &str, to: &str| {
        let mut files = members(SEQUENTIAL);
        let text = String::from_utf8(files[1].clone()).expect("text");
        let begin = text.find("\"backward_layer\"").expect("a backward layer");
        let (head, tail) = text.split_at(begin);
        assert!(tail.contains(from), "{from} is in the config");
        files[1] = format!("{head}{}", tail.replacen(from, to, 1)).into_bytes();
        let model = Model::from_bytes(&with_members(&files)).expect("a model");
        model.gru_weights(&["bidirectional"]).map(|(config, ..)| config)
    };
    let whole = gru_configs()[0].2.clone();
    let activation = wgpu_gru::Activation::Softsign;
    assert_eq!(
        with(r#""activation": "tanh""#, r#""activation": "softsign""#).expect("activations may differ"),
        whole.reverse_candidate_activation(activation).reverse_gate_activation(wgpu_gru::Activation::Sigmoid)
    );
    for (from, to) in [
        (r#""go_backwards": true"#, r#""go_backwards": false"#),
        (r#""reset_after": true"#, r#""reset_after": false"#),
        (r#""units": 3"#, r#""units": 4"#),
    ] {
        let error = with(from, to).expect_err(to).to_string();
        assert!(error.starts_with("layer bidirectional: backward_layer is GRU, expected one like "), "{to}: {error}");
    }
    let mut files = members(SEQUENTIAL);
    let text = String::from_utf8(files[1].clone()).expect("text");
    files[1] = text.replace(r#""merge_mode": "concat""#, r#""merge_mode": "sum""#).into_bytes();
    let model = Model::from_bytes(&with_members(&files)).expect("a model");
    let error = model.gru_weights(&["bidirectional"]).expect_err("a sum");
    let layer = "bidirectional".into();
    assert_error::<()>(
        Err(error),
        &Error::UnsupportedLayer { layer, option: "merge_mode", value: "sum".into(), expected: "concat" },
    );
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(result: Result<T, Error>, reason: &str) {
    match result {
        Err(Error::InvalidFile { reason: found, .. }) => assert!(found.contains(reason), "{found}, expected {reason}"),
        other => panic!("{other:?}, expected {reason}"),
    }
}

/// Archives that are none, or unfold to more than anybody has.
#[test]
fn hostile_archives() {
    let npz = StateDict::from_npz;
    assert_invalid(npz(&[]), "");
    assert_invalid(npz(b"PK\x05\x06"), "");
    assert_eq!(npz(&archive(&[])).expect("an empty one"), StateDict::new());
    let header = |text: &str| [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
    let array = |shape: &str, data: &[u8]| {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        archive(&[Member::stored("a.npy", &[&header(&text), data].concat())])
    };
    assert_eq!(npz(&array("(2,)", &[0; 8])).expect("an array").get("a").expect("it").shape(), [2]);
    assert_eq!(npz(&array("(0, 7)", &[])).expect("an array").get("a").expect("it").shape(), [0, 7]);
    for shape in ["(3,)", "(9223372036854775808,)", "(4294967296, 4294967296, 4294967296)", "()"] {
        assert_invalid(npz(&array(shape, &[0; 8])), "8 bytes of type <f4 in the shape");
    }
    assert_invalid(npz(&archive(&[Member::stored("a.npy", b"\x93NUMPY\x01\0\xff\xff")])), "no header");
    assert_invalid(npz(&archive(&[Member::stored("a.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff")])), "no header");
    assert_invalid(npz(&archive(&[Member::stored("a.txt", &[])])), "another name");
    let twice = || Member::stored("a.npy", &[]);
    assert_invalid(npz(&archive(&[twice(), twice()])), "two members are called a.npy");
    // A directory that tells of less or more than its end.
    for count in [0, 2] {
        let mut file = array("(2,)", &[0; 8]);
        let end = file.len() - 22;
        (file[end + 8], file[end + 10]) = (count, count);
        assert_invalid(npz(&file), &format!("1 members, and its end tells of {count}"));
    }
    let mut other_name = array("(2,)", &[0; 8]);
    other_name[30] = b'b';
    assert_invalid(npz(&other_name), "a.npy: it has another name where it lies");
    assert_invalid(npz(&archive(&[Member { method: 12, ..twice() }])), "stored and deflated are read");

    const ZEROS: usize = 1 << 27;
    let zeros = bomb(ZEROS);
    assert!(zeros.len() * 64 < ZEROS - (1 << 24), "a bomb");
    for size in [ZEROS as u32, u32::MAX - 1, 100] {
        let member = Member { name: "a.npy", method: 8, bytes: zeros.clone(), size };
        assert_invalid(npz(&archive(&[member])), if size == 100 { "a.npy: " } else { "unfold to more than 64 times" });
    }
    let [metadata, config, _] = members(SEQUENTIAL);
    let files = [metadata.clone(), config.clone(), vec![]];
    assert_invalid(Model::from_bytes(&with_members(&files)), "24 bytes at byte 0");
    let old = [br#"{"keras_version": "2.15.0"}"#.to_vec(), config, vec![]];
    assert_invalid(Model::from_bytes(&with_members(&old)), "version 2.15.0 of Keras wrote it, expected 3");
    let deep = [metadata.clone(), [vec![b'['; 100_000], vec![b']'; 100_000]].concat(), vec![]];
    assert_invalid(Model::from_bytes(&with_members(&deep)), "recursion limit exceeded");
    let layers = |name: &str| {
        let of_name = |name: &str| format!(r#"{{"class_name": "GRU", "config": {{"name": "{name}", "units": 1}}}}"#);
        let inner = vec![of_name("a"); 50_000].join(",");
        let inner = format!(r#"{{"class_name": "Sequential", "config": {{"name": "{name}", "layers": [{inner}]}}}}"#);
        let outer = format!(r#"{{"class_name": "Sequential", "config": {{"name": "b", "layers": [{inner}]}}}}"#);
        with_members(&[metadata.clone(), outer.into_bytes(), members(SEQUENTIAL)[2].clone()])
    };
    // Many layers of which the file has no array: errors that are small.
    let many = Model::from_bytes(&layers("c")).expect("layers");
    assert_eq!(many.layers().len(), 50_000);
    let error = many.gru_weights(&["c/a"]).expect_err("no array").to_string();
    assert!(error.starts_with("there is no tensor layers/sequential/layers/gru/cell/vars/0; there is none"), "{error}");
    assert_invalid(Model::from_bytes(&layers(&"c".repeat(1000))), "a layer with a name of 1002 bytes");
    let long = [metadata.clone(), vec![b' '; (1 << 22) + 1], vec![]];
    assert_invalid(Model::from_bytes(&with_members(&long)), "config.json has 4194305 bytes");
    let own = [metadata, br#"{"class_name": "Mine", "config": {}}"#.to_vec(), members(SEQUENTIAL)[2].clone()];
    assert_invalid(Model::from_bytes(&with_members(&own)), "a model of class Mine, neither Sequential nor Functional");
    assert!(StateDict::from_keras(&with_members(&own)).expect("arrays").names().count() > 10, "its arrays");
    assert_invalid(Model::from_bytes(ARRAYS), "it has no member metadata.json");
}

/// Files that tell of more than they hold: an error, in time and memory that their size bounds.
#[test]
fn hostile_hdf5() {
    let read = |file: Hdf5| StateDict::from_keras(&file.bytes());
    // As it should be: the header of the group is the first object, then its 40 + 32 + 2 + 48 + 48 bytes of members.
    let group = |members: &[(&str, u64)]| {
        let mut file = Hdf5::new();
        assert_eq!(file.group(members), ROOT);
        file
    };
    let place = group(&[("a", 0)]).end();
    let with_array = |shape: &[u64], data: u64, size: u64| {
        let mut file = group(&[("a", place)]);
        file.array(shape, data, size);
        file.add(&[0; 64]);
        read(file)
    };
    let end = {
        let mut file = group(&[("a", place)]);
        file.array(&[2, 3], 0, 0);
        file.end()
    };
    assert_eq!(with_array(&[2, 3], end, 24).expect("a file").get("a").expect("an array").shape(), [2, 3]);
    assert_eq!(with_array(&[2, 0], u64::MAX, 0).expect("a file").get("a").expect("an array").shape(), [2, 0]);
    for (shape, data, size, reason) in [
        (&[2, 3][..], end, 28, "/a: 28 bytes, and its type and shape make 24"),
        (&[2, 3], u64::MAX, 24, "/a: its numbers were never written"),
        (&[2, 3], u64::MAX - 8, 24, "/a: 24 bytes at byte"),
        (&[1 << 40, 1 << 40], end, 24, "/a: the shape [1099511627776, 1099511627776]"),
        (&[1 << 61], end, 24, "/a: 24 bytes, and its type and shape make 9223372036854775808"),
        (&[1 << 40], end, 1 << 42, "/a: 4398046511104 bytes at byte"),
        (&[1; 33], end, 4, "/a: an array of 33 dimensions"),
    ] {
        assert_invalid(with_array(shape, data, size), reason);
    }
    // A group in itself; one that is called twice the same; names that are none.
    assert_invalid(read(group(&[("a", ROOT)])), "would be larger than the file");
    assert_invalid(read(group(&[("a", ROOT), ("a", ROOT)])), "two members are called a");
    assert_invalid(read(group(&[("a/b", ROOT)])), "the name \"a/b\"");
    assert_invalid(read(group(&[("", ROOT)])), "the name \"\"");
    assert_invalid(read(group(&[("a", u64::MAX - 3)])), "/a: 16 bytes at byte");
    // A million names for the same numbers.
    let mut file = group(&vec![("a", place); 1000]);
    file.array(&[1000], 0, 4000);
    assert_invalid(read(file), "two members are called a");
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let members = |place| names.iter().map(|name| (name.as_str(), place)).collect::<Vec<_>>();
    let place = group(&members(0)).end();
    let mut file = group(&members(place));
    let data = file.end() + 200;
    file.array(&[100_000], data, 400_000);
    file.add(&vec![0; 400_200]);
    assert_invalid(read(file), "would be larger than the file");
    // A tree whose 65,535 branches are one leaf of 65,535 entries, all of one long name: 4 x 10^9 names of 64 kB.
    let mut file = Hdf5::new();
    let heap = ROOT + 40;
    let leaf = heap + 32 + (1 << 16);
    let tree = leaf + 8 + 40 * 65_535;
    file.group_of(tree, heap);
    file.heap(&[vec![b'a'; (1 << 16) - 1], vec![0]].concat());
    assert_eq!(file.leaf(&vec![[0, ROOT]; 65_535]), leaf);
    assert_eq!(file.tree(&vec![leaf; 65_535]), tree);
    assert_invalid(read(file), "would be larger than the file");
    // A tree that is its own branch.
    let mut file = Hdf5::new();
    file.group_of(heap + 32 + 1, heap);
    file.heap(&[0]);
    let tree = file.end();
    file.tree(&vec![tree; 1000]);
    assert_invalid(read(file), "would be larger than the file");
    // Groups in groups.
    let mut file = Hdf5::new();
    for depth in 0..80 {
        let next = file.end() + 40 + 32 + 2 + 48 + 48;
        assert_eq!(file.group(&[("a", next)]) == ROOT, depth == 0);
    }
    assert_invalid(read(file), "groups that lie too deep in each other");
    // Floats of 16 bits and of the other order of bytes; others are listed.
    let types: [(&[u8; 20], [u8; 8], u64); 5] = [
        (b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0", [0, 0x3e, 0x80, 0xc2, 0, 0, 0, 0], 2),
        (b"\x11\x21\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0", [0x3e, 0, 0xc2, 0x80, 0, 0, 0, 0], 2),
        (b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x07\x08\0\x07\x7f\0\0\0", [0xc0, 0x3f, 0x50, 0xc0, 0, 0, 0, 0], 2),
        (b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", [0, 0, 0xc0, 0x3f, 0, 0, 0x50, 0xc0], 4),
        (b"\x11\x21\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", [0x3f, 0xc0, 0, 0, 0xc0, 0x50, 0, 0], 4),
    ];
    for (datatype, data, size) in types {
        let mut file = group(&[("a", group(&[("a", 0)]).end())]);
        let place = file.end() + 16 + (8 + 16) + (8 + 20) + (8 + 18);
        file.array_of(datatype, &[2], place, 2 * size);
        assert_eq!(file.add(&data), place);
        assert_eq!(read(file).expect("a file").get("a").expect("an array").values(), [1.5, -3.25], "{datatype:?}");
    }
    let float = b"\x11\x20\x1f\0\x04\0\0\0";
    let mut integers = RNN_WEIGHTS.to_vec();
    let place = integers.windows(8).position(|window| window == float).expect("a type");
    integers[place] = 0x10;
    let dict = StateDict::from_keras(&integers).expect("a file");
    let other = dict.names().filter(|name| matches!(dict.get(name), Err(Error::TensorType { .. }))).count();
    assert_eq!((other, dict.names().count()), (1, 2), "one of two");
    // Newer forms, of which Keras writes none.
    let mut newer = RNN_WEIGHTS.to_vec();
    newer[8] = 2;
    assert_invalid(StateDict::from_keras(&newer), "a superblock of version 2; Keras writes version 0");
    assert_invalid(StateDict::from_keras(&RNN_WEIGHTS[..RNN_WEIGHTS.len() - 1]), "cut short: 13639 bytes of 13640");
}

/// Bits that flip and bytes that are others, near what is not zero.
fn damage(bytes: &mut Vec<u8>, flips: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) {
    let hot: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at.saturating_sub(8)..=at].iter().any(|&byte| byte != 0)).collect();
    for (place, change) in flips {
        let at = hot[place.index(hot.len())];
        // One bit, or a byte of its own.
        bytes[at] = if change % 2 == 0 { bytes[at] ^ 1 << (change / 2 % 8) } else { change.wrapping_mul(85) };
    }
    if let Some(end) = cut {
        bytes.truncate(end.index(bytes.len()));
    }
}

fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// An archive has check sums: all of it, bit by bit, or a typed error.
    #[test]
    fn damaged_files(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool) {
        let mut bytes = SEQUENTIAL.to_vec();
        damage(&mut bytes, &flips, cut.filter(|_| !whole));
        match Model::from_bytes(&bytes) {
            Ok(found) => {
                let model = model(SEQUENTIAL);
                prop_assert_eq!(found.state_dict(), model.state_dict());
                prop_assert_eq!(format!("{:?}", found.layers()), format!("{:?}", model.layers()));
            }
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
    }

    /// The same inside of it, behind check sums that are right: arrays with their shapes, or a typed error; and a layer
    /// that was read has the weights that its config asks for.
    #[test]
    fn damaged_arrays_and_configs(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool, which in 1..3_usize) {
        let mut files = members(SEQUENTIAL);
        damage(&mut files[which], &flips, cut.filter(|_| !whole));
        match Model::from_bytes(&with_members(&files)) {
            Ok(found) => for layer in found.layers() {
                let weights = match &layer.kind {
                    Kind::Gru(_) => found.gru_weights(&[&layer.name]).map(|(config, weights, _)| weights.validate(&config)),
                    Kind::Rnn(_) => found.rnn_weights(&[&layer.name]).map(|(config, weights, _)| weights.validate(&config)),
                    _ => continue,
                };
                // Two layers may have come to the same name, of which the first is found.
                if let Ok(weights) = weights {
                    prop_assert!(weights.is_ok(), "{layer}");
                }
            },
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
        if which == 2 {
            let arrays = StateDict::from_keras(&files[2]);
            prop_assert!(matches!(arrays, Ok(_) | Err(Error::InvalidFile { .. })), "a typed error");
        }
    }

    #[test]
    fn damaged_files_of_numpy(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool) {
        let mut bytes = PATHS.to_vec();
        damage(&mut bytes, &flips, cut.filter(|_| !whole));
        match StateDict::from_npz(&bytes) {
            Ok(found) => prop_assert_eq!(found, StateDict::from_npz(PATHS).expect("a file")),
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
        // And a header behind a right check sum.
        let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let mut array = [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &[1; 24]].concat();
        damage(&mut array, &flips, cut.filter(|_| !whole));
        let found = StateDict::from_npz(&archive(&[Member::stored("a.npy", &array)]));
        prop_assert!(matches!(found, Ok(_) | Err(Error::InvalidFile { .. })), "a typed error");
    }
}
