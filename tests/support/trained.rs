//! The runs of `runs` on the host: head, loss, embedding and optimiser by their twins, the layer by the oracle in f64
//! or by the operations of its plan in f32. And how far a GPU may be from PyTorch's numbers after so many steps.

use wgpu_gru::harness::run_by_twins;
use wgpu_gru::reference::oracle;
use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::embedding::embedding;
use wgpu_gru::reference::twins::embedding_backward::embedding_backward;
use wgpu_gru::reference::twins::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::twins::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{self, expectation};
use wgpu_gru::wgpu::{DeviceType, Limits};
use wgpu_gru::{Plan, Tolerance, Unroll};

use super::numbers::{largest, note};
use super::runs::{Given, Run, layer_weights};
use super::steps::ByTwins;
use super::train::{Wanted, near};

/// What a run makes: the loss of each step, and the parameters after the last one.
#[derive(Debug, Clone)]
pub(crate) struct Trained {
    pub(crate) losses: Vec<f64>,
    pub(crate) parameters: Vec<Vec<f64>>,
}

/// What goes into a pass of a layer whose first states are zeros.
pub(crate) struct Pass<'a, R> {
    run: &'a Run,
    weights: &'a [Vec<R>],
    lengths: Option<&'a Vec<usize>>,
    x: &'a [R],
    d_output: Vec<R>,
    d_h_n: Vec<R>,
}

/// Output and last states, the gradient of the input and those of the weights.
pub(crate) struct Passed<R> {
    output: Vec<R>,
    h_n: Vec<R>,
    d_x: Vec<R>,
    d_weights: Vec<Vec<R>>,
}

/// The gradients of the weights, in PyTorch's order.
const D_WEIGHTS: [&str; 4] = ["d_weight_ih_l0", "d_weight_hh_l0", "d_bias_ih_l0", "d_bias_hh_l0"];

/// Who computes a layer.
pub(crate) type Layer<R> = fn(&Pass<'_, R>) -> Passed<R>;

/// By the oracle.
pub(crate) fn by_oracle(pass: &Pass<'_, f64>) -> Passed<f64> {
    let Pass { run, weights, lengths, x, d_output, d_h_n } = pass;
    let [seq_len, batch, _, hidden, _] = run.sizes;
    let [weight_ih, weight_hh, bias_ih, bias_hh] = [0, 1, 2, 3].map(|array: usize| weights[array].clone());
    let cells = [oracle::CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }];
    let config = run.config();
    let run = oracle::Run { seq_len, batch, lengths: lengths.cloned(), episode_starts: None, dropout: vec![] };
    let forward = oracle::forward(&config, &cells, &run, x, &vec![0.0; batch * hidden]);
    let gradients = oracle::backward(&config, &cells, &run, &forward, d_output, d_h_n);
    let d_weights = gradients.cells.into_iter().flat_map(|d| [d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh]);
    Passed { output: forward.output, h_n: forward.h_n, d_x: gradients.d_x, d_weights: d_weights.collect() }
}

/// By the operations that a GPU executes.
pub(crate) fn by_plan(pass: &Pass<'_, f32>) -> Passed<f32> {
    let run = pass.run;
    let [t, b, ..] = run.sizes;
    let unroll = Unroll::training(t, b).lengths(pass.lengths.is_some());
    let plan = Plan::new(&run.config(), &unroll, &Limits::default(), DeviceType::DiscreteGpu).expect("a plan");
    let made = run_by_twins::<f32>(&plan, &layer_weights(pass.weights), &pass.batch());
    let of = |name: &str| made.iter().find(|(made, _)| made == name).expect("a tensor").1.clone();
    Passed { output: of("output"), h_n: of("h_n"), d_x: of("d_input"), d_weights: D_WEIGHTS.map(of).to_vec() }
}

fn narrow<R: Real>(values: &[R]) -> Vec<f32> {
    values.iter().map(|&value| value.into() as f32).collect()
}

fn real<R: Real>(values: &[f32]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(value.into())).collect()
}

impl<R: Real> Pass<'_, R> {
    fn batch(&self) -> verify::Batch {
        let [seq_len, batch, _, hidden, _] = self.run.sizes;
        verify::Batch {
            seq_len,
            batch,
            lengths: self.lengths.cloned(),
            episode_starts: None,
            x: narrow(self.x),
            h0: vec![0.0; batch * hidden],
            d_output: narrow(&self.d_output),
            d_h_n: narrow(&self.d_h_n),
            dropout_seed: 0,
        }
    }

    /// A pass with numbers that are as far off as those of a GPU may be.
    fn rounded(&self, layer: Layer<R>, roundings: &mut Roundings) -> Passed<R> {
        let mut passed = layer(self);
        if roundings.0.is_some() {
            let Passed { output, h_n, d_x, d_weights } = &mut passed;
            let weights = self.weights.iter().map(|array| narrow(array)).collect::<Vec<_>>();
            let budgets = expectation(&self.run.config(), &layer_weights(&weights), &self.batch());
            let budget =
                |tensor: &str| budgets.iter().find(|budget| budget.tensor == tensor).expect("a budget").tolerance;
            roundings.apply(output, budget("output"));
            roundings.apply(h_n, budget("h_n"));
            roundings.apply(d_x, budget("d_input"));
            d_weights.iter_mut().zip(D_WEIGHTS).for_each(|(d, name)| roundings.apply(d, budget(name)));
        }
        passed
    }
}

/// Puts numbers off by any share of their budgets, or leaves them as they are.
struct Roundings(Option<SplitMix64>);

impl Roundings {
    /// What is exactly 0 is a sum of nothing, and has no rounding.
    fn apply<R: Real>(&mut self, values: &mut [R], Tolerance { abs, rel }: Tolerance) {
        let Some(uniform) = &mut self.0 else { return };
        for value in values.iter_mut().filter(|value| **value != R::default()) {
            let exact: f64 = (*value).into();
            *value = R::from_f64(exact + (abs + rel * exact.abs()) * f64::from(uniform.next_f32()));
        }
    }

    /// Of sums of `k` products, relative to the largest of them.
    fn sums<R: Real>(&mut self, k: usize, values: &mut [R]) {
        let tolerance = Tolerance::matmul(k).scaled(largest(values));
        self.apply(values, tolerance);
    }
}

/// The whole run.
pub(crate) fn train<R: Real>(run: &Run, given: &Given, layer: Layer<R>) -> Trained {
    train_rounded(run, given, layer, &mut Roundings(None))
}

fn train_rounded<R: Real>(run: &Run, given: &Given, layer: Layer<R>, roundings: &mut Roundings) -> Trained {
    let [_, b, inputs, hidden, outputs] = run.sizes;
    let (rows, first) = (run.rows(), run.layer());
    let mut parameters: Vec<Vec<R>> = given.parameters.iter().map(|parameter| real(parameter)).collect();
    let mut optimiser = ByTwins::new(run.optimiser, &run.options, run.clip(), &parameters);
    let mut losses = Vec::new();
    for batch in &given.steps {
        let (weights, head) = (&parameters[first..][..4], &parameters[first + 4..]);
        let places = batch.indices.len();
        let mut x = real(&batch.x);
        if let Some(rows) = run.vocabulary {
            x = vec![R::default(); places * inputs];
            embedding([rows, inputs], &parameters[0], &batch.indices, &mut x);
        }
        let zeros = |len| vec![R::default(); len];
        let lengths = batch.lengths.as_ref();
        let outer = run.outer().iter().product::<usize>();
        let mut pass = Pass { run, weights, lengths, x: &x, d_output: zeros(outer * hidden), d_h_n: zeros(b * hidden) };
        let Passed { output, h_n, .. } = pass.rounded(layer, roundings);
        let states = if run.of_last { h_n } else { output };

        let (mut prediction, mut d) = (zeros(rows * outputs), zeros(rows * outputs));
        let forward =
            MatmulParams { m: rows, n: outputs, k: hidden, transpose_a: false, transpose_b: true, accumulate: false };
        matmul(&forward, &states, &head[0], Some(&head[1]), &mut prediction);
        roundings.sums(hidden, &mut prediction);
        let (numbers, of_rows) = (real(&batch.numbers), batch.weights.as_deref().map(real));
        let ignored = run.ignored();
        let wanted = Wanted { numbers: &numbers, classes: &batch.classes, ignored, weights: of_rows.as_deref() };
        let mut loss = [run.kind.by_twin(outputs, &prediction, wanted, &mut d)];
        let budgets = [near(&loss), near(&d)];
        roundings.apply(&mut loss, budgets[0]);
        roundings.apply(&mut d, budgets[1]);
        losses.push(loss[0].into());

        let mut d_head = [zeros(outputs * hidden), zeros(outputs)];
        let of_weight =
            MatmulParams { m: outputs, n: hidden, k: rows, transpose_a: true, transpose_b: false, ..forward };
        matmul(&of_weight, &d, &states, None, &mut d_head[0]);
        sum_rows(rows, outputs, false, &d, &mut d_head[1]);
        d_head.iter_mut().for_each(|d| roundings.sums(rows, d));
        let of_input = MatmulParams { n: hidden, k: outputs, transpose_b: false, ..forward };
        let d_states = if run.of_last { &mut pass.d_h_n } else { &mut pass.d_output };
        matmul(&of_input, &d, &head[0], None, d_states);
        roundings.sums(outputs, d_states);
        let Passed { d_x, d_weights, .. } = pass.rounded(layer, roundings);
        let d_table = run.vocabulary.map(|rows| {
            let mut d_table = zeros(rows * inputs);
            embedding_backward([rows, inputs], &batch.indices, run.padding_idx, &d_x, &mut d_table);
            roundings.sums(places, &mut d_table);
            d_table
        });
        let gradients: Vec<_> = d_table.into_iter().chain(d_weights).chain(d_head).collect();
        optimiser.step(&gradients, &[], &mut parameters);
        parameters.iter_mut().for_each(|parameter| roundings.apply(parameter, Tolerance::through_time(1, 1)));
    }
    let parameters = parameters.into_iter().map(|parameter| parameter.into_iter().map(Into::into).collect());
    Trained { losses, parameters: parameters.collect() }
}

/// Runs with numbers that are off, for the budgets of a run.
const DISTURBED: u64 = 32;

/// How far a run in f32 may be from one in f64, number by number.
///
/// Each number of a step has the budget of its kind: [`expectation`] in the layer, [`Tolerance::matmul`] in head and
/// embedding, that of a single loss, and one rounding of each parameter. What the steps after it make of an error
/// depends on the curvature of the loss, on momentum, and in Adam on the gradients by whose size it divides, some of
/// which are nearly 0: no formula of the sizes knows it. So the run in f64 is repeated with all of these numbers off by
/// random shares of their budgets, in each step anew. As far as errors are small a run is linear in them, and as they
/// do not conspire, the budget of what comes out is the root of the sum of the squares of the budgets, each times what
/// becomes of it. A random share from [-1, 1) has a standard deviation of 1 / sqrt(3): so that root is sqrt(3) standard
/// deviations of what comes out.
pub(crate) fn budgets(run: &Run, given: &Given) -> Trained {
    let exact = train(run, given, by_oracle);
    let zeros = |values: &Vec<f64>| vec![0.0; values.len()];
    let mut squares =
        Trained { losses: zeros(&exact.losses), parameters: exact.parameters.iter().map(zeros).collect() };
    for seed in 1..=DISTURBED {
        let off = train_rounded(run, given, by_oracle, &mut Roundings(Some(SplitMix64::new(seed))));
        let pairs = off.numbers().zip(exact.numbers());
        squares.numbers_mut().zip(pairs).for_each(|(sum, (off, exact))| *sum += (off - exact).powi(2));
    }
    squares.numbers_mut().for_each(|sum| *sum = (3.0 * *sum / DISTURBED as f64).sqrt());
    squares
}

impl Trained {
    fn numbers(&self) -> impl Iterator<Item = &f64> {
        self.losses.iter().chain(self.parameters.iter().flatten())
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.losses.iter_mut().chain(self.parameters.iter_mut().flatten())
    }

    /// Budgets of a run in f64: as much smaller as its roundings.
    pub(crate) fn in_f64(mut self) -> Self {
        self.numbers_mut().for_each(|budget| *budget *= f64::EPSILON / f64::from(f32::EPSILON));
        self
    }

    /// Fails unless all numbers are those of PyTorch's run, within their budgets.
    #[track_caller]
    pub(crate) fn assert_near(&self, run: &Run, budgets: &Self) {
        let out = self.disagreements(run, budgets);
        assert!(out.is_empty(), "{} of {} numbers, {}", out.len(), self.numbers().count(), out[0]);
    }

    /// Which numbers are not those of PyTorch's run, within their budgets.
    pub(crate) fn disagreements(&self, run: &Run, budgets: &Self) -> Vec<String> {
        let expected = Self { losses: run.losses.clone(), parameters: run.after() };
        assert_eq!(self.numbers().count(), expected.numbers().count(), "numbers of {}", run.name);
        let losses = (1..=run.losses.len()).map(|step| format!("{}: loss of step {step}", run.name));
        let shapes = run.shapes().into_iter();
        let parameters = shapes.flat_map(|(name, shape)| {
            (0..shape.iter().product()).map(move |index: usize| format!("{}: {name}[{index}]", run.name))
        });
        let pairs = self.numbers().zip(expected.numbers()).zip(budgets.numbers());
        let compare = |(name, ((&actual, &expected), &abs)): (String, ((&f64, &f64), &f64))| {
            let share = Tolerance { abs, rel: 0.0 }.share(actual, expected);
            note(share);
            let is_out = share > 1.0;
            is_out.then(|| format!("{name} is {actual:e}, expected {expected:e}: {share:.2} of the budget {abs:e}"))
        };
        losses.chain(parameters).zip(pairs).filter_map(compare).collect()
    }
}
