//! Reads the golden vectors of `tests/golden/gru`, made by `torch.nn.GRU`. See `tests/golden/README.md`.

use std::fmt;

use serde::Deserialize;
use wgpu_gru::{CellWeights, GruConfig, Weights};

use super::vectors::load;

/// Fewer cases than this mean that files are missing.
const FEWEST_CASES: usize = 10;

/// One layer and one sequence: what goes in, as f32, and what `nn.GRU` makes of it in f64. All tensors are row-major.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    /// The name of the case and of its file.
    pub name: String,
    /// T, the number of time steps.
    pub seq_len: usize,
    /// B, the number of rows.
    pub batch: usize,
    /// I, the number of features of the input.
    pub input_size: usize,
    /// H, the number of units.
    pub hidden_size: usize,
    /// What the weights and biases were multiplied by after they were drawn from U(-1/sqrt(H), 1/sqrt(H)).
    pub weight_scale: f32,
    /// Row b of step t of `x` is drawn from [-s, s) with s number (t + b) mod len of these.
    pub x_scales: Vec<f32>,
    /// The seed of the `SplitMix64` that all numbers that go in were drawn from.
    pub seed: u64,
    /// The version of `torch` that made the expected numbers.
    pub torch: String,

    /// `[3H, I]`, rows of the gates r, z, n.
    pub weight_ih_l0: Vec<f32>,
    /// `[3H, H]`, rows of the gates r, z, n.
    pub weight_hh_l0: Vec<f32>,
    /// `[3H]`.
    pub bias_ih_l0: Vec<f32>,
    /// `[3H]`.
    pub bias_hh_l0: Vec<f32>,
    /// `[T, B, I]`.
    pub x: Vec<f32>,
    /// `[B, H]`.
    pub h0: Vec<f32>,
    /// The gradient that comes from above into `output`, `[T, B, H]`.
    pub d_output: Vec<f32>,
    /// The gradient that comes from above into `h_n`, `[B, H]`.
    pub d_h_n: Vec<f32>,

    /// Expected, `[T, B, H]`.
    pub output: Vec<f64>,
    /// Expected, `[B, H]`.
    pub h_n: Vec<f64>,
    /// Expected, `[T, B, I]`.
    pub d_x: Vec<f64>,
    /// Expected, `[B, H]`.
    pub d_h0: Vec<f64>,
    /// Expected, `[3H, I]`.
    pub d_weight_ih_l0: Vec<f64>,
    /// Expected, `[3H, H]`.
    pub d_weight_hh_l0: Vec<f64>,
    /// Expected, `[3H]`.
    pub d_bias_ih_l0: Vec<f64>,
    /// Expected, `[3H]`.
    pub d_bias_hh_l0: Vec<f64>,
}

impl Golden {
    /// The layer.
    pub(crate) fn config(&self) -> GruConfig {
        GruConfig::new(self.input_size, self.hidden_size)
    }

    /// Its weights.
    pub(crate) fn weights(&self) -> Weights {
        let cell = CellWeights {
            weight_ih: self.weight_ih_l0.clone(),
            weight_hh: self.weight_hh_l0.clone(),
            bias_ih: self.bias_ih_l0.clone(),
            bias_hh: self.bias_hh_l0.clone(),
        };
        cell.into()
    }

    /// Checks every length, and that every number is finite.
    fn check(&self) {
        let Self { seq_len: t, batch: b, input_size: i, hidden_size: h, .. } = *self;
        assert!(t > 0 && b > 0, "{self}: no steps or no rows");
        assert!(self.weight_scale > 0.0 && !self.x_scales.is_empty(), "{self}: no scales");
        self.weights().validate(&self.config()).unwrap_or_else(|error| panic!("{self}: {error}"));

        let given = self.weights().cells[0].arrays().concat();
        assert!(given.iter().all(|v| v.is_finite()), "{self}: the weights hold a number that is not finite");
        for (tensor, values, len) in [
            ("x", &self.x, t * b * i),
            ("h0", &self.h0, b * h),
            ("d_output", &self.d_output, t * b * h),
            ("d_h_n", &self.d_h_n, b * h),
        ] {
            assert_eq!(values.len(), len, "{self}: length of {tensor}");
            assert!(values.iter().all(|v| v.is_finite()), "{self}: {tensor} holds a number that is not finite");
        }
        for (tensor, values, len) in [
            ("output", &self.output, t * b * h),
            ("h_n", &self.h_n, b * h),
            ("d_x", &self.d_x, t * b * i),
            ("d_h0", &self.d_h0, b * h),
            ("d_weight_ih_l0", &self.d_weight_ih_l0, 3 * h * i),
            ("d_weight_hh_l0", &self.d_weight_hh_l0, 3 * h * h),
            ("d_bias_ih_l0", &self.d_bias_ih_l0, 3 * h),
            ("d_bias_hh_l0", &self.d_bias_hh_l0, 3 * h),
        ] {
            assert_eq!(values.len(), len, "{self}: length of {tensor}");
            assert!(values.iter().all(|v| v.is_finite()), "{self}: {tensor} holds a number that is not finite");
        }
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seq_len, batch, input_size, hidden_size, seed, torch, .. } = self;
        write!(f, "{name} (T={seq_len} B={batch} I={input_size} H={hidden_size}, seed {seed}, PyTorch {torch})")
    }
}

/// All cases, in the order of their names.
///
/// # Panics
/// If a file cannot be read or holds something else than its header says, or if there are fewer than 10.
pub(crate) fn load_all() -> Vec<Golden> {
    let cases: Vec<(String, Golden)> = load("gru");
    assert!(cases.len() >= FEWEST_CASES, "{} cases, expected at least {FEWEST_CASES}", cases.len());
    let checked = |(file, golden): (String, Golden)| {
        assert_eq!(file, golden.name, "the name of a file");
        golden.check();
        golden
    };
    cases.into_iter().map(checked).collect()
}
