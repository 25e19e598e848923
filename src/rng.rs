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

    /// `len` numbers of the normal distribution with mean 0 and variance 1, two by two from two uniform ones (Box and
    /// Muller, 1958, "A note on the generation of random normal deviates"). They are computed in f64 and rounded: with
    /// the logarithm and cosine of another machine one in some 10^8 may have another last bit.
    pub fn normal_vec(&mut self, len: usize) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(len + 1);
        while numbers.len() < len {
            // In (0, 1], and in [0, 1).
            let [radius, angle] = [1, 0].map(|least| ((self.next_u64() >> 11) + least) as f64 / (1_u64 << 53) as f64);
            let radius = (-2.0 * radius.ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * angle).sin_cos();
            numbers.extend([(radius * cosine) as f32, (radius * sine) as f32]);
        }
        numbers.truncate(len);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::SplitMix64;

    /// Moments of a million numbers are off by some 0.001 to 0.01; so are the shares beyond 1, 2 and 3.
    #[test]
    fn normal_numbers_are_normal() {
        let numbers = SplitMix64::new(5).normal_vec(1_000_001);
        assert_eq!(numbers.len(), 1_000_001, "an odd number");
        let mean = |f: &dyn Fn(f64) -> f64| numbers.iter().map(|&z| f(f64::from(z))).sum::<f64>() / 1_000_001.0;
        for (power, moment) in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)] {
            let made = mean(&|z| z.powi(power));
            assert!((made - moment).abs() < 0.015, "moment {power} is {made}");
        }
        for (beyond, share) in [(1.0, 0.317_311), (2.0, 0.045_500), (3.0, 0.002_700)] {
            let made = mean(&|z| f64::from(u8::from(z.abs() > beyond)));
            assert!((made / share - 1.0).abs() < 0.03, "{made} beyond {beyond}");
        }
        // Neighbours, of one pair and of two, have nothing to do with each other.
        for gap in [1, 2] {
            let product = numbers.iter().zip(&numbers[gap..]).map(|(a, b)| f64::from(a * b)).sum::<f64>() / 1e6;
            assert!(product.abs() < 0.005, "{product}");
        }
        assert_eq!(SplitMix64::new(5).normal_vec(3), numbers[..3], "the same from the same seed");
    }
}
