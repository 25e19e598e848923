//! Models that exporters wrote.

use std::fs;

use crate::support::error::{assert_error, shape};
use crate::support::numbers::{to_bits, wide};
use crate::support::onnx::{Case, MODELS, load, numbers, path};
use crate::{agrees, folder, run};
use wgpu_gru::onnx::{FirstState, Layer, Model, Op};
use wgpu_gru::reference::oracle::{self, Run};
use wgpu_gru::{Activation, CellWeights, Config, Direction, Error, GruConfig, Reset, RnnConfig, StateDict};

/// What each model is, apart from its numbers.
fn config_of(name: &str) -> Config {
    let (gru, rnn) = (GruConfig::new(3, 4), RnnConfig::new(3, 4));
    let both = |config: Config| config.num_layers(2).direction(Direction::Bidirectional);
    match name {
        "torchscript_gru" | "dynamo_gru" | "keras_gru" => gru.num_layers(2).batch_first(true).erased(),
        "torchscript_gru_bidirectional"
        | "torchscript_gru_packed"
        | "dynamo_gru_bidirectional"
        | "dynamo_gru_as_it_stands" => both(gru.erased()),
        "keras_gru_bidirectional" => both(gru.batch_first(true).erased()),
        "torchscript_rnn" => rnn.nonlinearity(Activation::Relu).bias(false).num_layers(3).erased(),
        "torchscript_rnn_bidirectional" => both(rnn.batch_first(true).erased()),
        "every_attribute" => gru
            .reset(Reset::Before)
            .direction(Direction::Bidirectional)
            .gate_activation(Activation::HardSigmoid { alpha: 0.3, beta: 0.4 })
            .candidate_activation(Activation::Elu { alpha: 0.7 })
            .reverse_gate_activation(Activation::Sigmoid)
            .reverse_candidate_activation(Activation::LeakyRelu { alpha: 0.05 })
            .clip(0.9)
            .erased(),
        "defaults" => rnn.bias(false).erased(),
        "layout_1" => gru.reset(Reset::Before).batch_first(true).erased(),
        other => panic!("{other}"),
    }
}

#[test]
fn models_of_exporters() {
    for name in MODELS {
        let case = Case::load(name);
        assert_eq!(case.layer.config, config_of(name), "{name}");
        let made = run(&case.layer, &case.batch);
        for (tensor, expected) in &case.expected {
            let (_, actual) = made.iter().find(|(made, _)| made == tensor).expect("a tensor");
            assert!(agrees(actual, expected), "{name}: {tensor} is {actual:?}, expected {expected:?}");
        }
        // Of another layer it is not the same.
        let mut swapped = case.layer.clone();
        swapped.weights.cells.reverse();
        swapped.weights.cells[0].weight_hh.rotate_left(1);
        if swapped.weights.validate(&swapped.config).is_ok() {
            let made = run(&swapped, &case.batch);
            assert!(case.expected.iter().zip(&made).any(|((_, a), (_, b))| !agrees(b, a)), "{name}: other weights");
        }
        let is_whole = |name: &String| name.contains("head") || name.contains("fc");
        assert!(case.layer.report.used.len() >= 2, "{name}: {:?}", case.layer.report);
        assert!(case.layer.report.unused.len() <= 5 || case.layer.report.unused.iter().any(is_whole), "{name}");
    }
}

/// The numbers are those of the module, bit by bit, in PyTorch's order of gates.
#[test]
fn weights_are_those_of_the_module() {
    let mut compared = 0;
    for name in MODELS {
        let case = Case::load(name);
        let mut dict = StateDict::new();
        for (name, array) in &case.numbers.weights {
            dict.insert(name.clone(), wgpu_gru::Array::new(&array.shape, array.narrow()).expect("an array"));
        }
        if case.numbers.weights.is_empty() {
            continue;
        }
        assert_eq!(dict.weights("rnn.", &case.layer.config).expect("weights"), case.layer.weights, "{name}");
        if let Some(node) = case.model.nodes().iter().find(|node| matches!(node.op, Op::Gemm | Op::MatMul)) {
            let head = case.model.linear(&node.name).expect("a head");
            assert_eq!(&head.weight, dict.get("head.weight").expect("a matrix"), "{name}");
            assert_eq!(head.bias.as_ref().expect("a bias"), dict.get("head.bias").expect("a bias"), "{name}");
            assert_eq!([node.input_size, node.hidden_size], [head.weight.shape()[1], head.weight.shape()[0]].map(Some));
            compared += 1;
        }
        compared += 1;
    }
    assert_eq!(compared, 8 + 5, "eight models of PyTorch, five with a head");
}

/// A head makes of the output what ONNX Runtime says.
#[test]
fn a_head_of_keras() {
    let case = Case::load("keras_gru");
    let node = case.model.nodes().iter().find(|node| node.op == Op::MatMul || node.op == Op::Gemm).expect("a head");
    let head = case.model.linear(&node.name).expect("a head");
    let bias = head.bias.as_ref().expect("a bias");
    assert_eq!(head.weight.shape(), [2, 4]);
    let (_, output) = &run(&case.layer, &case.batch)[0];
    let weight = wide(head.weight.values());
    let made: Vec<f64> = output
        .chunks(4)
        .flat_map(|row| {
            let dot = |of: usize| row.iter().zip(&weight[4 * of..]).map(|(x, w)| x * w).sum::<f64>();
            [0, 1].map(|of| dot(of) + f64::from(bias.values()[of]))
        })
        .collect();
    let expected = case.numbers.outputs.values().find(|values| values.shape.last() == Some(&2)).expect("its output");
    assert!(agrees(&made, &expected.values), "{made:?}, expected {:?}", expected.values);
}

#[test]
fn nodes_are_listed() {
    let model = load("torchscript_gru_bidirectional");
    let found: Vec<_> = model
        .nodes()
        .iter()
        .map(|node| (node.name.as_str(), node.op, node.input_size, node.hidden_size, node.stands_on.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("/rnn/GRU", Op::Gru, Some(3), Some(4), None),
            ("/rnn/GRU_1", Op::Gru, Some(8), Some(4), Some("/rnn/GRU")),
            ("/head/MatMul", Op::MatMul, Some(8), Some(2), None),
        ]
    );
    assert_eq!(model.nodes()[1].direction, Some(Direction::Bidirectional));
    assert!(model.opset() >= 17 && model.producer().starts_with("pytorch"), "{model:?}");
    // Whichever node is named, the layer is the same; one for itself is another.
    let [low, high] = ["/rnn/GRU", "/rnn/GRU_1"].map(|node| model.gru(node).expect("a layer"));
    assert_eq!(low, high);
    assert_eq!((low.input.as_str(), low.output.as_deref(), low.config.num_layers), ("x", Some("output"), 2));
    assert!(matches!(&low.first_states[..], [FirstState::Given(_), FirstState::Given(_)]), "{:?}", low.first_states);
    let single = model.single("/rnn/GRU_1").expect("a layer");
    assert_eq!((single.config.num_layers, single.config.input_size), (1, 8));
    assert_eq!(single.weights.cells, low.weights.cells[2..]);
    // Without a name a node is called as its output.
    assert_eq!(load("defaults").nodes()[0].name, "Y");

    let error = model.gru("encoder").expect_err("no such node");
    assert!(
        matches!(&error, Error::MissingLayer { layer, found } if layer == "encoder" && found.len() == 3),
        "{error}"
    );
    for (error, expected) in [
        (model.rnn("/rnn/GRU").expect_err("a GRU"), "layer /rnn/GRU: its operator is GRU, expected RNN"),
        (
            model.layer("/head/MatMul").expect_err("a head"),
            "layer /head/MatMul: its operator is MatMul, expected GRU or RNN",
        ),
        (
            model.linear("/rnn/GRU").map(|_| ()).expect_err("a GRU"),
            "layer /rnn/GRU: its operator is GRU, expected Gemm or MatMul",
        ),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_stands_on_what() {
    let model = load("branches");
    let chains = [
        ("lowest", vec!["lowest", "middle", "highest"]),
        ("highest", vec!["lowest", "middle", "highest"]),
        ("after", vec!["after"]),
        ("seen", vec!["seen"]),
        ("on_seen", vec!["on_seen"]),
        ("forked", vec!["forked"]),
        ("left", vec!["left"]),
        ("right", vec!["right"]),
        ("turned", vec!["turned"]),
        ("watched", vec!["watched"]),
        ("on_watched", vec!["on_watched"]),
        ("on_turned", vec!["on_turned"]),
    ];
    for (node, expected) in chains {
        assert_eq!(model.gru(node).expect(node).nodes, expected, "{node}");
    }
    // And its output is what ONNX Runtime makes of the layers one by one.
    let numbers = numbers("branches");
    let (stack, after) = (model.layer("lowest").expect("layers"), model.layer("after").expect("a layer"));
    let x = &numbers.inputs["x"];
    let run = Run { seq_len: x.shape[0], batch: x.shape[1], lengths: None, dropout: Vec::new(), episode_starts: None };
    let states = |layer: &Layer| vec![0.0; layer.config.num_layers * run.batch * 4];
    let low = oracle::forward(&stack.config, &oracle::cells(&stack.weights), &run, &x.values, &states(&stack)).output;
    let high = oracle::forward(&after.config, &oracle::cells(&after.weights), &run, &low, &states(&after)).output;
    assert!(agrees(&high, &numbers.outputs["after.out"].values), "{high:?}");
    // Turned, the layer above reads rows as steps.
    let turned = model.layer("on_turned").expect("a layer");
    assert!(turned.config.batch_first && turned.input == "turned.out", "{turned:?}");
}

#[test]
fn every_type_of_numbers() {
    let (model, numbers) = (load("types"), numbers("types"));
    let mut compared = 0;
    for node in model.nodes().iter().filter(|node| node.name != "fine") {
        let layer = model.rnn(&node.name).expect(&node.name);
        let [w, r, b] = ["W", "R", "B"].map(|letter| numbers.weights[&format!("{}.{letter}", node.name)].narrow());
        let [CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }] = &layer.weights.cells[..] else {
            panic!("a cell")
        };
        assert_eq!([to_bits(weight_ih), to_bits(weight_hh)], [to_bits(&w), to_bits(&r)], "{}", node.name);
        assert_eq!(to_bits(&[bias_ih.as_slice(), bias_hh].concat()), to_bits(&b), "{}", node.name);
        assert_eq!((layer.report.used.len(), layer.report.unused.len()), (3, 22), "{:?}", layer.report);
        compared += 1;
    }
    assert_eq!(compared, 8);
    let (tensor, dtype) = ("fine.W".into(), "DOUBLE, with numbers that f32 does not hold".into());
    assert_error(model.rnn("fine"), &Error::TensorType { tensor, dtype });
}

#[test]
fn what_cannot_be_represented_is_refused() {
    let model = load("refused");
    let supported = "Sigmoid, Tanh, Relu, HardSigmoid, LeakyRelu, ThresholdedRelu, Elu, Softsign, Softplus, or Affine \
                     with an alpha of 1 and a beta of 0";
    let numbers = "numbers of the file, or slices, parts and orders of such";
    let attribute = "an attribute of GRU or RNN in this opset, of its type";
    for (node, part, found, expected) in [
        ("scaled_tanh", "activations", "ScaledTanh", supported),
        ("swish", "activations", "Swish", supported),
        ("affine", "activations", "affine of 2 x + 0", supported),
        ("affine_of_what", "activations", "affine without an alpha", "its alpha in activation_alpha"),
        ("one_activation", "activations", "Sigmoid", "two"),
        (
            "placeholders",
            "activation_alpha or activation_beta",
            "2 numbers",
            "one for each activation that has such a parameter",
        ),
        ("sideways", "direction", "sideways", "forward, reverse or bidirectional"),
        ("negative_size", "hidden_size", "of type 2", "a whole number over 0"),
        ("reset_2", "linear_before_reset", "2", "0 or 1"),
        ("before_reset", "its attribute \"linear_before_reset\"", "there", attribute),
        ("more", "its attribute \"input_forget\"", "there", attribute),
        ("computed_w", "W", "twice.W, made by Mul (twice)", numbers),
        ("given_w", "W", "given, an input of the graph", numbers),
        ("no_r", "R", "not given", numbers),
        ("lstm", "its operator", "LSTM", "GRU or RNN"),
    ] {
        let (option, value) = (String::from(part).into(), found.into());
        assert_error(model.layer(node), &Error::UnsupportedLayer { layer: node.into(), option, value, expected });
    }
    for (node, tensor, expected, actual) in [
        ("other_size", "W of node other_size (g.W)", vec![1, 15, 3], vec![1, 12, 3]),
        ("short_r", "R of node short_r (short.R)", vec![1, 12, 4], vec![1, 12, 3]),
        ("wide_b", "B of node wide_b (wide.B)", vec![1, 24], vec![1, 12]),
    ] {
        assert_error(model.layer(node), &shape(tensor, &expected, &actual));
    }
    let (tensor, dtype) = ("W of node whole_w (whole.W)".into(), "whole numbers".into());
    assert_error(model.layer("whole_w"), &Error::TensorType { tensor, dtype });
    let expected = "finite and over 0";
    assert_error(model.layer("clip_0"), &Error::InvalidOption { option: "clip", value: 0.0, expected });
    assert_eq!(model.nodes().iter().find(|node| node.name == "lstm").map(|node| node.op), Some(Op::Lstm));
}

/// Past the end of a row the output is zero; the last state of a row of length 0 is zero in ONNX Runtime, here its
/// first.
#[test]
fn rows_of_length_0() {
    let mut case = Case::load("every_attribute");
    assert_eq!(case.batch.lengths.as_deref(), Some(&[3, 0, 5][..]));
    let h0 = case.layer.h0().expect("first states of the file");
    assert_eq!(h0.shape(), [2, 3, 4]);
    case.batch.h0 = h0.values().to_vec();
    let [(_, output), (_, h_n)] = run(&case.layer, &case.batch);
    assert!(agrees(&output, &case.expected[0].1), "the output is the same");
    for (index, (made, runtime)) in h_n.iter().zip(&case.expected[1].1).enumerate() {
        if index / 4 % 3 == 1 {
            assert_eq!((*made, *runtime), (h0.values()[index].into(), 0.0), "h_n[{index}] of the empty row");
        } else {
            assert!((made - runtime).abs() < 1e-6, "h_n[{index}]");
        }
    }
}

/// Numbers in another file: read beside the model and nowhere else.
#[test]
fn external_files() {
    let name = "dynamo_gru_bidirectional";
    let bytes = fs::read(path(&format!("{name}.onnx"))).expect("a file");
    let data = fs::read(path(&format!("{name}.onnx.data"))).expect("a file");
    let mut model = Model::from_bytes(&bytes[..]).expect("a model");
    let location = format!("{name}.onnx.data");
    assert_eq!(model.external_files().expect("files"), std::slice::from_ref(&location));
    let node = model.nodes()[0].name.clone();
    let error = model.gru(&node).expect_err("without the file");
    assert!(matches!(&error, Error::ExternalData { location: of, .. } if *of == location), "{error}");
    model.insert_external(location.clone(), &data[..data.len() - 1]);
    let error = model.gru(&node).expect_err("half a file");
    assert!(matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("past the end")), "{error}");
    model.insert_external(location.clone(), data.clone());
    assert_eq!(model.layer(&node).expect("a layer").weights, Case::load(name).layer.weights);

    let folder = folder("external");
    let file = folder.join("model.onnx");
    fs::write(&file, &bytes).expect("a file");
    let error = Model::load(&file).expect_err("no file beside it");
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with(&location)), "{error}");
    fs::write(folder.join(&location), &data).expect("a file");
    assert!(Model::load(&file).expect("a model").gru(&node).is_ok());
    // A name of the same length, so that nothing else of the file changes.
    for outside in ["../", "/a/", "..\\"].map(|begin| format!("{begin}{}", &location[begin.len()..])) {
        fs::write(&file, replaced(&bytes, &location, &outside)).expect("a file");
        let is_path = cfg!(windows) || !outside.contains('\\');
        let error = Model::load(&file).expect_err("outside of the folder");
        let is_refused =
            matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("outside of its folder"));
        assert!(is_refused == is_path, "{outside}: {error}");
    }
    #[cfg(unix)]
    {
        fs::write(&file, &bytes).expect("a file");
        fs::remove_file(folder.join(&location)).expect("removed");
        std::os::unix::fs::symlink(path(&format!("{name}.onnx.data")), folder.join(&location)).expect("a link");
        let error = Model::load(&file).expect_err("a link out of the folder");
        assert!(
            matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("no file of its folder")),
            "{error}"
        );
    }
    fs::remove_dir_all(folder).expect("removed");
}

/// Every place of a text in bytes becomes another one of its length.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "in its place");
    let (mut bytes, mut count) = (bytes.to_vec(), 0);
    for place in 0..=bytes.len() - from.len() {
        if bytes[place..].starts_with(from.as_bytes()) {
            bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
            count += 1;
        }
    }
    assert!(count > 0, "{from} is there");
    bytes
}
