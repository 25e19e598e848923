//! The module against the layer without burn, to the bit: that every tensor is copied from and to its place.

use burn::nn::GruConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_bridge::Gru;
use wgpu_gru::{CellWeights, Gpu, Unroll, Weights};

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

#[test]
fn output_and_gradients() {
    let (device, setup) = Device::wgpu_options().init_with_setup().expect("an adapter for burn");
    let gpu = Gpu::from_device(setup.device, setup.queue);
    let device = device.autodiff();
    for [steps, rows, inputs, units] in [[4, 3, 5, 7], [1, 2, 8, 4]] {
        let module = Gru::from_burn(&gpu, &GruConfig::new(inputs, units, true).init(&device)).expect("a layer");
        let random = |width| Tensor::<3>::random([rows, steps, width], Distribution::Uniform(-1.0, 1.0), &device);
        let x = random(inputs).require_grad();
        let state = Tensor::<2>::random([rows, units], Distribution::Uniform(-1.0, 1.0), &device).require_grad();
        let d_output = random(units);
        let output = module.forward(x.clone(), Some(state.clone()));
        let gradients = (output.clone() * d_output.clone()).sum().backward();

        let bias = |bias: &Option<burn::module::Param<Tensor<1>>>| bias.as_ref().expect("a bias").val();
        let cell = CellWeights {
            weight_ih: host(module.weight_ih.val()),
            weight_hh: host(module.weight_hh.val()),
            bias_ih: host(bias(&module.bias_ih)),
            bias_hh: host(bias(&module.bias_hh)),
        };
        let config = wgpu_gru::GruConfig::new(inputs, units).batch_first(true);
        let layer = wgpu_gru::Gru::with_weights(&gpu, config, &Weights { cells: vec![cell] }).expect("a layer");
        let mut unrolled = layer.unroll(Unroll::training(steps, rows)).expect("laid out");
        unrolled.input().write(&host(x.clone())).expect("x");
        unrolled.h0().write(&host(state.clone())).expect("the state");
        unrolled.d_output().expect("training").write(&host(d_output)).expect("d_output");
        gpu.submit(|encoder| unrolled.encode_forward(encoder)).expect("a forward pass");
        gpu.submit(|encoder| unrolled.encode_backward(encoder)).expect("a backward pass");
        let made = unrolled.gradients().expect("training").clone();
        let expected = [unrolled.output(), made.input.as_ref().expect("d_x"), &made.h0];
        let expected = expected.into_iter().chain(made.parameters.tensors());

        let actual = [
            ("output", host(output)),
            ("d_x", host(x.grad(&gradients).expect("d_x"))),
            ("d_state", host(state.grad(&gradients).expect("d_state"))),
            ("d_weight_ih", host(module.weight_ih.val().grad(&gradients).expect("d_weight_ih"))),
            ("d_weight_hh", host(module.weight_hh.val().grad(&gradients).expect("d_weight_hh"))),
            ("d_bias_ih", host(bias(&module.bias_ih).grad(&gradients).expect("d_bias_ih"))),
            ("d_bias_hh", host(bias(&module.bias_hh).grad(&gradients).expect("d_bias_hh"))),
        ];
        for ((name, actual), expected) in actual.into_iter().zip(expected) {
            assert_eq!(actual, expected.read_blocking().expect(name), "{name}");
            assert!(actual.iter().any(|value| *value != 0.0), "{name} is zero");
        }
    }
}
