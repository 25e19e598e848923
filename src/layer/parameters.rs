//! Weights and biases on the GPU, or their gradients.

use std::borrow::Cow;

use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, Tensor};
use crate::layer::make::make;
use crate::plan::buffers::{self, CellTensors};
use crate::plan::tensors::Tensors;
use crate::weights::{CellWeights, Weights, suffix_of};

/// The weights and biases of one cell on the GPU, or their gradients. Shapes as in [`CellWeights`].
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let gru = wgpu_gru::Gru::new(gpu, wgpu_gru::GruConfig::new(8, 32), 1)?;
/// let cell = &gru.parameters().cells[0];
/// assert_eq!(cell.weight_ih.shape(), [3 * 32, 8]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct CellParameters {
    /// `[GH, in]`
    pub weight_ih: Tensor,
    /// `[GH, H]`
    pub weight_hh: Tensor,
    /// `[GH]`, if there are biases.
    pub bias_ih: Option<Tensor>,
    /// `[GH]`, if there are biases.
    pub bias_hh: Option<Tensor>,
}

impl CellParameters {
    pub(super) fn all(&self) -> [Option<&Tensor>; 4] {
        [Some(&self.weight_ih), Some(&self.weight_hh), self.bias_ih.as_ref(), self.bias_hh.as_ref()]
    }

    /// Whether the recurrent weights of some cells lie evenly in one buffer.
    fn lie_evenly(cells: &[Self]) -> bool {
        let biases: Vec<_> = cells.iter().filter_map(|cell| cell.bias_hh.as_ref()).collect();
        evenly(&cells.iter().map(|cell| &cell.weight_hh).collect::<Vec<_>>()) && evenly(&biases)
    }

    /// The tensors that there are, in the order of [`CellWeights::NAMES`].
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.all().into_iter().flatten()
    }
}

/// Whether tensors lie in one buffer, each as far behind the one before it as the next.
fn evenly(tensors: &[&Tensor]) -> bool {
    let distances: Vec<u64> =
        tensors.windows(2).map(|pair| pair[1].byte_offset().wrapping_sub(pair[0].byte_offset())).collect();
    tensors.windows(2).all(|pair| pair[0].buffer() == pair[1].buffer())
        && distances.windows(2).all(|pair| pair[0] == pair[1])
}

/// The weights and biases of a layer on the GPU, or their gradients: one entry a cell, layer by layer, in each the
/// forward direction first.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let gru = wgpu_gru::Gru::new(gpu, wgpu_gru::GruConfig::new(8, 32), 1)?;
/// for (name, tensor) in gru.parameters().named(gru.config()) {
///     println!("{name} {:?}", tensor.shape()); // weight_ih_l0 [96, 8]
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Layers times directions of them.
    pub cells: Vec<CellParameters>,
}

impl Parameters {
    /// Checks that buffers can hold the parameters, before arrays of them are made on the host.
    pub(crate) fn check_sizes(gpu: &Gpu, config: &Config) -> Result<()> {
        // The first layer reads I features, all others DH.
        for layer in [0, config.num_layers - 1] {
            for (name, shape) in CellWeights::NAMES.into_iter().zip(CellWeights::shapes(config, layer)) {
                if !shape.contains(&0) {
                    Tensor::check_size(gpu, name, &shape)?;
                }
            }
        }
        Ok(())
    }

    /// Out of the tensors of a list.
    pub(super) fn of(ids: &[CellTensors], tensors: &[Tensor]) -> Self {
        let cells = ids.iter().filter_map(|ids| {
            let [weight_ih, weight_hh, bias_ih, bias_hh] = ids.map(|id| id.map(|id| tensors[id.index()].clone()));
            Some(CellParameters { weight_ih: weight_ih?, weight_hh: weight_hh?, bias_ih, bias_hh })
        });
        Self { cells: cells.collect() }
    }

    /// Zeros, or a copy of weights of the right shapes.
    pub(crate) fn new(gpu: &Gpu, config: &Config, weights: Option<&Weights>) -> Result<Self> {
        let mut list = Tensors::default();
        let cells = buffers::parameters(&mut list, config, gpu.limits(), CellWeights::NAMES, true);
        let parameters = Self::of(&cells, &make(gpu, &list, Vec::new(), None)?);
        if let Some(weights) = weights {
            parameters.write(weights)?;
        }
        Ok(parameters)
    }

    /// All tensors, in PyTorch's order.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.cells.iter().flat_map(CellParameters::tensors)
    }

    /// All tensors with PyTorch's names, such as `weight_ih_l0_reverse`, in PyTorch's order.
    pub fn named<C: Copy + Into<Cell>>(&self, config: &Config<C>) -> impl Iterator<Item = (String, &Tensor)> {
        self.cells.iter().zip(crate::weights::cell_names(config)).flat_map(|(cell, suffix)| {
            let tensors = CellWeights::NAMES.into_iter().zip(cell.all());
            tensors.filter_map(move |(name, tensor)| Some((format!("{name}{suffix}"), tensor?)))
        })
    }

    /// Checks the shapes, that all are on the device, and that they begin where steps can load four numbers at once.
    /// The names of gradients begin with `d_`.
    pub(crate) fn validate(&self, gpu: &Gpu, config: &Config, prefix: &'static str) -> Result<()> {
        if self.cells.len() != config.num_cells() {
            let (expected, actual) = (vec![config.num_cells()], vec![self.cells.len()]);
            return Err(Error::ShapeMismatch { tensor: "cells of the parameters".into(), expected, actual });
        }
        for (index, cell) in self.cells.iter().enumerate() {
            let shapes = CellWeights::shapes(config, index / config.directions());
            for ((name, shape), tensor) in CellWeights::NAMES.into_iter().zip(shapes).zip(cell.all()) {
                // A bias that is not there has no numbers.
                let (expected, actual) = (shape.as_slice(), tensor.map_or(&[0][..], Tensor::shape));
                let name = || format!("{prefix}{name}{}", suffix_of(config, index));
                if !(shape.contains(&0) && tensor.is_none()) {
                    expect_shape(name(), expected, actual)?;
                }
                if let Some(tensor) = tensor {
                    tensor.expect_on(gpu, name())?;
                    expect_fours(config, name(), tensor)?;
                }
            }
        }
        Ok(())
    }

    /// How many elements behind a multiple of 16 bytes each of a cell's tensors begins; 0 for one that there is not.
    pub(super) fn phases(&self) -> Vec<[usize; 4]> {
        self.cells.iter().map(|cell| cell.all().map(|tensor| tensor.map_or(0, Tensor::phase))).collect()
    }

    /// Whether the recurrent weights of each so many cells lie in one buffer, one as far behind the other as the next:
    /// then these cells can take their steps together.
    pub(crate) fn lie_evenly(&self, together: usize) -> bool {
        self.cells.chunks(together).all(CellParameters::lie_evenly)
    }

    /// Whether a frame can bind them: those of each kind lie evenly in one buffer, but for the weight_ih of the first cell,
    /// which has another shape.
    pub(super) fn all_lie_evenly(&self) -> bool {
        let of_kind = |kind: usize| self.cells.iter().filter_map(|cell| cell.all()[kind]).collect::<Vec<_>>();
        let [weight_ih, weight_hh, bias_ih, bias_hh] = [0, 1, 2, 3].map(of_kind);
        let above = weight_ih.get(1..).unwrap_or_default();
        [above, &weight_hh, &bias_ih, &bias_hh].into_iter().all(evenly)
            && above.iter().all(|tensor| tensor.buffer() == weight_ih[0].buffer())
    }

    /// Records that these become the numbers of `source`: so an app swaps the weights of a layer between two frames, on
    /// the GPU. Everything that was unrolled uses the new ones from the next pass on.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], and those of [`Tensor::encode_copy_from`]; then nothing is recorded.
    pub fn encode_copy_from(&self, encoder: &mut wgpu::CommandEncoder, source: &Self) -> Result<()> {
        let (places, sources): (Vec<_>, Vec<_>) = (self.tensors().collect(), source.tensors().collect());
        if places.len() != sources.len() {
            let (expected, actual) = (vec![places.len()], vec![sources.len()]);
            return Err(Error::ShapeMismatch { tensor: "parameters to copy".into(), expected, actual });
        }
        for (place, source) in places.iter().zip(&sources) {
            place.expect_copy_from(source)?;
        }
        places.iter().zip(&sources).try_for_each(|(place, source)| place.encode_copy_from(encoder, source))
    }

    /// All or none.
    pub(crate) fn write(&self, weights: &Weights) -> Result<()> {
        self.tensors().try_for_each(|tensor| tensor.expect_usage("weights", wgpu::BufferUsages::COPY_DST))?;
        for (cell, host) in self.cells.iter().zip(&weights.cells) {
            for (tensor, host) in cell.all().into_iter().zip(host.arrays()) {
                tensor.map_or(Ok(()), |tensor| tensor.write(host))?;
            }
        }
        Ok(())
    }

    /// Reads all of them, with one wait.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub async fn read(&self) -> Result<Weights> {
        let tensors: Vec<_> = self.tensors().collect();
        Ok(self.weights_of(Tensor::read_all(&tensors).await?))
    }

    /// [`Parameters::read`], blocking this thread.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_blocking(&self) -> Result<Weights> {
        let tensors: Vec<_> = self.tensors().collect();
        Ok(self.weights_of(Tensor::read_all_blocking(&tensors)?))
    }

    /// Weights out of the numbers of all tensors, in their order.
    fn weights_of(&self, hosts: Vec<Vec<f32>>) -> Weights {
        let mut hosts = hosts.into_iter();
        let mut next = |tensor: Option<&Tensor>| tensor.and_then(|_| hosts.next()).unwrap_or_default();
        let cells = self.cells.iter().map(|cell| {
            let [weight_ih, weight_hh, bias_ih, bias_hh] = cell.all().map(&mut next);
            CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }
        });
        Weights { cells: cells.collect() }
    }
}

/// Checks that a tensor that steps read begins where they can load as many numbers at once as they do.
pub(super) fn expect_fours(config: &Config, name: impl Into<Cow<'static, str>>, tensor: &Tensor) -> Result<()> {
    if config.hidden_size.is_multiple_of(4) { tensor.expect_fours(name) } else { Ok(()) }
}
