//! The graph of a model: its nodes in their order, and who makes and reads each value.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use super::proto;
use super::tensor::{Files, Place, invalid, undecodable};
use crate::error::{Error, Result};

/// Nodes, and numbers of a file, at most. A node of two bytes takes some hundred.
const MOST: usize = 1 << 18;
/// Values that nodes read or make at most.
const MOST_VALUES: usize = 1 << 20;

/// A node; its attributes are decoded where they are asked for.
pub(super) struct Node {
    /// Its own name, or that of its first output.
    pub(super) name: String,
    /// The operator, of ONNX's own; empty for one of another domain.
    pub(super) op: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    attributes: Vec<Bytes>,
}

impl Node {
    /// An input that is given.
    pub(super) fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// All attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Result<proto::Attribute>> {
        self.attributes.iter().map(|bytes| proto::Attribute::decode(bytes.clone()).map_err(undecodable))
    }

    /// An attribute by its name.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<proto::Attribute>> {
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.name == name {
                return Ok(Some(attribute));
            }
        }
        Ok(None)
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.attribute(name)?.and_then(|attribute| attribute.i))
    }

    pub(super) fn integers(&self, name: &str) -> Result<Option<Vec<i64>>> {
        Ok(self.attribute(name)?.map(|attribute| attribute.ints))
    }
}

/// Numbers of the file.
pub(super) struct Initializer {
    pub(super) header: proto::TensorHeader,
    bytes: Bytes,
}

impl Initializer {
    pub(super) fn tensor(&self) -> Result<proto::Tensor> {
        proto::Tensor::decode(self.bytes.clone()).map_err(undecodable)
    }
}

/// A graph that can be walked: no node reads what is made after it, and no value is made twice.
pub(super) struct Graph {
    pub(super) opset: i64,
    pub(super) producer: String,
    pub(super) nodes: Vec<Node>,
    pub(super) initializers: BTreeMap<String, Initializer>,
    /// The node that makes a value, and as which of its outputs.
    producers: HashMap<String, (usize, usize)>,
    consumers: HashMap<String, Vec<usize>>,
    /// Sizes, as far as the file tells them.
    shapes: HashMap<String, Vec<Option<usize>>>,
    pub(super) outputs: HashSet<String>,
    pub(super) files: Files,
    /// The bytes of the file.
    pub(super) size: usize,
}

impl Graph {
    pub(super) fn decode(bytes: Bytes) -> Result<Self> {
        let size = bytes.len();
        let model = proto::Model::decode(bytes).map_err(undecodable)?;
        let [graph] = <[Bytes; 1]>::try_from(model.graph)
            .map_err(|graphs| invalid(format!("it has {} graphs, expected one", graphs.len())))?;
        let graph = proto::Graph::decode(graph).map_err(undecodable)?;
        let mut made = Self {
            opset: opset(&model.opset_import)?,
            producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
            nodes: Vec::new(),
            initializers: BTreeMap::new(),
            producers: HashMap::new(),
            consumers: HashMap::new(),
            shapes: HashMap::new(),
            outputs: HashSet::new(),
            files: Files::new(),
            size,
        };
        let infos = graph.input.len() + graph.output.len() + graph.value_info.len();
        for (what, required) in [
            ("the number of nodes", graph.node.len()),
            ("the number of initialisers", graph.initializer.len()),
            ("the number of values with a shape", infos),
        ] {
            expect_at_most(what, required, MOST)?;
        }
        for bytes in graph.initializer {
            let header = proto::TensorHeader::decode(bytes.clone()).map_err(undecodable)?;
            let name = header.name.clone();
            if made.initializers.insert(name.clone(), Initializer { header, bytes }).is_some() {
                return Err(invalid(format!("two initialisers are called {name}")));
            }
        }
        for bytes in graph.input.iter().chain(&graph.value_info) {
            made.add_info(bytes)?;
        }
        for bytes in &graph.output {
            let name = made.add_info(bytes)?;
            made.outputs.insert(name);
        }
        let mut values = 0;
        for bytes in graph.node {
            let node = proto::Node::decode(bytes).map_err(undecodable)?;
            values += node.input.len() + node.output.len();
            expect_at_most("the number of values that nodes read or make", values, MOST_VALUES)?;
            made.add_node(node)?;
        }
        Ok(made)
    }

    /// Notes the shape of a value.
    fn add_info(&mut self, bytes: &Bytes) -> Result<String> {
        let info = proto::ValueInfo::decode(bytes.clone()).map_err(undecodable)?;
        let shape = info.r#type.and_then(|of| of.tensor_type).and_then(|of| of.shape);
        if let Some(shape) = shape {
            let sizes = shape.dim.iter().map(|dim| dim.dim_value.and_then(|size| usize::try_from(size).ok()));
            self.shapes.insert(info.name.clone(), sizes.collect());
        }
        Ok(info.name)
    }

    fn add_node(&mut self, node: proto::Node) -> Result<()> {
        let index = self.nodes.len();
        let name = match node.output.iter().find(|name| !name.is_empty()) {
            Some(output) if node.name.is_empty() => output.clone(),
            _ => node.name,
        };
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            let readers = self.consumers.entry(input.clone()).or_default();
            if readers.last() != Some(&index) {
                readers.push(index);
            }
        }
        for (number, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // One that an earlier node or this one has read: a cycle, or an order in which nobody can compute.
            if self.consumers.contains_key(output) {
                return Err(invalid(format!("{output} is read before node {name} makes it")));
            }
            let is_known = self.initializers.contains_key(output);
            if is_known || self.producers.insert(output.clone(), (index, number)).is_some() {
                return Err(invalid(format!("{output} is made twice")));
            }
        }
        let is_own = matches!(node.domain.as_str(), "" | "ai.onnx");
        let op = if is_own { node.op_type } else { String::new() };
        self.nodes.push(Node { name, op, inputs: node.input, outputs: node.output, attributes: node.attribute });
        Ok(())
    }

    /// The node that makes a value, and as which of its outputs.
    pub(super) fn producer(&self, value: &str) -> Option<(&Node, usize)> {
        self.producers.get(value).map(|&(node, output)| (&self.nodes[node], output))
    }

    /// The nodes that read a value.
    pub(super) fn consumers(&self, value: &str) -> &[usize] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }

    /// The sizes of a value, as far as the file tells them.
    pub(super) fn shape(&self, value: &str) -> Option<&[Option<usize>]> {
        self.shapes.get(value).map(Vec::as_slice)
    }

    /// The other files that hold numbers of this one, each once.
    pub(super) fn external_files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for (name, initializer) in &self.initializers {
            if initializer.header.data_location == 1 {
                files.push(Place::of(name, &initializer.header.external_data)?.location);
            }
        }
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

fn expect_at_most(what: &'static str, required: usize, available: usize) -> Result<()> {
    if required <= available {
        return Ok(());
    }
    let limit = "what is read of a graph";
    Err(Error::LimitExceeded { what, limit, required: required as u64, available: available as u64 })
}

/// The version of ONNX's own operators.
fn opset(imports: &[Bytes]) -> Result<i64> {
    for import in imports {
        let proto::OperatorSet { domain, version } = proto::OperatorSet::decode(import.clone()).map_err(undecodable)?;
        if matches!(domain.as_str(), "" | "ai.onnx") {
            return Ok(version);
        }
    }
    Err(invalid("it does not say the version of its operators".into()))
}
