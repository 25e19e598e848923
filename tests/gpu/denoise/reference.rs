//! RNNoise's network in plain f64, from the bytes of its file alone, with activations that can be chosen; and beside
//! every number, by how much one that is computed in f32 may be off.

use wgpu_gru::Tolerance;

/// What a network is made of besides its weights.
#[derive(Clone, Copy)]
pub(super) struct Activations {
    pub(super) sigmoid: fn(f64) -> f64,
    pub(super) tanh: fn(f64) -> f64,
}

/// What the words say.
pub(super) const EXACT: Activations = Activations { sigmoid: |x| 1.0 / (1.0 + (-x).exp()), tanh: f64::tanh };

/// Those of RNNoise and nnnoiseless.
pub(super) const APPROXIMATED: Activations = Activations { sigmoid: |x| 0.5 + 0.5 * tansig(0.5 * x), tanh: tansig };

/// tanh by a table of its values at the multiples of 0.04, of six decimal places, and two terms of Taylor's series
/// from the nearest of them: tanh(a + d) = y + d (1 - y^2) (1 - y d) with y = tanh(a). From 8 on it is 1.
fn tansig(x: f64) -> f64 {
    if x.abs() >= 8.0 {
        return x.signum();
    }
    let nearest = (25.0 * x.abs()).round() / 25.0;
    let (y, d) = ((nearest.tanh() * 1e6).round() / 1e6, x.abs() - nearest);
    (y + d * (1.0 - y * y) * (1.0 - y * d)).copysign(x)
}

/// A number, and how far from it one of f32 may be: a budget of [`Tolerance`] for each rounding, carried through what
/// is computed of it. Roundings do not conspire, so budgets of several numbers add up like lengths at right angles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) off: f64,
}

impl Number {
    const ZERO: Self = Self { value: 0.0, off: 0.0 };

    fn exact(value: f64) -> Self {
        Self { value, off: 0.0 }
    }

    /// A function of it. Approximations have jumps, so that the budget is not a slope times the one before.
    fn map(self, f: fn(f64) -> f64) -> Self {
        let value = f(self.value);
        let ends = [f(self.value - self.off), f(self.value + self.off)];
        let off = ends.iter().fold(0.0, |most: f64, end| most.max((end - value).abs()));
        Self { value, off: off + pointwise(value) }
    }

    fn times(self, other: Self) -> Self {
        let off = (self.off * other.value).hypot(self.value * other.off);
        Self { value: self.value * other.value, off: off + pointwise(0.0) * (self.value * other.value).abs() }
    }
}

fn pointwise(value: f64) -> f64 {
    let Tolerance { abs, rel } = Tolerance::pointwise();
    abs + rel * value.abs()
}

/// Gains of 22 bands, and how likely it is that somebody speaks.
pub(super) type Answers = [Number; 23];

/// One channel, with its states.
pub(super) struct Reference<'a> {
    file: &'a [u8],
    activations: Activations,
    voice: Vec<Number>,
    noise: Vec<Number>,
    denoise: Vec<Number>,
}

impl<'a> Reference<'a> {
    pub(super) fn new(file: &'a [u8], activations: Activations) -> Self {
        let [voice, noise, denoise] = [24, 48, 96].map(|units| vec![Number::ZERO; units]);
        Self { file, activations, voice, noise, denoise }
    }

    /// What the network says of the next frame.
    pub(super) fn frame(&mut self, features: &[f32]) -> Answers {
        let features: Vec<Number> = features.iter().map(|&x| Number::exact(x.into())).collect();
        let (mut file, Activations { sigmoid, tanh }) = (self.file, self.activations);
        let input = dense(&mut file, &features, tanh);
        gru(&mut file, &input, &mut self.voice, sigmoid);
        gru(&mut file, &[&input[..], &self.voice, &features].concat(), &mut self.noise, sigmoid);
        gru(&mut file, &[&self.voice[..], &self.noise, &features].concat(), &mut self.denoise, sigmoid);
        let gains = dense(&mut file, &self.denoise, sigmoid);
        let is_speech = dense(&mut file, &self.voice, sigmoid);
        assert!(file.is_empty(), "the file ends with the network");
        [gains, is_speech].concat().try_into().expect("23 numbers")
    }
}

fn dense(file: &mut &[u8], input: &[Number], activation: fn(f64) -> f64) -> Vec<Number> {
    let [weights, bias] = layer(file, input.len(), |inputs, units| [inputs * units, units]);
    let unit = |unit: usize| sum(bias[unit], &[(input, &weights[unit..])], bias.len()).map(activation);
    (0..bias.len()).map(unit).collect()
}

/// Columns of z, of r and of the candidate; the reset gate before the product, and ReLU.
fn gru(file: &mut &[u8], input: &[Number], state: &mut [Number], sigmoid: fn(f64) -> f64) {
    let units = state.len();
    let [weights, recurrent, bias] =
        layer(file, input.len(), |inputs, units| [3 * inputs * units, 3 * units * units, 3 * units]);
    let gate = |gate: usize, state: &[Number], f: fn(f64) -> f64| -> Vec<Number> {
        let columns = gate * units..(gate + 1) * units;
        let products = |at: usize| [(input, &weights[at..]), (state, &recurrent[at..])];
        columns.map(|at| sum(bias[at], &products(at), 3 * units).map(f)).collect()
    };
    let z = gate(0, state, sigmoid);
    let r = gate(1, state, sigmoid);
    let reset: Vec<Number> = r.iter().zip(&*state).map(|(r, h)| r.times(*h)).collect();
    let candidate = gate(2, &reset, |x| x.max(0.0));
    for ((h, z), n) in state.iter_mut().zip(z).zip(candidate) {
        let off = ((h.value - n.value) * z.off).hypot(z.value * h.off).hypot((1.0 - z.value) * n.off);
        let value = z.value * h.value + (1.0 - z.value) * n.value;
        *h = Number { value, off: off + pointwise(0.0) * (1.0_f64).max(h.value).max(n.value) };
    }
}

/// A bias and products of numbers with a column of a matrix each. The matrices have so many columns, and begin with it.
fn sum(bias: f64, products: &[(&[Number], &[f64])], columns: usize) -> Number {
    let (mut value, mut largest, mut squares, mut count) = (bias, bias.abs(), 0.0, 0);
    for (numbers, column) in products {
        for (x, weight) in numbers.iter().zip(column.iter().step_by(columns)) {
            value += x.value * weight;
            largest = largest.max(value.abs());
            squares += (x.off * weight).powi(2);
            count += 1;
        }
    }
    Number { value, off: squares.sqrt() + Tolerance::matmul(count).abs * largest }
}

/// Takes a layer off the front of the file: its arrays, whose lengths follow from the sizes at its head.
fn layer<const N: usize>(file: &mut &[u8], inputs: usize, lens: fn(usize, usize) -> [usize; N]) -> [Vec<f64>; N] {
    let (head, rest) = file.split_at(3);
    assert_eq!(usize::from(head[0]), inputs, "inputs of the layer");
    *file = rest;
    lens(inputs, head[1].into()).map(|len| {
        let (numbers, rest) = file.split_at(len);
        *file = rest;
        numbers.iter().map(|&number| f64::from(number.cast_signed()) / 256.0).collect()
    })
}
