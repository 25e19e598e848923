//! Is the GPU right? The same batch forward and backward on the user's own device and on the CPU oracle in f64, tensor by
//! tensor, against an error budget derived from the sizes.

use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_len};
use crate::gpu::{Gpu, Tensor};
use crate::layer::{Recurrent, Unrolled};
use crate::reference::arrange::dropout_factor;
use crate::reference::oracle;
use crate::report::{Report, TensorReport};
use crate::rng::SplitMix64;
use crate::tolerance::Tolerance;
use crate::unroll::{Saved, Unroll};
use crate::weights::{CellWeights, Weights, cell_names};

/// A batch on the host: what goes into a forward and a backward pass. L is the number of layers, D that of directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// How long each row is, `[B]`; `None`: all T.
    pub lengths: Option<Vec<usize>>,
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
    /// Numbers from U(-1, 1), from a seed; no lengths. Arrays that no memory holds are empty: what takes the batch says so.
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

    /// What the oracle runs; dropout as in the first forward pass of the seed.
    #[must_use]
    pub fn run<C>(&self, config: &Config<C>) -> oracle::Run {
        let elements = self.seq_len * self.batch * config.output_size();
        let share = config.dropout;
        let factor = |layer| move |element| f64::from(dropout_factor(element, layer, self.dropout_seed, 1, share));
        let layers = if share > 0.0 { config.num_layers - 1 } else { 0 };
        let dropout = (0..layers).map(|layer| (0..elements).map(factor(layer)).collect()).collect();
        oracle::Run { seq_len: self.seq_len, batch: self.batch, lengths: self.lengths.clone(), dropout }
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
/// lengths, first states, output gradients and seed of dropout.
///
/// # Errors
/// Those of [`verify`], and [`Error::ShapeMismatch`], [`Error::NotTraining`], [`Error::NoLengths`],
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
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Its name, as in [`TensorReport`].
    pub tensor: String,
    /// Its numbers.
    pub values: Vec<f64>,
    /// Its budget.
    pub tolerance: Tolerance,
}

/// What the oracle says of a batch, tensor by tensor: `output`, `h_n`, `d_input`, `d_h0`, the gradients of the parameters in
/// PyTorch's order, and `norms of d_h`.
///
/// The budget of a state is [`Tolerance::through_time`] over sums of I + H products, scaled by the largest pre-activation
/// term, for each layer that lies below. The budget of a gradient adds the sums of backward: GH products a step, and T B for
/// weights and biases; it is relative to the largest number of the tensor, since that is what the partial sums are like, and
/// at least to that of the gradients that come in.
#[must_use]
pub fn expectation<C: Copy + Into<Cell>>(config: &Config<C>, weights: &Weights, batch: &Batch) -> Vec<Expectation> {
    expectation_of(config, &Unroll::training(batch.seq_len, batch.batch), weights, batch)
}

/// [`expectation`] where an option of the unroll costs precision: [`Tolerance::f16`] a layer more for the numbers that are
/// stored as ones of 16 bits, scaled as the rest of the budget is; and for products of such numbers once for each operand: in a
/// layer forward, in one backward, and in the gradients of its weights. It is not multiplied by the root of T: these errors are so
/// much larger than those of rounding sums that it shows how they die away, as what a step adds to the state does.
#[must_use]
pub fn expectation_of<C: Copy + Into<Cell>>(
    config: &Config<C>,
    unroll: &Unroll,
    weights: &Weights,
    batch: &Batch,
) -> Vec<Expectation> {
    let half_if = |wanted: bool| if wanted { Tolerance::f16() } else { Tolerance::EXACT };
    let half_weights = half_if(unroll.f16_weights);
    let half_gates = half_if(unroll.saved == Saved::F16);
    // Both operands of a product.
    let half_products = half_if(unroll.f16_products).plus(half_if(unroll.f16_products));
    // Gates that are made again come from a product more, where the steps forward had 32 bits.
    let gates_again = if unroll.saved == Saved::Recompute { half_products } else { Tolerance::EXACT };
    let config = &config.erased();
    let (t, h) = (batch.seq_len, config.hidden_size);
    let (run, cells) = (batch.run(config), oracle::cells(weights));
    let forward = oracle::forward(config, &cells, &run, &oracle::widen(&batch.x), &oracle::widen(&batch.h0));
    let (d_output, d_h_n) = (oracle::widen(&batch.d_output), oracle::widen(&batch.d_h_n));
    let d = oracle::backward(config, &cells, &run, &forward, &d_output, &d_h_n);

    // Terms of a pre-activation are about largest weight * sqrt(k) * largest input: 1 for weights from U(+-1/sqrt(k)) and
    // states up to 1.
    let largest = |values: &[f32]| values.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
    let state = largest(&batch.h0).max(forward.largest_state()).max(1.0);
    let x = largest(&batch.x);
    let term = |weight: &[f32], k: usize, source: f64| largest(weight) * (k as f64).sqrt() * source;
    let mut through_time = Tolerance::EXACT;
    for layer in 0..config.num_layers {
        let inputs = config.layer_input_size(layer);
        let source = if layer == 0 { x } else { state };
        let (mut terms, mut terms_ih, mut terms_hh) = (1.0_f64, 0.0_f64, 0.0_f64);
        for cell in &weights.cells[layer * config.directions()..][..config.directions()] {
            let term_hh = term(&cell.weight_hh, h, state);
            let term_ih = term(&cell.weight_ih, inputs, source);
            terms = terms.max(term_ih + term_hh);
            (terms_ih, terms_hh) = (terms_ih.max(term_ih), terms_hh.max(term_hh));
        }
        let of_layer = Tolerance::through_time(inputs + h, t).scaled(terms * state);
        through_time = through_time.plus(of_layer).plus(half_weights.scaled(terms_hh * state));
        through_time = through_time.plus(half_products.scaled(terms_ih * state));
    }
    let of_halves = half_weights.plus(half_gates).plus(half_products).plus(gates_again);
    let back_step = Tolerance::through_time(config.cell().gates() * h, t).plus(of_halves);
    let back = (0..config.num_layers).fold(through_time, |sum, _| sum.plus(back_step));
    let of_weights = back.plus(Tolerance::matmul(t * batch.batch)).plus(half_products);
    let incoming = largest(&batch.d_output).max(largest(&batch.d_h_n));
    let relative = |budget: Tolerance, values: &[f64], source: f64| {
        budget.scaled(values.iter().fold(source * incoming, |most, value| most.max(value.abs())))
    };

    let mut list = Vec::new();
    let mut add = |tensor: String, values: Vec<f64>, tolerance| list.push(Expectation { tensor, values, tolerance });
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
