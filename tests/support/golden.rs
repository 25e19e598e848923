//! Reads the golden vectors of `tests/golden`, made by PyTorch, Keras and ONNX. See `tests/golden/README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use wgpu_gru::reference::oracle::Run;
use wgpu_gru::{Activation, CellWeights, Config, Direction, GruConfig, Reset, RnnConfig, Weights};

/// The folders of `tests/golden/options`, one a source, and how many cases each holds.
pub(crate) const SOURCES: [(&str, usize); 5] =
    [("pytorch", 18), ("keras", 49), ("onnx_runtime", 55), ("onnx_reference", 11), ("onnx_node", 12)];

/// In which precision the source computed what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Precision {
    /// f64 throughout.
    F64,
    /// f64, but a parameter of an activation is no f32 number, as this crate has it.
    F64RoundedParameter,
    /// f32.
    F32,
}

/// Arrays by PyTorch's names.
type Named<T> = BTreeMap<String, Vec<T>>;

/// One layer and one sequence: what goes in, as f32, and what a framework makes of it. All tensors are row-major;
/// `None`: the source does not tell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    /// The name of the case and of its file.
    pub name: String,
    /// Who computed what is expected, and its version.
    pub source: String,
    /// In which precision.
    pub precision: Precision,
    /// The options.
    config: Options,
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// The seed of the `SplitMix64` that all numbers that go in were drawn from; `None`: they are the source's own.
    pub seed: Option<u64>,
    /// What the weights and biases were multiplied by after they were drawn from U(-1/sqrt(H), 1/sqrt(H)).
    pub weight_scale: f32,
    /// Row b of step t of `x` is drawn from [-s, s) with s number (t + b) mod len of these.
    #[serde(skip, default = "unscaled")]
    pub x_scales: Vec<f32>,

    weights: Named<f32>,
    /// `[T, B, I]`, or batch-first.
    pub x: Vec<f32>,
    /// `[LD, B, H]`.
    pub h0: Vec<f32>,
    /// The gradient that comes from above into `output`, of its shape.
    pub d_output: Option<Vec<f32>>,
    /// The gradient that comes from above into `h_n`, `[LD, B, H]`.
    pub d_h_n: Option<Vec<f32>>,

    /// Expected, `[T, B, DH]`, or batch-first.
    pub output: Option<Vec<f64>>,
    /// Expected, `[LD, B, H]`.
    pub h_n: Option<Vec<f64>>,
    /// Expected, of the shape of `x`.
    pub d_x: Option<Vec<f64>>,
    /// Expected, `[LD, B, H]`.
    pub d_h0: Option<Vec<f64>>,
    d_weights: Option<Named<f64>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    cell: CellName,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    direction: DirectionName,
    bias: bool,
    batch_first: bool,
    reset: Option<ResetName>,
    gate_activation: Option<ActivationName>,
    candidate_activation: Option<ActivationName>,
    nonlinearity: Option<ActivationName>,
    reverse_gate_activation: Option<ActivationName>,
    reverse_candidate_activation: Option<ActivationName>,
    reverse_nonlinearity: Option<ActivationName>,
    clip: Option<f32>,
    lengths: Option<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CellName {
    Gru,
    Rnn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DirectionName {
    Forward,
    Reverse,
    Bidirectional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResetName {
    After,
    Before,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
enum ActivationName {
    Sigmoid,
    Tanh,
    Relu,
    HardSigmoid { alpha: f32, beta: f32 },
    LeakyRelu { alpha: f32 },
    Elu { alpha: f32 },
    ThresholdedRelu { theta: f32 },
    Softsign,
    Softplus,
    Linear,
}

/// The name of an option, and how it is forgotten.
type Forget = (&'static str, fn(&mut Options));

impl From<ActivationName> for Activation {
    fn from(name: ActivationName) -> Self {
        match name {
            ActivationName::Sigmoid => Self::Sigmoid,
            ActivationName::Tanh => Self::Tanh,
            ActivationName::Relu => Self::Relu,
            ActivationName::HardSigmoid { alpha, beta } => Self::HardSigmoid { alpha, beta },
            ActivationName::LeakyRelu { alpha } => Self::LeakyRelu { alpha },
            ActivationName::Elu { alpha } => Self::Elu { alpha },
            ActivationName::ThresholdedRelu { theta } => Self::ThresholdedRelu { theta },
            ActivationName::Softsign => Self::Softsign,
            ActivationName::Softplus => Self::Softplus,
            ActivationName::Linear => Self::Linear,
        }
    }
}

impl Options {
    fn config(&self) -> Config {
        let Self { input_size, hidden_size, .. } = *self;
        match (self.cell, self.reset, self.gate_activation, self.candidate_activation, self.nonlinearity) {
            (CellName::Gru, Some(reset), Some(gate), Some(candidate), None) => {
                let reset = match reset {
                    ResetName::After => Reset::After,
                    ResetName::Before => Reset::Before,
                };
                let gru = GruConfig::new(input_size, hidden_size).reset(reset);
                let mut gru = gru.gate_activation(gate.into()).candidate_activation(candidate.into());
                if let Some(gate) = self.reverse_gate_activation {
                    gru = gru.reverse_gate_activation(gate.into());
                }
                if let Some(candidate) = self.reverse_candidate_activation {
                    gru = gru.reverse_candidate_activation(candidate.into());
                }
                self.shared(gru.erased())
            }
            (CellName::Rnn, None, None, None, Some(nonlinearity)) => {
                let mut rnn = RnnConfig::new(input_size, hidden_size).nonlinearity(nonlinearity.into());
                if let Some(nonlinearity) = self.reverse_nonlinearity {
                    rnn = rnn.reverse_nonlinearity(nonlinearity.into());
                }
                self.shared(rnn.erased())
            }
            _ => panic!("options of another cell, or options that are not there: {self:?}"),
        }
    }

    fn shared(&self, config: Config) -> Config {
        let direction = match self.direction {
            DirectionName::Forward => Direction::Forward,
            DirectionName::Reverse => Direction::Reverse,
            DirectionName::Bidirectional => Direction::Bidirectional,
        };
        let config = config.num_layers(self.num_layers).direction(direction).bias(self.bias);
        let config = config.batch_first(self.batch_first);
        match self.clip {
            Some(clip) => config.clip(clip),
            None => config,
        }
    }

    /// What PyTorch appends to the names of each cell's weights.
    fn suffixes(&self) -> Vec<String> {
        let ends: &[&str] = match self.direction {
            DirectionName::Forward => &[""],
            DirectionName::Reverse => &["_reverse"],
            DirectionName::Bidirectional => &["", "_reverse"],
        };
        (0..self.num_layers).flat_map(|layer| ends.iter().map(move |end| format!("_l{layer}{end}"))).collect()
    }
}

impl Golden {
    /// The layer.
    pub(crate) fn config(&self) -> Config {
        self.config.config()
    }

    /// What is run.
    pub(crate) fn run(&self) -> Run {
        let lengths = self.config.lengths.clone();
        Run { seq_len: self.seq_len, batch: self.batch, lengths, episode_starts: None, dropout: Vec::new() }
    }

    /// Its weights.
    pub(crate) fn weights(&self) -> Weights {
        let of_cell = |suffix: String| {
            let [weight_ih, weight_hh, bias_ih, bias_hh] = CellWeights::NAMES
                .map(|name| self.weights.get(&format!("{name}{suffix}")).cloned().unwrap_or_default());
            CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }
        };
        Weights { cells: self.config.suffixes().into_iter().map(of_cell).collect() }
    }

    /// The config and the run with one option forgotten, for each that is set: what must not agree.
    pub(crate) fn forgetful(&self) -> Vec<(&'static str, Config, Run)> {
        let Options { reset, gate_activation, candidate_activation, nonlinearity, clip, lengths, direction, .. } =
            self.config.clone();
        let mut forgets: Vec<Forget> = Vec::new();
        if reset.is_some() {
            forgets.push(("reset", |options| {
                options.reset = options.reset.map(|reset| match reset {
                    ResetName::After => ResetName::Before,
                    ResetName::Before => ResetName::After,
                });
            }));
        }
        if gate_activation.is_some_and(|activation| activation != ActivationName::Sigmoid) {
            forgets.push(("gate_activation", |options| options.gate_activation = Some(ActivationName::Sigmoid)));
        }
        if candidate_activation.is_some_and(|activation| activation != ActivationName::Tanh) {
            forgets.push(("candidate_activation", |options| options.candidate_activation = Some(ActivationName::Tanh)));
        }
        if nonlinearity.is_some_and(|activation| activation != ActivationName::Tanh) {
            forgets.push(("nonlinearity", |options| options.nonlinearity = Some(ActivationName::Tanh)));
        }
        if self.config.reverse_gate_activation.is_some() {
            forgets.push(("reverse_gate_activation", |options| options.reverse_gate_activation = None));
        }
        if self.config.reverse_candidate_activation.is_some() {
            forgets.push(("reverse_candidate_activation", |options| options.reverse_candidate_activation = None));
        }
        if self.config.reverse_nonlinearity.is_some() {
            forgets.push(("reverse_nonlinearity", |options| options.reverse_nonlinearity = None));
        }
        if clip.is_some() {
            forgets.push(("clip", |options| options.clip = None));
        }
        if lengths.is_some() {
            forgets.push(("lengths", |options| options.lengths = None));
        }
        if direction == DirectionName::Reverse {
            forgets.push(("direction", |options| options.direction = DirectionName::Forward));
        }
        let forgetful = |(option, forget): Forget| {
            let mut golden = self.clone();
            forget(&mut golden.config);
            (option, golden.config(), golden.run())
        };
        forgets.into_iter().map(forgetful).collect()
    }

    /// The gradients that come from above into `output` and `h_n`, where the source tells what becomes of them.
    pub(crate) fn upstream(&self) -> Option<(&[f32], &[f32])> {
        self.d_output.as_deref().zip(self.d_h_n.as_deref())
    }

    /// All that is expected, by the names of PyTorch.
    pub(crate) fn expected(&self) -> Vec<(String, &[f64])> {
        let tensors = [("output", &self.output), ("h_n", &self.h_n), ("d_x", &self.d_x), ("d_h0", &self.d_h0)];
        let tensors = tensors.into_iter().filter_map(|(name, values)| Some((name.to_owned(), values.as_deref()?)));
        let weights = self.d_weights.iter().flatten().map(|(name, values)| (format!("d_{name}"), &values[..]));
        tensors.chain(weights).collect()
    }

    /// Checks every length, and that every number is finite.
    fn check(&self) {
        let config = self.config();
        let (steps, states) = (self.seq_len * self.batch, config.num_cells() * self.batch * config.hidden_size);
        assert!(steps > 0, "{self}: no steps or no rows");
        config.validate().unwrap_or_else(|error| panic!("{self}: {error}"));
        let weights = self.weights();
        weights.validate(&config).unwrap_or_else(|error| panic!("{self}: {error}"));
        let arrays = weights.cells.iter().flat_map(CellWeights::arrays).filter(|array| !array.is_empty()).count();
        assert_eq!(self.weights.len(), arrays, "{self}: weights by names that no cell has");
        if let Some(lengths) = &self.config.lengths {
            assert_eq!(lengths.len(), self.batch, "{self}: number of lengths");
            assert!(lengths.iter().all(|&length| length <= self.seq_len), "{self}: a row is longer than the sequence");
        }

        let finite = |tensor: &str, values: &[f32]| {
            assert!(values.iter().all(|v| v.is_finite()), "{self}: {tensor} holds a number that is not finite");
        };
        self.weights.iter().for_each(|(name, values)| finite(name, values));
        let (x, output) = (steps * config.input_size, steps * config.output_size());
        for (tensor, values, len) in [
            ("x", Some(&self.x), x),
            ("h0", Some(&self.h0), states),
            ("d_output", self.d_output.as_ref(), output),
            ("d_h_n", self.d_h_n.as_ref(), states),
        ] {
            let Some(values) = values else { continue };
            assert_eq!(values.len(), len, "{self}: length of {tensor}");
            finite(tensor, values);
        }
        let trained = self.upstream().is_some();
        let told = [self.d_output.is_some(), self.d_h_n.is_some(), self.d_x.is_some(), self.d_h0.is_some()];
        assert!(told == [trained; 4] && self.d_weights.is_some() == trained, "{self}: some gradients, not all");
        assert!(self.output.is_some() || self.h_n.is_some(), "{self}: nothing is expected");
        for (tensor, values) in self.expected() {
            let len = match tensor.as_str() {
                "output" => output,
                "h_n" | "d_h0" => states,
                "d_x" => x,
                weight => self.weights.get(&weight[2..]).unwrap_or_else(|| panic!("{self}: {weight}")).len(),
            };
            assert_eq!(values.len(), len, "{self}: length of {tensor}");
            assert!(values.iter().all(|v| v.is_finite()), "{self}: {tensor} holds a number that is not finite");
        }
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.source)
    }
}

/// A plain GRU of `tests/golden/gru`, by the names of `nn.GRU`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    name: String,
    torch: String,
    seq_len: usize,
    batch: usize,
    input_size: usize,
    hidden_size: usize,
    weight_scale: f32,
    x_scales: Vec<f32>,
    seed: u64,
    weight_ih_l0: Vec<f32>,
    weight_hh_l0: Vec<f32>,
    bias_ih_l0: Vec<f32>,
    bias_hh_l0: Vec<f32>,
    x: Vec<f32>,
    h0: Vec<f32>,
    d_output: Vec<f32>,
    d_h_n: Vec<f32>,
    output: Vec<f64>,
    h_n: Vec<f64>,
    d_x: Vec<f64>,
    d_h0: Vec<f64>,
    d_weight_ih_l0: Vec<f64>,
    d_weight_hh_l0: Vec<f64>,
    d_bias_ih_l0: Vec<f64>,
    d_bias_hh_l0: Vec<f64>,
}

impl From<Plain> for Golden {
    fn from(plain: Plain) -> Self {
        let Plain { input_size, hidden_size, seq_len, batch, weight_scale, x_scales, .. } = plain;
        assert!(weight_scale > 0.0 && !x_scales.is_empty(), "{}: no scales", plain.name);
        fn named<T>(arrays: [Vec<T>; 4]) -> Named<T> {
            CellWeights::NAMES.map(|name| format!("{name}_l0")).into_iter().zip(arrays).collect()
        }
        Self {
            name: plain.name,
            source: format!("PyTorch {}", plain.torch),
            precision: Precision::F64,
            config: Options {
                cell: CellName::Gru,
                input_size,
                hidden_size,
                num_layers: 1,
                direction: DirectionName::Forward,
                bias: true,
                batch_first: false,
                reset: Some(ResetName::After),
                gate_activation: Some(ActivationName::Sigmoid),
                candidate_activation: Some(ActivationName::Tanh),
                nonlinearity: None,
                reverse_gate_activation: None,
                reverse_candidate_activation: None,
                reverse_nonlinearity: None,
                clip: None,
                lengths: None,
            },
            seq_len,
            batch,
            seed: Some(plain.seed),
            weight_scale,
            x_scales,
            weights: named([plain.weight_ih_l0, plain.weight_hh_l0, plain.bias_ih_l0, plain.bias_hh_l0]),
            x: plain.x,
            h0: plain.h0,
            d_output: Some(plain.d_output),
            d_h_n: Some(plain.d_h_n),
            output: Some(plain.output),
            h_n: Some(plain.h_n),
            d_x: Some(plain.d_x),
            d_h0: Some(plain.d_h0),
            d_weights: Some(named([
                plain.d_weight_ih_l0,
                plain.d_weight_hh_l0,
                plain.d_bias_ih_l0,
                plain.d_bias_hh_l0,
            ])),
        }
    }
}

fn unscaled() -> Vec<f32> {
    vec![1.0]
}

/// The plain layers of `nn.GRU`, at many sizes, in the order of their names.
///
/// # Panics
/// As [`load_options`].
pub(crate) fn load_plain() -> Vec<Golden> {
    load::<Plain>("gru", 18)
}

/// The cases of all sources with every option, in the order of their names.
///
/// # Panics
/// If a file cannot be read or holds something else than its config says, or if there are not as many as `SOURCES`
/// says.
pub(crate) fn load_options() -> Vec<Golden> {
    SOURCES.into_iter().flat_map(|(source, count)| load::<Golden>(&format!("options/{source}"), count)).collect()
}

/// Both.
pub(crate) fn load_all() -> Vec<Golden> {
    [load_plain(), load_options()].concat()
}

/// All cases of a folder.
fn load<T: DeserializeOwned + Into<Golden>>(folder: &str, count: usize) -> Vec<Golden> {
    let folder = Path::new("tests/golden").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), count, "cases in {}", folder.display());
    paths.iter().map(|path| read::<T>(path)).collect()
}

fn read<T: DeserializeOwned + Into<Golden>>(path: &Path) -> Golden {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let golden: Golden = case.into();
    assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*golden.name), "the name of {}", path.display());
    golden.check();
    golden
}
