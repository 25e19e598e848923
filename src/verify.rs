//! Is the GPU right? The same batch forward and backward on the user's own device and on the CPU oracle in f64, tensor by
//! tensor, against an error budget derived from the sizes.

use std::fmt;

use crate::config::{GruConfig, Unroll};
use crate::error::{Error, Result, expect_len};
use crate::gpu::{Gpu, Tensor};
use crate::layer::{Gru, UnrolledGru};
use crate::reference::oracle;
use crate::tolerance::{Comparison, Tolerance};
use crate::weights::{GruWeights, Uniform};

/// A batch on the host: what goes into a forward and a backward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// The input, `[T, B, I]`.
    pub x: Vec<f32>,
    /// The first state, `[B, H]`.
    pub h0: Vec<f32>,
    /// The gradient of the loss with respect to the output, `[T, B, H]`.
    pub d_output: Vec<f32>,
    /// The gradient of the loss with respect to the last state, `[B, H]`, in addition to that of `d_output`.
    pub d_h_n: Vec<f32>,
}

impl Batch {
    /// Numbers from U(-1, 1), from a seed.
    #[must_use]
    pub fn random(config: &GruConfig, seq_len: usize, batch: usize, seed: u64) -> Self {
        let mut uniform = Uniform::new(seed);
        let (i, h) = (config.input_size(), config.hidden_size());
        Self {
            seq_len,
            batch,
            x: uniform.vec(seq_len * batch * i, 1.0),
            h0: uniform.vec(batch * h, 1.0),
            d_output: uniform.vec(seq_len * batch * h, 1.0),
            d_h_n: uniform.vec(batch * h, 1.0),
        }
    }

    fn arrays(&self, config: &GruConfig) -> [(&'static str, Vec<usize>, &[f32]); 4] {
        let (t, b, i, h) = (self.seq_len, self.batch, config.input_size(), config.hidden_size());
        [
            ("x", vec![t, b, i], &self.x),
            ("h0", vec![b, h], &self.h0),
            ("d_output", vec![t, b, h], &self.d_output),
            ("d_h_n", vec![b, h], &self.d_h_n),
        ]
    }
}

/// How one tensor compares.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorReport {
    /// Its name.
    pub tensor: &'static str,
    /// The budget that was allowed.
    pub tolerance: Tolerance,
    /// The worst element, and the largest error.
    pub worst: Comparison,
}

/// How all tensors compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry a tensor: output, h_n, and the gradients.
    pub tensors: Vec<TensorReport>,
}

impl Report {
    /// The largest share of the budget that any tensor uses. At most 1 is a pass.
    #[must_use]
    pub fn worst_share(&self) -> f64 {
        self.tensors.iter().map(|tensor| tensor.worst.share).fold(0.0, f64::max)
    }

    /// Whether every element of every tensor is within its budget.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.tensors.iter().all(|tensor| tensor.worst.passed())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |passed| if passed { "" } else { "  OVER BUDGET" };
        for (line, TensorReport { tensor, worst, .. }) in self.tensors.iter().enumerate() {
            if line > 0 {
                writeln!(f)?;
            }
            let Comparison { index, actual, expected, share, max_error } = worst;
            write!(
                f,
                "{tensor:<12} largest error {max_error:.2e}, {:6.2} % of the budget, worst [{index}] {actual:.7e} against {expected:.7e}{}",
                share * 100.0,
                mark(worst.passed())
            )?;
        }
        Ok(())
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
/// [`Error::OverBudget`] with the report if any tensor is over its budget; those of [`Gru::unroll`] and
/// [`Tensor::read`].
pub async fn verify(gpu: &Gpu, config: &GruConfig, seq_len: usize, batch: usize, seed: u64) -> Result<Report> {
    let unroll = Unroll::training(seq_len, batch);
    config.validate()?;
    unroll.validate()?;
    let gru = Gru::new(gpu, config.clone(), seed)?;
    let mut net = gru.unroll(unroll)?;
    verify_batch(&gru, &mut net, &Batch::random(config, seq_len, batch, seed.wrapping_add(1))).await
}

/// [`verify`] of a layer's own weights over a given batch, in an unroll that is there. It writes the unroll's input,
/// first state and output gradients.
///
/// # Errors
/// Those of [`verify`], and [`Error::ShapeMismatch`], [`Error::NotTraining`].
pub async fn verify_batch(gru: &Gru, net: &mut UnrolledGru, batch: &Batch) -> Result<Report> {
    let arrays = batch.arrays(gru.config());
    net.d_output()?;
    for (name, shape, host) in &arrays {
        expect_len(name, shape, host.len())?;
    }
    let [x, h0, d_output, d_h_n] = &arrays;
    let upload = |(_, shape, host): &(&str, Vec<usize>, &[f32])| Tensor::from_slice(gru.gpu(), shape, host);
    net.forward(&upload(x)?, Some(&upload(h0)?))?;
    // Backward leaves the states as they are.
    let gradients = net.backward(Some(&upload(d_output)?), Some(&upload(d_h_n)?))?;
    let weights = gru.read_weights().await?;
    let (expected, budgets) = expectation(gru.config(), &weights, batch);

    let [d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh] = gradients.parameters.tensors();
    let tensors = [
        ("output", Some(net.output())),
        ("h_n", Some(net.h_n())),
        ("d_input", gradients.input.as_ref()),
        ("d_h0", Some(&gradients.h0)),
        ("d_weight_ih", Some(d_weight_ih)),
        ("d_weight_hh", Some(d_weight_hh)),
        ("d_bias_ih", Some(d_bias_ih)),
        ("d_bias_hh", Some(d_bias_hh)),
    ];
    let mut report = Report { tensors: Vec::new() };
    for (((name, tensor), tolerance), expected) in tensors.into_iter().zip(budgets).zip(&expected) {
        // No gradient of the input, where the unroll was told not to make it.
        let Some(tensor) = tensor else { continue };
        let worst = tolerance.compare(&tensor.read().await?, expected);
        report.tensors.push(TensorReport { tensor: name, tolerance, worst });
    }
    if report.passed() { Ok(report) } else { Err(Error::OverBudget(Box::new(report))) }
}

/// What the oracle says of a batch, and the error budget of each tensor, in the order output, h_n,
/// `d_input`, `d_h0`, `d_weight_ih`, `d_weight_hh`, `d_bias_ih`, `d_bias_hh`.
///
/// The budget of a state is [`Tolerance::through_time`] over sums of I + H products, scaled by the largest pre-activation
/// term. The budget of a gradient adds the sums of backward: 3H products a step, and T B for weights and biases; it is
/// relative to the largest number of the tensor, since that is what the partial sums are like.
#[must_use]
pub fn expectation(config: &GruConfig, weights: &GruWeights, batch: &Batch) -> ([Vec<f64>; 8], [Tolerance; 8]) {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (t, b, i, h) = (batch.seq_len, batch.batch, config.input_size(), config.hidden_size());
    let oracle_weights = oracle::Weights::from(weights);
    let x = wide(&batch.x);
    let forward = oracle::forward(config, &oracle_weights, t, b, &x, &wide(&batch.h0));
    let d = oracle::backward(config, &oracle_weights, &x, &forward, &wide(&batch.d_output), &wide(&batch.d_h_n));
    let (output, h_n) = (forward.output().to_vec(), forward.h_n().to_vec());
    let expected = [output, h_n, d.d_x, d.d_h0, d.d_weight_ih, d.d_weight_hh, d.d_bias_ih, d.d_bias_hh];

    // Terms of a pre-activation are about largest weight * sqrt(k) * largest input: 1 for weights from U(+-1/sqrt(k)) and
    // states up to 1.
    let largest = |values: &[f32]| values.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
    let term = |weight: &[f32], k: usize, source: f64| largest(weight) * (k as f64).sqrt() * source;
    let state = largest(&batch.h0).max(1.0);
    let terms = term(&weights.weight_ih, i, largest(&batch.x)) + term(&weights.weight_hh, h, state);
    let through_time = Tolerance::through_time(i + h, t).scaled(terms.max(1.0) * state);
    let back = through_time.plus(Tolerance::through_time(3 * h, t));
    let of_weights = back.plus(Tolerance::matmul(t * b));
    let inputs = [1.0, 1.0, 1.0, 1.0, largest(&batch.x), state, 1.0, 1.0];
    let mut budgets = [through_time, through_time, back, back, of_weights, of_weights, of_weights, of_weights];
    for ((budget, expected), input) in budgets.iter_mut().zip(&expected).zip(inputs).skip(2) {
        let most = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        *budget = budget.scaled(most.max(input).max(1.0));
    }
    (expected, budgets)
}
