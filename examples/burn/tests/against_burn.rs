//! The module against burn's own, on the same device: outputs, gradients, and models that are trained.

use std::sync::OnceLock;

use burn::module::{Module, Param};
use burn::nn::{self, GateController, GruConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Gradients, Tensor};
use burn_bridge::{Error, Gru};
use wgpu_gru::Gpu;

/// burn's device, and the same for wgpu-gru.
fn opened() -> (Device, &'static Gpu) {
    static OPENED: OnceLock<(Device, Gpu)> = OnceLock::new();
    let (device, gpu) = OPENED.get_or_init(|| {
        let (device, setup) = Device::wgpu_options().init_with_setup().expect("an adapter for burn");
        (device, Gpu::from_device(setup.device, setup.queue))
    });
    (device.clone(), gpu)
}

/// T, B, I, H, whether the reset gate acts after the product, and whether there are biases.
type Case = ([usize; 4], bool, bool);

/// One row each, for burn then takes products by vectors, whose kernels compile fast on a software adapter.
const CASES: [Case; 4] =
    [([5, 1, 8, 8], true, true), ([3, 1, 8, 8], false, true), ([1, 1, 8, 8], true, false), ([4, 1, 3, 5], true, true)];

/// Several rows: products of matrices.
const ROWS: Case = ([4, 3, 8, 8], true, true);

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// burn's layer with biases that are not zero, and the same as ours.
fn both(case: Case, device: &Device, gpu: &Gpu) -> (nn::Gru, Gru) {
    let ([_, _, inputs, units], reset_after, bias) = case;
    let mut burn = GruConfig::new(inputs, units, bias).with_reset_after(reset_after).init(device);
    if bias {
        for gate in [&mut burn.reset_gate, &mut burn.update_gate, &mut burn.new_gate] {
            gate.input_transform.bias = Some(Param::from_tensor(random([units], device)));
            gate.hidden_transform.bias = Some(Param::from_tensor(random([units], device)));
        }
    }
    let ours = Gru::from_burn(gpu, &burn).expect("a layer that both have");
    (burn, ours)
}

/// Both sum in f32, in another order: the sums have up to T B products (gradients of weights) of numbers of about 1, so
/// each is off by about sqrt(T B) 2^-24, below 1e-6 here; tens of such sums follow one another through time.
#[track_caller]
fn assert_close<const D: usize>(name: &str, ours: Tensor<D>, burn: Tensor<D>) {
    assert_eq!(ours.dims(), burn.dims(), "{name}");
    let [ours, burn]: [Vec<f32>; 2] = [ours, burn].map(|tensor| tensor.into_data().try_into_vec().expect("f32"));
    let largest = burn.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (index, (ours, burn)) in ours.iter().zip(&burn).enumerate() {
        // NaN is not close to anything.
        let close = (ours - burn).abs() <= 1e-5 * largest;
        assert!(close, "{name}[{index}]: {ours}, and burn has {burn}, where the largest is {largest}");
    }
}

/// The gradients of burn's gates in our layout.
fn gradients_of_gates<const D: usize>(
    burn: &nn::Gru,
    gradients: &Gradients,
    of: fn(&GateController) -> Tensor<D>,
) -> Vec<Tensor<D>> {
    let gates = [&burn.reset_gate, &burn.update_gate, &burn.new_gate];
    gates.map(|gate| of(gate).grad(gradients).expect("a gradient of burn's")).to_vec()
}

fn assert_same_gradients(burn: &nn::Gru, d_burn: &Gradients, ours: &Gru, d_ours: &Gradients) {
    let weights =
        |of| Tensor::cat(gradients_of_gates(burn, d_burn, of).into_iter().map(Tensor::transpose).collect(), 0);
    for (name, ours, burn) in [
        ("d_weight_ih", &ours.weight_ih, weights(|gate| gate.input_transform.weight.val())),
        ("d_weight_hh", &ours.weight_hh, weights(|gate| gate.hidden_transform.weight.val())),
    ] {
        assert_close(name, ours.val().grad(d_ours).expect(name), burn);
    }
    let biases = |of| Tensor::cat(gradients_of_gates(burn, d_burn, of), 0);
    let from_input: fn(&GateController) -> _ = |gate| gate.input_transform.bias.as_ref().expect("a bias").val();
    let from_state: fn(&GateController) -> _ = |gate| gate.hidden_transform.bias.as_ref().expect("a bias").val();
    for (name, ours, of) in [("d_bias_ih", &ours.bias_ih, from_input), ("d_bias_hh", &ours.bias_hh, from_state)] {
        if let Some(ours) = ours {
            assert_close(name, ours.val().grad(d_ours).expect(name), biases(of));
        }
    }
}

fn check_outputs_and_gradients(case: Case) {
    let (device, gpu) = opened();
    let device = device.autodiff();
    let [steps, rows, inputs, units] = case.0;
    let (burn, ours) = both(case, &device, gpu);
    let [x, x_too] = {
        let x = random([rows, steps, inputs], &device);
        [(); 2].map(|()| x.clone().detach().require_grad())
    };
    let [state, state_too] = {
        let state = random([rows, units], &device);
        [(); 2].map(|()| state.clone().detach().require_grad())
    };
    let weights = random([rows, steps, units], &device);
    let expected = burn.forward(x.clone(), Some(state.clone()));
    let output = ours.forward(x_too.clone(), Some(state_too.clone()));
    assert_close("output", output.clone().inner(), expected.clone().inner());
    let d_burn = (expected * weights.clone()).sum().backward();
    let d_ours = (output * weights).sum().backward();
    assert_same_gradients(&burn, &d_burn, &ours, &d_ours);
    assert_close("d_x", x_too.grad(&d_ours).expect("d_x"), x.grad(&d_burn).expect("d_x"));
    assert_close("d_state", state_too.grad(&d_ours).expect("d_state"), state.grad(&d_burn).expect("d_state"));
}

#[test]
fn outputs_and_gradients() {
    CASES.into_iter().for_each(check_outputs_and_gradients);
}

#[test]
#[ignore = "burn's products of matrices take minutes to compile on a software adapter"]
fn outputs_and_gradients_of_several_rows() {
    check_outputs_and_gradients(ROWS);
}

/// Without autodiff, from a state of zero, and from an x that lies in memory in another order.
#[test]
fn inference() {
    let (device, gpu) = opened();
    for case in CASES {
        let [steps, rows, inputs, _] = case.0;
        let (burn, ours) = both(case, &device, gpu);
        for _ in 0..2 {
            let x = random([steps, rows, inputs], &device).swap_dims(0, 1);
            assert_close("output", ours.forward(x.clone(), None), burn.forward(x, None));
        }
    }
}

/// What one forward pass has left for its backward pass another one does not write over, nor does a step of the
/// optimiser in between.
#[test]
fn several_passes_before_the_backward_passes() {
    let (device, gpu) = opened();
    let device = device.autodiff();
    let (burn, ours) = both(CASES[0], &device, gpu);
    let [steps, rows, inputs, _] = CASES[0].0;
    let [first, second] = [(); 2].map(|()| random([rows, steps, inputs], &device));
    let run = |forward: &dyn Fn(Tensor<3>) -> Tensor<3>| {
        let first = forward(first.clone());
        let last = first.clone().slice([0..rows, steps - 1..steps]).squeeze_dim::<2>(1);
        (first.powi_scalar(2).sum() + forward(second.clone()).sum() + last.sum()).backward()
    };
    let d_burn = run(&|x| burn.forward(x, None));
    let d_ours = run(&|x| ours.forward(x, None));
    assert_same_gradients(&burn, &d_burn, &ours, &d_ours);
}

/// 20 steps of burn's Adam: every loss, and the weights at the end, by way of burn's layout.
#[test]
fn training() {
    let (device, gpu) = opened();
    let device = device.autodiff();
    let ([steps, rows, inputs, units], ..) = CASES[0];
    let (mut burn, mut ours) = both(CASES[0], &device, gpu);
    let x = random([rows, steps, inputs], &device);
    let target = random([rows, steps, units], &device);
    let loss = |output: Tensor<3>| (output - target.clone()).powi_scalar(2).mean();
    let (mut adam_burn, mut adam_ours) = (AdamConfig::new().init(), AdamConfig::new().init());
    let mut losses = Vec::new();
    for _ in 0..20 {
        let [of_burn, of_ours] = [loss(burn.forward(x.clone(), None)), loss(ours.forward(x.clone(), None))];
        losses.push([&of_burn, &of_ours].map(|loss| loss.clone().into_scalar::<f32>()));
        let gradients = GradientsParams::from_grads(of_burn.backward(), &burn);
        burn = adam_burn.step(0.01, burn, gradients);
        let gradients = GradientsParams::from_grads(of_ours.backward(), &ours);
        ours = adam_ours.step(0.01, ours, gradients);
    }
    for (step, [burn, ours]) in losses.iter().enumerate() {
        assert!((ours - burn).abs() <= 1e-5 * burn, "step {step}: {ours}, and burn has {burn}");
    }
    assert!(losses[19][1] < 0.9 * losses[0][1], "20 steps learn something: {losses:?}");
    let back = ours.valid().into_burn(burn.clone().valid());
    let x = x.inner();
    assert_close("output", back.forward(x.clone(), None), burn.valid().forward(x, None));
}

/// The way to burn and back changes no number, and the module's parameters are the layer's.
#[test]
fn to_burn_and_back() {
    let (device, gpu) = opened();
    for case in CASES {
        let ([_, _, inputs, units], _, bias) = case;
        let (burn, ours) = both(case, &device, gpu);
        assert_eq!(ours.num_params(), 3 * units * (inputs + units + if bias { 2 } else { 0 }));
        let again = Gru::from_burn(gpu, &ours.clone().into_burn(burn)).expect("a layer that both have");
        for (one, other) in [(&ours.weight_ih, &again.weight_ih), (&ours.weight_hh, &again.weight_hh)] {
            one.val().into_data().assert_eq(&other.val().into_data(), true);
        }
        for (one, other) in [(&ours.bias_ih, &again.bias_ih), (&ours.bias_hh, &again.bias_hh)] {
            let [one, other] = [one, other].map(|bias| bias.as_ref().map(|bias| bias.val().into_data()));
            assert_eq!(one, other);
        }
    }
}

#[test]
fn wrong_shapes() {
    let (device, gpu) = opened();
    let (_, ours) = both(CASES[0], &device, gpu);
    let x = |rows, inputs| random([rows, 5, inputs], &device);
    let error = ours.try_forward(x(3, 6), None).expect_err("6 inputs for 8");
    assert!(
        matches!(&error, Error::Shape { tensor: "x", expected, actual }
        if expected == &[3, 5, 8] && actual == &[3, 5, 6]),
        "{error}"
    );
    let error = ours.try_forward(x(3, 8), Some(random([2, 8], &device))).expect_err("a state of 2 rows for 3");
    assert_eq!(error.to_string(), "state has the shape [2, 8], and [3, 8] is needed");
    let error = ours.try_forward(x(3, 8).cast(burn::tensor::DType::F16), None).expect_err("f16");
    assert!(matches!(error, Error::Type { tensor: "x", .. }), "{error}");
}

#[test]
#[should_panic(expected = "GRU: x has the shape [3, 5, 6], and [3, 5, 8] is needed")]
fn wrong_shapes_panic() {
    let (device, gpu) = opened();
    let (_, ours) = both(CASES[0], &device, gpu);
    let _ = ours.forward(random([3, 5, 6], &device), None);
}

#[test]
fn layers_that_only_burn_has() {
    let (device, gpu) = opened();
    let clipped = GruConfig::new(2, 3, true).with_clip(Some(1.0)).init(&device);
    assert!(matches!(Gru::from_burn(gpu, &clipped), Err(Error::Unsupported("a clip of the state"))));
    let relu = GruConfig::new(2, 3, true).with_hidden_activation(nn::activation::ActivationConfig::Relu).init(&device);
    assert!(matches!(Gru::from_burn(gpu, &relu), Err(Error::Unsupported(_))));
}
