//! Weights on the host, in PyTorch's layout, and their seeded initialisation.

use crate::config::GruConfig;
use crate::error::{Result, expect_len};

/// The weights of a layer on the host, or numbers of the same shapes, such as their gradients.
///
/// Row-major, as `nn.GRU` has them; the 3H rows are those of the gates r, z, n in this order.
///
/// | field       | PyTorch's name | shape     |
/// |-------------|----------------|-----------|
/// | `weight_ih` | `weight_ih_l0` | `[3H, I]` |
/// | `weight_hh` | `weight_hh_l0` | `[3H, H]` |
/// | `bias_ih`   | `bias_ih_l0`   | `[3H]`    |
/// | `bias_hh`   | `bias_hh_l0`   | `[3H]`    |
#[derive(Debug, Clone, PartialEq)]
pub struct GruWeights {
    /// From the input to the gates, `[3H, I]`.
    pub weight_ih: Vec<f32>,
    /// From the hidden state to the gates, `[3H, H]`.
    pub weight_hh: Vec<f32>,
    /// Added to the product with the input, `[3H]`.
    pub bias_ih: Vec<f32>,
    /// Added to the product with the hidden state, `[3H]`.
    pub bias_hh: Vec<f32>,
}

impl GruWeights {
    /// The four names, in the order of [`GruWeights::arrays`].
    pub const NAMES: [&'static str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

    /// Weights drawn from U(-1/sqrt(H), 1/sqrt(H)), as PyTorch draws them, from a seed. The same seed gives the same
    /// weights on every machine. (PyTorch's generator is another one, so the numbers differ from its own.)
    #[must_use]
    pub fn random(config: &GruConfig, seed: u64) -> Self {
        let bound = 1.0 / (config.hidden_size().max(1) as f32).sqrt();
        let mut uniform = Uniform::new(seed);
        let [weight_ih, weight_hh, bias_ih, bias_hh] =
            Self::shapes(config).map(|shape| uniform.vec(shape.iter().product(), bound));
        Self { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    /// The four shapes, in the order of [`GruWeights::NAMES`].
    #[must_use]
    pub fn shapes(config: &GruConfig) -> [Vec<usize>; 4] {
        let (i, h) = (config.input_size(), config.hidden_size());
        // A size that does not fit saturates, and is over every limit.
        let rows = h.saturating_mul(3);
        [vec![rows, i], vec![rows, h], vec![rows], vec![rows]]
    }

    /// The four arrays, in the order of [`GruWeights::NAMES`].
    #[must_use]
    pub fn arrays(&self) -> [&[f32]; 4] {
        [&self.weight_ih, &self.weight_hh, &self.bias_ih, &self.bias_hh]
    }

    /// Checks that every array has the length that the config asks for.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) names the first array that has another length.
    pub fn validate(&self, config: &GruConfig) -> Result<()> {
        config.validate()?;
        for ((name, array), shape) in Self::NAMES.into_iter().zip(self.arrays()).zip(Self::shapes(config)) {
            expect_len(name, &shape, array.len())?;
        }
        Ok(())
    }
}

/// A seeded generator of uniform numbers: SplitMix64 (Steele, Lea and Flood, 2014), the same on every machine.
///
/// ```
/// let mut uniform = wgpu_gru::Uniform::new(7);
/// let x = uniform.vec(1000, 0.5);
/// assert!(x.iter().all(|v| (-0.5..0.5).contains(v)));
/// ```
#[derive(Debug, Clone)]
pub struct Uniform {
    state: u64,
}

impl Uniform {
    /// A generator that starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from [-1, 1), a multiple of 2^-23.
    pub fn next_f32(&mut self) -> f32 {
        let bits = (self.next_u64() >> 40) as i32; // 24 bits
        (bits - (1 << 23)) as f32 / (1 << 23) as f32
    }

    /// `len` numbers from [-bound, bound).
    pub fn vec(&mut self, len: usize, bound: f32) -> Vec<f32> {
        (0..len).map(|_| self.next_f32() * bound).collect()
    }
}
