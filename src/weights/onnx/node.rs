//! A node GRU or RNN: its attributes as a config, its inputs as the weights of a layer.

use super::activations::{self, Refused};
use super::constants::{Constant, Constants};
use super::graph::{Graph, Node};
use super::proto::{self, attribute_type};
use super::tensor::Shaped;
use super::{FirstState, OnnxOp};
use crate::activation::Activation;
use crate::config::{Cell, Config, Direction, GruCell, GruConfig, Reset, RnnCell, RnnConfig};
use crate::error::{Error, Result, expect_shape};
use crate::weights::state_dict::Array;
use crate::weights::{Biases, CellLayout, CellWeights};

/// The opset from which the nodes are as they are read here.
const FIRST_OPSET: i64 = 7;

/// What the attributes of a node say, with ONNX's defaults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    op: OnnxOp,
    pub(super) direction: Direction,
    /// Those of the forward direction, then those of the reverse one of two.
    activations: Vec<Activation>,
    clip: Option<f32>,
    reset: Reset,
    /// `layout` of 1.
    pub(super) batch_first: bool,
    /// `None`: R tells.
    pub(super) hidden_size: Option<usize>,
    /// Whether there is a B.
    bias: bool,
    /// `sequence_lens`.
    pub(super) lengths: Option<String>,
}

/// What a node has that no layer of this crate has.
fn unsupported(node: &Node, part: impl Into<String>, found: impl Into<String>, expected: &'static str) -> Error {
    Error::UnsupportedLayer { layer: node.name.clone(), option: part.into().into(), value: found.into(), expected }
}

/// An attribute's number, where it is one.
fn number<T>(node: &Node, attribute: &proto::Attribute, value: Option<T>, expected: &'static str) -> Result<T> {
    value.ok_or_else(|| unsupported(node, &attribute.name, format!("of type {}", attribute.r#type), expected))
}

fn text(node: &Node, attribute: &proto::Attribute, bytes: Option<&[u8]>) -> Result<String> {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned);
    number(node, attribute, text, "text")
}

/// What the attributes of a GRU or RNN say.
///
/// # Errors
/// [`Error::UnsupportedLayer`] names the first that no layer of this crate can have.
pub(super) fn options(graph: &Graph, node: &Node) -> Result<Options> {
    let op = match node.op.as_str() {
        "GRU" => OnnxOp::Gru,
        "RNN" => OnnxOp::Rnn,
        other => return Err(unsupported(node, "its operator", other, "GRU or RNN")),
    };
    if graph.opset < FIRST_OPSET {
        return Err(unsupported(node, "its opset", graph.opset.to_string(), "at least 7"));
    }
    let mut options = Options {
        op,
        direction: Direction::Forward,
        activations: Vec::new(),
        clip: None,
        reset: Reset::Before,
        batch_first: false,
        hidden_size: None,
        bias: node.input(3).is_some(),
        lengths: node.input(4).map(Into::into),
    };
    let (mut names, mut alphas, mut betas) = (None, Vec::new(), Vec::new());
    for attribute in node.attributes() {
        let attribute = attribute?;
        let flag = |value: Option<i64>| match number(node, &attribute, value, "0 or 1")? {
            flag @ (0 | 1) => Ok(flag == 1),
            other => Err(unsupported(node, &attribute.name, other.to_string(), "0 or 1")),
        };
        let has_type = |wanted: i32| attribute.r#type == wanted || attribute.r#type == 0;
        match attribute.name.as_str() {
            "direction" => {
                options.direction = match text(node, &attribute, attribute.s.as_deref())?.as_str() {
                    "forward" => Direction::Forward,
                    "reverse" => Direction::Reverse,
                    "bidirectional" => Direction::Bidirectional,
                    other => {
                        let expected = "forward, reverse or bidirectional";
                        return Err(unsupported(node, "direction", other, expected));
                    }
                }
            }
            "hidden_size" => {
                let size = number(node, &attribute, attribute.i, "a whole number")?;
                let size = usize::try_from(size).ok().filter(|&size| size > 0);
                let expected = "a whole number over 0";
                options.hidden_size = Some(number(node, &attribute, size, expected)?);
            }
            "clip" => options.clip = Some(number(node, &attribute, attribute.f, "a number")?),
            "linear_before_reset" if op == OnnxOp::Gru => {
                options.reset = if flag(attribute.i)? { Reset::After } else { Reset::Before };
            }
            "layout" if graph.opset >= 14 => options.batch_first = flag(attribute.i)?,
            "activations" if has_type(attribute_type::STRINGS) => {
                let texts = attribute.strings.iter().map(|bytes| text(node, &attribute, Some(bytes)));
                names = Some(texts.collect::<Result<Vec<_>>>()?);
            }
            "activation_alpha" if has_type(attribute_type::FLOATS) => alphas.clone_from(&attribute.floats),
            "activation_beta" if has_type(attribute_type::FLOATS) => betas.clone_from(&attribute.floats),
            other => {
                let expected = "an attribute of GRU or RNN in this opset, of its type";
                return Err(unsupported(node, format!("its attribute {other:?}"), "there", expected));
            }
        }
    }
    options.activations = activations_of(node, &options, names, &alphas, &betas)?;
    Ok(options)
}

fn activations_of(
    node: &Node,
    options: &Options,
    names: Option<Vec<String>>,
    alphas: &[f32],
    betas: &[f32],
) -> Result<Vec<Activation>> {
    let each: &[&str] = if options.op == OnnxOp::Gru { &["Sigmoid", "Tanh"] } else { &["Tanh"] };
    let count = each.len() * options.direction.count();
    let mut names = names.unwrap_or_else(|| each.iter().cycle().take(count).map(|name| (*name).to_owned()).collect());
    if options.op == OnnxOp::Rnn && names.len() == 2 {
        // The default of an RNN is of two directions, whatever there is; so ONNX Runtime takes the first.
        names.truncate(count);
    }
    let part = "activations";
    if names.len() != count {
        let expected = match count {
            1 => "one",
            2 => "two",
            _ => "four: those of the forward direction, then those of the reverse one",
        };
        return Err(unsupported(node, part, names.join(", "), expected));
    }
    activations::read(&names, alphas, betas).map_err(|refused| match refused {
        Refused::Name(name) => {
            let expected = "Sigmoid, Tanh, Relu, HardSigmoid, LeakyRelu, ThresholdedRelu, Elu, Softsign, Softplus, or \
                            Affine with an alpha of 1 and a beta of 0";
            unsupported(node, part, name, expected)
        }
        Refused::NoParameters(name) => {
            unsupported(node, part, format!("{name} without an alpha"), "its alpha in activation_alpha")
        }
        Refused::Parameters(count) => {
            let expected = "one for each activation that has such a parameter";
            unsupported(node, "activation_alpha or activation_beta", format!("{count} numbers"), expected)
        }
    })
}

/// A kind of cell that a node can be.
pub(super) trait FromNode: Sized {
    /// The config of a node of this kind; `None` for another kind.
    fn config(options: &Options, input_size: usize, hidden_size: usize) -> Option<Config<Self>>;
    /// What the operator is called.
    const EXPECTED: &'static str;
}

impl FromNode for GruCell {
    const EXPECTED: &'static str = "GRU";

    fn config(options: &Options, input_size: usize, hidden_size: usize) -> Option<GruConfig> {
        let config = GruConfig::new(input_size, hidden_size).reset(options.reset);
        let config = match options.activations[..] {
            [gate, candidate] => config.gate_activation(gate).candidate_activation(candidate),
            [gate, candidate, reverse_gate, reverse_candidate] => {
                let config = config.gate_activation(gate).candidate_activation(candidate);
                let config = if reverse_gate == gate { config } else { config.reverse_gate_activation(reverse_gate) };
                let is_own = reverse_candidate != candidate;
                if is_own { config.reverse_candidate_activation(reverse_candidate) } else { config }
            }
            _ => return None,
        };
        (options.op == OnnxOp::Gru).then(|| options.shared(config))
    }
}

impl FromNode for RnnCell {
    const EXPECTED: &'static str = "RNN";

    fn config(options: &Options, input_size: usize, hidden_size: usize) -> Option<RnnConfig> {
        let config = RnnConfig::new(input_size, hidden_size);
        let config = match options.activations[..] {
            [forward] => config.nonlinearity(forward),
            [forward, reverse] if forward == reverse => config.nonlinearity(forward),
            [forward, reverse] => config.nonlinearity(forward).reverse_nonlinearity(reverse),
            _ => return None,
        };
        (options.op == OnnxOp::Rnn).then(|| options.shared(config))
    }
}

impl FromNode for Cell {
    const EXPECTED: &'static str = "GRU or RNN";

    fn config(options: &Options, input_size: usize, hidden_size: usize) -> Option<Config> {
        match options.op {
            OnnxOp::Gru => GruCell::config(options, input_size, hidden_size).map(|config| config.erased()),
            OnnxOp::Rnn => RnnCell::config(options, input_size, hidden_size).map(|config| config.erased()),
            _ => None,
        }
    }
}

impl Options {
    fn shared<C>(&self, config: Config<C>) -> Config<C> {
        let config = config.direction(self.direction).bias(self.bias).batch_first(self.batch_first);
        match self.clip {
            Some(clip) => config.clip(clip),
            None => config,
        }
    }

    fn gates(&self) -> usize {
        if self.op == OnnxOp::Gru { 3 } else { 1 }
    }

    /// H, from the attribute, or else from R where that is numbers of the file as they stand.
    pub(super) fn known_hidden_size(&self, graph: &Graph, node: &Node) -> Option<usize> {
        let of_r = || graph.initializers.get(node.input(2)?)?.header.dims.get(2).copied();
        self.hidden_size.or_else(|| of_r().and_then(|size| usize::try_from(size).ok()))
    }
}

/// A node with its numbers: one layer.
pub(super) struct Layer<C> {
    pub(super) config: Config<C>,
    /// Of each direction.
    pub(super) cells: Vec<CellWeights>,
    pub(super) first_state: FirstState,
}

/// Reads the numbers of a node.
///
/// # Errors
/// Those of [`options`]; [`Error::UnsupportedLayer`] for weights that are no numbers of the file, [`Error::TensorType`],
/// [`Error::ShapeMismatch`], [`Error::ExternalData`], and those of [`Config::validate`].
pub(super) fn read<C: FromNode + Copy + Into<Cell>>(
    graph: &Graph,
    node: &Node,
    constants: &mut Constants<'_>,
) -> Result<Layer<C>> {
    let options = options(graph, node)?;
    let directions = options.direction.count();
    let w = numbers(graph, node, constants, 1, "W")?;
    let r = numbers(graph, node, constants, 2, "R")?;
    let hidden_size = options.hidden_size.or_else(|| r.shape.get(2).copied()).unwrap_or(0);
    let input_size = w.shape.get(2).copied().unwrap_or(0);
    let config = C::config(&options, input_size, hidden_size)
        .ok_or_else(|| unsupported(node, "its operator", node.op.clone(), C::EXPECTED))?;
    config.validate()?;
    let rows = options.gates() * hidden_size;
    expect_shape(named(node, 1, "W"), &[directions, rows, input_size], &w.shape)?;
    expect_shape(named(node, 2, "R"), &[directions, rows, hidden_size], &r.shape)?;
    let b = match options.bias {
        true => {
            let b = numbers(graph, node, constants, 3, "B")?;
            expect_shape(named(node, 3, "B"), &[directions, 2 * rows], &b.shape)?;
            Some(b)
        }
        false => None,
    };
    let part = |array: &Shaped<f32>, direction: usize| {
        let len = array.values.len() / directions;
        array.values[direction * len..][..len].to_vec()
    };
    let cell = |direction: usize| {
        let b = b.as_ref().map(|b| part(b, direction));
        let biases = b.as_deref().map_or(Biases::None, Biases::Joined);
        CellWeights::from_layout(&config, 0, CellLayout::ONNX, &part(&w, direction), &part(&r, direction), biases)
    };
    let cells = (0..directions).map(cell).collect::<Result<Vec<_>>>()?;
    let first_state = first_state(node, constants, &options, hidden_size)?;
    Ok(Layer { config, cells, first_state })
}

/// What a tensor of a node is called in errors.
fn named(node: &Node, input: usize, letter: &str) -> String {
    format!("{letter} of node {} ({})", node.name, node.input(input).unwrap_or_default())
}

/// The numbers of an input.
fn numbers(
    graph: &Graph,
    node: &Node,
    constants: &mut Constants<'_>,
    input: usize,
    letter: &str,
) -> Result<Shaped<f32>> {
    let expected = "numbers of the file, or slices, parts and orders of such";
    let Some(value) = node.input(input) else { return Err(unsupported(node, letter, "not given", expected)) };
    match constants.get(value)? {
        Some(Constant::Floats(array)) => Ok(array),
        Some(Constant::Integers(_)) => {
            Err(Error::TensorType { tensor: named(node, input, letter), dtype: "whole numbers".into() })
        }
        Some(Constant::Filled(_)) => Err(unsupported(node, letter, "of a shape that is computed", expected)),
        None => {
            let found = match graph.producer(value) {
                Some((maker, _)) => format!("{value}, made by {} ({})", maker.op, maker.name),
                None => format!("{value}, an input of the graph"),
            };
            Err(unsupported(node, letter, found, expected))
        }
    }
}

/// `initial_h`.
fn first_state(
    node: &Node,
    constants: &mut Constants<'_>,
    options: &Options,
    hidden_size: usize,
) -> Result<FirstState> {
    let Some(value) = node.input(5) else { return Ok(FirstState::Zero) };
    let directions = options.direction.count();
    Ok(match constants.get(value)? {
        Some(Constant::Filled(0.0)) => FirstState::Zero,
        Some(Constant::Floats(array)) => {
            // Batch-first it is [B, D, H].
            let order: &[i64] = if options.batch_first { &[1, 0, 2] } else { &[0, 1, 2] };
            let rows = array.shape.get(usize::from(!options.batch_first)).copied().unwrap_or(1);
            let expected =
                if options.batch_first { [rows, directions, hidden_size] } else { [directions, rows, hidden_size] };
            expect_shape(named(node, 5, "initial_h"), &expected, &array.shape)?;
            match array.transpose(Some(order)) {
                Some(Shaped { shape, values }) if values.iter().any(|value| value.to_bits() != 0) => {
                    FirstState::Constant(Array::of(shape, values))
                }
                _ => FirstState::Zero,
            }
        }
        _ => FirstState::Given(value.to_owned()),
    })
}
