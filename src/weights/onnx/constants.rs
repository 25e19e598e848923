//! Numbers that a graph only moves: exporters leave weights in slices, joined, and with more axes.

use std::collections::BTreeSet;

use prost::Message;

use super::arrays::{axis_of, bounds};
use super::graph::{Graph, Node};
use super::proto;
use super::tensor::{Shaped, floats, integers};
use super::tensor::{invalid, undecodable};
use crate::error::Result;

/// A value that is known without any input of the graph.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Floats(Shaped<f32>),
    Integers(Shaped<i64>),
    /// The same number everywhere, in a shape that may follow from an input, such as zeros for each row of a batch.
    Filled(f32),
}

impl Constant {
    /// How many numbers it holds.
    fn len(&self) -> usize {
        match self {
            Self::Floats(array) => array.values.len(),
            Self::Integers(array) => array.values.len(),
            Self::Filled(_) => 0,
        }
    }
}

/// How many nodes a constant may be away from its numbers.
const DEEPEST: usize = 64;

/// Finds constants, with a bound on the work.
pub(super) struct Constants<'a> {
    graph: &'a Graph,
    /// Numbers and nodes that may still be looked at.
    budget: usize,
    /// The initialisers that were.
    pub(super) used: BTreeSet<String>,
}

impl<'a> Constants<'a> {
    /// What only moves numbers has a few copies of them at most.
    pub(super) fn new(graph: &'a Graph) -> Self {
        let bytes = graph.files.values().map(prost::bytes::Bytes::len).fold(graph.size, usize::saturating_add);
        Self { graph, budget: bytes.saturating_mul(4).saturating_add(1 << 16), used: BTreeSet::new() }
    }

    /// A value; `None` where it depends on an input, or is computed.
    ///
    /// # Errors
    /// Those of tensors whose numbers cannot be read.
    pub(super) fn get(&mut self, value: &str) -> Result<Option<Constant>> {
        self.at_depth(value, 0)
    }

    fn spend(&mut self, numbers: usize) -> Result<()> {
        let left = self.budget.checked_sub(numbers.saturating_add(1));
        self.budget = left.ok_or_else(|| invalid("its constants are more numbers than it holds".into()))?;
        Ok(())
    }

    fn at_depth(&mut self, value: &str, depth: usize) -> Result<Option<Constant>> {
        self.spend(0)?;
        if let Some(initializer) = self.graph.initializers.get(value) {
            // No more numbers than there are bytes for.
            let made = self.tensor(value, &initializer.tensor()?)?;
            self.used.insert(value.to_owned());
            self.spend(made.len())?;
            return Ok(Some(made));
        }
        let Some((node, output)) = self.graph.producer(value) else { return Ok(None) };
        if depth == DEEPEST {
            return Ok(None);
        }
        let made = match (node.op.as_str(), output) {
            ("Constant", 0) => self.constant(node)?,
            ("ConstantOfShape", 0) => self.filled(node)?,
            ("Concat", 0) => self.concat(node, depth)?,
            ("Expand", 0) => self.expand(node, depth)?,
            ("Shape", 0) => self.shape(node)?,
            ("Mul", 0) => self.product(node, depth)?,
            ("Identity" | "Cast" | "Unsqueeze" | "Squeeze" | "Transpose" | "Reshape" | "Slice", 0) => {
                self.moved(node, depth)?
            }
            ("Split", part) => self.split(node, part, depth)?,
            _ => None,
        };
        self.spend(made.as_ref().map_or(0, Constant::len))?;
        Ok(made)
    }

    fn tensor(&self, name: &str, tensor: &proto::Tensor) -> Result<Constant> {
        Ok(match integers(name, tensor, &self.graph.files)? {
            Some(integers) => Constant::Integers(integers),
            None => Constant::Floats(floats(name, tensor, &self.graph.files)?),
        })
    }

    fn constant(&self, node: &Node) -> Result<Option<Constant>> {
        let Some(attribute) = node.attributes().next().transpose()? else { return Ok(None) };
        let vector = |len| vec![len];
        Ok(Some(match attribute.name.as_str() {
            "value" => match attribute.t {
                Some(bytes) => self.tensor(&node.name, &proto::Tensor::decode(bytes).map_err(undecodable)?)?,
                None => return Ok(None),
            },
            "value_float" | "value_floats" => {
                let values: Vec<_> = attribute.f.map_or(attribute.floats, |value| vec![value]);
                let shape = if attribute.f.is_some() { vec![] } else { vector(values.len()) };
                Constant::Floats(Shaped { shape, values })
            }
            "value_int" | "value_ints" => {
                let values: Vec<_> = attribute.i.map_or(attribute.ints, |value| vec![value]);
                let shape = if attribute.i.is_some() { vec![] } else { vector(values.len()) };
                Constant::Integers(Shaped { shape, values })
            }
            _ => return Ok(None),
        }))
    }

    /// `ConstantOfShape`: zeros, or another number.
    fn filled(&self, node: &Node) -> Result<Option<Constant>> {
        let Some(bytes) = node.attribute("value")?.and_then(|attribute| attribute.t) else {
            return Ok(Some(Constant::Filled(0.0)));
        };
        let tensor = proto::Tensor::decode(bytes).map_err(undecodable)?;
        Ok(match self.tensor(&node.name, &tensor)? {
            Constant::Floats(Shaped { values, .. }) => values.first().map(|&value| Constant::Filled(value)),
            _ => None,
        })
    }

    fn input(&mut self, node: &Node, index: usize, depth: usize) -> Result<Option<Constant>> {
        match node.input(index) {
            Some(value) => self.at_depth(value, depth + 1),
            None => Ok(None),
        }
    }

    /// Whole numbers that are an attribute in one opset and an input in a later one; `Some(None)` where they are not
    /// given, `None` where they are not known.
    fn numbers(&mut self, node: &Node, name: &str, input: usize, depth: usize) -> Result<Option<Option<Vec<i64>>>> {
        if let Some(numbers) = node.integers(name)? {
            return Ok(Some(Some(numbers)));
        }
        if node.input(input).is_none() {
            return Ok(Some(None));
        }
        Ok(match self.input(node, input, depth)? {
            Some(Constant::Integers(Shaped { values, .. })) => Some(Some(values)),
            _ => None,
        })
    }

    /// `Shape`: sizes that the file tells.
    fn shape(&self, node: &Node) -> Result<Option<Constant>> {
        let Some(sizes) = node.input(0).and_then(|value| self.graph.shape(value)) else { return Ok(None) };
        let (start, end) = (node.integer("start")?.unwrap_or(0), node.integer("end")?.unwrap_or(i64::MAX));
        let Some((begin, end)) = bounds(sizes.len(), start, end) else { return Ok(None) };
        let known = |size: &Option<usize>| size.and_then(|size| i64::try_from(size).ok());
        let values = sizes[begin..end].iter().map(known).collect::<Option<Vec<_>>>();
        Ok(values.map(|values| Constant::Integers(Shaped { shape: vec![values.len()], values })))
    }

    /// `Mul` of two sizes.
    fn product(&mut self, node: &Node, depth: usize) -> Result<Option<Constant>> {
        let [first, second] = [self.input(node, 0, depth)?, self.input(node, 1, depth)?];
        let (Some(Constant::Integers(first)), Some(Constant::Integers(second))) = (first, second) else {
            return Ok(None);
        };
        let ([a], [b]) = (&first.values[..], &second.values[..]) else { return Ok(None) };
        let rank = first.shape.len().max(second.shape.len());
        let value = a.checked_mul(*b);
        Ok(value.map(|value| Constant::Integers(Shaped { shape: vec![1; rank], values: vec![value] })))
    }

    fn expand(&mut self, node: &Node, depth: usize) -> Result<Option<Constant>> {
        Ok(match self.input(node, 0, depth)? {
            Some(Constant::Floats(Shaped { values, .. })) => match values.first() {
                Some(first) if values.iter().all(|value| value.to_bits() == first.to_bits()) => {
                    Some(Constant::Filled(*first))
                }
                _ => None,
            },
            Some(Constant::Filled(value)) => Some(Constant::Filled(value)),
            _ => None,
        })
    }

    fn concat(&mut self, node: &Node, depth: usize) -> Result<Option<Constant>> {
        let Some(axis) = node.integer("axis")? else { return Ok(None) };
        let mut parts = Vec::with_capacity(node.inputs.len());
        for index in 0..node.inputs.len() {
            match self.input(node, index, depth)? {
                Some(part) => parts.push(part),
                None => return Ok(None),
            }
        }
        if let [Constant::Filled(first), ..] = parts[..] {
            let are_alike = parts.iter().all(|part| *part == Constant::Filled(first));
            return Ok(are_alike.then_some(Constant::Filled(first)));
        }
        let floats = |part: &Constant| if let Constant::Floats(part) = part { Some(part.clone()) } else { None };
        let integers = |part: &Constant| if let Constant::Integers(part) = part { Some(part.clone()) } else { None };
        if let Some(parts) = parts.iter().map(floats).collect::<Option<Vec<_>>>() {
            return Ok(Shaped::concat(&parts, axis).map(Constant::Floats));
        }
        let parts = parts.iter().map(integers).collect::<Option<Vec<_>>>();
        Ok(parts.and_then(|parts| Shaped::concat(&parts, axis)).map(Constant::Integers))
    }

    /// The operators with one array.
    fn moved(&mut self, node: &Node, depth: usize) -> Result<Option<Constant>> {
        let Some(array) = self.input(node, 0, depth)? else { return Ok(None) };
        match array {
            Constant::Filled(value) => Ok(Some(Constant::Filled(value))),
            Constant::Floats(array) => Ok(self.move_one(node, array, depth)?.map(Constant::Floats)),
            Constant::Integers(array) => Ok(self.move_one(node, array, depth)?.map(Constant::Integers)),
        }
    }

    fn move_one<T: Copy>(&mut self, node: &Node, array: Shaped<T>, depth: usize) -> Result<Option<Shaped<T>>> {
        Ok(match node.op.as_str() {
            "Identity" => Some(array),
            "Cast" => {
                // To what these numbers are kept as; other types would round.
                let is_exact = node.integer("to")? == Some(i64::from(proto::data_type::FLOAT));
                is_exact.then_some(array)
            }
            "Transpose" => array.transpose(node.integers("perm")?.as_deref()),
            "Unsqueeze" => match self.numbers(node, "axes", 1, depth)? {
                Some(Some(axes)) => array.unsqueeze(&axes),
                _ => None,
            },
            "Squeeze" => match self.numbers(node, "axes", 1, depth)? {
                Some(axes) => array.squeeze(axes.as_deref()),
                None => None,
            },
            "Reshape" => match self.numbers(node, "shape", 1, depth)? {
                Some(Some(shape)) => array.reshape(&shape, node.integer("allowzero")? == Some(1)),
                _ => None,
            },
            _ => self.slice(node, array, depth)?,
        })
    }

    fn slice<T: Copy>(&mut self, node: &Node, array: Shaped<T>, depth: usize) -> Result<Option<Shaped<T>>> {
        let (Some(Some(starts)), Some(Some(ends)), Some(axes), Some(steps)) = (
            self.numbers(node, "starts", 1, depth)?,
            self.numbers(node, "ends", 2, depth)?,
            self.numbers(node, "axes", 3, depth)?,
            self.numbers(node, "steps", 4, depth)?,
        ) else {
            return Ok(None);
        };
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let is_forward = steps.is_none_or(|steps| steps.iter().all(|&step| step == 1));
        if !is_forward || ends.len() != starts.len() || axes.len() != starts.len() || axes.len() > array.shape.len() {
            return Ok(None);
        }
        let mut cut = Some(array);
        for ((start, end), axis) in starts.into_iter().zip(ends).zip(axes) {
            cut = cut.and_then(|array| array.slice(axis, start, end));
        }
        Ok(cut)
    }

    fn split(&mut self, node: &Node, part: usize, depth: usize) -> Result<Option<Constant>> {
        let axis = node.integer("axis")?.unwrap_or(0);
        let (array, sizes) = (self.input(node, 0, depth)?, self.numbers(node, "split", 1, depth)?);
        let parts = node.outputs.len() as i64;
        let cut = |size: Option<usize>| -> Option<(i64, i64)> {
            match sizes? {
                Some(sizes) => {
                    let begin = sizes.get(..part)?.iter().try_fold(0_i64, |sum, &size| sum.checked_add(size))?;
                    Some((begin, begin.checked_add(*sizes.get(part)?)?))
                }
                None => {
                    let each = (i64::try_from(size?).ok()? + parts - 1) / parts;
                    let begin = each.checked_mul(part as i64)?;
                    Some((begin, begin.checked_add(each)?))
                }
            }
        };
        let size = |shape: &[usize]| axis_of(axis, shape.len()).map(|axis| shape[axis]);
        Ok(match array {
            Some(Constant::Filled(value)) => Some(Constant::Filled(value)),
            Some(Constant::Floats(array)) => cut(size(&array.shape))
                .filter(|&(begin, end)| 0 <= begin && begin <= end)
                .and_then(|(begin, end)| array.slice(axis, begin, end))
                .map(Constant::Floats),
            _ => None,
        })
    }
}
