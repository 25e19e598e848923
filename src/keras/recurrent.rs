//! The options of recurrent layers.

use serde_json::Value;

use super::cells::{CellNames, check, input_size};
use super::layer::{Ignored, Kind};
use super::options::{Options, short};
use crate::activation::Activation;
use crate::config::{Cell, Config, Direction, GruConfig, Reset, RnnConfig};
use crate::error::Result;
use crate::weights::StateDict;

/// A recurrent layer in one direction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Direct {
    pub(super) cell: Cell,
    units: usize,
    pub(super) use_bias: bool,
    pub(super) go_backwards: bool,
    pub(super) return_sequences: bool,
}

impl Direct {
    pub(super) fn read(options: &Options<'_>, class: &str, ignored: &mut Vec<Ignored>) -> Result<Self> {
        // `RNN` has its cell in itself, the others are one.
        let (class, of_cell) = match options.get("cell") {
            Some(cell) if class == "RNN" => {
                let class = cell.get("class_name").and_then(Value::as_str).unwrap_or("none");
                (class, Options { layer: options.layer, config: cell.get("config").unwrap_or(&Value::Null) })
            }
            _ => (class, *options),
        };
        let candidate = of_cell.activation("activation", Activation::Tanh)?;
        let cell = match class {
            "GRU" | "GRUCell" => {
                let reset = if of_cell.flag("reset_after", true)? { Reset::After } else { Reset::Before };
                Cell::Gru { reset, gate: of_cell.activation("recurrent_activation", Activation::Sigmoid)?, candidate }
            }
            "SimpleRNN" | "SimpleRNNCell" => Cell::Rnn { nonlinearity: candidate },
            other => {
                let expected = "GRUCell or SimpleRNNCell in an RNN, GRU or SimpleRNN in a Bidirectional";
                return Err(options.unsupported("cell", &Value::from(other), expected));
            }
        };
        if options.flag("stateful", false)? {
            let because = "an app carries states on by itself: Stream, or Unrolled::encode_carry_state";
            ignored.push(Ignored { option: "stateful", value: "true".into(), because });
        }
        for option in ["dropout", "recurrent_dropout"] {
            if let Some(rate) = of_cell.get(option).filter(|rate| rate.as_f64() != Some(0.0)) {
                let because = "inside the cell, and in training alone";
                ignored.push(Ignored { option, value: short(rate), because });
            }
        }
        Ok(Self {
            cell,
            units: of_cell.size("units")?,
            use_bias: of_cell.flag("use_bias", true)?,
            go_backwards: options.flag("go_backwards", false)?,
            return_sequences: options.flag("return_sequences", false)?,
        })
    }

    /// What it is with the sizes of its arrays, which are all checked; `reverse` is the cell of the other direction of
    /// two.
    pub(super) fn kind(
        &self,
        layer: &Value,
        dict: &StateDict,
        direction: Direction,
        cells: &[CellNames],
        reverse: Cell,
    ) -> Result<Kind> {
        let input_size = input_size(layer, dict, &cells[0].kernel)?;
        let kind = match self.cell {
            Cell::Gru { reset, gate, candidate } => {
                let mut config = GruConfig::new(input_size, self.units).reset(reset);
                config = config.gate_activation(gate).candidate_activation(candidate);
                if let Cell::Gru { gate, candidate, .. } = reverse
                    && reverse != self.cell
                {
                    config = config.reverse_gate_activation(gate).reverse_candidate_activation(candidate);
                }
                Kind::Gru(self.finish(config, dict, direction, cells)?)
            }
            Cell::Rnn { nonlinearity } => {
                let mut config = RnnConfig::new(input_size, self.units).nonlinearity(nonlinearity);
                if let Cell::Rnn { nonlinearity } = reverse
                    && reverse != self.cell
                {
                    config = config.reverse_nonlinearity(nonlinearity);
                }
                Kind::Rnn(self.finish(config, dict, direction, cells)?)
            }
        };
        Ok(kind)
    }

    fn finish<C: Copy + Into<Cell>>(
        &self,
        config: Config<C>,
        dict: &StateDict,
        direction: Direction,
        cells: &[CellNames],
    ) -> Result<Config<C>> {
        let config = config.bias(self.use_bias).batch_first(true).direction(direction);
        // Keras gives the steps in the order in which it took them.
        let config = config.reversed_output(direction == Direction::Reverse);
        check(dict, &config, cells)?;
        Ok(config)
    }
}

/// The forward direction of a layer and the cell of the other, which has to be like it but for its activations.
pub(super) fn bidirectional(options: &Options<'_>, ignored: &mut Vec<Ignored>) -> Result<(Direct, Cell)> {
    let merge_mode = options.config.get("merge_mode").unwrap_or(&Value::Null);
    if merge_mode != "concat" {
        return Err(options.unsupported("merge_mode", merge_mode, "concat"));
    }
    let read = |layer: &Value, ignored: &mut Vec<Ignored>| {
        let class = layer.get("class_name").and_then(Value::as_str).unwrap_or("none");
        let inner = Options { layer: options.layer, config: layer.get("config").unwrap_or(&Value::Null) };
        Direct::read(&inner, class, ignored)
    };
    let forward = read(options.config.get("layer").unwrap_or(&Value::Null), ignored)?;
    if forward.go_backwards {
        return Err(options.unsupported("go_backwards", &Value::from(true), "false in the forward layer"));
    }
    let Some(layer) = options.get("backward_layer") else {
        let cell = forward.cell;
        return Ok((forward, cell));
    };
    // That an option is left out of both is said once.
    let backward = read(layer, &mut Vec::new())?;
    let is_alike = match (forward.cell, backward.cell) {
        (Cell::Gru { reset, .. }, Cell::Gru { reset: other, .. }) => reset == other,
        (first, second) => first.gates() == second.gates(),
    };
    if !is_alike || backward != (Direct { go_backwards: true, cell: backward.cell, ..forward.clone() }) {
        let expected = "one like the forward layer, but for direction and activations";
        return Err(options.unsupported("backward_layer", layer, expected));
    }
    Ok((forward, backward.cell))
}
