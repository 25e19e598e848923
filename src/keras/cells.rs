//! The arrays of recurrent cells as Keras has them, by whatever names.

use serde_json::Value;

use crate::config::{Cell, Config, Direction, GruConfig, Reset, RnnConfig};
use crate::error::{Error, Result};
use crate::weights::{Biases, CellLayout, CellWeights, LoadReport, StateDict, Weights};

/// The names of the arrays of one cell: a GRU's or a plain RNN's in one direction.
///
/// G is 3 for a GRU and 1 for a plain RNN.
///
/// | array | shape |
/// |---|---|
/// | `kernel` | `[in, GH]` |
/// | `recurrent_kernel` | `[H, GH]` |
/// | `bias` | `[2, 3H]` of a GRU with `reset_after=True`, otherwise `[GH]` |
///
/// ```
/// use wgpu_gru::keras::CellNames;
/// assert_eq!(CellNames::numbered("arr_", 3).recurrent_kernel, "arr_4");
/// assert_eq!(CellNames::saved("layers/gru/cell/").kernel, "layers/gru/cell/vars/0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellNames {
    /// The name of the weights of the input.
    pub kernel: String,
    /// The name of the weights of the state.
    pub recurrent_kernel: String,
    /// The name of the biases, where there may be some.
    pub bias: Option<String>,
}

impl CellNames {
    fn new(names: [String; 3]) -> Self {
        let [kernel, recurrent_kernel, bias] = names;
        Self { kernel, recurrent_kernel, bias: Some(bias) }
    }

    /// `{prefix}vars/0`, `1` and `2`, as in a `.keras` or `.weights.h5` with a prefix such as `layers/gru/cell/` or
    /// `layers/bidirectional/backward_layer/cell/`.
    #[must_use]
    pub fn saved(prefix: &str) -> Self {
        Self::new([0, 1, 2].map(|index| format!("{prefix}vars/{index}")))
    }

    /// `{prefix}kernel`, `recurrent_kernel` and `bias`: what Keras calls its variables, such as with the prefix
    /// `sequential/gru/gru_cell/` of `numpy.savez(file, **{v.path: v.numpy() for v in model.weights})`.
    #[must_use]
    pub fn variables(prefix: &str) -> Self {
        Self::new(["kernel", "recurrent_kernel", "bias"].map(|name| format!("{prefix}{name}")))
    }

    /// Three in a row, such as `arr_3`, `arr_4` and `arr_5` of `numpy.savez(file, *model.get_weights())`.
    #[must_use]
    pub fn numbered(prefix: &str, first: usize) -> Self {
        Self::new([0, 1, 2].map(|index| format!("{prefix}{}", first.saturating_add(index))))
    }

    /// The same without biases: `use_bias=False`.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// The name of the biases if the dict has them.
    fn found_bias(&self, dict: &StateDict) -> Option<&str> {
        self.bias.as_deref().filter(|name| dict.contains(name))
    }
}

/// The GRU whose arrays have these names, one cell, or two of a bidirectional layer, the forward one first: sizes,
/// biases, and by their shape where the reset gate acts. It is batch-first, as Keras is. Of activations and
/// `go_backwards` no array tells, so set what is not Keras's default.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::TensorType`], [`Error::ShapeMismatch`]; [`Error::InvalidOption`] for another
/// number of cells; those of [`Config::validate`].
pub fn gru_config(dict: &StateDict, cells: &[CellNames]) -> Result<GruConfig> {
    let config = sized(dict, cells, GruConfig::new)?;
    let Some(name) = cells.iter().find_map(|cell| cell.found_bias(dict)) else { return Ok(config.bias(false)) };
    let (rows, shape) = (config.hidden_size.saturating_mul(3), dict.get(name)?.shape());
    if shape == [2, rows] {
        Ok(config.reset(Reset::After))
    } else if shape == [rows] {
        Ok(config.reset(Reset::Before))
    } else {
        Err(Error::ShapeMismatch { tensor: name.to_owned().into(), expected: vec![2, rows], actual: shape.to_vec() })
    }
}

/// The same of a plain RNN, Keras's `SimpleRNN`.
///
/// # Errors
/// Those of [`gru_config`].
pub fn rnn_config(dict: &StateDict, cells: &[CellNames]) -> Result<RnnConfig> {
    let config = sized(dict, cells, RnnConfig::new)?;
    let has_bias = cells.iter().any(|cell| cell.found_bias(dict).is_some());
    Ok(config.bias(has_bias))
}

fn sized<C: Copy + Into<Cell>>(
    dict: &StateDict,
    cells: &[CellNames],
    new: impl Fn(usize, usize) -> Config<C>,
) -> Result<Config<C>> {
    let direction = match cells {
        [_] => Direction::Forward,
        [_, _] => Direction::Bidirectional,
        _ => {
            let expected = "one cell, or two of a bidirectional layer";
            return Err(Error::InvalidOption { option: "cells", value: cells.len() as f64, expected });
        }
    };
    let [input_size, _] = matrix(dict, &cells[0].kernel)?;
    let [hidden_size, _] = matrix(dict, &cells[0].recurrent_kernel)?;
    let config = new(input_size, hidden_size).direction(direction).batch_first(true);
    config.validate()?;
    for cell in cells {
        matrices(dict, &config, 0, cell)?;
    }
    Ok(config)
}

/// The shape of an array that is to have two axes.
pub(super) fn matrix(dict: &StateDict, name: &str) -> Result<[usize; 2]> {
    let shape = dict.get(name)?.shape();
    <[usize; 2]>::try_from(shape).map_err(|_| Error::ShapeMismatch {
        tensor: name.to_owned().into(),
        expected: vec![shape.first().copied().unwrap_or(1), 1],
        actual: shape.to_vec(),
    })
}

/// The two matrices of a cell with their shapes.
fn shapes<'a, C: Copy + Into<Cell>>(
    config: &Config<C>,
    layer: usize,
    cell: &'a CellNames,
) -> [(&'a str, Vec<usize>); 2] {
    let rows = config.cell().gates().saturating_mul(config.hidden_size);
    let input = config.layer_input_size(layer);
    [(&cell.kernel, vec![input, rows]), (&cell.recurrent_kernel, vec![config.hidden_size, rows])]
}

/// The weights of a layer whose arrays have these names: one entry a cell, layer by layer, in each the forward
/// direction first; and what else there is.
///
/// ```no_run
/// # #[cfg(not(target_arch = "wasm32"))]
/// # fn load(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<wgpu_gru::Gru> {
/// use wgpu_gru::{Gru, StateDict, keras, keras::CellNames};
///
/// let dict = StateDict::load_npz("weights.npz")?; // numpy.savez("weights.npz", *layer.get_weights())
/// let cells = [CellNames::numbered("arr_", 0)];
/// let config = keras::gru_config(&dict, &cells)?;
/// let (weights, report) = keras::weights(&dict, &config, &cells)?;
/// assert!(report.unused.is_empty(), "left in the file: {:?}", report.unused);
/// Gru::with_weights(gpu, config, &weights)
/// # }
/// ```
///
/// # Errors
/// Those of [`Config::validate`] and [`StateDict::get_shaped`]: the shape of the biases of a GRU says where its reset
/// gate acts, and has to agree with the config. [`Error::InvalidOption`] for biases where the config says that there
/// are none, or the other way round; [`Error::ShapeMismatch`] for another number of cells.
pub fn weights<C: Copy + Into<Cell>>(
    dict: &StateDict,
    config: &Config<C>,
    cells: &[CellNames],
) -> Result<(Weights, LoadReport)> {
    weights_under(dict, "", config, cells)
}

/// The same, with a report of what else is under a prefix.
pub(super) fn weights_under<C: Copy + Into<Cell>>(
    dict: &StateDict,
    prefix: &str,
    config: &Config<C>,
    names: &[CellNames],
) -> Result<(Weights, LoadReport)> {
    config.validate()?;
    if names.len() != config.num_cells() {
        let (expected, actual) = (vec![config.num_cells()], vec![names.len()]);
        return Err(Error::ShapeMismatch { tensor: "cells of the weights".into(), expected, actual });
    }
    let (mut cells, mut used) = (Vec::new(), Vec::new());
    for (index, cell) in names.iter().enumerate() {
        let layer = index / config.directions();
        let [kernel, recurrent] = matrices(dict, config, layer, cell)?;
        let biases = biases(dict, config, cell)?;
        used.extend([cell.kernel.clone(), cell.recurrent_kernel.clone()]);
        used.extend(cell.bias.clone().filter(|_| biases != Biases::None));
        cells.push(CellWeights::from_layout(config, layer, CellLayout::KERAS, kernel, recurrent, biases)?);
    }
    Ok((Weights { cells }, dict.report(prefix, used)))
}

/// Checks that the arrays of a layer of one or two directions have the shapes that its config asks for.
pub(super) fn check<C: Copy + Into<Cell>>(dict: &StateDict, config: &Config<C>, names: &[CellNames]) -> Result<()> {
    config.validate()?;
    for cell in names {
        matrices(dict, config, 0, cell)?;
        biases(dict, config, cell)?;
    }
    Ok(())
}

fn matrices<'a, C: Copy + Into<Cell>>(
    dict: &'a StateDict,
    config: &Config<C>,
    layer: usize,
    cell: &CellNames,
) -> Result<[&'a [f32]; 2]> {
    let [(kernel, in_shape), (recurrent, hh_shape)] = shapes(config, layer, cell);
    Ok([dict.get_shaped(kernel, &in_shape)?, dict.get_shaped(recurrent, &hh_shape)?])
}

fn biases<'a, C: Copy + Into<Cell>>(dict: &'a StateDict, config: &Config<C>, cell: &CellNames) -> Result<Biases<'a>> {
    let name = if config.bias { cell.bias.as_deref() } else { cell.found_bias(dict) };
    if config.bias != name.is_some() {
        let expected = "biases if and only if Config::bias says so";
        return Err(Error::InvalidOption { option: "biases", value: f64::from(u8::from(!config.bias)), expected });
    }
    let rows = config.cell().gates() * config.hidden_size;
    match (name, config.cell()) {
        (None, _) => Ok(Biases::None),
        (Some(name), Cell::Gru { reset: Reset::After, .. }) => dict.get_shaped(name, &[2, rows]).map(Biases::Joined),
        (Some(name), _) => dict.get_shaped(name, &[rows]).map(Biases::Input),
    }
}

/// The features that a layer was built for: the file says so, otherwise its kernel does.
pub(super) fn input_size(layer: &Value, dict: &StateDict, kernel: &str) -> Result<usize> {
    let shape = layer.pointer("/build_config/input_shape").and_then(Value::as_array);
    let size = shape.and_then(|shape| shape.last()).and_then(Value::as_u64);
    match size.and_then(|size| usize::try_from(size).ok()) {
        Some(size) => Ok(size),
        None => matrix(dict, kernel).map(|[rows, _]| rows),
    }
}
