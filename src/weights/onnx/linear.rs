//! Linear layers of a graph: Gemm, or MatMul with the Add of a bias.

use super::constants::{Constant, Constants};
use super::graph::{Graph, Node};
use super::tensor::Shaped;
use crate::error::{Error, Result, expect_shape};

/// A node with its numbers, in PyTorch's layout.
pub(super) struct Linear {
    /// `[out_features, in_features]`.
    pub(super) weight: Shaped<f32>,
    /// `[out_features]`.
    pub(super) bias: Option<Vec<f32>>,
}

/// Whether a node multiplies rows with a matrix of the file, which may be transposed on the way.
pub(super) fn is_linear(graph: &Graph, node: &Node) -> bool {
    let is_matrix = |value: &str| {
        graph.initializers.get(value).is_some_and(|initializer| initializer.header.dims.len() == 2)
            || graph.producer(value).is_some_and(|(maker, _)| maker.op == "Constant")
    };
    let is_turned = |value: &str| match graph.producer(value) {
        Some((maker, 0)) if matches!(maker.op.as_str(), "Transpose" | "Identity") => {
            maker.input(0).is_some_and(is_matrix)
        }
        _ => false,
    };
    let matrix = node.input(1);
    matches!(node.op.as_str(), "MatMul" | "Gemm") && matrix.is_some_and(|value| is_matrix(value) || is_turned(value))
}

fn unsupported(node: &Node, part: &str, found: &impl ToString, expected: &'static str) -> Error {
    Error::UnsupportedLayer {
        layer: node.name.clone(),
        option: part.to_owned().into(),
        value: found.to_string(),
        expected,
    }
}

/// The numbers of a value that has them in the file.
fn constant(constants: &mut Constants<'_>, value: Option<&str>) -> Result<Option<Shaped<f32>>> {
    Ok(match value.map(|value| constants.get(value)).transpose()?.flatten() {
        Some(Constant::Floats(array)) => Some(array),
        _ => None,
    })
}

/// Reads a linear layer.
///
/// # Errors
/// [`Error::UnsupportedLayer`] for what is no product of rows with a matrix of the file, [`Error::ShapeMismatch`], and
/// those of the numbers.
pub(super) fn read(graph: &Graph, node: &Node, constants: &mut Constants<'_>) -> Result<Linear> {
    let weight = constant(constants, node.input(1))?
        .ok_or_else(|| unsupported(node, "its matrix", &"not in the file", "numbers of the file"))?;
    let name = format!("matrix of node {} ({})", node.name, node.input(1).unwrap_or_default());
    let &[first, second] = &weight.shape[..] else {
        let expected = vec![weight.shape.first().copied().unwrap_or(1), weight.shape.last().copied().unwrap_or(1)];
        return Err(Error::ShapeMismatch { tensor: name.into(), expected, actual: weight.shape });
    };
    let (is_transposed, bias) = if node.op == "Gemm" {
        for (attribute, expected) in [("alpha", "1"), ("beta", "1")] {
            let value = node.attribute(attribute)?.and_then(|attribute| attribute.f).unwrap_or(1.0);
            if value != 1.0 {
                return Err(unsupported(node, attribute, &value, expected));
            }
        }
        if let Some(flag) = node.integer("transA")?.filter(|&flag| flag != 0) {
            return Err(unsupported(node, "transA", &flag, "0"));
        }
        (node.integer("transB")?.is_some_and(|flag| flag != 0), node.input(2).map(str::to_owned))
    } else {
        (false, added(graph, node, second, constants)?)
    };
    let weight = if is_transposed { Some(weight) } else { weight.transpose(None) };
    let weight = weight.ok_or_else(|| unsupported(node, "its matrix", &"of no two axes", "two axes"))?;
    let out_features = if is_transposed { first } else { second };
    let bias = match bias {
        None => None,
        Some(value) => {
            let bias = constant(constants, Some(&value))?
                .ok_or_else(|| unsupported(node, "its bias", &value, "numbers of the file"))?;
            expect_shape(format!("bias of node {} ({value})", node.name), &[out_features], &bias.shape)?;
            Some(bias.values)
        }
    };
    Ok(Linear { weight, bias })
}

/// The bias that a node adds to the product, or to the same numbers with other outer axes, and nobody else reads these.
fn added(graph: &Graph, node: &Node, out_features: usize, constants: &mut Constants<'_>) -> Result<Option<String>> {
    let Some(product) = node.outputs.first() else { return Ok(None) };
    let mut product = product.as_str();
    let adder = loop {
        let [reader] = graph.consumers(product) else { return Ok(None) };
        let reader = &graph.nodes[*reader];
        match (reader.op.as_str(), reader.outputs.first()) {
            _ if graph.outputs.contains(product) => return Ok(None),
            ("Add", _) => break reader,
            // Keras has all rows in one axis for the product. The features have to stay what they are.
            ("Reshape", Some(reshaped)) if reader.input(0) == Some(product) => {
                let last = graph.shape(reshaped).and_then(|shape| *shape.last()?);
                if last.is_some_and(|last| last != out_features) {
                    return Ok(None);
                }
                product = reshaped;
            }
            _ => return Ok(None),
        }
    };
    let other = (0..2).filter_map(|index| adder.input(index)).find(|value| *value != product);
    let Some(other) = other else { return Ok(None) };
    let has_one_axis = constant(constants, Some(other))?.is_some_and(|array| array.shape.len() == 1);
    Ok(has_one_axis.then(|| other.to_owned()))
}
