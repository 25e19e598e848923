//! Which kernel computes a matrix product, and how long sums are taken. Nobody else decides that.

use std::ops::Range;

use crate::target::Target;

/// Rows of a batch that one dispatch of a weight's gradient sums up at most. In a kernel a sum has parts, so that one
/// of 10^6 numbers of one sign is three chains, of 128, 64 at most and 122, which can be off by half as many units in
/// the last place: less than 10^-5. In one chain it would be off by up to 0.03.
const RANGE: usize = 8192;

/// Numbers that can be summed up in one chain: they are off by 2^-17 of themselves at most, half as many units.
const CHAIN: usize = 256;

/// The rows of a sum, dispatch by dispatch.
pub(crate) fn ranges_of_rows(rows: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..rows.div_ceil(RANGE)).map(move |range| range * RANGE..rows.min((range + 1) * RANGE))
}

/// Bytes of the parts of sums that a dispatch makes at most.
const PARTS: usize = 32 << 20;

/// How long sums over rows are taken in parts: each workgroup has a part of a tile of c, and a second dispatch adds the
/// parts. So there are workgroups enough however small c is, and no sum is one long chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InParts {
    /// The terms of a part: a multiple of [`CHAIN`].
    pub(crate) terms: usize,
    /// How many parts a dispatch makes at most.
    pub(crate) at_once: usize,
}

impl InParts {
    /// None where the sum is not long, or c is so large that it needs no parts to fill a GPU, or too large for two. As many
    /// as give each multiprocessor of a large GPU some tiles: more only make more sums. An H100 took gradients of
    /// 1536 x 512 over 4096 rows in 200 us by 5 parts (240 workgroups), 192 by 11, 217 by 22; of 3072 x 1024 over 2048
    /// in 449 by 1 (192), 355 by 2, 384 by 5.
    pub(crate) fn of([m, n, k]: [usize; 3], target: &Target) -> Option<Self> {
        let most = (PARTS / 4) / m.saturating_mul(n).max(1);
        let most = most.min(target.limits.max_compute_workgroups_per_dimension as usize);
        if target.is_software() || !is_long(k) || most < 2 {
            return None;
        }
        let wanted = ENOUGH_LARGE.div_ceil(MatmulKernel::TiledLarge.tiles([m, n])) as usize;
        let terms = k.div_ceil(wanted.min(most)).min(RANGE).next_multiple_of(CHAIN);
        let at_once = k.div_ceil(terms).min(most);
        (wanted > 1 && at_once > 1).then_some(Self { terms, at_once })
    }

    /// The rows of the parts of each dispatch.
    pub(crate) fn ranges(self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let of_dispatch = self.at_once * self.terms;
        (0..rows).step_by(of_dispatch).map(move |first| first..rows.min(first + of_dispatch))
    }
}

/// Tiles of 128 x 64 from which on they are faster than small ones: about one for each multiprocessor of a large GPU.
const ENOUGH: u64 = 128;

/// Tiles of 128 x 128 from which on they are faster than those of 128 x 64. An H100 took 67 us with 192 of them where it
/// took 54 with the others, and 183 with 384 where it took 187.
const ENOUGH_LARGE: u64 = 384;

/// Whether a sum has to have parts.
pub(crate) fn is_long(terms: usize) -> bool {
    terms > CHAIN
}

/// Which matrix product is used.
///
/// ```
/// use wgpu_gru::MatmulKernel;
/// assert_eq!(MatmulKernel::TiledLarge.tile(), [128, 128]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatmulKernel {
    /// Tiles of 128 x 128 through workgroup memory: GPUs, for the largest products.
    TiledLarge,
    /// Tiles of 128 x 64 through workgroup memory: GPUs.
    Tiled,
    /// Tiles of 32 x 32 through workgroup memory: GPUs, for products of so few tiles that a GPU would be half empty.
    TiledSmall,
    /// 8 rows by 32 columns, whose sums are taken in 8 slices: GPUs, for all products of a layer of so few rows.
    FewRows,
    /// 16 rows by 32 columns without workgroup memory: CPU-class adapters.
    Direct,
    /// Tiles of 32 x 32, whose rows go round subgroups of 8: CPU-class adapters that have these.
    Broadcast,
    /// Tiles of 64 x 64 of f16 numbers, by cooperative matrices of 16 x 16:
    /// [`Unroll::f16_products`](crate::Unroll::f16_products).
    Cooperative16,
    /// Tiles of 32 x 32 of f16 numbers, by cooperative matrices of 8 x 8.
    Cooperative8,
}

impl MatmulKernel {
    /// Every kernel.
    pub const ALL: [Self; 8] = [
        Self::TiledLarge,
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
            Self::TiledLarge => [128, 128],
            Self::Tiled => [128, 64],
            Self::Cooperative16 => [64, 64],
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

    /// How many tiles they are.
    fn tiles(self, [m, n]: [usize; 2]) -> u64 {
        self.grid(m, n).iter().map(|&count| u64::from(count)).product()
    }

    /// The kernel by whose tiles a layer is cut into chunks: every other choice for that class of device has tiles as
    /// large or larger where a grid can have them.
    pub(crate) fn of_class(target: &Target) -> Self {
        if target.is_software() { Self::Direct } else { Self::Tiled }
    }

    /// The largest workgroup that it or a reduction needs: invocations, and bytes of workgroup memory.
    pub(crate) fn workgroup(self) -> [u64; 2] {
        let two_slabs = |[rows, columns]: [u32; 2]| u64::from(2 * 8 * (rows + columns) * 4);
        match self {
            Self::TiledLarge | Self::Tiled => [256, two_slabs(self.tile())],
            Self::TiledSmall => [256, 2 * 32 * 32 * 4],
            // What cooperative matrices need, `Gpu::set_cooperative_matrices` has looked at.
            _ => [256, 256 * 4],
        }
    }

    /// Whether a workgroup can take a part of the sums.
    pub(crate) fn can_have_parts(self) -> bool {
        matches!(self, Self::TiledLarge | Self::Tiled | Self::TiledSmall)
    }

    /// Whether a device can run its workgroups, features aside.
    pub(crate) fn fits_in(self, limits: &wgpu::Limits) -> bool {
        let [invocations, memory] = self.workgroup();
        invocations <= limits.max_compute_invocations_per_workgroup.into()
            && memory <= limits.max_compute_workgroup_storage_size.into()
    }
}

/// Up to so many rows in all, T B, the products of a layer on a GPU have a kernel of their own. For a layer that has no
/// more: a longer one whose time axis is cut into chunks has the same bits as one that is not.
pub(crate) const FEW_ROWS: usize = 8;

/// The kernel for a product of m rows, n columns and sums of k, over rows of a batch if `transpose_a`.
///
/// ```text
/// cooperative matrices, if they are wanted and there, and the grid can have their tiles
/// software   subgroups of 8: Broadcast           else Direct
/// GPU        few rows:       FewRows
///            many tiles:     TiledLarge
///            few tiles, or long sums that are added to others: TiledSmall    else Tiled
/// ```
///
/// Measured in `benches/RECORD.md`. A GPU with fewer than [`ENOUGH`] tiles stands half empty, so small ones win there. Long
/// sums that are added to what c holds need registers for the sums of their parts, which a large tile has not (1.4 times
/// the time; with small tiles 1.3 times). On a software rasteriser loads cost most, and subgroups of 8 share them.
pub(crate) fn choose(
    [m, n]: [usize; 2],
    few_rows: bool,
    f16: bool,
    parts: usize,
    adds_long_sums: bool,
    target: &Target,
) -> MatmulKernel {
    use MatmulKernel::{Broadcast, Cooperative8, Cooperative16, Direct, FewRows, Tiled, TiledLarge, TiledSmall};
    let most = target.limits.max_compute_workgroups_per_dimension;
    let fits = |kernel: MatmulKernel| kernel.grid(m, n).iter().all(|&count| count <= most);
    if let Some(size) = target.cooperative.filter(|_| f16) {
        let cooperative = if size == 16 { Cooperative16 } else { Cooperative8 };
        return [cooperative, Tiled].into_iter().find(|&kernel| fits(kernel)).unwrap_or(Direct);
    }
    if target.is_software() {
        return if target.has_subgroups_of_8() { Broadcast } else { Direct };
    }
    if few_rows && m <= FEW_ROWS && fits(FewRows) {
        return FewRows;
    }
    let tiles = |kernel: MatmulKernel| kernel.tiles([m, n]).saturating_mul(parts as u64);
    let has_large = fits(TiledLarge) && TiledLarge.fits_in(&target.limits);
    if (tiles(Tiled) < ENOUGH || adds_long_sums) && fits(TiledSmall) {
        TiledSmall
    } else if tiles(TiledLarge) >= ENOUGH_LARGE && has_large {
        TiledLarge
    } else {
        Tiled
    }
}

#[cfg(test)]
mod tests {
    use wgpu::{DeviceType, Limits};

    use super::MatmulKernel::{Broadcast, Cooperative8, Cooperative16, Direct, FewRows, Tiled, TiledLarge, TiledSmall};
    use super::{InParts, MatmulKernel, choose};
    use crate::target::Target;

    fn target(class: DeviceType, workgroups: u32) -> Target {
        let limits = Limits { max_compute_workgroups_per_dimension: workgroups, ..Limits::default() };
        Target::new(&limits, class)
    }

    fn of(target: &Target, [m, n]: [usize; 2], few_rows: bool, f16: bool) -> MatmulKernel {
        choose([m, n], few_rows, f16, 1, false, target)
    }

    #[test]
    fn long_sums_have_parts() {
        let gpu = target(DeviceType::DiscreteGpu, 65_535);
        let of = |size| InParts::of(size, &gpu).map(|InParts { terms, at_once }| [at_once, terms]);
        assert_eq!([256, 257, 2048].map(|k| of([384, 128, k])), [None, Some([2, 256]), Some([8, 256])]);
        // 12 x 4 and 24 x 8 tiles of 128 x 128; with 24 x 16 no parts are wanted.
        assert_eq!(of([1536, 512, 4096]), Some([8, 512]));
        assert_eq!(of([3072, 1024, 2048]), Some([2, 1024]));
        assert_eq!(of([3072, 2048, 2048]), None);
        // Parts of 16.5 MiB: two of them would be too much. Of 8 MiB: four at a time.
        assert_eq!([of([2056, 2048, 4096]), of([2048, 1024, 10_000])], [None, Some([3, 3584])]);
        assert_eq!(of([2048, 1024, 1_000_000]), Some([4, 8192]));
        let ranges: Vec<_> = InParts { terms: 256, at_once: 4 }.ranges(2049).collect();
        assert_eq!(ranges, [0..1024, 1024..2048, 2048..2049]);
        assert_eq!(InParts::of([8, 8, 4096], &target(DeviceType::DiscreteGpu, 9)).map(|of| of.at_once), Some(8));
        assert_eq!(InParts::of([384, 128, 2048], &target(DeviceType::Cpu, 65_535)), None);
    }

    #[test]
    fn a_product_takes_what_suits_it() {
        let gpu = |workgroups| target(DeviceType::DiscreteGpu, workgroups);
        let whole = gpu(65_535);
        // 8 x 16 tiles of 128 x 64 are enough; one row of tiles less is not.
        assert_eq!(of(&whole, [897, 1024], false, false), Tiled);
        assert_eq!(of(&whole, [896, 1024], false, false), TiledSmall);
        // 12 x 32 tiles of 128 x 128 are; and where workgroup memory does not hold them, 24 x 32 are many, too.
        assert_eq!(of(&whole, [1536, 4096], false, false), TiledLarge);
        assert_eq!(of(&whole, [1536, 3968], false, false), Tiled);
        assert_eq!(of(&whole, [1, 1 << 20], false, false), TiledLarge);
        let mut narrow = gpu(65_535);
        narrow.limits.max_compute_workgroup_storage_size = 16 * 1024 - 1;
        assert_eq!(of(&narrow, [1536, 4096], false, false), Tiled);
        // 1 x 3 tiles of 128 x 64 would be 4 x 6 small ones.
        assert_eq!(of(&gpu(5), [128, 192], false, false), Tiled);
        assert_eq!(of(&gpu(6), [128, 192], false, false), TiledSmall);

        assert_eq!(of(&whole, [8, 1024], true, false), FewRows);
        assert_eq!(of(&whole, [9, 1024], true, false), TiledSmall);

        // 4 x 8 tiles of 128 x 64, 4 x 4 of 128 x 128.
        let in_parts = |parts| choose([512, 512], false, false, parts, false, &whole);
        assert_eq!([3, 4, 23, 24].map(in_parts), [TiledSmall, Tiled, Tiled, TiledLarge]);
        assert_eq!(
            choose([4096, 4096], false, false, 1, true, &whole),
            TiledSmall,
            "long sums that are added to others"
        );

        let mut software = target(DeviceType::Cpu, 65_535);
        assert_eq!(of(&software, [8, 1024], true, false), Direct);
        software.subgroups = Some([8, 8]);
        assert_eq!(of(&software, [1, 1], false, false), Broadcast);
        software.subgroups = Some([4, 8]);
        assert_eq!(of(&software, [1, 1], false, false), Direct);

        // 2 x 2 tiles of 128 x 64, 3 x 2 of 64 x 64, 5 x 4 of 32 x 32, 10 x 4 of 16 x 32.
        for (workgroups, eight, sixteen) in [
            (5, Cooperative8, Cooperative16),
            (4, Tiled, Cooperative16),
            (3, Tiled, Cooperative16),
            (2, Tiled, Tiled),
            (1, Direct, Direct),
        ] {
            let with = |size| Target { cooperative: Some(size), ..gpu(workgroups) };
            assert_eq!(of(&with(8), [150, 128], true, true), eight);
            assert_eq!(of(&with(16), [150, 128], true, true), sixteen);
            assert_ne!(of(&with(16), [150, 128], true, false), Cooperative16, "nobody asked for f16");
        }
    }
}
