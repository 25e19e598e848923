//! Models of ONNX (<https://onnx.ai>): the recurrent and linear layers in them as configs and weights, and layers
//! written as models.

mod activations;
mod arrays;
mod chains;
mod constants;
mod export;
mod graph;
mod layout;
mod linear;
mod node;
mod proto;
mod tensor;

use std::collections::BTreeSet;
use std::fmt;

use prost::bytes::Bytes;

pub use export::Export;

use self::chains::Chains;
use self::constants::Constants;
use self::graph::Graph;
use self::node::FromNode;
use self::proto::data_type;
use super::state_dict::{Array, LoadReport};
use super::{CellWeights, Weights};
use crate::config::{Cell, Config, Direction, GruCell, RnnCell};
use crate::error::{Error, Result, expect_shape};

/// A model of ONNX, of opset 7 or later, and the layers in it. [Its module](crate::onnx) has an example.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// let gru = wgpu_gru::Gru::from_onnx(gpu, &model.gru("gru")?)?;
/// # Ok(()) }
/// ```
pub struct Model {
    graph: Graph,
    nodes: Vec<Node>,
    chains: Chains,
}

impl fmt::Debug for Model {
    /// Without the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { graph, nodes, .. } = self;
        let mut of = f.debug_struct("Model");
        of.field("producer", &graph.producer).field("opset", &graph.opset).field("nodes", nodes).finish_non_exhaustive()
    }
}

/// The operator of a [`Node`].
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// use wgpu_gru::onnx::Op;
/// let grus = model.nodes().iter().filter(|node| node.op == Op::Gru);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// A gated recurrent unit.
    Gru,
    /// A plain RNN.
    Rnn,
    /// An LSTM, which this crate has not.
    Lstm,
    /// A linear layer in one node.
    Gemm,
    /// A product with a matrix, and the `Add` of a bias after it where there is one.
    MatMul,
}

pub(crate) use self::Op as OnnxOp;

/// A node of a graph that is a recurrent or linear layer.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// for node in model.nodes() {
///     println!("{}: {:?}, {:?} units", node.name, node.op, node.hidden_size);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Its name, or that of its first output where it has none: what [`Model::gru`] and the others ask for.
    pub name: String,
    /// Its operator.
    pub op: Op,
    /// The number of features that it reads, where the file says that without being computed.
    pub input_size: Option<usize>,
    /// The number of its units, of a linear layer that of the features that it makes, likewise.
    pub hidden_size: Option<usize>,
    /// The order of time, of a recurrent node.
    pub direction: Option<Direction>,
    /// The recurrent node below it, where both are layers of one: see [`Model::gru`].
    pub stands_on: Option<String>,
}

/// What a recurrent layer of a graph begins with.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// use wgpu_gru::onnx::FirstState;
/// for state in &model.gru("gru")?.first_states {
///     if let FirstState::Given(name) = state {
///         println!("the app has to give {name}");
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum FirstState {
    /// Zeros.
    Zero,
    /// Numbers of the file, `[D, B, H]`, which are the same whatever goes in.
    Constant(Array),
    /// A value of this name, which is an input of the graph or follows from one: the app has to give it. (In the graph
    /// it is `[B, D, H]` where the node's `layout` is 1.)
    Given(String),
}

/// A recurrent layer of a graph: what it is, its weights, and where it stands.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// let layer = model.gru("gru")?;
/// let gru = wgpu_gru::Gru::from_onnx(gpu, &layer)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layer<C = Cell> {
    /// What the layer is. It is batch-first where the node's `layout` is 1, or where the graph transposes what goes in
    /// from `[B, T, I]`; its output is reversed where the graph turns that round. What the graph does not say, such as
    /// dropout, is set here.
    pub config: Config<C>,
    /// Its weights.
    pub weights: Weights,
    /// What each of its layers begins with, the lowest first.
    pub first_states: Vec<FirstState>,
    /// The value with the lengths of the rows, `sequence_lens`, where there is one: see
    /// [`Unroll::lengths`](crate::Unroll::lengths).
    pub lengths: Option<String>,
    /// The names of its nodes, the lowest layer first.
    pub nodes: Vec<String>,
    /// The value that is its input, in the layout that the config says.
    pub input: String,
    /// The value that is its output in that layout, where the graph makes it.
    pub output: Option<String>,
    /// The numbers of the file that it is made of, by their names, and the others.
    pub report: LoadReport,
}

impl<C> Layer<C> {
    /// The first states, `[LD, B, H]`, where they are numbers of the file.
    #[must_use]
    pub fn h0(&self) -> Option<Array> {
        let arrays = self.first_states.iter().map(|state| match state {
            FirstState::Constant(array) => Some(array),
            _ => None,
        });
        let arrays = arrays.collect::<Option<Vec<_>>>()?;
        let mut shape = arrays.first()?.shape().to_vec();
        if arrays.iter().any(|array| array.shape() != shape) {
            return None;
        }
        shape[0] *= arrays.len();
        Some(Array::of(shape, arrays.iter().flat_map(|array| array.values()).copied().collect()))
    }
}

/// A linear layer of a graph, in PyTorch's layout.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::onnx::Model::load("model.onnx")?;
/// let head = wgpu_gru::train::Linear::from_onnx(gpu, &model.linear("head")?)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Linear {
    /// `[out_features, in_features]`.
    pub weight: Array,
    /// `[out_features]`, where the graph has one.
    pub bias: Option<Array>,
    /// The numbers of the file that it is made of, by their names, and the others.
    pub report: LoadReport,
}

impl Model {
    /// Out of the bytes of a file. What is made takes some times these bytes at most, whatever the file says of its
    /// sizes.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] for what is no model: bytes that are none, nodes that read each other in a circle or
    /// before they are made, names and values twice; [`Error::LimitExceeded`] for more than 2^18 nodes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let graph = Graph::decode(Bytes::from(bytes.into()))?;
        let chains = Chains::of(&graph)?;
        let nodes = (0..graph.nodes.len()).filter_map(|index| listed(&graph, &chains, index).transpose());
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        Ok(Self { graph, nodes, chains })
    }

    /// The files that hold numbers of this one, by the names that it has for them: PyTorch's exporter writes such a
    /// file beside the model. [`Model::load`] reads them.
    ///
    /// # Errors
    /// [`Error::InvalidFile`].
    pub fn external_files(&self) -> Result<Vec<String>> {
        self.graph.external_files()
    }

    /// Gives one of the [files that hold numbers](Self::external_files) of this model.
    pub fn insert_external(&mut self, location: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.graph.files.insert(location.into(), Bytes::from(bytes.into()));
    }

    /// The version of ONNX's operators.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.graph.opset
    }

    /// What wrote the file, and its version.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.graph.producer
    }

    /// The recurrent and linear nodes, in the order of the graph. Those inside of other nodes (the bodies of `If`,
    /// `Loop` and `Scan`) and in functions of the model are not looked at.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The GRU that a node belongs to. Nodes of the same sizes and options that stand on each other, as exporters write
    /// an `nn.GRU` of several layers, are one layer: the output of each is read by the next one and nobody else, in any
    /// order of axes that means the same. [`Node::stands_on`] tells; [`Model::single`] has a node for itself.
    ///
    /// # Errors
    /// [`Error::MissingLayer`]; [`Error::UnsupportedLayer`] names what no layer of this crate can have;
    /// [`Error::ShapeMismatch`], [`Error::TensorType`], [`Error::ExternalData`] and [`Error::InvalidFile`] for the
    /// numbers; those of [`Config::validate`].
    pub fn gru(&self, node: &str) -> Result<Layer<GruCell>> {
        self.of_chain(node)
    }

    /// The same for a plain RNN.
    ///
    /// # Errors
    /// Those of [`Model::gru`].
    pub fn rnn(&self, node: &str) -> Result<Layer<RnnCell>> {
        self.of_chain(node)
    }

    /// The same for either.
    ///
    /// # Errors
    /// Those of [`Model::gru`].
    pub fn layer(&self, node: &str) -> Result<Layer> {
        self.of_chain(node)
    }

    /// The layer of one node, whatever it stands on.
    ///
    /// # Errors
    /// Those of [`Model::gru`].
    pub fn single(&self, node: &str) -> Result<Layer> {
        let index = self.find(node)?;
        self.of_nodes(&[index])
    }

    /// A linear layer: a `Gemm`, or a `MatMul` with the `Add` of a bias.
    ///
    /// # Errors
    /// [`Error::MissingLayer`], [`Error::UnsupportedLayer`], and those of the numbers, as of [`Model::gru`].
    pub fn linear(&self, node: &str) -> Result<Linear> {
        let node = &self.graph.nodes[self.find(node)?];
        if !matches!(node.op.as_str(), "Gemm" | "MatMul") {
            let (layer, option, expected) = (node.name.clone(), "its operator".into(), "Gemm or MatMul");
            return Err(Error::UnsupportedLayer { layer, option, value: node.op.clone(), expected });
        }
        let mut constants = Constants::new(&self.graph);
        let linear::Linear { weight, bias } = linear::read(&self.graph, node, &mut constants)?;
        Ok(Linear {
            weight: Array::of(weight.shape, weight.values),
            bias: bias.map(|bias| Array::of(vec![bias.len()], bias)),
            report: self.report(&constants.used),
        })
    }

    /// The place of a node in the graph.
    fn find(&self, name: &str) -> Result<usize> {
        let is_listed = self.nodes.iter().any(|node| node.name == name);
        let mut places = (0..self.graph.nodes.len()).filter(|&index| self.graph.nodes[index].name == name);
        match (places.next(), places.next()) {
            (Some(place), None) if is_listed => Ok(place),
            (Some(_), Some(_)) if is_listed => Err(tensor::invalid(format!("two nodes are called {name}"))),
            _ => {
                let found = self.nodes.iter().map(|node| node.name.clone()).collect();
                Err(Error::MissingLayer { layer: name.into(), found })
            }
        }
    }

    fn of_chain<C: FromNode + Copy + Into<Cell>>(&self, node: &str) -> Result<Layer<C>> {
        let chain = self.chains.of_node(self.find(node)?);
        self.of_nodes(&chain)
    }

    fn of_nodes<C: FromNode + Copy + Into<Cell>>(&self, chain: &[usize]) -> Result<Layer<C>> {
        let mut constants = Constants::new(&self.graph);
        let mut config: Option<Config<C>> = None;
        let (mut cells, mut first_states): (Vec<CellWeights>, _) = (Vec::new(), Vec::new());
        for &index in chain {
            let node = &self.graph.nodes[index];
            let layer = node::read::<C>(&self.graph, node, &mut constants)?;
            if let Some(lowest) = &config {
                let expected = [lowest.output_size()];
                expect_shape(format!("input of node {}", node.name), &expected, &[layer.config.input_size])?;
            }
            config.get_or_insert(layer.config);
            cells.extend(layer.cells);
            first_states.push(layer.first_state);
        }
        let (Some(config), [first, .., last] | [first @ last]) = (config, chain) else {
            return Err(tensor::invalid("it has no such layer".into()));
        };
        let (input, is_transposed) = self.chains.input(&self.graph, *first)?;
        let mut config = config.num_layers(chain.len());
        config.batch_first |= is_transposed;
        let mut output = self.chains.output(&self.graph, *last, config.batch_first);
        if let (Some(value), Direction::Reverse) = (&output, config.direction) {
            let time_axis = i64::from(config.batch_first);
            if let Some(reversed) = self.chains.reversed(&self.graph, value, time_axis, &mut constants)? {
                (config.reversed_output, output) = (true, Some(reversed));
            }
        }
        config.validate()?;
        let weights = Weights { cells };
        weights.validate(&config)?;
        Ok(Layer {
            weights,
            first_states,
            lengths: self.graph.nodes[*first].input(4).map(Into::into),
            nodes: chain.iter().map(|&index| self.graph.nodes[index].name.clone()).collect(),
            input,
            output,
            report: self.report(&constants.used),
            config,
        })
    }

    /// The numbers that were used and the others; whole numbers, such as sizes and axes, are left out.
    fn report(&self, used: &BTreeSet<String>) -> LoadReport {
        let is_whole = |of: i32| matches!(of, data_type::INT32 | data_type::INT64);
        let initializers = self.graph.initializers.iter();
        let numbers = initializers.filter(|(_, initializer)| !is_whole(initializer.header.data_type));
        let (used, unused) = numbers.map(|(name, _)| name.clone()).partition(|name| used.contains(name));
        LoadReport { used, unused }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod file {
    use std::fs;
    use std::path::{Component, Path};

    use super::{Model, Result, tensor};
    use crate::weights::file::{folder_of, read};

    impl Model {
        /// Reads a model, [`Model::from_bytes`], and the files in its folder that hold numbers of it.
        ///
        /// # Errors
        /// [`Error::File`](crate::Error::File); those of [`Model::from_bytes`];
        /// [`Error::InvalidFile`](crate::Error::InvalidFile) where the model names a file outside of
        /// its own folder.
        pub fn load(path: impl AsRef<Path>) -> Result<Self> {
            let path = path.as_ref();
            let mut model = Self::from_bytes(read(path)?)?;
            let folder = folder_of(path);
            for location in model.external_files()? {
                let is_inside = Path::new(&location).components().all(|part| matches!(part, Component::Normal(_)));
                let beside = folder.join(&location);
                // A link may lead out, and a device or a pipe has no end.
                let is_there = !location.is_empty() && is_inside && is_regular(&beside, &folder);
                if is_there {
                    model.insert_external(location, read(&beside)?);
                } else if !is_inside || location.is_empty() {
                    return Err(tensor::invalid(format!(
                        "its numbers are to lie outside of its folder, in {location:?}"
                    )));
                } else if let Err(error) = fs::metadata(&beside) {
                    return Err(crate::weights::file::failed(&beside)(error));
                } else {
                    return Err(tensor::invalid(format!(
                        "{location:?}, where its numbers are to lie, is no file of its folder"
                    )));
                }
            }
            Ok(model)
        }
    }

    fn is_regular(file: &Path, folder: &Path) -> bool {
        match (fs::canonicalize(file), fs::canonicalize(folder)) {
            (Ok(file), Ok(folder)) => file.starts_with(folder) && file.is_file(),
            _ => false,
        }
    }
}

/// What is said of a node, if it is a layer.
fn listed(graph: &Graph, chains: &Chains, index: usize) -> Result<Option<Node>> {
    let node = &graph.nodes[index];
    let op = match node.op.as_str() {
        "GRU" => Op::Gru,
        "RNN" => Op::Rnn,
        "LSTM" => Op::Lstm,
        "Gemm" if linear::is_linear(graph, node) => Op::Gemm,
        "MatMul" if linear::is_linear(graph, node) => Op::MatMul,
        _ => return Ok(None),
    };
    let size_of = |value: &str, axis: usize| -> Option<usize> {
        match graph.initializers.get(value) {
            Some(initializer) => usize::try_from(*initializer.header.dims.get(axis)?).ok(),
            None => *graph.shape(value)?.get(axis)?,
        }
    };
    let size = |input: usize, axis: usize| -> Option<usize> {
        let value = node.input(input)?;
        size_of(value, axis).or_else(|| match graph.producer(value) {
            // A matrix that is turned on the way.
            Some((maker, 0)) if maker.op == "Transpose" && axis < 2 => size_of(maker.input(0)?, 1 - axis),
            _ => None,
        })
    };
    let is_linear = matches!(op, Op::Gemm | Op::MatMul);
    let (input_size, hidden_size) = if is_linear {
        let is_transposed = op == Op::Gemm && node.integer("transB")?.is_some_and(|flag| flag != 0);
        (size(1, usize::from(is_transposed)), size(1, usize::from(!is_transposed)))
    } else {
        let of_attribute = node.integer("hidden_size")?.and_then(|size| usize::try_from(size).ok());
        (size(1, 2), of_attribute.or_else(|| size(2, 2)))
    };
    let direction = match node.attribute("direction")?.and_then(|attribute| attribute.s) {
        _ if is_linear => None,
        None => Some(Direction::Forward),
        Some(text) => match text.as_ref() {
            b"forward" => Some(Direction::Forward),
            b"reverse" => Some(Direction::Reverse),
            b"bidirectional" => Some(Direction::Bidirectional),
            _ => None,
        },
    };
    let stands_on = chains.below(index).map(|below| graph.nodes[below].name.clone());
    Ok(Some(Node { name: node.name.clone(), op, input_size, hidden_size, direction, stands_on }))
}
