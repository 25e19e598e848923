//! Which kernel computes a matrix product, and how long sums are taken. Nobody else decides that.

use std::ops::Range;

use crate::target::Target;

/// Rows of a batch that one dispatch of a weight's gradient sums up at most. In a kernel a sum has parts, so that one
/// of 10^6 numbers of one sign is three chains, of 64, 128 at most and 122, which can be off by half as many units in
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

/// How a GPU takes long sums: each workgroup has a part of `CHAIN` terms of a tile of c, and a second dispatch adds the
/// parts. So there are workgroups enough however small c is, and no sum is one long chain. How many parts a dispatch
/// makes at once; none where the sum is not long, or c is so large that it needs no parts to fill a GPU.
pub(crate) fn parts_at_once([m, n, k]: [usize; 3], target: &Target) -> Option<usize> {
    let most = (PARTS / 4) / m.saturating_mul(n).max(1);
    let parts = k.div_ceil(CHAIN).min(most).min(target.limits.max_compute_workgroups_per_dimension as usize);
    let wants_parts = !target.is_software() && is_long(k) && tiles([m, n]) < ENOUGH;
    (wants_parts && parts > 1).then_some(parts)
}

/// Tiles of 64 x 64 from which on they are enough to fill a large GPU.
const ENOUGH: u64 = 256;

/// Tiles of 64 x 64 of a product of m rows and n columns.
fn tiles([m, n]: [usize; 2]) -> u64 {
    MatmulKernel::Tiled.grid(m, n).iter().map(|&count| u64::from(count)).product()
}

/// The terms of a part.
pub(crate) const PART: usize = CHAIN;

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
    /// Tiles of 64 x 64 of f16 numbers, by cooperative matrices of 16 x 16:
    /// [`Unroll::f16_products`](crate::Unroll::f16_products).
    Cooperative16,
    /// Tiles of 32 x 32 of f16 numbers, by cooperative matrices of 8 x 8.
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

    /// The kernel by whose tiles a layer is cut into chunks: every other choice for that class of device has tiles as
    /// large or larger where a grid can have them.
    pub(crate) fn of_class(target: &Target) -> Self {
        if target.is_software() { Self::Direct } else { Self::Tiled }
    }

    /// The largest workgroup that it or a reduction needs: invocations, and bytes of workgroup memory.
    pub(crate) fn workgroup(self) -> [u64; 2] {
        match self {
            Self::Tiled | Self::TiledSmall => [256, 2 * 64 * 16 * 4],
            // What cooperative matrices need, `Gpu::set_cooperative_matrices` has looked at.
            _ => [256, 256 * 4],
        }
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
///            few tiles, or a long sum in one dispatch: TiledSmall    else Tiled
/// ```
///
/// Measured in `benches/RECORD.md`. A GPU with fewer than `ENOUGH` large tiles stands half empty, so small ones win
/// there. Where one workgroup takes all of a long sum it has parts, too, whose sums take as many registers again, of which
/// the large tile has all already (1.4 times the time; with small tiles 1.3 times). On a software rasteriser loads cost
/// most, and subgroups of 8 share them.
pub(crate) fn choose(
    [m, n, k]: [usize; 3],
    transpose_a: bool,
    few_rows: bool,
    f16: bool,
    parts: usize,
    target: &Target,
) -> MatmulKernel {
    use MatmulKernel::{Broadcast, Cooperative8, Cooperative16, Direct, FewRows, Tiled, TiledSmall};
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
    let is_long_sum = transpose_a && is_long(k) && parts == 1;
    let wants_small = tiles([m, n]).saturating_mul(parts as u64) < ENOUGH || is_long_sum;
    if wants_small && fits(TiledSmall) { TiledSmall } else { Tiled }
}

#[cfg(test)]
mod tests {
    use wgpu::{DeviceType, Limits};

    use super::MatmulKernel::{Broadcast, Cooperative8, Cooperative16, Direct, FewRows, Tiled, TiledSmall};
    use super::{MatmulKernel, choose};
    use crate::target::Target;

    fn target(class: DeviceType, workgroups: u32) -> Target {
        let limits = Limits { max_compute_workgroups_per_dimension: workgroups, ..Limits::default() };
        Target::new(&limits, class)
    }

    fn of(target: &Target, [m, n]: [usize; 2], few_rows: bool, f16: bool) -> MatmulKernel {
        choose([m, n, 100], true, few_rows, f16, 1, target)
    }

    #[test]
    fn long_sums_have_parts() {
        let gpu = target(DeviceType::DiscreteGpu, 65_535);
        let of = |size| super::parts_at_once(size, &gpu);
        assert_eq!([256, 257, 2048].map(|k| of([384, 128, k])), [None, Some(2), Some(8)]);
        // 16 x 15 tiles of 3.75 MiB in all; one column of tiles more needs no parts.
        assert_eq!([of([1024, 960, 4096]), of([1024, 961, 4096])], [Some(8), None]);
        assert_eq!(super::parts_at_once([8, 8, 4096], &target(DeviceType::DiscreteGpu, 9)), Some(9));
        assert_eq!(super::parts_at_once([384, 128, 2048], &target(DeviceType::Cpu, 65_535)), None);
    }

    #[test]
    fn a_product_takes_what_suits_it() {
        let gpu = |workgroups| target(DeviceType::DiscreteGpu, workgroups);
        let whole = gpu(65_535);
        // 16 x 16 tiles of 64 x 64 are enough; one row of tiles less is not.
        assert_eq!(of(&whole, [961, 1024], false, false), Tiled);
        assert_eq!(of(&whole, [960, 1024], false, false), TiledSmall);
        assert_eq!(of(&whole, [1, 1 << 20], false, false), Tiled);
        // 2 x 3 tiles of 64 x 64 would be 4 x 6 small ones.
        assert_eq!(of(&gpu(5), [128, 192], false, false), Tiled);
        assert_eq!(of(&gpu(6), [128, 192], false, false), TiledSmall);

        assert_eq!(of(&whole, [8, 1024], true, false), FewRows);
        assert_eq!(of(&whole, [9, 1024], true, false), TiledSmall);

        // A long sum: 32 small tiles across.
        let long = |k, workgroups| choose([1024, 1024, k], true, false, false, 1, &gpu(workgroups));
        assert_eq!([long(256, 32), long(257, 32), long(257, 31)], [Tiled, TiledSmall, Tiled]);
        let rows = choose([1024, 1024, 257], false, false, false, 1, &whole);
        assert_eq!(rows, Tiled, "a sum along rows of weights is as long as the layer is wide");

        let in_parts = |parts| choose([512, 512, 4096], true, false, false, parts, &whole);
        assert_eq!([1, 3, 4].map(in_parts), [TiledSmall, TiledSmall, Tiled]);

        let mut software = target(DeviceType::Cpu, 65_535);
        assert_eq!(of(&software, [8, 1024], true, false), Direct);
        software.subgroups = Some([8, 8]);
        assert_eq!(of(&software, [1, 1], false, false), Broadcast);
        software.subgroups = Some([4, 8]);
        assert_eq!(of(&software, [1, 1], false, false), Direct);

        // 3 x 2 tiles of 64 x 64, 5 x 4 of 32 x 32, 10 x 4 of 16 x 32.
        for (workgroups, eight, sixteen) in [
            (5, Cooperative8, Cooperative16),
            (4, Tiled, Cooperative16),
            (3, Tiled, Cooperative16),
            (2, Direct, Direct),
        ] {
            let with = |size| Target { cooperative: Some(size), ..gpu(workgroups) };
            assert_eq!(of(&with(8), [150, 128], true, true), eight);
            assert_eq!(of(&with(16), [150, 128], true, true), sixteen);
            assert_ne!(of(&with(16), [150, 128], true, false), Cooperative16, "nobody asked for f16");
        }
    }
}
