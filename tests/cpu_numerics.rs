//! The CPU layer where numbers are many or broken: sums of thousands and of a million terms keep their digits, and NaN
//! and infinity come out where the equations say.

use wgpu_gru::cpu::{CpuGru, CpuUnrolled};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{GruConfig, Unroll, Weights};

mod support;

use support::numbers::wide;
use support::plain as oracle;

/// What goes into a layer of `[T, B, I, H]`.
struct Case {
    sizes: [usize; 4],
    config: GruConfig,
    weights: Weights,
    x: Vec<f32>,
    h0: Vec<f32>,
    d_output: Vec<f32>,
    d_h_n: Vec<f32>,
}

impl Case {
    fn new([t, b, i, h]: [usize; 4]) -> Self {
        let config = GruConfig::new(i, h);
        let mut uniform = SplitMix64::new(5);
        let mut vec = |len| uniform.vec(len, 1.0);
        let [x, h0, d_output, d_h_n] = [t * b * i, b * h, t * b * h, b * h].map(&mut vec);
        Self { sizes: [t, b, i, h], weights: Weights::random(&config, 4), config, x, h0, d_output, d_h_n }
    }

    fn run(&self) -> CpuUnrolled {
        let gru = CpuGru::new(self.config.clone(), &self.weights).expect("weights of the right shapes");
        let mut net = gru.unroll(Unroll::training(self.sizes[0], self.sizes[1])).expect("it fits the memory");
        net.forward(&self.x, Some(&self.h0)).expect("the right lengths");
        net.backward(Some(&self.d_output), Some(&self.d_h_n)).expect("a forward pass before it");
        net
    }

    fn exact(&self) -> (oracle::Forward, oracle::Gradients) {
        let [t, b, ..] = self.sizes;
        let forward = oracle::forward(&self.config, &self.weights, t, b, &wide(&self.x), &wide(&self.h0));
        let (d_output, d_h_n) = (wide(&self.d_output), wide(&self.d_h_n));
        let gradients = oracle::backward(&self.config, &self.weights, &forward, &d_output, &d_h_n);
        (forward, gradients)
    }
}

/// The root of the mean square of the errors.
fn error(actual: &[f32], exact: &[f64]) -> f64 {
    let squares = actual.iter().zip(exact).map(|(&a, &e)| (f64::from(a) - e).powi(2));
    (squares.sum::<f64>() / exact.len() as f64).sqrt()
}

/// d_h0 is a sum of 3H products. In one chain it was off by 5.8e-7, where PyTorch's f32 is off by a ninth of that.
#[test]
fn sums_over_many_units() {
    for rows in [1, 2, 3, 5] {
        let case = Case::new([1, rows, 8, 1024]);
        let (net, (forward, gradients)) = (case.run(), case.exact());
        let of_output = error(net.output(), forward.output());
        let of_d_h0 = error(&net.gradients().h0, &gradients.d_h0);
        assert!(of_output < 4e-8 && of_d_h0 < 9e-8, "{rows} rows: {of_output:e}, {of_d_h0:e}");
    }
}

/// Gradients of weights and biases over 10^6 rows. With W_ir and W_iz 0 and W_in 1 the gradient of the input is that of
/// the argument of n, so its sum, taken in f64, is what the gradients of b_in and, for x = 1, of W_in are.
#[test]
fn sums_over_a_million_rows() {
    for [steps, rows] in [[1000, 1000], [1, 1_000_000], [7, 2345], [100, 3]] {
        let mut case = Case::new([steps, rows, 1, 1]);
        case.weights.cells[0].weight_ih = vec![0.0, 0.0, 1.0];
        case.x.fill(1.0);
        case.d_output.fill(0.1);
        case.d_h_n.fill(0.0);
        let net = case.run();
        let (gradients, sum) = (net.gradients(), wide(&net.gradients().input).iter().sum::<f64>());
        for (name, actual) in [("weight_ih", gradients.weights.weight_ih[2]), ("bias_ih", gradients.weights.bias_ih[2])]
        {
            let relative = (f64::from(actual) / sum - 1.0).abs();
            assert!(relative < 3e-6, "{steps} steps, {rows} rows: {name} is {actual}, not {sum}: {relative:e}");
        }
    }
}

fn kinds(values: impl Iterator<Item = f64>) -> Vec<&'static str> {
    let kind = |value: f64| match (value.is_nan(), value.is_infinite()) {
        (true, _) => "NaN",
        (_, true) => "inf",
        _ => "",
    };
    values.map(kind).collect()
}

#[test]
fn what_is_not_finite_stays_where_it_belongs() {
    let sizes = [3, 4, 3, 5];
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..6 {
            let mut case = Case::new(sizes);
            let cell = &mut case.weights.cells[0];
            match place {
                0 => case.x[13] = value,
                1 => case.h0[1] = value,
                2 => cell.weight_ih[1] = value,
                3 => cell.weight_hh[51] = value,
                4 => case.d_output[21] = value,
                _ => case.d_h_n[1] = value,
            }
            let (net, (forward, exact)) = (case.run(), case.exact());
            let made = net.gradients();
            for (name, actual, exact) in [
                ("output", net.output(), forward.output()),
                ("d_x", &made.input, &exact.d_x),
                ("d_h0", &made.h0, &exact.d_h0),
                ("d_weight_ih", &made.weights.weight_ih, &exact.d_weight_ih),
                ("d_weight_hh", &made.weights.weight_hh, &exact.d_weight_hh),
                ("d_bias_ih", &made.weights.bias_ih, &exact.d_bias_ih),
                ("d_bias_hh", &made.weights.bias_hh, &exact.d_bias_hh),
            ] {
                let actual = kinds(actual.iter().map(|&value| f64::from(value)));
                assert_eq!(actual, kinds(exact.iter().copied()), "{value} in place {place}: {name}");
            }
        }
    }
}
