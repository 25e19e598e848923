//! What a recurrent layer is.
//!
//! [`Config`] is generic over its cell, so that a GRU has a reset gate to place and a plain RNN has not; everything
//! else is common to both. The names are those of PyTorch's `nn.GRU` and `nn.RNN`, and of WebNN where PyTorch has no
//! such option.

use crate::activation::Activation;
use crate::error::{Error, Result, at_least_one};

/// Where the reset gate of a GRU acts.
///
/// ```
/// use wgpu_gru::{GruConfig, Reset};
/// let of_onnx = GruConfig::new(8, 32).reset(Reset::Before);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reset {
    /// After the product: n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), equation (3). cuDNN, PyTorch, Keras's
    /// `reset_after=True` (its default), ONNX's `linear_before_reset=1`.
    #[default]
    After,
    /// Before the product: n = tanh(W_in x + b_in + W_hn (r * h) + b_hn), equation (3'). Cho et al. (2014), Keras's
    /// `reset_after=False`, ONNX's default.
    Before,
}

/// In which order of time a layer reads its input.
///
/// ```
/// use wgpu_gru::{Direction, GruConfig};
/// let config = GruConfig::new(8, 32).direction(Direction::Bidirectional);
/// assert_eq!(config.output_size(), 64);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// From the first step to the last.
    #[default]
    Forward,
    /// From the last step (of each row, where rows have lengths) to the first.
    Reverse,
    /// Both, side by side: the output has 2H features, those of the forward direction first.
    Bidirectional,
}

impl Direction {
    /// How many directions that is: 1 or 2.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Forward | Self::Reverse => 1,
            Self::Bidirectional => 2,
        }
    }

    /// Whether each of them runs backwards in time.
    pub(crate) fn reversed(self) -> &'static [bool] {
        match self {
            Self::Forward => &[false],
            Self::Reverse => &[true],
            Self::Bidirectional => &[false, true],
        }
    }
}

/// The gated recurrent unit.
///
/// ```
/// use wgpu_gru::{Config, GruCell, GruConfig};
/// let config: Config<GruCell> = GruConfig::new(8, 32);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GruCell {
    reset: Reset,
    gate: Activation,
    candidate: Activation,
}

/// The plain recurrent unit: h' = f(W_ih x + b_ih + W_hh h + b_hh), with f tanh or relu (Elman 1990).
///
/// ```
/// use wgpu_gru::{Activation, RnnConfig};
/// let config = RnnConfig::new(8, 32).nonlinearity(Activation::Relu);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RnnCell {
    nonlinearity: Activation,
}

/// Any cell: what the inside of the crate works with.
///
/// ```
/// use wgpu_gru::{Config, GruConfig, RnnConfig};
/// // Layers of either kind in one list.
/// let configs: Vec<Config> = vec![GruConfig::new(8, 32).erased(), RnnConfig::new(8, 32).erased()];
/// assert_eq!(configs[0].cell().gates(), 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A GRU.
    Gru {
        /// Where the reset gate acts.
        reset: Reset,
        /// The activation of r and z.
        gate: Activation,
        /// The activation of n.
        candidate: Activation,
    },
    /// A plain RNN.
    Rnn {
        /// Its activation.
        nonlinearity: Activation,
    },
}

impl From<GruCell> for Cell {
    fn from(GruCell { reset, gate, candidate }: GruCell) -> Self {
        Self::Gru { reset, gate, candidate }
    }
}

impl From<RnnCell> for Cell {
    fn from(RnnCell { nonlinearity }: RnnCell) -> Self {
        Self::Rnn { nonlinearity }
    }
}

impl Cell {
    /// How many rows of H weights there are: 3 gates of a GRU, 1 of a plain RNN.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::Gru { .. } => 3,
            Self::Rnn { .. } => 1,
        }
    }
}

/// A recurrent layer: `input_size` I features in, `hidden_size` H units, and options.
///
/// ```
/// use wgpu_gru::{Direction, GruConfig};
/// let config = GruConfig::new(28, 64).num_layers(2).direction(Direction::Bidirectional);
/// assert_eq!(config.num_cells(), 4);
/// assert_eq!(config.output_size(), 128);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config<C = Cell> {
    cell: C,
    /// Of gates and candidate, or of a plain RNN in the first place: what the reverse direction has for itself.
    reverse_activations: [Option<Activation>; 2],
    /// I, the number of features of the input.
    pub input_size: usize,
    /// H, the number of units of the hidden state.
    pub hidden_size: usize,
    /// L, the number of layers.
    pub num_layers: usize,
    /// In which order of time the layers read.
    pub direction: Direction,
    /// Whether there are biases.
    pub bias: bool,
    /// Whether input and output are `[B, T, ..]`.
    pub batch_first: bool,
    /// Whether the output has the steps in the opposite order.
    pub reversed_output: bool,
    /// The share of outputs between layers that dropout sets to zero in training.
    pub dropout: f32,
    /// The limit of what goes into the activations.
    pub clip: Option<f32>,
}

/// Parameters of all layers at most, of 4 bytes each.
const MAX_PARAMETERS: u64 = 1 << 33;

/// A GRU layer, the gated recurrent unit of Cho et al. (2014).
///
/// ```
/// use wgpu_gru::GruConfig;
/// let config = GruConfig::new(8, 32).num_layers(2).dropout(0.1).batch_first(true);
/// assert_eq!(config.num_parameters(), 3 * 32 * (8 + 32 + 2) + 3 * 32 * (32 + 32 + 2));
/// ```
pub type GruConfig = Config<GruCell>;

/// A plain RNN layer.
///
/// ```
/// use wgpu_gru::RnnConfig;
/// assert_eq!(RnnConfig::new(8, 32).num_parameters(), 32 * (8 + 32 + 2));
/// ```
pub type RnnConfig = Config<RnnCell>;

impl GruConfig {
    /// One layer forward in time, with biases, reset gate after the product, sigmoid and tanh: PyTorch's `nn.GRU`.
    #[must_use]
    pub fn new(input_size: usize, hidden_size: usize) -> Self {
        let cell = GruCell { reset: Reset::After, gate: Activation::Sigmoid, candidate: Activation::Tanh };
        Self::with_cell(cell, input_size, hidden_size)
    }

    /// Where the reset gate acts.
    #[must_use]
    pub fn reset(mut self, reset: Reset) -> Self {
        self.cell.reset = reset;
        self
    }

    /// The activation of the gates r and z, by default sigmoid.
    #[must_use]
    pub fn gate_activation(mut self, activation: Activation) -> Self {
        self.cell.gate = activation;
        self
    }

    /// The activation of the candidate n, by default tanh.
    #[must_use]
    pub fn candidate_activation(mut self, activation: Activation) -> Self {
        self.cell.candidate = activation;
        self
    }

    /// The activation of the gates of the reverse direction of two, by default that of the forward one: ONNX's
    /// `activations` has one for each.
    #[must_use]
    pub fn reverse_gate_activation(mut self, activation: Activation) -> Self {
        self.reverse_activations[0] = Some(activation);
        self
    }

    /// The activation of the candidate of the reverse direction of two, by default that of the forward one.
    #[must_use]
    pub fn reverse_candidate_activation(mut self, activation: Activation) -> Self {
        self.reverse_activations[1] = Some(activation);
        self
    }
}

impl RnnConfig {
    /// One layer forward in time, with biases and tanh: PyTorch's `nn.RNN`.
    #[must_use]
    pub fn new(input_size: usize, hidden_size: usize) -> Self {
        Self::with_cell(RnnCell { nonlinearity: Activation::Tanh }, input_size, hidden_size)
    }

    /// The activation, by default tanh.
    #[must_use]
    pub fn nonlinearity(mut self, activation: Activation) -> Self {
        self.cell.nonlinearity = activation;
        self
    }

    /// The activation of the reverse direction of two, by default that of the forward one.
    #[must_use]
    pub fn reverse_nonlinearity(mut self, activation: Activation) -> Self {
        self.reverse_activations[0] = Some(activation);
        self
    }
}

impl<C> Config<C> {
    fn with_cell(cell: C, input_size: usize, hidden_size: usize) -> Self {
        Self {
            cell,
            reverse_activations: [None; 2],
            input_size,
            hidden_size,
            num_layers: 1,
            direction: Direction::Forward,
            bias: true,
            batch_first: false,
            reversed_output: false,
            dropout: 0.0,
            clip: None,
        }
    }

    /// Layers on top of each other at most: far more than learn anything, and few enough to be counted out on the host.
    pub const MAX_LAYERS: usize = 4096;

    /// How many layers lie on top of each other, by default 1 and at most [`MAX_LAYERS`](Self::MAX_LAYERS): each reads
    /// the output of the one below.
    #[must_use]
    pub fn num_layers(mut self, num_layers: usize) -> Self {
        self.num_layers = num_layers;
        self
    }

    /// In which order of time the layers read, by default forward.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Whether there are biases, by default yes.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Whether input and output are `[B, T, ..]`, not `[T, B, ..]`, by default no.
    #[must_use]
    pub fn batch_first(mut self, batch_first: bool) -> Self {
        self.batch_first = batch_first;
        self
    }

    /// Whether the output of a layer in [`Direction::Reverse`] has its steps in the order in which they were taken, the
    /// last step of the input first, by default no: Keras's `go_backwards`. What is past the end of a row comes before
    /// it then. Layers that lie on top of each other read steps as ever.
    #[must_use]
    pub fn reversed_output(mut self, reversed_output: bool) -> Self {
        self.reversed_output = reversed_output;
        self
    }

    /// The share of the outputs of every layer but the last that is set to zero in training, in [0, 1), by default 0;
    /// the others are divided by 1 - dropout (Srivastava et al. 2014).
    #[must_use]
    pub fn dropout(mut self, dropout: f32) -> Self {
        self.dropout = dropout;
        self
    }

    /// Limits what goes into every activation to [-clip, clip], as ONNX's `clip` does.
    #[must_use]
    pub fn clip(mut self, clip: f32) -> Self {
        self.clip = Some(clip);
        self
    }

    /// D, the number of directions: 1 or 2.
    #[must_use]
    pub fn directions(&self) -> usize {
        self.direction.count()
    }

    /// The number of cells, layers times directions: the first axis of `h0` and `h_n`.
    #[must_use]
    pub fn num_cells(&self) -> usize {
        self.num_layers.saturating_mul(self.directions())
    }

    /// The number of features of the output: directions times H.
    #[must_use]
    pub fn output_size(&self) -> usize {
        self.directions().saturating_mul(self.hidden_size)
    }

    /// The number of features that a layer reads: I for the first, the output size of the one below for the others.
    #[must_use]
    pub fn layer_input_size(&self, layer: usize) -> usize {
        if layer == 0 { self.input_size } else { self.output_size() }
    }
}

impl<C: Copy + Into<Cell>> Config<C> {
    /// The cell; of two directions that of the forward one.
    #[must_use]
    pub fn cell(&self) -> Cell {
        self.cell.into()
    }

    /// The cell of a direction: number 1 is the reverse one of two, which may have activations of its own.
    #[must_use]
    pub fn cell_of(&self, direction: usize) -> Cell {
        let [first, second] = if direction == 0 { [None; 2] } else { self.reverse_activations };
        match self.cell() {
            Cell::Gru { reset, gate, candidate } => {
                Cell::Gru { reset, gate: first.unwrap_or(gate), candidate: second.unwrap_or(candidate) }
            }
            Cell::Rnn { nonlinearity } => Cell::Rnn { nonlinearity: first.unwrap_or(nonlinearity) },
        }
    }

    /// Whether all directions are the same cell.
    pub(crate) fn directions_alike(&self) -> bool {
        self.cell_of(0) == self.cell_of(self.directions() - 1)
    }

    /// The activations of all directions, with the names of their options.
    pub(crate) fn activations(&self) -> Vec<(&'static str, Activation)> {
        const OF_GRU: [[&str; 2]; 2] =
            [["gate_activation", "candidate_activation"], ["reverse_gate_activation", "reverse_candidate_activation"]];
        let mut activations = Vec::new();
        for direction in 0..self.directions() {
            match self.cell_of(direction) {
                Cell::Gru { gate, candidate, .. } => {
                    activations.extend(OF_GRU[direction].into_iter().zip([gate, candidate]));
                }
                Cell::Rnn { nonlinearity } => {
                    activations.push((["nonlinearity", "reverse_nonlinearity"][direction], nonlinearity));
                }
            }
        }
        activations
    }

    /// The same config with the kind of its cell known at run time only.
    #[must_use]
    pub fn erased(&self) -> Config {
        Config {
            cell: self.cell.into(),
            reverse_activations: self.reverse_activations,
            input_size: self.input_size,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            direction: self.direction,
            bias: self.bias,
            batch_first: self.batch_first,
            reversed_output: self.reversed_output,
            dropout: self.dropout,
            clip: self.clip,
        }
    }

    /// How many numbers the weights and biases hold; at most `usize::MAX`.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        let biases = if self.bias { 2 } else { 0 };
        let rows = self.cell().gates().saturating_mul(self.output_size());
        let of_layer = |layer| {
            let columns = self.layer_input_size(layer).saturating_add(self.hidden_size).saturating_add(biases);
            rows.saturating_mul(columns)
        };
        // All layers but the first are alike.
        of_layer(0).saturating_add(of_layer(1).saturating_mul(self.num_layers.saturating_sub(1)))
    }

    /// Checks that the layer can exist. Everything that takes a config calls this first.
    ///
    /// # Errors
    /// [`Error::ZeroSize`] for a size or a number of layers of 0; [`Error::InvalidOption`] for more than
    /// [`MAX_LAYERS`](Self::MAX_LAYERS), a dropout outside [0, 1), or one that no layer could use, a clip that is not
    /// finite and over 0, a parameter of an activation that is not finite, or one that makes the value at the clip
    /// infinite; [`Error::OptionUnavailable`] for an activation of the reverse direction of two where there is one
    /// direction, and for a reversed output of a layer that is not [`Direction::Reverse`]; [`Error::LimitExceeded`] for
    /// more than 2^33 parameters, or more than memory has addresses.
    pub fn validate(&self) -> Result<()> {
        at_least_one("input_size", self.input_size)?;
        at_least_one("hidden_size", self.hidden_size)?;
        at_least_one("num_layers", self.num_layers)?;
        if self.num_layers > Self::MAX_LAYERS {
            let (option, value) = ("num_layers", self.num_layers as f64);
            return Err(Error::InvalidOption { option, value, expected: "at most 4096" });
        }
        let (required, available) = (self.num_parameters() as u64, MAX_PARAMETERS.min(isize::MAX as u64 / 4));
        if required > available {
            let (what, limit) = ("the number of parameters", "what a layer may have");
            return Err(Error::LimitExceeded { what, limit, required, available });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(invalid("dropout", self.dropout, "0 <= dropout < 1"));
        }
        if self.dropout > 0.0 && self.num_layers == 1 {
            return Err(invalid("dropout", self.dropout, "0 where there is one layer: dropout acts between layers"));
        }
        if let Some(clip) = self.clip
            && !(clip.is_finite() && clip > 0.0)
        {
            return Err(invalid("clip", clip, "finite and over 0"));
        }
        if self.reversed_output && self.direction != Direction::Reverse {
            let because = "the layer does not run in Direction::Reverse alone";
            return Err(Error::OptionUnavailable { option: "reversed_output", because });
        }
        if self.directions() == 1 && self.reverse_activations != [None; 2] {
            let option = "an activation of the reverse direction";
            return Err(Error::OptionUnavailable {
                option,
                because: "there is one direction, whose activations have no `reverse_`",
            });
        }
        for (option, activation) in self.activations() {
            if let Some(value) = activation.parameters().into_iter().find(|value| !value.is_finite()) {
                return Err(invalid(option, value, "an activation with finite parameters"));
            }
            // What is kept for backward needs an infinity to say that the clip gave a value.
            if let (Some(clip), Activation::LeakyRelu { alpha }) = (self.clip, activation)
                && !(alpha * clip).is_finite()
            {
                return Err(invalid(option, alpha, "a slope whose product with the clip is finite"));
            }
        }
        Ok(())
    }

    /// Checks that the layer can be trained: every activation has a derivative that its output tells.
    ///
    /// # Errors
    /// [`Error::NoDerivative`].
    pub fn validate_training(&self) -> Result<()> {
        for (option, activation) in self.activations() {
            if !activation.has_derivative() {
                return Err(Error::NoDerivative { option, activation });
            }
        }
        Ok(())
    }
}

fn invalid(option: &'static str, value: f32, expected: &'static str) -> Error {
    Error::InvalidOption { option, value: f64::from(value), expected }
}
