//! Forward and backward as operations of burn's backends.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::CubeBackend;

use crate::pass::{Pass, Wanted};

/// The forward pass, for burn's backend on wgpu with and without fusion and autodiff.
#[backend_extension(Cube, Fusion, Autodiff)]
pub(crate) trait GruForward: Backend {
    /// x `[B, T, I]`, state `[B, H]`, weights as of the module; `[B, T, H]`.
    #[fusion(dtype = x, shape = pass.output_shape())]
    fn gru_forward(
        x: FloatTensor<Self>,
        state: FloatTensor<Self>,
        weight_ih: FloatTensor<Self>,
        weight_hh: FloatTensor<Self>,
        bias_ih: FloatTensor<Self>,
        bias_hh: FloatTensor<Self>,
        pass: Pass,
    ) -> FloatTensor<Self>;
}

/// The backward pass.
#[backend_extension(Cube, Fusion)]
pub(crate) trait GruBackward: Backend {
    /// Out of the gradient of the output `[B, T, H]`, and what the forward pass has left in `pass`.
    #[fusion(meta = gradients)]
    fn gru_backward(d_output: FloatTensor<Self>, pass: Pass) -> GruGradients<Self>;
}

/// The gradient of each tensor that the forward pass reads, in its shape.
#[derive(ExtensionType)]
#[extension_type(fusion)]
pub(crate) struct GruGradients<B: Backend> {
    #[extension_type]
    x: InputGradient<B>,
    state: FloatTensor<B>,
    weight_ih: FloatTensor<B>,
    weight_hh: FloatTensor<B>,
    bias_ih: FloatTensor<B>,
    bias_hh: FloatTensor<B>,
}

/// That of the input takes a large product more, and a first layer needs none.
#[derive(ExtensionType)]
#[extension_type(fusion)]
pub(crate) enum InputGradient<B: Backend> {
    Made(FloatTensor<B>),
    Unwanted,
}

/// What fusion is told of the gradients before they are made.
fn gradients(_: &TensorSpec, pass: &Pass) -> GruGradientsMetadata {
    let spec = |shape: Shape| TensorSpec::new(shape, DType::F32);
    let [x, state, weight_ih, weight_hh, bias_ih, bias_hh] = pass.shapes().map(spec);
    let x = if pass.input_gradient() { InputGradientMetadata::Made(x) } else { InputGradientMetadata::Unwanted };
    GruGradientsMetadata { x, state, weight_ih, weight_hh, bias_ih, bias_hh }
}

/// The forward pass of tensors.
pub(crate) fn gru(
    x: Tensor<3>,
    state: Tensor<2>,
    weight_ih: Tensor<2>,
    weight_hh: Tensor<2>,
    bias_ih: Tensor<1>,
    bias_hh: Tensor<1>,
    pass: Pass,
) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::gru_forward(
        x.into_dispatch(),
        state.into_dispatch(),
        weight_ih.into_dispatch(),
        weight_hh.into_dispatch(),
        bias_ih.into_dispatch(),
        bias_hh.into_dispatch(),
        pass,
    ))
}

impl GruForward for CubeBackend {
    fn gru_forward(
        x: FloatTensor<Self>,
        state: FloatTensor<Self>,
        weight_ih: FloatTensor<Self>,
        weight_hh: FloatTensor<Self>,
        bias_ih: FloatTensor<Self>,
        bias_hh: FloatTensor<Self>,
        pass: Pass,
    ) -> FloatTensor<Self> {
        pass.forward([x, state, weight_ih, weight_hh, bias_ih, bias_hh])
    }
}

impl GruBackward for CubeBackend {
    fn gru_backward(d_output: FloatTensor<Self>, pass: Pass) -> GruGradients<Self> {
        let (x, [state, weight_ih, weight_hh, bias_ih, bias_hh]) = pass.backward(d_output);
        GruGradients {
            x: x.map_or(InputGradient::Unwanted, InputGradient::Made),
            state,
            weight_ih,
            weight_hh,
            bias_ih,
            bias_hh,
        }
    }
}

/// What autodiff keeps between the two: the pass, which holds the gates of all steps.
#[derive(Debug)]
struct Step;

impl<B: GruBackward> Backward<B, 6> for Step {
    type State = Pass;

    fn backward(self, ops: Ops<Pass, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let made = B::gru_backward(grads.consume::<B>(&ops.node), ops.state);
        let x = match made.x {
            InputGradient::Made(x) => Some(x),
            InputGradient::Unwanted => None,
        };
        let others = [made.state, made.weight_ih, made.weight_hh, made.bias_ih, made.bias_hh].map(Some);
        for (parent, gradient) in ops.parents.into_iter().zip([x].into_iter().chain(others)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: GruForward + GruBackward, C: CheckpointStrategy> GruForward for Autodiff<B, C> {
    fn gru_forward(
        x: FloatTensor<Self>,
        state: FloatTensor<Self>,
        weight_ih: FloatTensor<Self>,
        weight_hh: FloatTensor<Self>,
        bias_ih: FloatTensor<Self>,
        bias_hh: FloatTensor<Self>,
        pass: Pass,
    ) -> FloatTensor<Self> {
        let wanted = Wanted::Gradients { input: x.is_tracked() };
        let (x, x_node) = x.into_parts();
        let (state, state_node) = state.into_parts();
        let (weight_ih, weight_ih_node) = weight_ih.into_parts();
        let (weight_hh, weight_hh_node) = weight_hh.into_parts();
        let (bias_ih, bias_ih_node) = bias_ih.into_parts();
        let (bias_hh, bias_hh_node) = bias_hh.into_parts();
        let nodes = [x_node, state_node, weight_ih_node, weight_hh_node, bias_ih_node, bias_hh_node];
        let run = |pass| B::gru_forward(x, state, weight_ih, weight_hh, bias_ih, bias_hh, pass);
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let pass = pass.wanting(wanted);
                prep.finish(pass.clone(), run(pass))
            }
            OpsKind::UnTracked(prep) => prep.finish(run(pass)),
        }
    }
}
