//! What is given to an unrolled layer.

/// Which tensors are given to an unrolled layer, so that it does not make them: for each how many elements behind a
/// multiple of 16 bytes it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct External {
    pub(crate) input: Option<usize>,
    pub(crate) output: Option<usize>,
    pub(crate) h0: Option<usize>,
    pub(crate) h_n: Option<usize>,
    pub(crate) d_output: Option<usize>,
    pub(crate) d_h_n: Option<usize>,
    pub(crate) d_input: Option<usize>,
    pub(crate) d_h0: Option<usize>,
    /// Of each cell, in the order of [`CellWeights::NAMES`](crate::CellWeights::NAMES).
    pub(crate) gradients: Option<Vec<[usize; 4]>>,
    /// As `gradients`. Empty: they begin at multiples of 16 bytes, as those that the crate makes.
    pub(crate) weights: Vec<[usize; 4]>,
    /// `h0` and `h_n` are two parts of one buffer.
    pub(crate) states_share: bool,
    /// `h0` and `h_n` are the very same tensor.
    pub(crate) one_state: bool,
    /// The rows of the first states are taken from `h0` as numbers say that the app writes.
    pub(crate) sources: bool,
    /// The recurrent weights of the directions of a layer do not lie evenly in one buffer.
    pub(crate) directions_apart: bool,
    /// Nor do those of all layers.
    pub(crate) layers_apart: bool,
    /// One of the four kinds of weights and biases does not lie evenly, or not in one buffer.
    pub(crate) weights_apart: bool,
}
