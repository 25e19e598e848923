//! What Keras makes of the layers in `tests/golden/keras`.

use wgpu_gru::keras::{self, CellNames, Model};
use wgpu_gru::verify::Batch;
use wgpu_gru::{
    Biases, Cell, CellLayout, CellWeights, Config, Direction, GruConfig, Reset, RnnConfig, StateDict, Weights,
};

use super::zip::{Member, archive};

pub(crate) const SEQUENTIAL: &[u8] = include_bytes!("../golden/keras/sequential.keras");
pub(crate) const FUNCTIONAL: &[u8] = include_bytes!("../golden/keras/functional.keras");
pub(crate) const RNN_WEIGHTS: &[u8] = include_bytes!("../golden/keras/rnn.weights.h5");

pub(crate) const ARRAYS: &[u8] = include_bytes!("../golden/keras/arrays.npz");
pub(crate) const PATHS: &[u8] = include_bytes!("../golden/keras/paths.npz");

pub(crate) fn model(bytes: &[u8]) -> Model {
    Model::from_bytes(bytes).expect("a file that Keras wrote")
}

pub(crate) fn numbers() -> StateDict {
    let bytes = include_bytes!("../golden/keras/numbers.safetensors");
    StateDict::from_safetensors(bytes).expect("the numbers")
}

/// A layer, what goes in, and what comes out.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) config: Config,
    pub(crate) weights: Weights,
    pub(crate) batch: Batch,
    /// By the names of [`wgpu_gru::verify::Expectation`].
    pub(crate) expected: Vec<(String, Vec<f32>)>,
}

/// All recurrent layers, as they are read.
pub(crate) fn cases() -> Vec<Case> {
    let (sequential, functional) = (model(SEQUENTIAL), model(FUNCTIONAL));
    let gru = |model: &Model, names: &[&str]| model.gru_weights(names).expect("a GRU");
    let mut cases = Vec::new();
    for (model, name, names) in [
        (&sequential, "bidirectional", &["bidirectional"][..]),
        (&sequential, "gru_1", &["gru_1"]),
        (&functional, "stack", &["stack/lower", "stack/upper"]),
        (&functional, "cell", &["cell"]),
        (&functional, "backwards", &["backwards"]),
    ] {
        let (config, weights, _) = gru(model, names);
        cases.push(case(name, config.erased(), weights));
    }
    let (config, weights, _) = sequential.rnn_weights(&["simple_rnn"]).expect("an RNN");
    cases.push(case("simple_rnn", config.erased(), weights));
    let dict = StateDict::from_keras(RNN_WEIGHTS).expect("a file that Keras wrote");
    let cells = [CellNames::saved("layers/simple_rnn/cell/")];
    let config = keras::rnn_config(&dict, &cells).expect("an RNN");
    let (weights, report) = keras::weights(&dict, &config, &cells).expect("its weights");
    assert_eq!((report.used.len(), report.unused.len()), (2, 0), "all of the file");
    cases.push(case("alone", config.erased(), weights));
    cases
}

fn case(name: &'static str, config: Config, weights: Weights) -> Case {
    let numbers = numbers();
    let array = |tensor: &str| numbers.get(&format!("{name}.{tensor}")).expect(tensor);
    let (x, output, d_output) = (array("x"), array("output"), array("d_output").values());
    let [b, t, _] = *x.shape() else { panic!("{:?}", x.shape()) };
    let mut batch = Batch::random(&config, t, b, 1);
    batch.x = x.values().to_vec();
    batch.h0.fill(0.0);
    batch.d_output.fill(0.0);
    batch.d_h_n.fill(0.0);
    // Without return_sequences Keras gives the last states alone.
    let is_last = output.shape().len() == 2;
    let upstream = if is_last { &mut batch.d_h_n } else { &mut batch.d_output };
    assert_eq!(upstream.len(), d_output.len(), "{name}");
    upstream.copy_from_slice(d_output);
    let result = if is_last { "h_n" } else { "output" };
    let mut expected =
        vec![(result.to_owned(), output.values().to_vec()), ("d_input".into(), array("d_x").values().to_vec())];
    // The gradients in Keras's layout, in the order of its variables.
    let has_two = matches!(config.cell(), Cell::Gru { reset: Reset::After, .. });
    let mut index = 0;
    let mut next = || {
        index += 1;
        array(&format!("d_{}", index - 1)).values()
    };
    let mut gradients = Weights { cells: Vec::new() };
    for cell in 0..config.num_cells() {
        let (kernel, recurrent) = (next(), next());
        let biases = match (config.bias, has_two) {
            (false, _) => Biases::None,
            (true, true) => Biases::Joined(next()),
            (true, false) => Biases::Input(next()),
        };
        let layer = cell / config.directions();
        let cell = CellWeights::from_layout(&config, layer, CellLayout::KERAS, kernel, recurrent, biases);
        gradients.cells.push(cell.expect("gradients"));
    }
    for (parameter, values) in gradients.named(&config) {
        // A bias that Keras has not has no gradient there.
        if has_two || !parameter.starts_with("bias_hh") {
            expected.push((format!("d_{parameter}"), values.to_vec()));
        }
    }
    Case { name, config, weights, batch, expected }
}

/// What the layers of the files are.
pub(crate) fn gru_configs() -> [(&'static [u8], &'static str, GruConfig); 6] {
    use wgpu_gru::Activation::{Elu, Relu, Softsign};
    let gru = |input, units| GruConfig::new(input, units).batch_first(true);
    let before = gru(6, 5).reset(Reset::Before).candidate_activation(Relu);
    let cell = gru(4, 2).bias(false).candidate_activation(Softsign).gate_activation(Elu { alpha: 1.0 });
    [
        (SEQUENTIAL, "bidirectional", gru(4, 3).direction(Direction::Bidirectional)),
        (SEQUENTIAL, "gru_1", before.gate_activation(wgpu_gru::Activation::HARD_SIGMOID_KERAS)),
        (FUNCTIONAL, "stack/lower", gru(3, 4)),
        (FUNCTIONAL, "stack/upper", gru(4, 4)),
        (FUNCTIONAL, "cell", cell),
        (FUNCTIONAL, "backwards", gru(3, 3).direction(Direction::Reverse).reversed_output(true)),
    ]
}

pub(crate) fn rnn_config() -> RnnConfig {
    RnnConfig::new(5, 2)
        .batch_first(true)
        .direction(Direction::Reverse)
        .reversed_output(true)
        .nonlinearity(wgpu_gru::Activation::LeakyRelu { alpha: 0.125 })
}

/// The members of a `.keras`, which Keras stores as they are.
pub(crate) fn members(file: &[u8]) -> [Vec<u8>; 3] {
    ["metadata.json", "config.json", "model.weights.h5"].map(|name| {
        let place = file.windows(name.len()).position(|window| window == name.as_bytes()).expect(name);
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        // The size, the name, what else the header has.
        let (len, extra) = (number(place - 8), number(place - 4) >> 16);
        let begin = place + name.len() + extra;
        file[begin..begin + len].to_vec()
    })
}

pub(crate) fn with_members([metadata, config, weights]: &[Vec<u8>; 3]) -> Vec<u8> {
    archive(&[
        Member::stored("metadata.json", metadata),
        Member::stored("config.json", config),
        Member::stored("model.weights.h5", weights),
    ])
}
