//! Central finite differences in f64 hold every gradient of the oracle.

use approx::{assert_abs_diff_eq, assert_relative_eq, relative_eq};
use wgpu_gru::reference::oracle::{Forward, Gradients, Weights, backward, forward};
use wgpu_gru::{GruConfig, GruWeights, Uniform};

/// T, B, I, H.
const SHAPES: [[usize; 4]; 7] =
    [[1, 1, 1, 1], [1, 1, 3, 2], [5, 1, 2, 3], [3, 2, 5, 1], [2, 3, 1, 4], [4, 2, 3, 5], [7, 3, 2, 3]];

/// The step of the differences: truncation is of the order of its square, rounding of 1e-16 over it.
const STEP: f64 = 1e-5;

struct Case {
    config: GruConfig,
    seq_len: usize,
    batch: usize,
    weights: Weights,
    x: Vec<f64>,
    h0: Vec<f64>,
    d_output: Vec<f64>,
    d_h_n: Vec<f64>,
}

impl Case {
    fn new([seq_len, batch, inputs, units]: [usize; 4], seed: u64) -> Self {
        let config = GruConfig::new(inputs, units);
        let weights = Weights::from(&GruWeights::random(&config, seed));
        let mut uniform = Uniform::new(seed + 1);
        let mut draw = |len: usize| (0..len).map(|_| f64::from(uniform.next_f32())).collect::<Vec<f64>>();
        let (x, h0) = (draw(seq_len * batch * inputs), draw(batch * units));
        let (d_output, d_h_n) = (draw(seq_len * batch * units), draw(batch * units));
        Self { config, seq_len, batch, weights, x, h0, d_output, d_h_n }
    }

    fn forward(&self) -> Forward {
        forward(&self.config, &self.weights, self.seq_len, self.batch, &self.x, &self.h0)
    }

    fn backward(&self) -> Gradients {
        backward(&self.config, &self.weights, &self.x, &self.forward(), &self.d_output, &self.d_h_n)
    }

    /// The loss of which `d_output` and `d_h_n` are the gradients.
    fn loss(&self) -> f64 {
        let pass = self.forward();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(pass.output(), &self.d_output) + dot(pass.h_n(), &self.d_h_n)
    }

    /// The gradient with respect to one array by central differences.
    fn differences(&mut self, array: impl Fn(&mut Self) -> &mut Vec<f64>) -> Vec<f64> {
        (0..array(self).len())
            .map(|index| {
                let value = array(self)[index];
                array(self)[index] = value + STEP;
                let above = self.loss();
                array(self)[index] = value - STEP;
                let below = self.loss();
                array(self)[index] = value;
                (above - below) / (2.0 * STEP)
            })
            .collect()
    }

    /// By differences, in the order of [`named`].
    fn all_differences(&mut self) -> [Vec<f64>; 6] {
        [
            self.differences(|case| &mut case.x),
            self.differences(|case| &mut case.h0),
            self.differences(|case| &mut case.weights.weight_ih),
            self.differences(|case| &mut case.weights.weight_hh),
            self.differences(|case| &mut case.weights.bias_ih),
            self.differences(|case| &mut case.weights.bias_hh),
        ]
    }
}

fn named(gradients: &Gradients) -> [(&'static str, &[f64]); 6] {
    [
        ("d_x", &gradients.d_x),
        ("d_h0", &gradients.d_h0),
        ("d_weight_ih", &gradients.d_weight_ih),
        ("d_weight_hh", &gradients.d_weight_hh),
        ("d_bias_ih", &gradients.d_bias_ih),
        ("d_bias_hh", &gradients.d_bias_hh),
    ]
}

/// The first element of any gradient that the differences do not confirm.
fn first_disagreement(gradients: &Gradients, expected: &[Vec<f64>; 6]) -> Option<String> {
    for ((name, actual), expected) in named(gradients).into_iter().zip(expected) {
        assert_eq!(actual.len(), expected.len(), "{name} has the length of what it belongs to");
        for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
            if !relative_eq!(a, e, epsilon = 1e-9, max_relative = 1e-7) {
                return Some(format!("{name}[{index}] is {a}, by differences {e}"));
            }
        }
    }
    None
}

/// Exchanges the first two of three blocks of `block` numbers.
fn swap_r_and_z(array: &mut [f64], block: usize) {
    let (r, rest) = array.split_at_mut(block);
    r.swap_with_slice(&mut rest[..block]);
}

#[test]
fn differences_confirm_every_gradient() {
    for (shape, seed) in SHAPES.into_iter().zip(1..) {
        let mut case = Case::new(shape, seed);
        let expected = case.all_differences();
        assert_eq!(first_disagreement(&case.backward(), &expected), None, "at T, B, I, H = {shape:?}");
    }
}

#[test]
fn differences_catch_swapped_gates_and_one_wrong_element() {
    let mut case = Case::new([4, 2, 3, 5], 40);
    let (expected, right) = (case.all_differences(), case.backward());
    assert_eq!(first_disagreement(&right, &expected), None, "the unspoilt gradients agree");

    type Spoil = fn(&mut Gradients);
    let spoilt: [(&str, Spoil); 6] = [
        ("d_weight_ih", |g| swap_r_and_z(&mut g.d_weight_ih, 5 * 3)),
        ("d_weight_hh", |g| swap_r_and_z(&mut g.d_weight_hh, 5 * 5)),
        ("d_bias_ih", |g| swap_r_and_z(&mut g.d_bias_ih, 5)),
        ("d_bias_hh", |g| swap_r_and_z(&mut g.d_bias_hh, 5)),
        ("d_x", |g| g.d_x[7] += 1e-6),
        ("d_h0", |g| g.d_h0[3] = f64::NAN),
    ];
    for (name, spoil) in spoilt {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        let found = first_disagreement(&wrong, &expected).unwrap_or_default();
        assert!(found.starts_with(name), "spoilt {name}, but found {found:?}");
    }
}

/// One step of one unit, worked by hand from (1) to (4).
#[test]
fn one_step_by_hand() {
    let config = GruConfig::new(1, 1);
    let weights = Weights {
        weight_ih: vec![0.5, -0.25, 1.0],
        weight_hh: vec![0.75, 0.5, -1.5],
        bias_ih: vec![0.1, 0.2, 0.3],
        bias_hh: vec![-0.2, 0.4, 0.6],
    };
    let pass = forward(&config, &weights, 1, 1, &[2.0], &[-0.5]);
    let (r, z, hn) = (1.0 / (1.0 + (-0.525_f64).exp()), 1.0 / (1.0 + 0.15_f64.exp()), 1.35);
    let n = (2.3 + r * hn).tanh();
    assert_relative_eq!(pass.r[0], r, max_relative = 1e-14);
    assert_relative_eq!(pass.z[0], z, max_relative = 1e-14);
    assert_relative_eq!(pass.hn[0], hn, max_relative = 1e-14);
    assert_relative_eq!(pass.n[0], n, max_relative = 1e-14);
    assert_relative_eq!(pass.output()[0], (1.0 - z) * n - z * 0.5, max_relative = 1e-14);
    assert_eq!((pass.output(), pass.h[0]), (pass.h_n(), -0.5));
}

/// Gates that are shut or open for good: the state is kept as it is, or becomes the candidate.
#[test]
fn saturated_gates() {
    let config = GruConfig::new(1, 1);
    for (bias, state, d_h0) in [(1e3, 0.25, 1.0), (-1e3, 1.0, 0.0)] {
        let weights = Weights {
            weight_ih: vec![0.0, 0.0, 1e3],
            weight_hh: vec![0.0; 3],
            bias_ih: vec![0.0, bias, 0.0],
            bias_hh: vec![0.0; 3],
        };
        let pass = forward(&config, &weights, 3, 1, &[1.0; 3], &[0.25]);
        assert_abs_diff_eq!(pass.h_n()[0], state);
        let gradients = backward(&config, &weights, &[1.0; 3], &pass, &[0.0; 3], &[1.0]);
        assert_abs_diff_eq!(gradients.d_h0[0], d_h0);
        assert!(named(&gradients).into_iter().all(|(_, array)| array.iter().all(|v| v.is_finite())), "all finite");
    }
}
