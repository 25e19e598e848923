//! The oracle: GRU and plain RNN in f64 with every option, straight from the equations, in plain loops.
//!
//! Everything else is held against this file, so it shares no code with anything else but the types that say what to
//! compute, and takes each derivative from the argument of an activation, where the kernels take it from the value. It
//! is itself held by finite differences (`tests/oracle.rs`) and by the numbers of PyTorch, Keras and ONNX
//! (`tests/golden`). Slow on purpose; lengths are asserted, since a wrong one is a bug of the comparison.

mod activation;
mod kinks;

pub use activation::{activate, slope};
pub use kinks::distance_to_kink;

use crate::activation::Activation;
use crate::config::{Cell, Config, Reset};
use crate::weights;

/// The weights of one cell in f64, of the shapes of [`weights::CellWeights`].
///
/// ```
/// use wgpu_gru::reference::oracle;
/// use wgpu_gru::{GruConfig, Weights};
/// let weights = oracle::cells(&Weights::random(&GruConfig::new(8, 32), 1));
/// assert_eq!(weights[0].weight_hh.len(), 3 * 32 * 32);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CellWeights {
    /// `[GH, in]`
    pub weight_ih: Vec<f64>,
    /// `[GH, H]`
    pub weight_hh: Vec<f64>,
    /// `[GH]`, or empty.
    pub bias_ih: Vec<f64>,
    /// `[GH]`, or empty.
    pub bias_hh: Vec<f64>,
}

impl From<&weights::CellWeights> for CellWeights {
    fn from(cell: &weights::CellWeights) -> Self {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = cell.arrays().map(widen);
        Self { weight_ih, weight_hh, bias_ih, bias_hh }
    }
}

impl CellWeights {
    fn zeros(like: &Self) -> Self {
        let zeros = |array: &[f64]| vec![0.0; array.len()];
        Self {
            weight_ih: zeros(&like.weight_ih),
            weight_hh: zeros(&like.weight_hh),
            bias_ih: zeros(&like.bias_ih),
            bias_hh: zeros(&like.bias_hh),
        }
    }
}

/// The f64 form of every cell's weights.
#[must_use]
pub fn cells(weights: &weights::Weights) -> Vec<CellWeights> {
    weights.cells.iter().map(CellWeights::from).collect()
}

/// Numbers in f64.
#[must_use]
pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// What is run.
///
/// ```
/// use wgpu_gru::reference::oracle::{self, Run};
/// use wgpu_gru::{GruConfig, Weights};
/// let config = GruConfig::new(2, 3).erased();
/// let weights = oracle::cells(&Weights::random(&config, 1));
/// let run = Run { seq_len: 5, batch: 1, lengths: None, episode_starts: None, dropout: Vec::new() };
/// let forward = oracle::forward(&config, &weights, &run, &[0.5; 5 * 2], &[0.0; 3]);
/// assert_eq!(forward.h_n.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// How long each row is, `[B]`, 0 to T; `None`: all T.
    pub lengths: Option<Vec<usize>>,
    /// Where episodes begin, `[T, B]`: between the step before and this one nothing passes. `None`: nowhere.
    pub episode_starts: Option<Vec<bool>>,
    /// The factors that dropout multiplies the output of each layer but the last with, `[layers - 1][T, B, DH]`
    /// (time-major always); empty: none.
    pub dropout: Vec<Vec<f64>>,
}

impl Run {
    /// Whether the state of a row before a step is cut off.
    fn is_cut(&self, t: usize, row: usize, reverse: bool) -> bool {
        let start = if reverse { t + 1 } else { t };
        let starts = self.episode_starts.as_ref().filter(|_| start < self.length(row));
        starts.is_some_and(|starts| starts[start * self.batch + row])
    }

    fn length(&self, row: usize) -> usize {
        self.lengths.as_ref().map_or(self.seq_len, |lengths| lengths[row])
    }
}

/// What a forward pass gives and what a backward pass needs of it.
///
/// ```
/// # use wgpu_gru::reference::oracle::{self, Run};
/// # use wgpu_gru::{GruConfig, Weights};
/// # let config = GruConfig::new(2, 3).erased();
/// # let weights = oracle::cells(&Weights::random(&config, 1));
/// # let run = Run { seq_len: 5, batch: 1, lengths: None, episode_starts: None, dropout: Vec::new() };
/// let forward = oracle::forward(&config, &weights, &run, &[0.5; 5 * 2], &[0.0; 3]);
/// assert!(forward.largest_state() <= 1.0, "a GRU's states stay where its candidates are");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// The output of the last layer, `[T, B, DH]`, or `[B, T, DH]` if the config is batch-first.
    pub output: Vec<f64>,
    /// The last state of every cell, `[LD, B, H]`.
    pub h_n: Vec<f64>,
    /// What each layer reads, time-major.
    inputs: Vec<Vec<f64>>,
    cells: Vec<Vec<Step>>,
}

impl Forward {
    /// The largest absolute value of any state.
    #[must_use]
    pub fn largest_state(&self) -> f64 {
        let states = self.cells.iter().flatten().flat_map(|step| step.h.iter().chain(&step.new));
        states.fold(0.0, |most, value| most.max(value.abs()))
    }
}

/// One step of one row of one cell; `steps[t * B + b]`. Past a row's end all are empty.
#[derive(Debug, Clone, PartialEq, Default)]
struct Step {
    /// The state before, and whether it is a zero in the place of one that was cut off.
    h: Vec<f64>,
    is_cut: bool,
    /// What goes into the activations, before and after clipping: `[GH]`.
    sum: Vec<f64>,
    argument: Vec<f64>,
    /// GRU: r, z, n, and hn = W_hn h + b_hn (reset after) or W_hn (r h) + b_hn (before).
    r: Vec<f64>,
    z: Vec<f64>,
    n: Vec<f64>,
    hn: Vec<f64>,
    /// The state after.
    new: Vec<f64>,
}

/// The gradients of a loss with respect to everything that went into a forward pass.
///
/// ```
/// # use wgpu_gru::reference::oracle::{self, Run};
/// # use wgpu_gru::{GruConfig, Weights};
/// # let config = GruConfig::new(2, 3).erased();
/// # let weights = oracle::cells(&Weights::random(&config, 1));
/// # let run = Run { seq_len: 5, batch: 1, lengths: None, episode_starts: None, dropout: Vec::new() };
/// # let forward = oracle::forward(&config, &weights, &run, &[0.5; 5 * 2], &[0.0; 3]);
/// let gradients = oracle::backward(&config, &weights, &run, &forward, &[1.0; 5 * 3], &[0.0; 3]);
/// assert_eq!(gradients.d_x.len(), 5 * 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Of the input, in its own layout.
    pub d_x: Vec<f64>,
    /// Of the first states, `[LD, B, H]`.
    pub d_h0: Vec<f64>,
    /// Of every cell's weights.
    pub cells: Vec<CellWeights>,
    /// The norm of d_h' at every step, `[LD, T]`: over all rows and units, d_h' being the whole gradient of the loss
    /// with respect to the state after the step. Rows that have ended count nothing.
    pub d_h_norms: Vec<f64>,
}

/// The whole layer: x `[T, B, I]` (or batch-first), h0 `[LD, B, H]`.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn forward(config: &Config, weights: &[CellWeights], run: &Run, x: &[f64], h0: &[f64]) -> Forward {
    let (units, directions) = (config.hidden_size, config.directions());
    let states = run.batch * units;
    assert_eq!(x.len(), run.seq_len * run.batch * config.input_size, "x is [T, B, I]");
    assert_eq!(h0.len(), config.num_cells() * states, "h0 is [LD, B, H]");
    assert_eq!(weights.len(), config.num_cells(), "one set of weights a cell");

    let mut inputs = vec![swap_if(config.batch_first, x, run.batch, run.seq_len, config.input_size)];
    let mut cells = Vec::new();
    let mut h_n = Vec::new();
    let mut output = Vec::new();
    for layer in 0..config.num_layers {
        output = vec![0.0; run.seq_len * run.batch * directions * units];
        for (direction, &reverse) in config.direction.reversed().iter().enumerate() {
            let cell = layer * directions + direction;
            let mut steps = vec![Step::default(); run.seq_len * run.batch];
            for b in 0..run.batch {
                let mut h = h0[cell * states + b * units..][..units].to_vec();
                for t in order(run.length(b), reverse) {
                    let at = t * run.batch + b;
                    if run.is_cut(t, b, reverse) {
                        h.fill(0.0);
                    }
                    let width = config.layer_input_size(layer);
                    let mut step =
                        cell_step(config, direction, &weights[cell], &inputs[layer][at * width..][..width], &h);
                    step.is_cut = run.is_cut(t, b, reverse);
                    h.clone_from(&step.new);
                    output[(at * directions + direction) * units..][..units].copy_from_slice(&h);
                    steps[at] = step;
                }
                h_n.extend(h);
            }
            cells.push(steps);
        }
        if layer + 1 < config.num_layers {
            let factors = run.dropout.get(layer);
            inputs.push(output.iter().enumerate().map(|(i, y)| y * factors.map_or(1.0, |f| f[i])).collect());
        }
    }
    let output = flip_if(config.reversed_output, &output, run.seq_len);
    let output = swap_if(config.batch_first, &output, run.seq_len, run.batch, directions * units);
    Forward { output, h_n, inputs, cells }
}

/// The steps of a row in the order in which a direction takes them.
fn order(length: usize, reverse: bool) -> Vec<usize> {
    if reverse { (0..length).rev().collect() } else { (0..length).collect() }
}

/// `[outer, inner, width]` to `[inner, outer, width]`, where wanted.
fn swap_if(wanted: bool, values: &[f64], outer: usize, inner: usize, width: usize) -> Vec<f64> {
    if !wanted {
        return values.to_vec();
    }
    let mut swapped = vec![0.0; values.len()];
    for o in 0..outer {
        for i in 0..inner {
            swapped[(i * outer + o) * width..][..width].copy_from_slice(&values[(o * inner + i) * width..][..width]);
        }
    }
    swapped
}

/// `[T, ..]` with the last step first, where wanted.
fn flip_if(wanted: bool, values: &[f64], steps: usize) -> Vec<f64> {
    if !wanted {
        return values.to_vec();
    }
    values.rchunks_exact(values.len() / steps).flatten().copied().collect()
}

fn cell_step(config: &Config, direction: usize, weights: &CellWeights, x: &[f64], h: &[f64]) -> Step {
    match config.cell_of(direction) {
        Cell::Gru { reset, gate, candidate } => gru_step(config, weights, (reset, gate, candidate), x, h),
        Cell::Rnn { nonlinearity } => rnn_step(config, weights, nonlinearity, x, h),
    }
}

/// (1), (2), (3) or (3'), (4), one row.
fn gru_step(
    config: &Config,
    weights: &CellWeights,
    (reset, gate, candidate): (Reset, Activation, Activation),
    x: &[f64],
    h: &[f64],
) -> Step {
    let units = config.hidden_size;
    let mut step = Step { h: h.to_vec(), sum: vec![0.0; 3 * units], argument: vec![0.0; 3 * units], ..Step::default() };
    let into = |step: &mut Step, row: usize, sum: f64| {
        (step.sum[row], step.argument[row]) = (sum, clip(config, sum));
        step.argument[row]
    };
    for j in 0..units {
        let a = into(&mut step, j, input_product(weights, x, j) + hidden_product(weights, h, j));
        step.r.push(activate(gate, a)); // (1)
        let row = units + j;
        let a = into(&mut step, row, input_product(weights, x, row) + hidden_product(weights, h, row));
        step.z.push(activate(gate, a)); // (2)
    }
    let reset_state: Vec<f64> = (0..units).map(|k| step.r[k] * h[k]).collect();
    for j in 0..units {
        let row = 2 * units + j;
        let (hn, sum) = match reset {
            Reset::After => {
                let hn = hidden_product(weights, h, row);
                (hn, input_product(weights, x, row) + step.r[j] * hn) // (3)
            }
            Reset::Before => {
                let hn = hidden_product(weights, &reset_state, row);
                (hn, input_product(weights, x, row) + hn) // (3')
            }
        };
        step.hn.push(hn);
        let a = into(&mut step, row, sum);
        step.n.push(activate(candidate, a));
        step.new.push((1.0 - step.z[j]) * step.n[j] + step.z[j] * h[j]); // (4)
    }
    step
}

/// h' = f(W_ih x + b_ih + W_hh h + b_hh), one row.
fn rnn_step(config: &Config, weights: &CellWeights, nonlinearity: Activation, x: &[f64], h: &[f64]) -> Step {
    let mut step = Step { h: h.to_vec(), ..Step::default() };
    for j in 0..config.hidden_size {
        let sum = input_product(weights, x, j) + hidden_product(weights, h, j);
        let argument = clip(config, sum);
        step.sum.push(sum);
        step.argument.push(argument);
        step.new.push(activate(nonlinearity, argument));
    }
    step
}

/// Row `row` of W_i x + b_i.
fn input_product(weights: &CellWeights, x: &[f64], row: usize) -> f64 {
    product(&weights.weight_ih, &weights.bias_ih, x, row)
}

/// Row `row` of W_h h + b_h.
fn hidden_product(weights: &CellWeights, h: &[f64], row: usize) -> f64 {
    product(&weights.weight_hh, &weights.bias_hh, h, row)
}

fn product(weight: &[f64], bias: &[f64], vector: &[f64], row: usize) -> f64 {
    let mut sum = if bias.is_empty() { 0.0 } else { bias[row] };
    for k in 0..vector.len() {
        sum += weight[row * vector.len() + k] * vector[k];
    }
    sum
}

fn clip_limit(config: &Config) -> f64 {
    config.clip.map_or(f64::INFINITY, f64::from)
}

/// The argument of an activation.
fn clip(config: &Config, sum: f64) -> f64 {
    sum.clamp(-clip_limit(config), clip_limit(config))
}

/// Back through time and layers: `d_output` has the layout of `output`, `d_h_n` is `[LD, B, H]`; what `d_output` says
/// of steps past a row's end is left out.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn backward(
    config: &Config,
    weights: &[CellWeights],
    run: &Run,
    forward: &Forward,
    d_output: &[f64],
    d_h_n: &[f64],
) -> Gradients {
    let (units, directions) = (config.hidden_size, config.directions());
    let (states, width) = (run.batch * units, directions * units);
    assert_eq!(d_output.len(), run.seq_len * run.batch * width, "d_output is [T, B, DH]");
    assert_eq!(d_h_n.len(), config.num_cells() * states, "d_h_n is [LD, B, H]");

    let mut gradients = Gradients {
        d_x: Vec::new(),
        d_h0: vec![0.0; d_h_n.len()],
        cells: weights.iter().map(CellWeights::zeros).collect(),
        d_h_norms: vec![0.0; config.num_cells() * run.seq_len],
    };
    let d_output = swap_if(config.batch_first, d_output, run.batch, run.seq_len, width);
    let mut d_layer = flip_if(config.reversed_output, &d_output, run.seq_len);
    for layer in (0..config.num_layers).rev() {
        let inputs = config.layer_input_size(layer);
        let mut d_input = vec![0.0; run.seq_len * run.batch * inputs];
        for (direction, &reverse) in config.direction.reversed().iter().enumerate() {
            let cell = layer * directions + direction;
            for b in 0..run.batch {
                let mut d_h = d_h_n[cell * states + b * units..][..units].to_vec();
                for t in order(run.length(b), reverse).into_iter().rev() {
                    let at = t * run.batch + b;
                    for j in 0..units {
                        d_h[j] += d_layer[(at * directions + direction) * units + j];
                        gradients.d_h_norms[cell * run.seq_len + t] += d_h[j] * d_h[j];
                    }
                    let x = &forward.inputs[layer][at * inputs..][..inputs];
                    let d_x = &mut d_input[at * inputs..][..inputs];
                    let step = &forward.cells[cell][at];
                    d_h = cell_backward(
                        (config, direction),
                        &weights[cell],
                        step,
                        x,
                        &d_h,
                        d_x,
                        &mut gradients.cells[cell],
                    );
                    if step.is_cut {
                        d_h.fill(0.0);
                    }
                }
                gradients.d_h0[cell * states + b * units..][..units].copy_from_slice(&d_h);
            }
        }
        if layer > 0
            && let Some(factors) = run.dropout.get(layer - 1)
        {
            d_input.iter_mut().zip(factors).for_each(|(d, factor)| *d *= factor);
        }
        d_layer = d_input;
    }
    gradients.d_h_norms.iter_mut().for_each(|sum| *sum = sum.sqrt());
    gradients.d_x = swap_if(config.batch_first, &d_layer, run.seq_len, run.batch, config.input_size);
    gradients
}

/// (5) to (10), one row: from d_h' the gradient of the state before, of the input, and what is added to the weights'.
fn cell_backward(
    (config, direction): (&Config, usize),
    weights: &CellWeights,
    step: &Step,
    x: &[f64],
    d_new: &[f64],
    d_x: &mut [f64],
    d_weights: &mut CellWeights,
) -> Vec<f64> {
    let units = config.hidden_size;
    let slope_at = |activation, row: usize| {
        if step.sum[row].abs() > clip_limit(config) { 0.0 } else { slope(activation, step.argument[row]) }
    };
    // What each row of W_hh was multiplied with, and the gradients of the two products.
    let mut sources = vec![step.h.clone(); config.cell().gates()];
    let mut d_x_proj = vec![0.0; config.cell().gates() * units];
    let mut d_h = vec![0.0; units];
    let d_h_proj = match config.cell_of(direction) {
        Cell::Rnn { nonlinearity } => {
            for j in 0..units {
                d_x_proj[j] = d_new[j] * slope_at(nonlinearity, j);
            }
            d_x_proj.clone()
        }
        Cell::Gru { reset, gate, candidate } => {
            let mut d_q = vec![0.0; units];
            for j in 0..units {
                d_x_proj[2 * units + j] = d_new[j] * (1.0 - step.z[j]) * slope_at(candidate, 2 * units + j); // (5)
                d_x_proj[units + j] = d_new[j] * (step.h[j] - step.n[j]) * slope_at(gate, units + j); // (6)
                d_h[j] = d_new[j] * step.z[j];
            }
            if reset == Reset::Before {
                sources[2] = (0..units).map(|k| step.r[k] * step.h[k]).collect();
                for k in 0..units {
                    for j in 0..units {
                        d_q[k] += d_x_proj[2 * units + j] * weights.weight_hh[(2 * units + j) * units + k];
                    }
                    d_h[k] += d_q[k] * step.r[k];
                }
            }
            for j in 0..units {
                let d_r = match reset {
                    Reset::After => d_x_proj[2 * units + j] * step.hn[j],
                    Reset::Before => d_q[j] * step.h[j],
                };
                d_x_proj[j] = d_r * slope_at(gate, j); // (7)
            }
            let mut d_h_proj = d_x_proj.clone(); // (8)
            if reset == Reset::After {
                for j in 0..units {
                    d_h_proj[2 * units + j] *= step.r[j];
                }
            }
            d_h_proj
        }
    };

    for row in 0..d_x_proj.len() {
        let source = &sources[row / units];
        for i in 0..x.len() {
            d_x[i] += d_x_proj[row] * weights.weight_ih[row * x.len() + i]; // (10)
            d_weights.weight_ih[row * x.len() + i] += d_x_proj[row] * x[i];
        }
        for k in 0..units {
            // The path through r h was taken above.
            let through_reset = matches!(config.cell(), Cell::Gru { reset: Reset::Before, .. }) && row >= 2 * units;
            if !through_reset {
                d_h[k] += d_h_proj[row] * weights.weight_hh[row * units + k]; // (9)
            }
            if !step.is_cut {
                d_weights.weight_hh[row * units + k] += d_h_proj[row] * source[k];
            }
        }
        if config.bias {
            d_weights.bias_ih[row] += d_x_proj[row];
            d_weights.bias_hh[row] += d_h_proj[row];
        }
    }
    d_h
}
