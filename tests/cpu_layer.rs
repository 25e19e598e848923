//! The fast CPU layer against the oracle; where numbers are many, sums of thousands and of a million terms keep their
//! digits; and NaN and infinity come out where the equations say.

use proptest::prelude::*;
use wgpu_gru::cpu::{CpuGradients, CpuGru, CpuUnrolled};
use wgpu_gru::verify::Batch;
use wgpu_gru::{Error, GruConfig, Tolerance, Unroll, Weights};

mod support;

use support::numbers::{kinds, largest, to_bits, wide};
use support::plain::expectation;

/// T, B, I, H: ones, primes, sizes around a vector and around a tile, and some that keep several threads busy.
const SHAPES: [[usize; 4]; 17] = [
    [1, 1, 1, 1],
    [1, 1, 5, 8],
    [1, 7, 3, 13],
    [9, 1, 4, 7],
    [6, 2, 1, 9],
    [5, 3, 8, 1],
    [4, 4, 16, 16],
    [3, 5, 7, 23],
    [7, 6, 9, 24],
    [7, 7, 31, 25],
    [2, 8, 33, 47],
    [11, 13, 17, 19],
    [40, 1, 20, 65],
    [12, 17, 29, 101],
    [20, 9, 64, 96],
    [16, 33, 50, 72],
    [70, 3, 12, 10],
];

struct Case {
    config: GruConfig,
    weights: Weights,
    batch: Batch,
}

impl Case {
    fn new([seq_len, batch, inputs, units]: [usize; 4], seed: u64) -> Self {
        let config = GruConfig::new(inputs, units);
        let batch = Batch::random(&config, seq_len, batch, seed);
        Self { weights: Weights::random(&config, seed + 1), config, batch }
    }

    fn shape(&self) -> [usize; 4] {
        [self.batch.seq_len, self.batch.batch, self.config.input_size, self.config.hidden_size]
    }

    /// Both passes of the fast layer.
    fn fast(&self) -> CpuUnrolled {
        let gru = CpuGru::new(self.config.clone(), &self.weights).expect("weights of the right shapes");
        let unroll = Unroll::training(self.batch.seq_len, self.batch.batch);
        let mut net = gru.unroll(unroll).expect("it fits the memory");
        self.passes(&mut net);
        net
    }

    fn passes(&self, net: &mut CpuUnrolled) {
        net.forward(&self.batch.x, Some(&self.batch.h0)).expect("the right lengths");
        net.backward(Some(&self.batch.d_output), Some(&self.batch.d_h_n)).expect("a forward pass before it");
    }

    /// Both passes of the oracle, in the order of [`NAMES`].
    fn oracle(&self) -> [Vec<f64>; 8] {
        expectation(&self.config, &self.weights, &self.batch).0
    }
}

const NAMES: [&str; 8] = ["output", "h_n", "d_input", "d_h0", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"];

/// Everything that a layer makes, in the order of [`NAMES`].
fn made(net: &CpuUnrolled) -> [&[f32]; 8] {
    let CpuGradients { weights, input, h0 } = net.gradients();
    let [weight_ih, weight_hh, bias_ih, bias_hh] = weights.arrays();
    [net.output(), net.h_n(), input, h0, weight_ih, weight_hh, bias_ih, bias_hh]
}

/// The states: T steps that sum I products with numbers up to `size` and H with states.
fn state_tolerance([seq_len, _, inputs, units]: [usize; 4], size: f64) -> Tolerance {
    // Weights::random has weights of up to 1/sqrt(H), where the bound of a sum of I products takes 1/sqrt(I).
    let input = Tolerance::matmul(inputs).scaled(size * (inputs as f64 / units as f64).sqrt());
    let through = Tolerance::through_time(units, seq_len);
    through.plus(Tolerance { abs: input.abs * (seq_len as f64).sqrt(), rel: 0.0 })
}

/// A gradient: the errors of the states and of the way back through 3H sums, and those of a sum of `terms` in the end,
/// where the largest sum is the size of the numbers.
fn gradient_tolerance(shape: [usize; 4], terms: usize, expected: &[f64]) -> Tolerance {
    let size = largest(expected).max(1.0);
    let back = Tolerance::through_time(3 * shape[3], shape[0]);
    state_tolerance(shape, 1.0).plus(back).plus(Tolerance::matmul(terms)).scaled(size)
}

/// The bounds in the order of [`NAMES`].
fn tolerances(shape: [usize; 4], size: f64, expected: &[Vec<f64>; 8]) -> [Tolerance; 8] {
    let [seq_len, batch, _, units] = shape;
    std::array::from_fn(|index| match index {
        0 | 1 => state_tolerance(shape, size),
        2 | 3 => gradient_tolerance(shape, 3 * units, &expected[index]).scaled(size),
        _ => gradient_tolerance(shape, seq_len * batch, &expected[index]).scaled(size),
    })
}

/// The first tensor that is over its bound, and the largest share of a budget that any used.
fn compare(case: &Case, net: &CpuUnrolled, size: f64) -> Result<f64, String> {
    let expected = case.oracle();
    let tolerances = tolerances(case.shape(), size, &expected);
    let mut largest = 0.0_f64;
    for (((name, actual), expected), tolerance) in NAMES.iter().zip(made(net)).zip(&expected).zip(tolerances) {
        let worst = tolerance.compare(actual, expected);
        if !worst.passed() {
            return Err(format!("{name} at T, B, I, H = {:?}: {worst:?}", case.shape()));
        }
        largest = largest.max(worst.share);
    }
    Ok(largest)
}

#[test]
fn agrees_with_the_oracle() {
    for (shape, seed) in SHAPES.into_iter().zip(100..) {
        let case = Case::new(shape, seed);
        let share = compare(&case, &case.fast(), 1.0).unwrap_or_else(|over| panic!("{over}"));
        assert!(share.is_finite(), "a share of the budget");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_on_any_shape(shape in [1_usize..8, 1..11, 1..20, 1..40], seed in 0_u64..1 << 32) {
        let case = Case::new(shape, seed);
        compare(&case, &case.fast(), 1.0).map_err(TestCaseError::fail)?;
    }
}

/// An input of up to 1e3 makes the rounding error of the sums as much larger.
#[test]
fn large_inputs() {
    for shape in [[5, 3, 7, 9], [1, 1, 1, 1], [12, 6, 30, 40]] {
        let mut case = Case::new(shape, 7);
        case.batch.x.iter_mut().for_each(|v| *v *= 1e3);
        compare(&case, &case.fast(), 1e3).unwrap_or_else(|over| panic!("{over}"));
    }
}

/// Every gate at one of its ends: there the bound of numbers around 1 holds, however large the input is.
#[test]
fn saturated_gates() {
    for shape in [[6, 5, 1, 11], [3, 1, 1, 8]] {
        let mut case = Case::new(shape, 8);
        case.batch.x.iter_mut().for_each(|v| *v = 1e3_f32.copysign(*v));
        case.weights.cells[0].weight_ih.iter_mut().for_each(|v| *v = 1_f32.copysign(*v));
        let net = case.fast();
        compare(&case, &net, 1.0).unwrap_or_else(|over| panic!("{over}"));
        assert!(net.gradients().input.iter().all(|v| v.is_finite()), "finite gradients");
    }
}

#[test]
fn nan_comes_out_as_nan() {
    let mut case = Case::new([3, 2, 4, 9], 9);
    case.batch.x[2 * 4 + 1] = f32::NAN; // step 1 of row 0
    let net = case.fast();
    for (step, expected) in [(0, [false, false]), (1, [true, false]), (2, [true, false])] {
        for (row, expected) in expected.into_iter().enumerate() {
            let state = &net.output()[(step * 2 + row) * 9..][..9];
            assert!(state.iter().all(|v| v.is_nan() == expected), "step {step}, row {row}: {state:?}");
        }
    }
    assert!(net.gradients().weights.weight_hh.iter().all(|v| v.is_nan()), "NaN gradients");
    assert!(compare(&case, &net, 1.0).is_err(), "NaN is never within a bound");
}

/// The comparison sees one element that is off, a row of the batch too few, and r and z exchanged.
#[test]
fn the_comparison_can_fail() {
    let case = Case::new([12, 17, 29, 101], 10);
    let net = case.fast();
    let expected = case.oracle();
    let tolerances = tolerances(case.shape(), 1.0, &expected);
    let mut output = net.output().to_vec();
    assert!(tolerances[0].compare(&output, &expected[0]).passed());
    output[4321] += 1e-4;
    let worst = tolerances[0].compare(&output, &expected[0]);
    assert!(worst.index == 4321 && !worst.passed(), "{worst:?}");

    let mut swapped = net.gradients().weights.weight_hh.clone();
    assert!(tolerances[5].compare(&swapped, &expected[5]).passed());
    swapped.rotate_left(101 * 101);
    assert!(!tolerances[5].compare(&swapped, &expected[5]).passed());

    let mut other = Case::new(case.shape(), 10);
    other.weights.cells[0].bias_hh[2 * 101 + 50] += 1e-3; // one element of b_hn
    assert!(compare(&case, &other.fast(), 1.0).is_err(), "the weights of another layer");
}

#[test]
fn the_same_bits_twice() {
    for shape in [[16, 33, 50, 72], [40, 1, 20, 65]] {
        let case = Case::new(shape, 11);
        let (first, mut second) = (case.fast(), case.fast());
        for _ in 0..3 {
            assert_eq!(made(&second).map(to_bits), made(&first).map(to_bits));
            case.passes(&mut second);
        }
    }
}

fn gradient_bits(gradients: &CpuGradients) -> Vec<Vec<u32>> {
    let CpuGradients { weights, input, h0 } = gradients;
    weights.arrays().into_iter().chain([input.as_slice(), h0]).map(to_bits).collect()
}

/// Inference gives the same bits as training; what is not given is zero; a training step without the input's gradient
/// gives the same others.
#[test]
fn options() {
    let case = Case::new([7, 6, 9, 24], 12);
    let gru = CpuGru::new(case.config.clone(), &case.weights).expect("weights of the right shapes");
    assert_eq!(gru.config(), &case.config);
    let mut inference = gru.unroll(Unroll::inference(7, 6)).expect("it fits the memory");
    inference.forward(&case.batch.x, None).expect("the right lengths");
    let mut training = gru.unroll(Unroll::training(7, 6)).expect("it fits the memory");
    training.forward(&case.batch.x, Some(&[0.0; 6 * 24])).expect("the right lengths");
    assert_eq!(to_bits(inference.output()), to_bits(training.output()));
    training.backward(Some(&case.batch.d_output), None).expect("a forward pass before it");

    let mut lean = gru.unroll(Unroll::training(7, 6).input_gradient(false)).expect("it fits the memory");
    lean.forward(&case.batch.x, None).expect("the right lengths");
    lean.backward(Some(&case.batch.d_output), Some(&[0.0; 6 * 24])).expect("a forward pass before it");
    assert!(lean.gradients().input.is_empty(), "it was not wanted");
    let expected = CpuGradients { input: Vec::new(), ..training.gradients().clone() };
    assert_eq!(gradient_bits(lean.gradients()), gradient_bits(&expected));

    lean.forward(&case.batch.x, None).expect("the right lengths");
    lean.backward(None, None).expect("a forward pass before it");
    assert!(gradient_bits(lean.gradients()).concat().iter().all(|bits| bits << 1 == 0), "no loss, no gradient");
}

#[test]
fn new_weights_count_from_the_next_forward() {
    let case = Case::new([4, 5, 3, 10], 13);
    let other = Case { weights: Weights::random(&case.config, 99), ..Case::new([4, 5, 3, 10], 13) };
    let mut gru = CpuGru::new(case.config.clone(), &case.weights).expect("weights of the right shapes");
    let mut net = gru.unroll(Unroll::training(4, 5)).expect("it fits the memory");
    net.forward(&case.batch.x, Some(&case.batch.h0)).expect("the right lengths");
    gru.set_weights(&other.weights).expect("weights of the right shapes");
    net.backward(Some(&case.batch.d_output), Some(&case.batch.d_h_n)).expect("a forward pass before it");
    assert_eq!(gradient_bits(net.gradients()), gradient_bits(case.fast().gradients()), "those of the forward pass");
    case.passes(&mut net);
    assert_eq!(gradient_bits(net.gradients()), gradient_bits(other.fast().gradients()), "the new ones");
}

#[test]
fn mistakes_are_errors_and_change_nothing() {
    let case = Case::new([3, 2, 4, 5], 14);
    let mut wrong = case.weights.clone();
    wrong.cells[0].bias_ih.pop();
    let mismatch = |result: Result<(), Error>, name: &str, shape: &[usize], len: usize| match result {
        Err(Error::ShapeMismatch { tensor, expected, actual }) => {
            assert_eq!((&*tensor, expected.as_slice(), actual), (name, shape, vec![len]));
        }
        other => panic!("{name}: {other:?}"),
    };
    mismatch(CpuGru::new(case.config.clone(), &wrong).map(drop), "bias_ih_l0", &[15], 14);
    let zero = GruConfig::new(0, 5);
    assert!(matches!(
        CpuGru::new(zero.clone(), &Weights::random(&zero, 1)),
        Err(Error::ZeroSize { what: "input_size" })
    ));

    let mut gru = CpuGru::new(case.config.clone(), &case.weights).expect("weights of the right shapes");
    assert!(matches!(gru.unroll(Unroll::training(0, 2)), Err(Error::ZeroSize { what: "seq_len" })));
    assert!(matches!(gru.unroll(Unroll::inference(3, 0)), Err(Error::ZeroSize { what: "batch" })));
    assert!(matches!(gru.unroll(Unroll::inference(usize::MAX, 2)), Err(Error::OutOfMemory { bytes: u64::MAX, .. })));
    let plain = Unroll::training(3, 2);
    for (wanted, unroll) in [
        ("lengths", plain.lengths(true)),
        ("zero_empty_rows", Unroll::inference(3, 2).zero_empty_rows(true)),
        ("episode_starts", plain.episode_starts(true)),
        ("gradient_norms", plain.gradient_norms(true)),
    ] {
        let refused = gru.unroll(unroll).map(drop);
        let is_told = matches!(refused, Err(Error::OptionUnavailable { option, .. }) if option == wanted);
        assert!(is_told, "{wanted}: {refused:?}");
    }
    let mut inference = gru.unroll(Unroll::inference(3, 2)).expect("it fits the memory");
    inference.forward(&case.batch.x, None).expect("the right lengths");
    assert!(matches!(inference.backward(None, None), Err(Error::NotTraining)));

    let mut net = gru.unroll(Unroll::training(3, 2)).expect("it fits the memory");
    assert!(matches!(net.backward(None, None), Err(Error::BackwardWithoutForward)));
    net.forward(&case.batch.x, Some(&case.batch.h0)).expect("the right lengths");
    mismatch(gru.set_weights(&wrong), "bias_ih_l0", &[15], 14);
    mismatch(net.forward(&case.batch.x[1..], None), "x", &[3, 2, 4], 23);
    mismatch(net.forward(&case.batch.x, Some(&case.batch.h0[1..])), "h0", &[2, 5], 9);
    mismatch(net.backward(Some(&case.batch.d_output[1..]), None), "d_output", &[3, 2, 5], 29);
    mismatch(net.backward(None, Some(&case.batch.d_h_n[1..])), "d_h_n", &[2, 5], 9);
    net.backward(Some(&case.batch.d_output), Some(&case.batch.d_h_n)).expect("the forward pass is still there");
    assert_eq!(gradient_bits(net.gradients()), gradient_bits(case.fast().gradients()));
    assert!(matches!(net.backward(None, None), Err(Error::BackwardWithoutForward)), "it is used up");
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
        let case = Case::new([1, rows, 8, 1024], 5);
        let (net, exact) = (case.fast(), case.oracle());
        let of_output = error(net.output(), &exact[0]);
        let of_d_h0 = error(&net.gradients().h0, &exact[3]);
        assert!(of_output < 4e-8 && of_d_h0 < 9e-8, "{rows} rows: {of_output:e}, {of_d_h0:e}");
    }
}

/// Gradients of weights and biases over 10^6 rows. With W_ir and W_iz 0 and W_in 1 the gradient of the input is that of
/// the argument of n, so its sum, taken in f64, is what the gradients of b_in and, for x = 1, of W_in are.
#[test]
fn sums_over_a_million_rows() {
    for [steps, rows] in [[1000, 1000], [1, 1_000_000], [7, 2345], [100, 3]] {
        let mut case = Case::new([steps, rows, 1, 1], 5);
        case.weights.cells[0].weight_ih = vec![0.0, 0.0, 1.0];
        case.batch.x.fill(1.0);
        case.batch.d_output.fill(0.1);
        case.batch.d_h_n.fill(0.0);
        let net = case.fast();
        let (gradients, sum) = (net.gradients(), wide(&net.gradients().input).iter().sum::<f64>());
        for (name, actual) in [("weight_ih", gradients.weights.weight_ih[2]), ("bias_ih", gradients.weights.bias_ih[2])]
        {
            let relative = (f64::from(actual) / sum - 1.0).abs();
            assert!(relative < 3e-6, "{steps} steps, {rows} rows: {name} is {actual}, not {sum}: {relative:e}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_where_it_belongs() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..6 {
            let mut case = Case::new([3, 4, 3, 5], 5);
            let (cell, batch) = (&mut case.weights.cells[0], &mut case.batch);
            match place {
                0 => batch.x[13] = value,
                1 => batch.h0[1] = value,
                2 => cell.weight_ih[1] = value,
                3 => cell.weight_hh[51] = value,
                4 => batch.d_output[21] = value,
                _ => batch.d_h_n[1] = value,
            }
            for ((name, actual), exact) in NAMES.iter().zip(made(&case.fast())).zip(case.oracle()) {
                assert_eq!(kinds(&wide(actual)), kinds(&exact), "{value} in place {place}: {name}");
            }
        }
    }
}
