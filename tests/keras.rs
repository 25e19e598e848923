//! Layers from what Keras saves, and from files of NumPy; no GPU. Damaged and hostile files: `keras_files.rs`.

mod support;

use support::error::{assert_error, shape};
use support::keras::{
    ARRAYS, FUNCTIONAL, PATHS, RNN_WEIGHTS, SEQUENTIAL, cases, gru_configs, members, model, rnn_config, with_members,
};
use support::numbers::{assert_close, largest};
use wgpu_gru::keras::{self, CellNames, Kind, Model};
use wgpu_gru::verify::expectation;
use wgpu_gru::{Error, GruConfig, Reset, StateDict, Tolerance};

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
    assert_eq!(ignored, [("activation", "softmax")]);
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
        &Error::UnsupportedLayer { layer, option: "merge_mode".into(), value: "sum".into(), expected: "concat" },
    );
}
