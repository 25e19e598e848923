//! RNNoise's file of weights, read into layers of the crate.
//!
//! Six layers one behind the other. Of each: the number of inputs, the number of neurons and a code of the
//! activation, a byte each; then the weights, signed bytes that stand for 1/256. A dense layer has a matrix
//! `[in, neurons]` and a bias; a GRU has `[in, 3 neurons]`, `[neurons, 3 neurons]` and one bias, with the gates in the
//! order z, r, n.

use wgpu_gru::train::Linear;
use wgpu_gru::{
    Activation, Biases, CellLayout, CellWeights, GateOrder, Gpu, Gru, GruConfig, Reset, Result as GruResult, Weights,
};

/// What a weight of 1 in the file stands for.
const SCALE: f32 = 1.0 / 256.0;

/// Features of a frame.
pub(crate) const FEATURES: usize = 42;
/// Bands of a spectrum, each with a gain.
pub(crate) const BANDS: usize = 22;

/// Why a file is not RNNoise's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("the model ends within {layer}")]
    Truncated { layer: &'static str },
    #[error("{layer} has an activation with the unknown code {code}")]
    Activation { layer: &'static str, code: i8 },
    #[error("{layer} takes {inputs} numbers to {neurons}, expected {expected:?}")]
    Sizes { layer: &'static str, inputs: usize, neurons: usize, expected: [usize; 2] },
    #[error("{0} bytes follow the model")]
    TooLong(usize),
}

/// A layer as the file has it, its numbers scaled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) neurons: usize,
    pub(crate) activation: Activation,
    /// `[inputs, neurons]`, or `[inputs, 3 neurons]` of a GRU.
    pub(crate) weights: Vec<f32>,
    /// `[neurons, 3 neurons]` of a GRU, empty of a dense layer.
    pub(crate) recurrent: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// RNNoise's network:
///
/// ```text
/// features 42 -> dense 24 -> GRU 24 (voice) -> dense 1: is it speech?
///           [dense, voice, features] 90 -> GRU 48 (noise)
///           [voice, noise, features] 114 -> GRU 96 (denoise) -> dense 22: gains of the bands
/// ```
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) input: Layer,
    pub(crate) voice: Layer,
    pub(crate) noise: Layer,
    pub(crate) denoise: Layer,
    pub(crate) gains: Layer,
    pub(crate) is_speech: Layer,
}

impl Model {
    /// The weights that come with RNNoise.
    pub(crate) fn rnnoise() -> Result<Self, ModelError> {
        Self::read(include_bytes!("../data/rnnoise/weights.rnn"))
    }

    /// Reads the bytes of a file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut rest = bytes;
        let model = Self {
            input: Layer::read(&mut rest, "the input layer", 1, [FEATURES, 24])?,
            voice: Layer::read(&mut rest, "the voice GRU", 3, [24, 24])?,
            noise: Layer::read(&mut rest, "the noise GRU", 3, [24 + 24 + FEATURES, 48])?,
            denoise: Layer::read(&mut rest, "the denoise GRU", 3, [24 + 48 + FEATURES, 96])?,
            gains: Layer::read(&mut rest, "the layer of gains", 1, [96, BANDS])?,
            is_speech: Layer::read(&mut rest, "the layer of speech", 1, [24, 1])?,
        };
        if rest.is_empty() { Ok(model) } else { Err(ModelError::TooLong(rest.len())) }
    }
}

impl Layer {
    /// Takes a layer of `gates` gates, three of a GRU and one of a dense layer, off the front of the bytes.
    fn read(bytes: &mut &[u8], layer: &'static str, gates: usize, expected: [usize; 2]) -> Result<Self, ModelError> {
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at_checked(count).ok_or(ModelError::Truncated { layer })?;
            *bytes = rest;
            Ok(taken.iter().map(|byte| byte.cast_signed()))
        };
        let head: Vec<i8> = take(3)?.collect();
        let [inputs, neurons] = [head[0], head[1]].map(|size| usize::from(size.cast_unsigned()));
        if [inputs, neurons] != expected {
            return Err(ModelError::Sizes { layer, inputs, neurons, expected });
        }
        let activation = match head[2] {
            0 => Activation::Tanh,
            1 => Activation::Sigmoid,
            2 => Activation::Relu,
            code => return Err(ModelError::Activation { layer, code }),
        };
        let mut numbers = |count: usize| Ok(take(count)?.map(|number| SCALE * f32::from(number)).collect::<Vec<_>>());
        let weights = numbers(gates * inputs * neurons)?;
        let recurrent = numbers(if gates == 1 { 0 } else { gates * neurons * neurons })?;
        let bias = numbers(gates * neurons)?;
        Ok(Self { inputs, neurons, activation, weights, recurrent, bias })
    }

    /// The GRU of these weights.
    pub(crate) fn gru(&self, gpu: &Gpu) -> GruResult<Gru> {
        let config =
            GruConfig::new(self.inputs, self.neurons).reset(Reset::Before).candidate_activation(self.activation);
        let layout = CellLayout { gates: GateOrder::UpdateResetNew, transposed: true };
        let biases = Biases::Input(&self.bias);
        let cell = CellWeights::from_layout(&config, 0, layout, &self.weights, &self.recurrent, biases)?;
        Gru::with_weights(gpu, config, &Weights::from(cell))
    }

    /// The dense layer of these weights, without its activation.
    pub(crate) fn linear(&self, gpu: &Gpu) -> GruResult<Linear> {
        let shape = [self.neurons, self.inputs];
        let by_rows: Vec<f32> = (0..self.neurons)
            .flat_map(|neuron| self.weights.iter().skip(neuron).step_by(self.neurons))
            .copied()
            .collect();
        Linear::with_weights(gpu, shape, &by_rows, &self.bias)
    }
}
