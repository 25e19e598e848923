//! The module.

use burn::module::{Module, Param};
use burn::nn::activation::Activation;
use burn::nn::{self, GateController};
use burn::tensor::{DType, Tensor};
use wgpu_gru::{Gpu, GruConfig, Reset, Unroll};

use crate::Error;
use crate::ops::gru;
use crate::pass::Layouts;

/// A GRU, as [`burn::nn::Gru`], run by wgpu-gru.
///
/// Its parameters have PyTorch's names and layout: the rows of the gates r, z, n one below the other.
#[derive(Module, Debug)]
pub struct Gru {
    /// `[3H, I]`
    pub weight_ih: Param<Tensor<2>>,
    /// `[3H, H]`
    pub weight_hh: Param<Tensor<2>>,
    /// `[3H]`
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `[3H]`
    pub bias_hh: Option<Param<Tensor<1>>>,
    #[module(skip)]
    layouts: Layouts,
}

impl Gru {
    /// Takes over the weights of burn's layer. `gpu` is the device that burn runs on: of
    /// `Device::wgpu_options().init_with_setup()`, or what was given to burn by `setup`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for activations other than sigmoid and tanh, and for a clip, which burn applies to the
    /// state and wgpu-gru to what goes into the activations; [`Error::Layer`] for a size of 0.
    pub fn from_burn(gpu: &Gpu, burn: &nn::Gru) -> Result<Self, Error> {
        if !matches!((&burn.gate_activation, &burn.hidden_activation), (Activation::Sigmoid(_), Activation::Tanh(_))) {
            return Err(Error::Unsupported("a layer with activations other than sigmoid and tanh"));
        }
        if burn.clip.is_some() {
            return Err(Error::Unsupported("a clip of the state"));
        }
        let gates = [&burn.reset_gate, &burn.update_gate, &burn.new_gate];
        let [inputs, units] = gates[0].input_transform.weight.dims();
        let config = GruConfig::new(inputs, units).batch_first(true).reset(if burn.reset_after {
            Reset::After
        } else {
            Reset::Before
        });
        config.validate()?;
        let below = |weight: fn(&GateController) -> Tensor<2>| {
            Param::from_tensor(Tensor::cat(gates.map(|gate| weight(gate).transpose()).to_vec(), 0).detach())
        };
        let behind = |bias: fn(&GateController) -> Option<Tensor<1>>| {
            let biases: Option<Vec<_>> = gates.into_iter().map(bias).collect();
            biases.map(|biases| Param::from_tensor(Tensor::cat(biases, 0).detach()))
        };
        Ok(Self {
            weight_ih: below(|gate| gate.input_transform.weight.val()),
            weight_hh: below(|gate| gate.hidden_transform.weight.val()),
            bias_ih: behind(|gate| gate.input_transform.bias.as_ref().map(Param::val)),
            bias_hh: behind(|gate| gate.hidden_transform.bias.as_ref().map(Param::val)),
            layouts: Layouts::new(gpu, config),
        })
    }

    /// The weights in burn's layer, whose other options are left as they are.
    #[must_use]
    pub fn into_burn(self, mut burn: nn::Gru) -> nn::Gru {
        let [_, units] = self.weight_hh.dims();
        let gates = [&mut burn.reset_gate, &mut burn.update_gate, &mut burn.new_gate];
        for (index, gate) in gates.into_iter().enumerate() {
            let rows = index * units..(index + 1) * units;
            let matrix =
                |weight: &Param<Tensor<2>>| Param::from_tensor(weight.val().slice([rows.clone()]).transpose().detach());
            let bias = |bias: &Option<Param<Tensor<1>>>| {
                bias.as_ref().map(|bias| Param::from_tensor(bias.val().slice([rows.clone()]).detach()))
            };
            gate.input_transform.weight = matrix(&self.weight_ih);
            gate.hidden_transform.weight = matrix(&self.weight_hh);
            gate.input_transform.bias = bias(&self.bias_ih);
            gate.hidden_transform.bias = bias(&self.bias_hh);
        }
        burn
    }

    /// Runs x `[B, T, I]` through the layer from `state` `[B, H]`, or from zero: the states after each step,
    /// `[B, T, H]`, as [`burn::nn::Gru::forward`].
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) gives an error.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, state: Option<Tensor<2>>) -> Tensor<3> {
        self.try_forward(x, state).unwrap_or_else(|error| panic!("GRU: {error}"))
    }

    /// [`forward`](Self::forward), with an error for tensors of the wrong shape or type.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Type`]; [`Error::Layer`] for a size of 0. Burn runs operations later: what only the
    /// device can tell, such as that its memory is used up, is a panic when it does.
    pub fn try_forward(&self, x: Tensor<3>, state: Option<Tensor<2>>) -> Result<Tensor<3>, Error> {
        let ([rows, steps, _], [gates, inputs], [_, units]) = (x.dims(), self.weight_ih.dims(), self.weight_hh.dims());
        let device = x.device();
        Unroll::inference(steps, rows).validate()?;
        let state = state.unwrap_or_else(|| Tensor::zeros([rows, units], &device));
        let bias =
            |bias: &Option<Param<Tensor<1>>>| bias.as_ref().map_or_else(|| Tensor::zeros([gates], &device), Param::val);
        let (bias_ih, bias_hh) = (bias(&self.bias_ih), bias(&self.bias_hh));
        expect("x", [rows, steps, inputs], &x)?;
        expect("state", [rows, units], &state)?;
        let (weight_ih, weight_hh) = (self.weight_ih.val(), self.weight_hh.val());
        expect("weight_ih", [gates, inputs], &weight_ih)?;
        expect("weight_hh", [gates, units], &weight_hh)?;
        Ok(gru(x, state, weight_ih, weight_hh, bias_ih, bias_hh, self.layouts.pass(steps, rows)))
    }
}

fn expect<const D: usize>(name: &'static str, expected: [usize; D], tensor: &Tensor<D>) -> Result<(), Error> {
    if tensor.dims() != expected {
        return Err(Error::Shape { tensor: name, expected: expected.to_vec(), actual: tensor.dims().to_vec() });
    }
    match tensor.dtype() {
        DType::F32 => Ok(()),
        actual => Err(Error::Type { tensor: name, actual }),
    }
}
