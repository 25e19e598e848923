//! Weights on the host, in PyTorch's layout, and their seeded initialisation.

#[cfg(feature = "npz")]
pub(crate) mod archive;
#[cfg(all(any(feature = "npz", feature = "onnx", feature = "safetensors"), not(target_arch = "wasm32")))]
pub(crate) mod file;
mod layout;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "onnx")]
pub(crate) mod onnx;
#[cfg(feature = "safetensors")]
mod safetensors;
mod state_dict;

pub use layout::{Biases, CellLayout, GateOrder};
pub use state_dict::{Array, LoadReport, StateDict};

use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_len};
use crate::rng::SplitMix64;

/// The weights of one cell (one direction of one layer) on the host, or numbers of the same shapes, such as their
/// gradients.
///
/// Row-major, as `nn.GRU` and `nn.RNN` have them. G is 3 for a GRU, whose rows are those of the gates r, z, n in this
/// order, and 1 for a plain RNN. `in` is I in the first layer, directions times H in the others.
///
/// | field       | PyTorch's name            | shape      |
/// |-------------|---------------------------|------------|
/// | `weight_ih` | `weight_ih_l{k}{_reverse}` | `[GH, in]` |
/// | `weight_hh` | `weight_hh_l{k}{_reverse}` | `[GH, H]`  |
/// | `bias_ih`   | `bias_ih_l{k}{_reverse}`   | `[GH]`     |
/// | `bias_hh`   | `bias_hh_l{k}{_reverse}`   | `[GH]`     |
///
/// Without biases the last two are empty.
///
/// ```
/// use wgpu_gru::{CellWeights, GruConfig};
/// assert_eq!(CellWeights::shapes(&GruConfig::new(8, 32), 0)[0], [3 * 32, 8]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CellWeights {
    /// From the input to the gates, `[GH, in]`.
    pub weight_ih: Vec<f32>,
    /// From the hidden state to the gates, `[GH, H]`.
    pub weight_hh: Vec<f32>,
    /// Added to the product with the input, `[GH]`, or empty.
    pub bias_ih: Vec<f32>,
    /// Added to the product with the hidden state, `[GH]`, or empty.
    pub bias_hh: Vec<f32>,
}

impl CellWeights {
    /// The four names, in the order of [`CellWeights::arrays`].
    pub const NAMES: [&'static str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

    /// The four shapes of the cells of a layer, in the order of [`CellWeights::NAMES`]; `[0]` for a bias that is not
    /// there.
    #[must_use]
    pub fn shapes<C: Copy + Into<Cell>>(config: &Config<C>, layer: usize) -> [Vec<usize>; 4] {
        // A size that does not fit saturates, and is over every limit.
        let rows = config.cell().gates().saturating_mul(config.hidden_size);
        let bias = if config.bias { rows } else { 0 };
        [vec![rows, config.layer_input_size(layer)], vec![rows, config.hidden_size], vec![bias], vec![bias]]
    }

    /// The four arrays, in the order of [`CellWeights::NAMES`].
    #[must_use]
    pub fn arrays(&self) -> [&[f32]; 4] {
        [&self.weight_ih, &self.weight_hh, &self.bias_ih, &self.bias_hh]
    }
}

/// The weights of a whole layer: one entry a cell, layer by layer, in each the forward direction first.
///
/// ```
/// use wgpu_gru::{GruConfig, Weights};
/// let config = GruConfig::new(8, 32).num_layers(2);
/// let weights = Weights::random(&config, 1);
/// let names: Vec<_> = weights.named(&config).map(|(name, _)| name).collect();
/// assert_eq!(names[4], "weight_ih_l1");
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Layers times directions of them.
    pub cells: Vec<CellWeights>,
}

impl From<CellWeights> for Weights {
    fn from(cell: CellWeights) -> Self {
        Self { cells: vec![cell] }
    }
}

impl Weights {
    /// Weights drawn from U(-1/sqrt(H), 1/sqrt(H)), as PyTorch draws them, from a seed. The same seed gives the same
    /// weights on every machine. (PyTorch's generator is another one, so the numbers differ from its own.) For a config
    /// that [`Config::validate`] refuses, such as one of sizes that no memory holds, there is no cell: what takes the
    /// weights says why.
    #[must_use]
    pub fn random<C: Copy + Into<Cell>>(config: &Config<C>, seed: u64) -> Self {
        if config.validate().is_err() {
            return Self { cells: Vec::new() };
        }
        let bound = 1.0 / (config.hidden_size.max(1) as f32).sqrt();
        let mut uniform = SplitMix64::new(seed);
        let cells = (0..config.num_cells())
            .map(|cell| {
                let shapes = CellWeights::shapes(config, cell / config.directions());
                let [weight_ih, weight_hh, bias_ih, bias_hh] =
                    shapes.map(|shape| uniform.vec(shape.iter().product(), bound));
                CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }
            })
            .collect();
        Self { cells }
    }

    /// Every array with PyTorch's name, such as `weight_ih_l0_reverse`, in PyTorch's order; biases that are not there
    /// are left out.
    pub fn named<C: Copy + Into<Cell>>(&self, config: &Config<C>) -> impl Iterator<Item = (String, &[f32])> {
        let names = cell_names(config);
        self.cells.iter().zip(names).flat_map(|(cell, suffix)| {
            let arrays = CellWeights::NAMES.into_iter().zip(cell.arrays());
            arrays.filter(|(_, array)| !array.is_empty()).map(move |(name, array)| (format!("{name}{suffix}"), array))
        })
    }

    /// Checks that there is every cell and that every array has the length that the config asks for.
    ///
    /// # Errors
    /// Those of [`Config::validate`]; [`Error::ShapeMismatch`] names the first array that has another length, as
    /// PyTorch does.
    pub fn validate<C: Copy + Into<Cell>>(&self, config: &Config<C>) -> Result<()> {
        config.validate()?;
        if self.cells.len() != config.num_cells() {
            let (expected, actual) = (vec![config.num_cells()], vec![self.cells.len()]);
            return Err(Error::ShapeMismatch { tensor: "cells of the weights".into(), expected, actual });
        }
        for (index, cell) in self.cells.iter().enumerate() {
            let shapes = CellWeights::shapes(config, index / config.directions());
            for ((name, array), shape) in CellWeights::NAMES.into_iter().zip(cell.arrays()).zip(shapes) {
                if array.len() != shape.iter().product::<usize>() {
                    expect_len(format!("{name}{}", suffix_of(config, index)), &shape, array.len())?;
                }
            }
        }
        Ok(())
    }
}

/// What PyTorch appends to the names of each cell's weights: `_l0`, `_l0_reverse`, `_l1`, and so on. A layer in reverse
/// only has the names of PyTorch's reverse direction.
pub(crate) fn cell_names<C>(config: &Config<C>) -> Vec<String> {
    (0..config.num_cells()).map(|cell| suffix_of(config, cell)).collect()
}

/// That of one cell.
pub(crate) fn suffix_of<C>(config: &Config<C>, cell: usize) -> String {
    let directions = config.direction.reversed();
    let reverse = directions[cell % directions.len()];
    format!("_l{}{}", cell / directions.len(), if reverse { "_reverse" } else { "" })
}
