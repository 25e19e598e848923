//! Which matrix product is used for which adapter and size, and how long sums are taken.

use std::ops::Range;

/// Rows of a batch that one dispatch of a weight's gradient sums up at most. In a kernel a sum has
/// parts, so that one of 10^6 numbers of one sign is three chains, of 64, 128 at most and 122, which can be off by half as many
/// units in the last place: less than 10^-5. In one chain it would be off by up to 0.03.
const RANGE: usize = 8192;

/// Numbers that can be summed up in one chain: they are off by 2^-17 of themselves at most, half as many units.
const CHAIN: usize = 256;

/// The rows of a sum, dispatch by dispatch.
pub(crate) fn ranges_of_rows(rows: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..rows.div_ceil(RANGE)).map(move |range| range * RANGE..rows.min((range + 1) * RANGE))
}

/// Whether a sum has to have parts.
pub(crate) fn is_long(terms: usize) -> bool {
    terms > CHAIN
}

/// Which matrix product is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatmulKernel {
    /// Tiles of 64 x 64 through workgroup memory: GPUs.
    Tiled,
    /// Tiles of 32 x 32 through workgroup memory: GPUs, for products of so few tiles that a GPU would be half empty.
    TiledSmall,
    /// 8 rows by 32 columns, whose sums are taken in 8 slices: GPUs, for all products of a layer of so few rows.
    FewRows,
    /// 16 rows by 32 columns without workgroup memory: CPU-class adapters.
    Direct,
    /// Tiles of 32 x 32, whose rows go round subgroups of 8: CPU-class adapters that have these.
    Broadcast,
    /// Tiles of 64 x 64 of numbers of 16 bits, by cooperative matrices of 16 x 16:
    /// [`Unroll::half_products`](crate::Unroll::half_products).
    Cooperative16,
    /// Tiles of 32 x 32 of numbers of 16 bits, by cooperative matrices of 8 x 8.
    Cooperative8,
}

impl MatmulKernel {
    /// Every kernel.
    pub const ALL: [Self; 7] = [
        Self::Tiled,
        Self::TiledSmall,
        Self::FewRows,
        Self::Direct,
        Self::Broadcast,
        Self::Cooperative16,
        Self::Cooperative8,
    ];

    /// Rows and columns of the product that one workgroup owns.
    #[must_use]
    pub fn tile(self) -> [u32; 2] {
        match self {
            Self::Tiled | Self::Cooperative16 => [64, 64],
            Self::FewRows => [8, 32],
            Self::Direct => [16, 32],
            Self::TiledSmall | Self::Broadcast | Self::Cooperative8 => [32, 32],
        }
    }

    /// The workgroups of a product of `m` rows and `n` columns, across and down.
    pub(crate) fn grid(self, m: usize, n: usize) -> [u32; 2] {
        let [rows, columns] = self.tile().map(|size| size as usize);
        [n.div_ceil(columns), m.div_ceil(rows)].map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The product by cooperative matrices of so many rows.
    pub(crate) fn cooperative(size: u32) -> Self {
        if size == 16 { Self::Cooperative16 } else { Self::Cooperative8 }
    }

    /// The choice where a sum has parts: the sums of the parts before take as many registers again, of which the large tile has
    /// all already (measured: 1.4 times the time, with small tiles 1.3 times).
    pub(crate) fn for_long_sum(self, [m, n]: [usize; 2], limits: &wgpu::Limits) -> Self {
        let most = limits.max_compute_workgroups_per_dimension;
        let fits = Self::TiledSmall.grid(m, n).iter().all(|&count| count <= most);
        if self == Self::Tiled && fits { Self::TiledSmall } else { self }
    }

    /// The choice for one product, of what [`Tuning`](super::Tuning) says for all: that of few rows where it may be had, the small
    /// tiles where they fill a GPU better and the grid can have them, broadcasts where there are subgroups of 8.
    pub(crate) fn for_product(
        self,
        [m, n]: [usize; 2],
        few_rows: bool,
        limits: &wgpu::Limits,
        has_subgroups_of_8: bool,
    ) -> Self {
        /// Tiles of 64 x 64 from which on they are enough to fill a large GPU.
        const ENOUGH: u64 = 256;
        let workgroups = |kernel: Self| kernel.grid(m, n).map(u64::from);
        let fits = |kernel| workgroups(kernel).iter().all(|&n| n <= limits.max_compute_workgroups_per_dimension.into());
        match self {
            Self::Tiled if few_rows && m <= 8 && fits(Self::FewRows) => Self::FewRows,
            Self::Tiled if workgroups(self).iter().product::<u64>() < ENOUGH && fits(Self::TiledSmall) => {
                Self::TiledSmall
            }
            Self::Direct if has_subgroups_of_8 => Self::Broadcast,
            // The plan knows of tiles of 64 x 64 or of 16 x 32.
            Self::Cooperative16 | Self::Cooperative8 if !fits(self) => {
                if fits(Self::Tiled) {
                    Self::Tiled
                } else {
                    Self::Direct
                }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MatmulKernel::{Broadcast, Cooperative8, Cooperative16, Direct, FewRows, Tiled, TiledSmall};

    #[test]
    fn a_product_takes_what_suits_it() {
        let limits = wgpu::Limits::default();
        let few = |count| wgpu::Limits { max_compute_workgroups_per_dimension: count, ..limits.clone() };
        // 16 x 16 tiles of 64 x 64 are enough; one row of tiles less is not.
        assert_eq!(Tiled.for_product([961, 1024], false, &limits, true), Tiled);
        assert_eq!(Tiled.for_product([960, 1024], false, &limits, true), TiledSmall);
        assert_eq!(Tiled.for_product([1, 1 << 20], false, &limits, false), Tiled);
        // 2 x 3 tiles of 64 x 64 would be 4 x 6 small ones.
        assert_eq!(Tiled.for_product([128, 192], false, &few(5), false), Tiled);
        assert_eq!(Tiled.for_product([128, 192], false, &few(6), false), TiledSmall);

        assert_eq!(Tiled.for_product([8, 1024], true, &limits, false), FewRows);
        assert_eq!(Tiled.for_product([9, 1024], true, &limits, false), TiledSmall);
        assert_eq!(Direct.for_product([8, 1024], true, &limits, false), Direct);

        // 8 small tiles across.
        assert_eq!(Tiled.for_long_sum([256, 256], &few(8)), TiledSmall);
        assert_eq!(Tiled.for_long_sum([256, 256], &few(7)), Tiled);
        assert_eq!(Direct.for_long_sum([256, 256], &few(8)), Direct);

        assert_eq!(Direct.for_product([1, 1], false, &limits, false), Direct);
        assert_eq!(Direct.for_product([1, 1], false, &limits, true), Broadcast);

        // 3 x 2 tiles of 64 x 64, 5 x 4 of 32 x 32, 10 x 4 of 16 x 32.
        for (most, eight, sixteen) in [
            (5, Cooperative8, Cooperative16),
            (4, Tiled, Cooperative16),
            (3, Tiled, Cooperative16),
            (2, Direct, Direct),
        ] {
            assert_eq!(Cooperative8.for_product([150, 128], true, &few(most), true), eight);
            assert_eq!(Cooperative16.for_product([150, 128], true, &few(most), true), sixteen);
        }
    }
}
