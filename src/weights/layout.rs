//! Weights in the layout of other sources.

use super::CellWeights;
use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_len};

/// The order in which a source has the rows of a GRU's gates.
///
/// ```
/// use wgpu_gru::{CellLayout, GateOrder};
/// assert_eq!(CellLayout::KERAS.gates, GateOrder::UpdateResetNew);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateOrder {
    /// r, z, n: PyTorch, cuDNN, JAX's flax, and this crate.
    ResetUpdateNew,
    /// z, r, n, where n is called h as well: ONNX, Keras, TensorFlow, RNNoise.
    UpdateResetNew,
}

/// How a source lays out the matrices of a cell.
///
/// | source        | layout                  | `weight_ih` there    | `weight_hh` there     | biases there                            |
/// |---------------|-------------------------|----------------------|-----------------------|-----------------------------------------|
/// | PyTorch       | [`CellLayout::PYTORCH`] | `weight_ih_l0`       | `weight_hh_l0`        | [`Biases::Two`]                         |
/// | ONNX          | [`CellLayout::ONNX`]    | `W[direction]`       | `R[direction]`        | [`Biases::Joined`] `B[direction]`       |
/// | Keras         | [`CellLayout::KERAS`]   | `kernel`             | `recurrent_kernel`    | [`Biases::Joined`] with `reset_after`, [`Biases::Input`] without |
///
/// A plain RNN has one gate, so for it the order does not matter.
///
/// ```
/// use wgpu_gru::{CellLayout, GateOrder};
/// let of_rnnoise = CellLayout { gates: GateOrder::UpdateResetNew, transposed: true };
/// assert_eq!(of_rnnoise, CellLayout::KERAS);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellLayout {
    /// The order of the gates.
    pub gates: GateOrder,
    /// Whether the matrices are `[in, GH]` and `[H, GH]`, not `[GH, in]` and `[GH, H]`.
    pub transposed: bool,
}

impl CellLayout {
    /// r, z, n, `[GH, in]`: that of [`CellWeights`] itself.
    pub const PYTORCH: Self = Self { gates: GateOrder::ResetUpdateNew, transposed: false };
    /// z, r, n, `[GH, in]`.
    pub const ONNX: Self = Self { gates: GateOrder::UpdateResetNew, transposed: false };
    /// z, r, n, `[in, GH]`.
    pub const KERAS: Self = Self { gates: GateOrder::UpdateResetNew, transposed: true };
}

/// The biases of a cell as a source has them.
///
/// ```
/// use wgpu_gru::{Biases, CellLayout, CellWeights, GruConfig};
/// let config = GruConfig::new(3, 4).bias(false);
/// let cell = CellWeights::from_layout(&config, 0, CellLayout::ONNX, &[0.0; 36], &[0.0; 48], Biases::None)?;
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Biases<'a> {
    /// There are none.
    None,
    /// One of the input and one of the state, `[GH]` each: PyTorch's.
    Two {
        /// Added to the product with the input.
        ih: &'a [f32],
        /// Added to the product with the state.
        hh: &'a [f32],
    },
    /// Both in one array, `[2GH]`, that of the input first: ONNX's, and Keras's with `reset_after=True`.
    Joined(&'a [f32]),
    /// One, `[GH]`, which is added to both products together: Keras's with `reset_after=False`, RNNoise's. It becomes
    /// `bias_ih`, and `bias_hh` is 0. With the reset gate after the product the two are not the same, so such a bias is
    /// then that of the input alone.
    Input(&'a [f32]),
}

impl CellWeights {
    /// The weights of a cell of a layer out of the arrays of another source: row-major slices in a [`CellLayout`].
    ///
    /// ```
    /// use wgpu_gru::{Biases, CellLayout, CellWeights, GruConfig, Weights};
    /// # let (kernel, recurrent_kernel, bias) = (vec![0.0; 3 * 12], vec![0.0; 4 * 12], vec![0.0; 2 * 12]);
    /// // A GRU of Keras, 3 features and 4 units.
    /// let config = GruConfig::new(3, 4);
    /// let cell = CellWeights::from_layout(&config, 0, CellLayout::KERAS, &kernel, &recurrent_kernel, Biases::Joined(&bias))?;
    /// let weights = Weights::from(cell);
    /// # Ok::<(), wgpu_gru::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Config::validate`]; [`Error::ShapeMismatch`] names the first array of another length, in the shape of
    /// the source; [`Error::InvalidOption`] for biases where the config says that there are none, or the other way
    /// round, and for a layer that the config has not.
    pub fn from_layout<C: Copy + Into<Cell>>(
        config: &Config<C>,
        layer: usize,
        layout: CellLayout,
        weight_ih: &[f32],
        weight_hh: &[f32],
        biases: Biases<'_>,
    ) -> Result<Self> {
        config.validate()?;
        if layer >= config.num_layers {
            let expected = "a layer that the config has";
            return Err(Error::InvalidOption { option: "layer", value: layer as f64, expected });
        }
        if config.bias != (biases != Biases::None) {
            let expected = "biases if and only if Config::bias says so";
            return Err(Error::InvalidOption { option: "biases", value: f64::from(u8::from(!config.bias)), expected });
        }
        let [ih, hh, ..] = Self::shapes(config, layer);
        let rows = ih[0];
        for (name, shape, array) in [("weight_ih", &ih, weight_ih), ("weight_hh", &hh, weight_hh)] {
            let of_source = if layout.transposed { vec![shape[1], shape[0]] } else { shape.clone() };
            expect_len(name, &of_source, array.len())?;
        }
        let [bias_ih, bias_hh] = match biases {
            Biases::None => [vec![], vec![]],
            Biases::Two { ih, hh } => {
                expect_len("bias_ih", &[rows], ih.len())?;
                expect_len("bias_hh", &[rows], hh.len())?;
                [ih.to_vec(), hh.to_vec()]
            }
            Biases::Joined(both) => {
                expect_len("biases", &[2, rows], both.len())?;
                [both[..rows].to_vec(), both[rows..].to_vec()]
            }
            Biases::Input(one) => {
                expect_len("bias", &[rows], one.len())?;
                [one.to_vec(), vec![0.0; rows]]
            }
        };
        let matrix = |array: &[f32], columns: usize| {
            let rows_first = if layout.transposed { transposed(array, columns) } else { array.to_vec() };
            layout.swap(config.cell(), rows_first)
        };
        Ok(Self {
            weight_ih: matrix(weight_ih, ih[1]),
            weight_hh: matrix(weight_hh, hh[1]),
            bias_ih: layout.swap(config.cell(), bias_ih),
            bias_hh: layout.swap(config.cell(), bias_hh),
        })
    }

    /// The arrays as another source has them, in the order of [`CellWeights::NAMES`], with empty biases where there are
    /// none: the way back of [`from_layout`](Self::from_layout) with [`Biases::Two`].
    ///
    /// # Errors
    /// Those of [`Config::validate`], and [`Error::ShapeMismatch`] if this is no cell of that layer.
    pub fn to_layout<C: Copy + Into<Cell>>(
        &self,
        config: &Config<C>,
        layer: usize,
        layout: CellLayout,
    ) -> Result<[Vec<f32>; 4]> {
        config.validate()?;
        let shapes = Self::shapes(config, layer);
        for ((name, array), shape) in Self::NAMES.into_iter().zip(self.arrays()).zip(&shapes) {
            expect_len(name, shape, array.len())?;
        }
        let [weight_ih, weight_hh, bias_ih, bias_hh] =
            self.arrays().map(|array| layout.swap(config.cell(), array.to_vec()));
        let rows = shapes[0][0];
        let matrix = |array: Vec<f32>| if layout.transposed { transposed(&array, rows) } else { array };
        Ok([matrix(weight_ih), matrix(weight_hh), bias_ih, bias_hh])
    }
}

impl CellLayout {
    /// Swaps the rows of r and z of a GRU where this order is not the crate's.
    fn swap(self, cell: Cell, mut array: Vec<f32>) -> Vec<f32> {
        let is_swapped = cell.gates() == 3 && self.gates == GateOrder::UpdateResetNew;
        if is_swapped {
            let gate = array.len() / 3;
            array[..2 * gate].rotate_left(gate);
        }
        array
    }
}

/// `[columns of the result, rows]` to `[rows, columns]`.
fn transposed(array: &[f32], columns: usize) -> Vec<f32> {
    let rows = array.len() / columns;
    (0..rows * columns).map(|index| array[index % columns * rows + index / columns]).collect()
}
