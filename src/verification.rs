//! Is the GPU right? The same batch forward and backward on the user's own device and on the CPU oracle in f64, tensor
//! by tensor, against an error budget derived from the sizes.

use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_len};
use crate::f16::{from_f16, neighbours, to_f16};
use crate::gpu::{Gpu, Tensor};
use crate::layer::{Recurrent, Unrolled};
use crate::reference::dropout::dropout_factor;
use crate::reference::oracle;
use crate::report::{Report, TensorReport};
use crate::rng::SplitMix64;
use crate::tolerance::Tolerance;
use crate::unroll::{Saved, Unroll};
use crate::weights::{CellWeights, Weights, cell_names};

/// A batch on the host: what goes into a forward and a backward pass. L is the number of layers, D that of directions.
///
/// ```
/// use wgpu_gru::GruConfig;
/// use wgpu_gru::verify::Batch;
/// let batch = Batch::random(&GruConfig::new(8, 32), 20, 4, 1);
/// assert_eq!(batch.x.len(), 20 * 4 * 8);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// How long each row is, `[B]`; `None`: all T.
    pub lengths: Option<Vec<usize>>,
    /// Where episodes begin, `[T, B]`; `None`: nowhere inside of the sequence.
    pub episode_starts: Option<Vec<bool>>,
    /// The input, `[T, B, I]`, or `[B, T, I]` if batch-first.
    pub x: Vec<f32>,
    /// The first states, `[LD, B, H]`.
    pub h0: Vec<f32>,
    /// The gradient of the loss with respect to the output, `[T, B, DH]`, or `[B, T, DH]` if batch-first.
    pub d_output: Vec<f32>,
    /// The gradient of the loss with respect to the last states, `[LD, B, H]`, in addition to that of `d_output`.
    pub d_h_n: Vec<f32>,
    /// The seed of dropout.
    pub dropout_seed: u32,
}

/// Elements of an array of a random batch at most: 4 GiB.
const MAX_ELEMENTS: usize = 1 << 30;

impl Batch {
    /// Numbers from U(-1, 1), from a seed; no lengths. Arrays that no memory holds are empty: what takes the batch says
    /// so.
    #[must_use]
    pub fn random<C>(config: &Config<C>, seq_len: usize, batch: usize, seed: u64) -> Self {
        let mut uniform = SplitMix64::new(seed);
        let mut array = |sizes: [usize; 3]| {
            let len = sizes.iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
            uniform.vec(len.filter(|&len| len <= MAX_ELEMENTS).unwrap_or(0), 1.0)
        };
        let state = [config.num_cells(), batch, config.hidden_size];
        Self {
            seq_len,
            batch,
            lengths: None,
            episode_starts: None,
            x: array([seq_len, batch, config.input_size]),
            h0: array(state),
            d_output: array([seq_len, batch, config.output_size()]),
            d_h_n: array(state),
            dropout_seed: uniform.next_u64() as u32,
        }
    }

    fn arrays<C>(&self, config: &Config<C>) -> [(&'static str, Vec<usize>, &[f32]); 4] {
        let (t, b, h) = (self.seq_len, self.batch, config.hidden_size);
        let outer = |width| if config.batch_first { vec![b, t, width] } else { vec![t, b, width] };
        let states = || vec![config.num_cells(), b, h];
        [
            ("x", outer(config.input_size), &self.x),
            ("h0", states(), &self.h0),
            ("d_output", outer(config.output_size()), &self.d_output),
            ("d_h_n", states(), &self.d_h_n),
        ]
    }

    /// The same with first states of zero in rows of length 0, which end in them.
    fn with_zeros_in_empty_rows(&self, config: &Config) -> Self {
        let mut zeroed = self.clone();
        let rows = zeroed.h0.chunks_mut(config.hidden_size.max(1)).enumerate();
        for (_, state) in rows.filter(|&(row, _)| self.lengths.as_ref().is_some_and(|len| len[row % self.batch] == 0)) {
            state.fill(0.0);
        }
        zeroed
    }

    /// What the oracle runs; dropout as in the first forward pass of the seed.
    #[must_use]
    pub fn run<C>(&self, config: &Config<C>) -> oracle::Run {
        let elements = self.seq_len * self.batch * config.output_size();
        let share = config.dropout;
        let factor = |layer| move |element| f64::from(dropout_factor(element, layer, self.dropout_seed, 1, share));
        let layers = if share > 0.0 { config.num_layers - 1 } else { 0 };
        let dropout = (0..layers).map(|layer| (0..elements).map(factor(layer)).collect()).collect();
        let (lengths, episode_starts) = (self.lengths.clone(), self.episode_starts.clone());
        oracle::Run { seq_len: self.seq_len, batch: self.batch, lengths, episode_starts, dropout }
    }
}

/// Verifies a layer with random weights over a random batch of `seq_len` T steps and `batch` B rows, forward and
/// backward, on this device.
///
/// ```no_run
/// # async fn example() -> wgpu_gru::Result<()> {
/// let gpu = wgpu_gru::Gpu::new().await?;
/// let report = wgpu_gru::verify(&gpu, &wgpu_gru::GruConfig::new(28, 64), 20, 8, 1).await?;
/// println!("{report}");
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::OverBudget`] with the report if any tensor is over its budget; those of [`Recurrent::unroll`] and
/// [`Tensor::read`].
pub async fn verify<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: &Config<C>,
    seq_len: usize,
    batch: usize,
    seed: u64,
) -> Result<Report> {
    let unroll = Unroll::training(seq_len, batch);
    config.validate()?;
    unroll.validate()?;
    let layer = Recurrent::new(gpu, config.erased(), seed)?;
    let mut net = layer.unroll(unroll)?;
    verify_batch(&layer, &mut net, &Batch::random(config, seq_len, batch, seed.wrapping_add(1))).await
}

/// [`verify`] of a layer's own weights over a given batch, in an unroll that is there. It writes the unroll's input,
/// lengths, starts of episodes, first states, output gradients and seed of dropout.
///
/// # Errors
/// Those of [`verify`], and [`Error::ShapeMismatch`], [`Error::NotTraining`], [`Error::NoLengths`], [`Error::NoEpisodeStarts`],
/// [`Error::LengthExceeded`]; [`Error::OptionUnavailable`] for an unroll of a layer of another config.
pub async fn verify_batch<C: Copy + Into<Cell>>(
    layer: &Recurrent<C>,
    net: &mut Unrolled,
    batch: &Batch,
) -> Result<Report> {
    let config = layer.config().erased();
    if *net.config() != config {
        let because = "it was unrolled from a layer of another config";
        return Err(Error::OptionUnavailable { option: "the verification of this unroll", because });
    }
    let arrays = batch.arrays(&config);
    net.d_output()?;
    for (name, shape, host) in &arrays {
        expect_len(*name, shape, host.len())?;
    }
    match &batch.lengths {
        Some(lengths) => net.set_lengths(lengths)?,
        // Those of an earlier batch may be there still.
        None if net.unroll().lengths => net.set_lengths(&vec![batch.seq_len; batch.batch])?,
        None => {}
    }
    match &batch.episode_starts {
        Some(starts) => net.set_episode_starts(starts)?,
        None if net.unroll().episode_starts => net.set_episode_starts(&vec![false; batch.seq_len * batch.batch])?,
        None => {}
    }
    if config.dropout > 0.0 {
        net.set_dropout_seed(batch.dropout_seed)?;
    }
    let [x, h0, d_output, d_h_n] = &arrays;
    let upload = |(_, shape, host): &(&str, Vec<usize>, &[f32])| Tensor::from_slice(layer.gpu(), shape, host);
    net.forward(&upload(x)?, Some(&upload(h0)?))?;
    // Backward leaves the states as they are.
    let gradients = net.backward(Some(&upload(d_output)?), Some(&upload(d_h_n)?))?;
    let weights = layer.read_weights().await?;

    let mut tensors = vec![("output".to_owned(), net.output()), ("h_n".to_owned(), net.h_n())];
    tensors.extend(gradients.input.iter().map(|input| ("d_input".to_owned(), input)));
    tensors.push(("d_h0".to_owned(), &gradients.h0));
    tensors.extend(gradients.parameters.named(&config).map(|(name, tensor)| (format!("d_{name}"), tensor)));
    tensors.extend(gradients.norms.iter().map(|norms| ("norms of d_h".to_owned(), norms)));
    let mut expectations = expectation_of(&config, net.unroll(), &weights, batch).into_iter();
    let mut report = Report { tensors: Vec::new() };
    for (name, tensor) in tensors {
        // In the same order; what the unroll does not make is passed over.
        let Some(expected) = expectations.by_ref().find(|expected| expected.tensor == name) else { continue };
        let worst = expected.tolerance.compare(&tensor.read().await?, &expected.values);
        report.tensors.push(TensorReport { tensor: name, tolerance: expected.tolerance, worst });
    }
    if report.passed() { Ok(report) } else { Err(Error::OverBudget(Box::new(report))) }
}

/// What the oracle says of one tensor, and its error budget.
///
/// ```
/// use wgpu_gru::verify::{Batch, expectation};
/// use wgpu_gru::{GruConfig, Weights};
/// let config = GruConfig::new(2, 3);
/// let all = expectation(&config, &Weights::random(&config, 1), &Batch::random(&config, 5, 1, 2));
/// assert_eq!(all[0].tensor, "output");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Its name, as in [`TensorReport`].
    pub tensor: String,
    /// Its numbers.
    pub values: Vec<f64>,
    /// Its budget.
    pub tolerance: Tolerance,
}

/// What the oracle says of a batch, tensor by tensor: `output`, `h_n`, `d_input`, `d_h0`, the gradients of the
/// parameters in PyTorch's order, and `norms of d_h`.
///
/// The budget of a state is [`Tolerance::through_time`] over sums of I + H products, scaled by the largest
/// pre-activation term, for each layer that lies below. The budget of a gradient adds the sums of backward: GH products
/// a step, and T B for weights and biases; it is relative to the largest number of the tensor, since that is what the
/// partial sums are like, and at least to that of the gradients that come in.
#[must_use]
pub fn expectation<C: Copy + Into<Cell>>(config: &Config<C>, weights: &Weights, batch: &Batch) -> Vec<Expectation> {
    expectation_of(config, &Unroll::training(batch.seq_len, batch.batch), weights, batch)
}

/// [`expectation`] where an option of the unroll costs precision.
///
/// - Weights of 16 bits ([`Unroll::f16_weights`]): the oracle runs again with weights that are rounded, once in each of
///   the directions that a device may round in: to the nearest, towards zero, up or down. [`Tolerance::LAMBDA`] times
///   the largest change of any element of a tensor is added to its budget, so a device uses about half of that at most.
///   How far the error of a weight goes depends on all that lies between it and the tensor: how many errors average out
///   in a product, what the slopes let through, how soon the update gate forgets, whether a plain RNN forgets at all. A
///   formula of the sizes has to allow for the worst of these, and a GRU used a thirtieth of it.
/// - Products of 16 bits ([`Unroll::f16_products`]): the same for the weights of the input, each moved by twice its
///   rounding since the other operand is rounded as well. The gradients of the weights, whose operands both come from
///   the batch, have [`Tolerance::f16`] more for the two roundings of each term.
/// - Gates of 16 bits ([`Saved::F16`]): [`Tolerance::f16`] a layer in the gradients, scaled as the rest of the budget
///   is. It is not multiplied by the root of T: d_h carries an error of one step into the step before it only times the
///   update gate, so the errors die away as fast as what is added to d_h itself.
#[must_use]
pub fn expectation_of<C: Copy + Into<Cell>>(
    config: &Config<C>,
    unroll: &Unroll,
    weights: &Weights,
    batch: &Batch,
) -> Vec<Expectation> {
    let half_if = |wanted: bool| if wanted { Tolerance::f16() } else { Tolerance::EXACT };
    let half_gates = half_if(unroll.saved == Saved::F16);
    let half_products = half_if(unroll.f16_products);
    // Gates that are made again come from a product more, where the steps forward had 32 bits.
    let gates_again = if unroll.saved == Saved::Recompute { half_products } else { Tolerance::EXACT };
    let config = &config.erased();
    let batch = &if unroll.zero_empty_rows { batch.with_zeros_in_empty_rows(config) } else { batch.clone() };
    let (t, h) = (batch.seq_len, config.hidden_size);
    let exact = Passes::new(config, &oracle::cells(weights), batch);
    let mut of_roundings = exact.changes(config, unroll, weights, batch).into_iter();
    let Passes { forward, gradients: d } = exact;

    // Terms of a pre-activation are about largest weight * sqrt(k) * largest input: 1 for weights from U(+-1/sqrt(k))
    // and states up to 1.
    let largest = |values: &[f32]| values.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
    let state = largest(&batch.h0).max(forward.largest_state()).max(1.0);
    let x = largest(&batch.x);
    let term = |weight: &[f32], k: usize, source: f64| largest(weight) * (k as f64).sqrt() * source;
    let mut through_time = Tolerance::EXACT;
    for layer in 0..config.num_layers {
        let inputs = config.layer_input_size(layer);
        let source = if layer == 0 { x } else { state };
        let mut terms = 1.0_f64;
        for cell in &weights.cells[layer * config.directions()..][..config.directions()] {
            terms = terms.max(term(&cell.weight_ih, inputs, source) + term(&cell.weight_hh, h, state));
        }
        through_time = through_time.plus(Tolerance::through_time(inputs + h, t).scaled(terms * state));
    }
    let back_step = Tolerance::through_time(config.cell().gates() * h, t).plus(half_gates).plus(gates_again);
    let back = (0..config.num_layers).fold(through_time, |sum, _| sum.plus(back_step));
    let of_weights = back.plus(Tolerance::matmul(t * batch.batch)).plus(half_products);
    let incoming = largest(&batch.d_output).max(largest(&batch.d_h_n));
    let relative = |budget: Tolerance, values: &[f64], source: f64| {
        budget.scaled(values.iter().fold(source * incoming, |most, value| most.max(value.abs())))
    };

    let mut list = Vec::new();
    let mut add = |tensor: String, values: Vec<f64>, tolerance: Tolerance| {
        let of_roundings = Tolerance { abs: Tolerance::LAMBDA * of_roundings.next().unwrap_or(0.0), rel: 0.0 };
        list.push(Expectation { tensor, values, tolerance: tolerance.plus(of_roundings) });
    };
    add("output".into(), forward.output, through_time);
    add("h_n".into(), forward.h_n, through_time);
    let tolerance = relative(back, &d.d_x, 1.0);
    add("d_input".into(), d.d_x, tolerance);
    let tolerance = relative(back, &d.d_h0, 1.0);
    add("d_h0".into(), d.d_h0, tolerance);
    for ((index, cell), suffix) in d.cells.into_iter().enumerate().zip(cell_names(config)) {
        let source = if index < config.directions() { x } else { state };
        let arrays = [(cell.weight_ih, source), (cell.weight_hh, state), (cell.bias_ih, 1.0), (cell.bias_hh, 1.0)];
        for (name, (values, source)) in CellWeights::NAMES.into_iter().zip(arrays) {
            if !values.is_empty() {
                let tolerance = relative(of_weights, &values, source);
                add(format!("d_{name}{suffix}"), values, tolerance);
            }
        }
    }
    let tolerance =
        relative(back.scaled((batch.batch * h) as f64).plus(Tolerance::matmul(batch.batch * h)), &d.d_h_norms, 1.0);
    add("norms of d_h".into(), d.d_h_norms, tolerance);
    list
}

/// Both passes of the oracle.
struct Passes {
    forward: oracle::Forward,
    gradients: oracle::Gradients,
}

impl Passes {
    fn new(config: &Config, cells: &[oracle::CellWeights], batch: &Batch) -> Self {
        let run = batch.run(config);
        let [x, h0, d_output, d_h_n] =
            [&batch.x, &batch.h0, &batch.d_output, &batch.d_h_n].map(|host| oracle::widen(host));
        let forward = oracle::forward(config, cells, &run, &x, &h0);
        let gradients = oracle::backward(config, cells, &run, &forward, &d_output, &d_h_n);
        Self { forward, gradients }
    }

    /// Every tensor, in the order of the expectations.
    fn tensors(&self) -> Vec<&[f64]> {
        let mut list: Vec<&[f64]> =
            vec![&self.forward.output, &self.forward.h_n, &self.gradients.d_x, &self.gradients.d_h0];
        for cell in &self.gradients.cells {
            let arrays = [&cell.weight_ih, &cell.weight_hh, &cell.bias_ih, &cell.bias_hh];
            list.extend(arrays.into_iter().filter(|array| !array.is_empty()).map(Vec::as_slice));
        }
        list.push(&self.gradients.d_h_norms);
        list
    }

    /// The largest change of any element of each tensor where the weights are rounded as the options of the unroll have
    /// it.
    fn changes(&self, config: &Config, unroll: &Unroll, weights: &Weights, batch: &Batch) -> Vec<f64> {
        let mut largest = vec![0.0_f64; self.tensors().len()];
        if !unroll.f16_weights && !unroll.f16_products {
            return largest;
        }
        for round in ROUNDINGS {
            let moved = |weights: &[f32], times: f64| {
                let moved = |&weight: &f32| {
                    let rounded = round(weight);
                    let change = if weight.is_finite() { f64::from(rounded) - f64::from(weight) } else { 0.0 };
                    f64::from(weight) + times * change
                };
                weights.iter().map(moved).collect()
            };
            let mut cells = oracle::cells(weights);
            for (cell, weights) in cells.iter_mut().zip(&weights.cells) {
                if unroll.f16_weights {
                    cell.weight_hh = moved(&weights.weight_hh, 1.0);
                }
                if unroll.f16_products {
                    cell.weight_ih = moved(&weights.weight_ih, 2.0);
                }
            }
            let rounded = Self::new(config, &cells, batch);
            for ((largest, exact), rounded) in largest.iter_mut().zip(self.tensors()).zip(rounded.tensors()) {
                let changes = exact.iter().zip(rounded).map(|(exact, rounded)| (rounded - exact).abs());
                *largest = changes.fold(*largest, f64::max);
            }
        }
        largest
    }
}

/// How a device may round a number to 16 bits, where WGSL leaves it the choice of the neighbour: in one of the
/// directions of IEEE 754, to the nearest, towards zero, up or down. What is below 2^-14 it may take for zero.
const ROUNDINGS: [fn(f32) -> f32; 4] = [
    |number| from_f16(to_f16(number)),
    |number| if number.abs() < 2_f32.powi(-14) { 0.0 } else { neighbours(number)[0] },
    |number| neighbours(number)[usize::from(number > 0.0)],
    |number| neighbours(number)[usize::from(number < 0.0)],
];
