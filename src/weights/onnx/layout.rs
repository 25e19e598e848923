//! Which values of a graph are the output of a recurrent node in another order of axes. Exporters put transpositions,
//! squeezes, reshapes and, where both directions are read apart, slices between the nodes of layers that stand on each
//! other.

use std::collections::HashMap;

use super::arrays::{axis_of, bounds, order_of};
use super::graph::{Graph, Node};
use super::proto;
use super::tensor::integers;
use crate::error::Result;

/// What an axis of the output of a recurrent node counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Time,
    Batch,
    /// Of two; one alone has no axis.
    Directions,
    Units,
}

use Axis::{Batch, Directions, Time, Units};

/// An axis of a value: what it counts, slowest first; nothing where its size is 1.
type Axes = Vec<Vec<Axis>>;

/// A value that is the output of a recurrent node, or one direction of it, with other axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// The node.
    pub(super) node: usize,
    axes: Axes,
    /// The only direction of two that is there.
    direction: Option<usize>,
}

impl Layout {
    /// Whether it is `[T, B, DH]`, or `[B, T, DH]`.
    pub(super) fn is_output(&self, directions: usize, batch_first: bool) -> bool {
        let features = if directions == 2 { vec![Directions, Units] } else { vec![Units] };
        let [outer, inner] = if batch_first { [Batch, Time] } else { [Time, Batch] };
        self.direction.is_none() && self.axes == [vec![outer], vec![inner], features]
    }
}

/// A whole number that is known, or the size of some axes of a recurrent node's output.
#[derive(Debug, Clone, PartialEq)]
enum Size {
    Known(i64),
    Of(usize, Vec<Axis>),
    Unknown,
}

/// What a recurrent node's output looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) directions: usize,
    pub(super) hidden_size: usize,
    /// ONNX's `layout` of 1: `[B, T, D, H]`, not `[T, D, B, H]`.
    pub(super) batch_first: bool,
}

/// Finds layouts in one walk over the nodes, each of which comes after those that it reads.
pub(super) struct Walk<'a> {
    graph: &'a Graph,
    outputs: &'a HashMap<usize, Output>,
    layouts: HashMap<&'a str, Layout>,
    /// Short lists of sizes, for the operators that take some.
    sizes: HashMap<&'a str, Vec<Size>>,
}

/// A list of sizes is at most so long.
const MOST_SIZES: usize = 8;

/// The layouts of all values that have one.
///
/// # Errors
/// Those of attributes and numbers that cannot be read.
pub(super) fn layouts<'a>(graph: &'a Graph, outputs: &'a HashMap<usize, Output>) -> Result<HashMap<&'a str, Layout>> {
    let mut walk = Walk { graph, outputs, layouts: HashMap::new(), sizes: HashMap::new() };
    for (name, initializer) in &graph.initializers {
        let is_list = match initializer.header.dims[..] {
            [] => true,
            [len] => (0..=MOST_SIZES as i64).contains(&len),
            _ => false,
        };
        // What lies in another file is no list of sizes, and may not be there yet.
        let is_whole = matches!(initializer.header.data_type, proto::data_type::INT32 | proto::data_type::INT64);
        if is_list && is_whole && initializer.header.data_location == 0 {
            walk.note_sizes(name, &initializer.tensor()?)?;
        }
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        walk.visit(index, node)?;
    }
    Ok(walk.layouts)
}

impl<'a> Walk<'a> {
    fn note_sizes(&mut self, name: &'a str, tensor: &proto::Tensor) -> Result<()> {
        if let Some(numbers) = integers(name, tensor, &self.graph.files)?
            && numbers.values.len() <= MOST_SIZES
        {
            self.sizes.insert(name, numbers.values.into_iter().map(Size::Known).collect());
        }
        Ok(())
    }

    fn visit(&mut self, index: usize, node: &'a Node) -> Result<()> {
        let Some(first) = node.outputs.first().map(String::as_str).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        if let Some(output) = self.outputs.get(&index) {
            let two = if output.directions == 2 { vec![Directions] } else { vec![] };
            let axes = if output.batch_first {
                vec![vec![Batch], vec![Time], two, vec![Units]]
            } else {
                vec![vec![Time], two, vec![Batch], vec![Units]]
            };
            self.layouts.insert(first, Layout { node: index, axes, direction: None });
        } else if node.op == "Constant" {
            self.constant(node, first)?;
        } else if node.op == "Shape" {
            if let Some(sizes) = self.shape(node)? {
                self.sizes.insert(first, sizes);
            }
        } else if node.op == "Split" {
            self.split(node)?;
        } else if node.op == "Concat" && node.input(0).is_some_and(|value| self.layouts.contains_key(value)) {
            if let Some(layout) = self.join(node)? {
                self.layouts.insert(first, layout);
            }
        } else if let Some(layout) = node.input(0).and_then(|value| self.layouts.get(value)).cloned() {
            if let Some(layout) = self.moved(node, layout)? {
                self.layouts.insert(first, layout);
            }
        } else if let Some(sizes) = self.list(node)?
            && sizes.len() <= MOST_SIZES
        {
            self.sizes.insert(first, sizes);
        }
        Ok(())
    }

    fn constant(&mut self, node: &'a Node, output: &'a str) -> Result<()> {
        use prost::Message;
        let Some(attribute) = node.attributes().next().transpose()? else { return Ok(()) };
        if let ("value", Some(bytes)) = (attribute.name.as_str(), attribute.t) {
            let tensor = proto::Tensor::decode(bytes).map_err(super::tensor::undecodable)?;
            if tensor.dims.len() <= 1 && tensor.data_location == 0 {
                self.note_sizes(output, &tensor)?;
            }
        } else if attribute.ints.len() <= MOST_SIZES && attribute.name.starts_with("value_int") {
            let values = attribute.i.map_or(attribute.ints, |value| vec![value]);
            self.sizes.insert(output, values.into_iter().map(Size::Known).collect());
        }
        Ok(())
    }

    /// Whole numbers that are an attribute in one opset and an input in a later one; `Some(None)` where they are not
    /// given, `None` where they are not known.
    fn numbers(&self, node: &Node, name: &str, input: usize) -> Result<Option<Option<Vec<i64>>>> {
        if let Some(numbers) = node.integers(name)? {
            return Ok(Some(Some(numbers)));
        }
        let Some(value) = node.input(input) else { return Ok(Some(None)) };
        let known = |size: &Size| if let Size::Known(size) = size { Some(*size) } else { None };
        Ok(self.sizes.get(value).and_then(|sizes| sizes.iter().map(known).collect()).map(Some))
    }

    /// The size of an axis of a node's output, where it is known.
    fn size(&self, node: usize, axis: Axis) -> Option<i64> {
        let output = self.outputs.get(&node)?;
        let batch_first = usize::from(output.batch_first);
        let of_shape = |value: Option<&str>, at: usize| *self.graph.shape(value?)?.get(at)?;
        let of_node = &self.graph.nodes[node];
        let (input, made) = (of_node.input(0), of_node.outputs.first().map(String::as_str));
        let size = match axis {
            Directions => Some(output.directions),
            Units => Some(output.hidden_size),
            Time => of_shape(input, batch_first).or_else(|| of_shape(made, batch_first)),
            Batch => {
                of_shape(input, 1 - batch_first).or_else(|| of_shape(made, if output.batch_first { 0 } else { 2 }))
            }
        };
        size.and_then(|size| i64::try_from(size).ok())
    }

    /// The product of the sizes of some axes, where it is known.
    fn product(&self, node: usize, axes: &[Axis]) -> Option<i64> {
        axes.iter().try_fold(1_i64, |product, &axis| product.checked_mul(self.size(node, axis)?))
    }

    /// The operators with one layout.
    fn moved(&self, node: &Node, mut layout: Layout) -> Result<Option<Layout>> {
        let rank = layout.axes.len();
        Ok(match node.op.as_str() {
            // Dropout does nothing outside of training, which an input of its own would ask for.
            "Identity" | "Dropout" => node.input(2).is_none().then_some(layout),
            "Transpose" => order_of(node.integers("perm")?.as_deref(), rank).map(|order| {
                layout.axes = order.into_iter().map(|axis| layout.axes[axis].clone()).collect();
                layout
            }),
            "Squeeze" => match self.numbers(node, "axes", 1)? {
                Some(Some(axes)) => {
                    let axes = axes.into_iter().map(|axis| axis_of(axis, rank)).collect::<Option<Vec<_>>>();
                    axes.filter(|axes| axes.iter().all(|&axis| layout.axes[axis].is_empty())).map(|axes| {
                        let mut axis = 0..;
                        layout.axes.retain(|_| axis.next().is_none_or(|axis| !axes.contains(&axis)));
                        layout
                    })
                }
                _ => None,
            },
            "Reshape" => match node.input(1).and_then(|value| self.sizes.get(value)) {
                Some(sizes) => self.reshape(layout, sizes, node.integer("allowzero")? == Some(1)),
                None => None,
            },
            "Slice" => self.slice(node, layout)?,
            "Gather" => {
                let axis = axis_of(node.integer("axis")?.unwrap_or(0), rank);
                match (axis, self.numbers(node, "", 1)?) {
                    // Of one number without an axis of its own; a list of one keeps the axis, which is then of size 1.
                    (Some(axis), Some(Some(index))) if index.len() == 1 => {
                        let is_scalar = node.input(1).and_then(|value| self.rank_of(value)) == Some(0);
                        one_direction(layout, axis, index[0], index[0].saturating_add(1)).map(|mut layout| {
                            if is_scalar {
                                layout.axes.remove(axis);
                            }
                            layout
                        })
                    }
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// How many axes an initialiser or constant has.
    fn rank_of(&self, value: &str) -> Option<usize> {
        use prost::Message;
        if let Some(initializer) = self.graph.initializers.get(value) {
            return Some(initializer.header.dims.len());
        }
        let (node, _) = self.graph.producer(value)?;
        let bytes = node.attribute("value").ok()??.t?;
        (node.op == "Constant").then(|| proto::TensorHeader::decode(bytes).ok()).flatten().map(|of| of.dims.len())
    }

    /// Gives each size the axes, in their order, whose product it is; one of -1 takes what is left.
    fn reshape(&self, mut layout: Layout, sizes: &[Size], allow_zero: bool) -> Option<Layout> {
        let node = layout.node;
        let mut left: Vec<Axis> = layout.axes.concat();
        let take = |left: &mut Vec<Axis>, from_end: bool, at: usize, size: &Size| -> Option<Vec<Axis>> {
            let wanted = match size {
                Size::Known(0) if !allow_zero => return take_axes(left, from_end, layout.axes.get(at)?),
                Size::Of(of, axes) if *of == node => return take_axes(left, from_end, axes),
                Size::Known(size) if *size > 0 => *size,
                _ => return None,
            };
            let (mut taken, mut product) = (Vec::new(), 1_i64);
            loop {
                let next = if from_end { left.last() } else { left.first() }.copied();
                // An axis of size 1 belongs to the size that it stands at.
                let has_one = taken.is_empty() && wanted == 1 && next.and_then(|axis| self.size(node, axis)) == Some(1);
                if product == wanted && !has_one {
                    return Some(taken);
                }
                let axis = next?;
                product = product.checked_mul(self.size(node, axis)?)?;
                if product > wanted {
                    return None;
                }
                left.remove(if from_end { left.len() - 1 } else { 0 });
                taken.insert(if from_end { 0 } else { taken.len() }, axis);
                if has_one {
                    return Some(taken);
                }
            }
        };
        let rest = sizes.iter().position(|size| *size == Size::Known(-1)).unwrap_or(sizes.len());
        let mut axes = Vec::with_capacity(sizes.len());
        for (at, size) in sizes[..rest].iter().enumerate() {
            axes.push(take(&mut left, false, at, size)?);
        }
        let mut last = Vec::new();
        for (at, size) in sizes.iter().enumerate().skip(rest + 1).rev() {
            last.insert(0, take(&mut left, true, at, size)?);
        }
        if rest < sizes.len() {
            axes.push(std::mem::take(&mut left));
        }
        axes.append(&mut last);
        layout.axes = axes;
        left.is_empty().then_some(layout)
    }

    /// `Slice`: one of two directions.
    fn slice(&self, node: &Node, layout: Layout) -> Result<Option<Layout>> {
        let (Some(Some(starts)), Some(Some(ends)), Some(axes), Some(steps)) = (
            self.numbers(node, "starts", 1)?,
            self.numbers(node, "ends", 2)?,
            self.numbers(node, "axes", 3)?,
            self.numbers(node, "steps", 4)?,
        ) else {
            return Ok(None);
        };
        let axes = axes.unwrap_or_else(|| vec![0]);
        let is_forward = steps.is_none_or(|steps| steps.iter().all(|&step| step == 1));
        let ([start], [end], [axis], true) = (&starts[..], &ends[..], &axes[..], is_forward) else { return Ok(None) };
        let axis = axis_of(*axis, layout.axes.len());
        Ok(axis.and_then(|axis| one_direction(layout, axis, *start, *end)))
    }

    /// `Split` into the two directions.
    fn split(&mut self, node: &'a Node) -> Result<()> {
        let Some(layout) = node.input(0).and_then(|value| self.layouts.get(value)).cloned() else { return Ok(()) };
        let is_halves = match self.numbers(node, "split", 1)? {
            Some(sizes) => sizes.is_none_or(|sizes| sizes == [1, 1]),
            None => false,
        };
        let axis = axis_of(node.integer("axis")?.unwrap_or(0), layout.axes.len());
        let (Some(axis), [first, second], true) = (axis, &node.outputs[..], is_halves) else { return Ok(()) };
        for (direction, output) in [first, second].into_iter().enumerate() {
            let begin = direction as i64;
            if let Some(half) = one_direction(layout.clone(), axis, begin, begin + 1) {
                self.layouts.insert(output, half);
            }
        }
        Ok(())
    }

    /// `Concat` of both directions.
    fn join(&self, node: &Node) -> Result<Option<Layout>> {
        let halves = [0, 1].map(|index| node.input(index).and_then(|value| self.layouts.get(value)));
        let ([Some(first), Some(second)], 2) = (halves, node.inputs.len()) else { return Ok(None) };
        let is_whole = (first.direction, second.direction) == (Some(0), Some(1))
            && (first.node, &first.axes) == (second.node, &second.axes);
        let axis = axis_of(node.integer("axis")?.unwrap_or(0), first.axes.len());
        let (Some(axis), true) = (axis, is_whole) else { return Ok(None) };
        let mut axes = first.axes.clone();
        axes[axis].insert(0, Directions);
        Ok(Some(Layout { node: first.node, axes, direction: None }))
    }

    /// `Shape`: the sizes of a value with a layout, or of one whose shape the file tells.
    fn shape(&self, node: &Node) -> Result<Option<Vec<Size>>> {
        let Some(value) = node.input(0) else { return Ok(None) };
        let sizes: Vec<Size> = if let Some(layout) = self.layouts.get(value) {
            let size = |axes: &Vec<Axis>| match self.product(layout.node, axes) {
                Some(size) => Size::Known(size),
                None => Size::Of(layout.node, axes.clone()),
            };
            layout.axes.iter().map(size).collect()
        } else {
            let known = |size: &Option<usize>| {
                size.and_then(|size| i64::try_from(size).ok()).map_or(Size::Unknown, Size::Known)
            };
            match self.graph.shape(value) {
                Some(shape) if shape.len() <= MOST_SIZES => shape.iter().map(known).collect(),
                _ => return Ok(None),
            }
        };
        let (start, end) = (node.integer("start")?.unwrap_or(0), node.integer("end")?.unwrap_or(i64::MAX));
        Ok(bounds(sizes.len(), start, end).map(|(begin, end)| sizes[begin..end].to_vec()))
    }

    /// The operators on short lists of whole numbers. How many axes they have does not matter here.
    fn list(&self, node: &Node) -> Result<Option<Vec<Size>>> {
        let list = |index: usize| node.input(index).and_then(|value| self.sizes.get(value));
        let Some(first) = list(0) else { return Ok(None) };
        Ok(match node.op.as_str() {
            "Identity" | "Cast" | "Squeeze" | "Unsqueeze" => Some(first.clone()),
            "Reshape" if first.len() == 1 => Some(first.clone()),
            "Concat" => {
                let parts = (0..node.inputs.len().min(MOST_SIZES + 1)).map(list).collect::<Option<Vec<_>>>();
                parts
                    .filter(|parts| parts.len() == node.inputs.len())
                    .map(|parts| parts.into_iter().flatten().take(MOST_SIZES + 1).cloned().collect())
            }
            "Slice" => match (self.numbers(node, "starts", 1)?, self.numbers(node, "ends", 2)?, node.input(4)) {
                (Some(Some(starts)), Some(Some(ends)), None) if (starts.len(), ends.len()) == (1, 1) => {
                    bounds(first.len(), starts[0], ends[0]).map(|(begin, end)| first[begin..end].to_vec())
                }
                _ => None,
            },
            "Gather" => match self.numbers(node, "", 1)? {
                Some(Some(indices)) => indices
                    .into_iter()
                    .map(|index| axis_of(index, first.len()).map(|index| first[index].clone()))
                    .collect(),
                _ => None,
            },
            "Mul" => match (&first[..], list(1).map(Vec::as_slice)) {
                ([first], Some([second])) => self.multiplied(first, second).map(|size| vec![size]),
                _ => None,
            },
            _ => None,
        })
    }

    fn multiplied(&self, first: &Size, second: &Size) -> Option<Size> {
        match (first, second) {
            (Size::Known(a), Size::Known(b)) => a.checked_mul(*b).map(Size::Known),
            (Size::Known(1), other) | (other, Size::Known(1)) => Some(other.clone()),
            (Size::Of(node, a), Size::Of(other, b)) if node == other && a.len() + b.len() <= 4 => {
                Some(Size::Of(*node, [a.as_slice(), b].concat()))
            }
            _ => None,
        }
    }
}

/// Takes these axes off one end.
fn take_axes(left: &mut Vec<Axis>, from_end: bool, axes: &[Axis]) -> Option<Vec<Axis>> {
    if from_end {
        left.ends_with(axes).then(|| left.split_off(left.len() - axes.len()))
    } else {
        left.starts_with(axes).then(|| left.drain(..axes.len()).collect())
    }
}

/// What is left of both directions, if the axis is theirs.
fn one_direction(mut layout: Layout, axis: usize, start: i64, end: i64) -> Option<Layout> {
    if layout.axes.get(axis)? != &[Directions] {
        return None;
    }
    let (begin, end) = bounds(2, start, end)?;
    if end != begin + 1 {
        return None;
    }
    layout.axes[axis] = Vec::new();
    layout.direction = Some(begin);
    Some(layout)
}
