//! Seeded random numbers, for weights and examples.

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers from the same seed on every machine.
///
/// ```
/// let mut random = wgpu_gru::rng::SplitMix64::new(7);
/// let x = random.vec(1000, 0.5);
/// assert!(x.iter().all(|v| (-0.5..0.5).contains(v)));
/// ```
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
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
