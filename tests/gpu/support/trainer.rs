//! Layer, head, loss and optimiser together.

use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, UnrolledLinear};
use wgpu_gru::{Gpu, Gru, GruConfig, Unroll, Unrolled, wgpu};

/// A GRU with a linear head over every step, its loss and its optimiser.
pub(crate) struct Trainer {
    pub(crate) net: Unrolled,
    pub(crate) head: UnrolledLinear,
    pub(crate) loss: MeanSquaredError,
    pub(crate) adam: Adam,
}

impl Trainer {
    pub(crate) fn new(gpu: &Gpu, [t, b, i, h, out]: [usize; 5]) -> Self {
        let gru = Gru::new(gpu, GruConfig::new(i, h), 1).expect("a layer");
        let linear = Linear::new(gpu, h, out, 2).expect("a head");
        let net = gru.unroll(Unroll::training(t, b).input_gradient(false)).expect("an unroll");
        let head = linear.unroll(net.output(), net.d_output().expect("training")).expect("a head");
        let loss = MeanSquaredError::new(head.output(), head.d_output()).expect("a loss");
        let gradients = net.gradients().expect("training").parameters.clone();
        let mut pairs: Vec<_> = gru.parameters().tensors().zip(gradients.tensors()).collect();
        pairs.extend(linear.parameters().into_iter().zip(head.gradients()));
        let options = AdamOptions { learning_rate: 0.02, max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(&pairs, &options).expect("an optimiser");
        Self { net, head, loss, adam }
    }

    /// A whole training step.
    pub(crate) fn encode(&mut self, encoder: &mut wgpu::CommandEncoder) {
        self.net.encode_forward(encoder).expect("a forward pass");
        self.head.encode_forward(encoder);
        self.loss.encode(encoder);
        self.head.encode_backward(encoder).expect("a backward pass of the head");
        self.net.encode_backward(encoder).expect("a backward pass");
        self.adam.encode(encoder);
    }
}
