//! Finite differences hold the oracle: every gradient, for every option, and for all options at once.
//!
//! The loss is sum(output * d_output) + sum(h_n * d_h_n), so that its gradients are what `backward` gives. Central
//! differences in f64 with a step of 1e-5 have an error of about 1e-10 times the third derivative, and of 1e-16 / 1e-5
//! from rounding: 1e-8 of the size of the numbers is allowed.

use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use wgpu_gru::reference::oracle::{self, CellWeights, Forward, Gradients, Run, activate, distance_to_kink, slope};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Activation, Config, Direction, GruConfig, Reset, RnnConfig, Weights};

mod support;

use support::any_options::{Options, any_options};
use support::numbers::ACTIVATIONS;

const STEP: f64 = 1e-5;
const ALLOWED: f64 = 1e-8;

/// A layer, what goes into it, and the gradients that come in.
#[derive(Debug, Clone)]
struct Case {
    config: Config,
    run: Run,
    cells: Vec<CellWeights>,
    x: Vec<f64>,
    h0: Vec<f64>,
    d_output: Vec<f64>,
    d_h_n: Vec<f64>,
}

impl Case {
    fn new(config: Config, [seq_len, batch]: [usize; 2], lengths: Option<Vec<usize>>, seed: u64) -> Self {
        let mut uniform = SplitMix64::new(seed);
        let mut draw = |len: usize| oracle::widen(&uniform.vec(len, 1.0));
        let (rows, states) = (seq_len * batch, config.num_cells() * batch * config.hidden_size);
        let [x, d_output] = [draw(rows * config.input_size), draw(rows * config.output_size())];
        let [h0, d_h_n] = [draw(states), draw(states)];
        let dropped = if config.dropout > 0.0 { config.num_layers - 1 } else { 0 };
        let keep = 1.0 / (1.0 - f64::from(config.dropout));
        let factor = |v: f64| if v < 0.0 { 0.0 } else { keep };
        let dropout =
            (0..dropped).map(|_| draw(rows * config.output_size()).into_iter().map(factor).collect()).collect();
        let run = Run { seq_len, batch, lengths, episode_starts: None, dropout };
        let cells = oracle::cells(&Weights::random(&config, seed.wrapping_add(1)));
        Self { config, run, cells, x, h0, d_output, d_h_n }
    }

    fn forward(&self) -> Forward {
        oracle::forward(&self.config, &self.cells, &self.run, &self.x, &self.h0)
    }

    fn loss(&self) -> f64 {
        let out = self.forward();
        // What d_output says of steps past a row's end meets zeros.
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product(&out.output, &self.d_output) + product(&out.h_n, &self.d_h_n)
    }

    fn backward(&self) -> Gradients {
        oracle::backward(&self.config, &self.cells, &self.run, &self.forward(), &self.d_output, &self.d_h_n)
    }

    /// Everything that has a gradient, in the order of [`flat`].
    fn inputs(&mut self) -> Vec<&mut f64> {
        let cells = self.cells.iter_mut().flat_map(|cell| {
            let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = cell;
            [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().flatten()
        });
        self.x.iter_mut().chain(&mut self.h0).chain(cells).collect()
    }

    /// The slope of the loss along a direction.
    fn slope(&self, direction: &[f64]) -> f64 {
        let along = |sign: f64| {
            let mut moved = self.clone();
            moved.inputs().into_iter().zip(direction).for_each(|(value, d)| *value += sign * STEP * d);
            moved.loss()
        };
        (along(1.0) - along(-1.0)) / (2.0 * STEP)
    }

    /// The largest difference between the gradients and the slopes of the loss, over all single elements.
    fn error_of(&self, gradients: &[f64]) -> f64 {
        let mut worst = 0.0_f64;
        for index in 0..gradients.len() {
            let mut direction = vec![0.0; gradients.len()];
            direction[index] = 1.0;
            let error = (self.slope(&direction) - gradients[index]).abs();
            worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
        }
        worst
    }

    fn check(&self) {
        let error = self.error_of(&flat(&self.backward()));
        assert!(error < ALLOWED * self.size(), "{error:e}: {:?} {:?}", self.config, self.run);
    }

    /// The size of the numbers that are subtracted.
    fn size(&self) -> f64 {
        self.loss().abs().max(10.0)
    }
}

fn flat(gradients: &Gradients) -> Vec<f64> {
    let mut all = [gradients.d_x.as_slice(), &gradients.d_h0].concat();
    for CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } in &gradients.cells {
        all.extend([weight_ih, weight_hh, bias_ih, bias_hh].into_iter().flatten());
    }
    all
}

#[test]
fn slopes_are_those_of_the_activations() {
    for activation in ACTIVATIONS {
        // No multiple of 0.037 from here lies within a step of a kink: 0, 0.1, or +-2.5.
        for i in -200..200 {
            let x = f64::from(i) * 0.037 + 0.0123;
            let difference = (activate(activation, x + STEP) - activate(activation, x - STEP)) / (2.0 * STEP);
            let error = (difference - slope(activation, x)).abs();
            assert!(error < 1e-9, "{activation:?} at {x}: {error:e}");
            // The slope jumps at a kink, and without a kink it does not. It is 1 at most, and changes no faster.
            let distance = distance_to_kink(activation, x);
            let jumps = |from: f64, to: f64| {
                let jump = |side: f64| (slope(activation, x + side * from) - slope(activation, x + side * to)).abs();
                jump(1.0).max(jump(-1.0)) > 0.1
            };
            let before = distance.min(10.0) - 1e-6;
            let places = (0..=200).map(|part| before * f64::from(part) / 200.0);
            let is_smooth = places.clone().zip(places.skip(1)).all(|(from, to)| !jumps(from, to));
            // Slopes that are constant between kinks are so to the last bit.
            if distance.is_finite() && !matches!(activation, Activation::Elu { .. }) {
                let here = slope(activation, x);
                let differs = |by: f64| [-by, by].iter().any(|by| slope(activation, x + by) != here);
                assert!(!differs(distance - 1e-6) && differs(distance + 1e-6), "{activation:?} at {x}: {distance}");
            }
            let ends = distance.is_infinite() || jumps(before, distance + 1e-6);
            assert!(is_smooth && ends, "{activation:?} at {x}: {distance}");
        }
        assert!(activate(activation, f64::NAN).is_nan(), "{activation:?}");
        assert!(activate(activation, 1e3).is_finite() && activate(activation, -1e3).is_finite(), "{activation:?}");
    }
    approx::assert_relative_eq!(activate(Activation::Softplus, -40.0), (-40.0_f64).exp(), max_relative = 1e-14);
    approx::assert_abs_diff_eq!(activate(Activation::Sigmoid, 0.7) + activate(Activation::Sigmoid, -0.7), 1.0);
}

#[test]
fn every_size() {
    for ([t, b], [i, h]) in [([1, 1], [1, 1]), ([4, 1], [2, 3]), ([3, 2], [5, 1]), ([2, 5], [3, 7])] {
        Case::new(GruConfig::new(i, h).erased(), [t, b], None, 1).check();
        Case::new(RnnConfig::new(i, h).erased(), [t, b], None, 1).check();
    }
}

/// Each option by itself.
#[test]
fn every_option() {
    let gru = || GruConfig::new(3, 4);
    let check = |config: GruConfig| Case::new(config.erased(), [4, 3], None, 2).check();
    for direction in [Direction::Reverse, Direction::Bidirectional] {
        check(gru().direction(direction));
        check(gru().direction(direction).num_layers(2));
        Case::new(gru().direction(direction).erased(), [4, 3], Some(vec![4, 0, 2]), 3).check();
    }
    Case::new(gru().erased(), [4, 3], Some(vec![1, 4, 0]), 3).check();
    check(gru().num_layers(3));
    check(gru().num_layers(3).dropout(0.4));
    check(gru().bias(false));
    check(gru().batch_first(true));
    check(gru().reset(Reset::Before));
    check(gru().clip(0.4));
    for activation in ACTIVATIONS {
        check(gru().gate_activation(activation));
        check(gru().candidate_activation(activation));
        Case::new(RnnConfig::new(3, 4).nonlinearity(activation).erased(), [4, 3], None, 2).check();
    }
}

/// How near a kink an argument may lie: many times what a difference moves it by.
const MARGIN: f64 = 1e-3;

/// All options at once, drawn at random: the slope along a random direction of everything that has a gradient.
#[test]
fn any_options_together() {
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&any_options(), |Options { config, unroll, lengths, episode_starts, has_h0, seed }| {
        let mut case = Case::new(config, [unroll.seq_len, unroll.batch], lengths, seed);
        case.run.episode_starts = episode_starts;
        if !has_h0 {
            case.h0.fill(0.0);
        }
        prop_assume!(case.forward().distance_to_kink(&case.config) > MARGIN, "a kink is near");
        let gradients = flat(&case.backward());
        let direction = oracle::widen(&SplitMix64::new(seed ^ 1).vec(gradients.len(), 1.0));
        let expected: f64 = gradients.iter().zip(&direction).map(|(a, b)| a * b).sum();
        let size = case.size().max(expected.abs()) * (gradients.len() as f64).sqrt();
        let error = (case.slope(&direction) - expected).abs();
        prop_assert!(error < 100.0 * ALLOWED * size, "{:e} of {:e}", error, size);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Past a row's end nothing matters and nothing comes out; a row without a step keeps its state.
#[test]
fn ends_of_rows() {
    let case = Case::new(GruConfig::new(2, 3).num_layers(2).erased(), [4, 3], Some(vec![4, 0, 2]), 5);
    let (out, d) = (case.forward(), case.backward());
    let mut other = case.clone();
    for t in 2..4 {
        other.x[(t * 3 + 2) * 2..][..2].fill(7.0);
        other.d_output[(t * 3 + 2) * 3..][..3].fill(7.0);
        assert_eq!(out.output[(t * 3 + 2) * 3..][..3], [0.0; 3], "zeros past the end");
        assert_eq!(d.d_x[(t * 3 + 2) * 2..][..2], [0.0; 2], "no gradient past the end");
    }
    assert_eq!((other.forward().output, other.backward()), (out.output.clone(), d.clone()));
    for cell in 0..2 {
        let row = (cell * 3 + 1) * 3..(cell * 3 + 2) * 3;
        assert_eq!(out.h_n[row.clone()], case.h0[row.clone()], "the state of a row without a step");
        assert_eq!(d.d_h0[row.clone()], case.d_h_n[row], "and its gradient");
    }
}

/// An episode that begins inside of a row is a sequence of its own, from a state of zero.
#[test]
fn episodes_are_sequences() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let whole = Case::new(GruConfig::new(2, 3).direction(direction).erased(), [5, 1], None, 8);
        let starts = vec![false, false, true, false, false];
        let joined = Case { run: Run { episode_starts: Some(starts), ..whole.run.clone() }, ..whole.clone() };
        joined.check();
        let part = |steps: std::ops::Range<usize>, is_first_taken: bool, is_last_taken: bool| {
            let of = |values: &[f64], taken: bool| if taken { values.to_vec() } else { vec![0.0; 3] };
            Case {
                run: Run { seq_len: steps.len(), ..whole.run.clone() },
                x: whole.x[steps.start * 2..steps.end * 2].to_vec(),
                d_output: whole.d_output[steps.start * 3..steps.end * 3].to_vec(),
                h0: of(&whole.h0, is_first_taken),
                d_h_n: of(&whole.d_h_n, is_last_taken),
                ..whole.clone()
            }
        };
        let forward = direction == Direction::Forward;
        let parts = [part(0..2, forward, !forward), part(2..5, !forward, forward)];
        let outputs = parts.each_ref().map(|part| part.forward().output).concat();
        assert_eq!(joined.forward().output, outputs, "{direction:?}");
        let [first, second] = parts.map(|part| part.backward());
        let both = joined.backward();
        assert_eq!(both.d_x, [first.d_x, second.d_x].concat(), "{direction:?}");
        assert_eq!(both.d_h0, if forward { first.d_h0 } else { second.d_h0 }, "{direction:?}");
        for ((sum, a), b) in
            both.cells[0].weight_hh.iter().zip(&first.cells[0].weight_hh).zip(&second.cells[0].weight_hh)
        {
            assert!((sum - a - b).abs() < 1e-14, "{direction:?}: {sum} is not {a} + {b}");
        }
    }
}

/// The norms, from the definition: the gradient of the loss with respect to the state after a step is that with respect
/// to the first state of the layer that begins there.
#[test]
fn norms_are_those_of_the_state_gradients() {
    let case = Case::new(GruConfig::new(2, 3).erased(), [3, 2], None, 6);
    let d = case.backward();
    for t in 0..3 {
        let rest = Case {
            run: Run { seq_len: 2 - t, ..case.run.clone() },
            x: case.x[(t + 1) * 4..].to_vec(),
            h0: case.forward().output[t * 6..][..6].to_vec(),
            d_output: case.d_output[(t + 1) * 6..].to_vec(),
            ..case.clone()
        };
        let d_state = rest.backward().d_h0.iter().zip(&case.d_output[t * 6..]).map(|(a, b)| a + b).collect::<Vec<_>>();
        let norm = d_state.iter().map(|d| d * d).sum::<f64>().sqrt();
        approx::assert_relative_eq!(d.d_h_norms[t], norm, max_relative = 1e-12);
    }
}

/// The check can fail.
#[test]
fn wrong_gradients_are_found() {
    let case = Case::new(GruConfig::new(3, 4).erased(), [4, 3], None, 8);
    let spoilt = |spoil: &dyn Fn(&mut Gradients)| {
        let mut gradients = case.backward();
        spoil(&mut gradients);
        case.error_of(&flat(&gradients)) / case.size()
    };
    assert!(spoilt(&|_| {}) < ALLOWED, "the gradients themselves pass");
    let swap = |array: &mut [f64]| {
        let gate = array.len() / 3;
        let (r, rest) = array.split_at_mut(gate);
        r.swap_with_slice(&mut rest[..gate]);
    };
    assert!(spoilt(&|d| swap(&mut d.cells[0].weight_hh)) > 100.0 * ALLOWED, "r and z swapped");
    assert!(spoilt(&|d| d.d_x.rotate_left(1)) > 100.0 * ALLOWED, "one element off");
    assert!(spoilt(&|d| d.d_h0[2] += 1e-3) > 100.0 * ALLOWED, "one wrong element");
    assert!(spoilt(&|d| d.d_h0[2] = f64::NAN) > 100.0 * ALLOWED, "NaN");
    let before = Case { config: GruConfig::new(3, 4).reset(Reset::Before).erased(), ..case.clone() };
    let error = case.error_of(&flat(&before.backward())) / case.size();
    assert!(error > 100.0 * ALLOWED, "reset before taken for reset after: {error:e}");
}
