//! Which recurrent nodes stand on each other, so that they are the layers of one.

use std::collections::HashMap;

use super::constants::{Constant, Constants};
use super::graph::Graph;
use super::layout::{Layout, Output, layouts};
use super::node::{Options, options};
use super::tensor::Shaped;
use crate::error::Result;

/// The recurrent nodes of a graph, and what stands on what.
pub(super) struct Chains {
    outputs: HashMap<usize, Output>,
    layouts: HashMap<String, Layout>,
    below: HashMap<usize, usize>,
    above: HashMap<usize, usize>,
}

impl Chains {
    /// # Errors
    /// Those of numbers and attributes that cannot be read at all; a node that is no layer here is left out.
    pub(super) fn of(graph: &Graph) -> Result<Self> {
        let mut known: HashMap<usize, Options> = HashMap::new();
        let mut outputs = HashMap::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            if !matches!(node.op.as_str(), "GRU" | "RNN") {
                continue;
            }
            let Ok(options) = options(graph, node) else { continue };
            let Some(hidden_size) = options.known_hidden_size(graph, node) else { continue };
            let directions = options.direction.count();
            outputs.insert(index, Output { directions, hidden_size, batch_first: options.batch_first });
            known.insert(index, options);
        }
        let layouts: HashMap<String, Layout> =
            layouts(graph, &outputs)?.into_iter().map(|(value, layout)| (value.to_owned(), layout)).collect();
        let mut made = Self { outputs, layouts, below: HashMap::new(), above: HashMap::new() };
        for (&index, options) in &known {
            let Some(value) = graph.nodes[index].input(0) else { continue };
            let Some(layout) = made.layouts.get(value) else { continue };
            let (below, of_below) = (layout.node, made.outputs[&layout.node]);
            let is_alike =
                known.get(&below) == Some(options) && of_below.hidden_size == made.outputs[&index].hidden_size;
            if is_alike && layout.is_output(of_below.directions, options.batch_first) {
                made.below.insert(index, below);
            }
        }
        // One whose output somebody else reads stays for itself, so that it can be had.
        let mut read_otherwise = Vec::new();
        for (value, layout) in &made.layouts {
            let is_inside = |reader: usize| {
                let node = &graph.nodes[reader];
                let is_next =
                    made.below.get(&reader) == Some(&layout.node) && node.inputs[1..].iter().all(|of| of != value);
                let is_moved = node
                    .outputs
                    .iter()
                    .any(|output| made.layouts.get(output).is_some_and(|moved| moved.node == layout.node));
                is_next || is_moved || node.op == "Shape"
            };
            let is_all_inside = graph.consumers(value).iter().all(|&reader| is_inside(reader));
            if graph.outputs.contains(value) || !is_all_inside {
                read_otherwise.push(layout.node);
            }
        }
        made.below.retain(|_, below| !read_otherwise.contains(below));
        for (&index, &below) in &made.below {
            // Two that stand on one are no layers of one.
            if made.above.insert(below, index).is_some() {
                read_otherwise.push(below);
            }
        }
        made.below.retain(|_, below| !read_otherwise.contains(below));
        made.above.retain(|below, _| !read_otherwise.contains(below));
        Ok(made)
    }

    pub(super) fn below(&self, node: usize) -> Option<usize> {
        self.below.get(&node).copied()
    }

    /// The nodes of the layer that a node belongs to, the lowest first.
    pub(super) fn of_node(&self, node: usize) -> Vec<usize> {
        // Each lies before the next one in the graph, so there is no circle.
        let lowest = std::iter::successors(Some(node), |node| self.below(*node)).last().unwrap_or(node);
        std::iter::successors(Some(lowest), |node| self.above.get(node).copied()).collect()
    }

    /// The value that a node reads, and whether that is behind a transposition from `[B, T, I]` in the graph.
    pub(super) fn input(&self, graph: &Graph, node: usize) -> Result<(String, bool)> {
        let value = graph.nodes[node].input(0).unwrap_or_default();
        let is_time_major = self.outputs.get(&node).is_some_and(|output| !output.batch_first);
        if let Some((maker, 0)) = graph.producer(value)
            && is_time_major
            && maker.op == "Transpose"
            && maker.integers("perm")?.as_deref() == Some(&[1, 0, 2])
            && let Some(before) = maker.input(0)
        {
            return Ok((before.to_owned(), true));
        }
        Ok((value.to_owned(), false))
    }

    /// The value that is another one with its steps in the opposite order, where nobody else reads that.
    pub(super) fn reversed(
        &self,
        graph: &Graph,
        value: &str,
        time_axis: i64,
        constants: &mut Constants<'_>,
    ) -> Result<Option<String>> {
        let [reader] = graph.consumers(value) else { return Ok(None) };
        let reader = &graph.nodes[*reader];
        if reader.op != "Slice" || reader.input(0) != Some(value) || graph.outputs.contains(value) {
            return Ok(None);
        }
        let mut number = |input: usize| -> Result<Option<i64>> {
            let Some(value) = reader.input(input) else { return Ok(None) };
            Ok(match constants.get(value)? {
                Some(Constant::Integers(Shaped { values, .. })) if values.len() == 1 => Some(values[0]),
                _ => None,
            })
        };
        let [start, end, axis, step] = [number(1)?, number(2)?, number(3)?, number(4)?];
        // The end is before the first step of any sequence.
        let is_whole = end.is_some_and(|end| end <= i64::from(i32::MIN));
        let is_it = (start, axis, step) == (Some(-1), Some(time_axis), Some(-1)) && is_whole;
        Ok(is_it.then(|| reader.outputs.first().cloned()).flatten())
    }

    /// The value that is the output of a node as `[T, B, DH]` or `[B, T, DH]`, if the graph makes it: of several the
    /// last.
    pub(super) fn output(&self, graph: &Graph, node: usize, batch_first: bool) -> Option<String> {
        let directions = self.outputs.get(&node)?.directions;
        let is_it = |layout: &Layout| layout.node == node && layout.is_output(directions, batch_first);
        let mut values = graph.nodes[node..].iter().flat_map(|node| &node.outputs);
        values.rfind(|value| self.layouts.get(*value).is_some_and(is_it)).cloned()
    }
}
