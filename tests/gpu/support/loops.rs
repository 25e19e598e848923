//! Ways to make the steps of a layer.

use wgpu_gru::wgpu::{Backend, Features};
use wgpu_gru::{Cut, ExchangeCut, Gpu, RowsCut, TimeLoop};

/// All schedules, each with the cuts that adapters get and with odd ones.
pub(crate) fn time_loops(gpu: &Gpu) -> Vec<TimeLoop> {
    single_steps().chain(by_rows(gpu)).chain(by_exchange(gpu)).collect()
}

/// A dispatch a step.
pub(crate) fn single_steps() -> impl Iterator<Item = TimeLoop> {
    let cuts = [[8, 1, 1], [8, 1, 8], [16, 4, 4], [64, 2, 1], [4, 2, 8]];
    let cut = |[lanes, split, rows]: [u32; 3]| Cut { lanes, split, rows, vec4: split > 1 };
    // Forward and backward need not have the same cut.
    (0..cuts.len()).map(move |i| {
        let (forward, backward) = (cut(cuts[i]), cut(cuts[(i + 2) % cuts.len()]));
        TimeLoop::Step { forward, backward }
    })
}

/// Slices, units, rows, steps ahead, whether slices are added in subgroups. Three slices of a unit are not in one vector
/// of a software adapter, so their barrier counts.
const ROWS: [(u32, u32, u32, u32, bool); 8] = [
    (1, 1, 1, 1, true),
    (2, 2, 1, 3, true),
    (3, 1, 2, 2, false),
    (4, 2, 1, 4, true),
    (2, 1, 4, 1, true),
    (4, 2, 4, 1, false),
    (8, 2, 1, 2, true),
    (1, 2, 3, 1, false),
];

/// Steps by rows in ways that the adapter can have, three of them in a dispatch.
pub(crate) fn by_rows(gpu: &Gpu) -> impl Iterator<Item = TimeLoop> {
    let info = gpu.info();
    let has_subgroups = gpu.device().features().contains(Features::SUBGROUP) && info.subgroup_min_size >= 8;
    let (largest, is_vulkan) = (info.subgroup_max_size, info.backend == Backend::Vulkan);
    ROWS.into_iter().enumerate().map(move |(number, (slices, units, rows, ahead, in_subgroups))| {
        let subgroup = (in_subgroups && has_subgroups).then_some(largest);
        let exact_stores = is_vulkan && number % 2 == 0;
        let cut = |units| RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software: number % 4 < 3 };
        TimeLoop::Rows { steps: 3, forward: cut(1), backward: cut(units) }
    })
}

/// Slices, splits, units of a group, rows and how many at a time, units of a workgroup; whether slices are added in
/// subgroups; and whether workgroups try to meet, as two of a software adapter can: if not, the settlement does all of it.
const EXCHANGE: [([u32; 6], bool, bool); 4] = [
    ([1, 2, 2, 1, 1, 32], false, true),
    ([1, 3, 2, 3, 1, 18], false, false),
    ([4, 2, 4, 4, 2, 32], true, true),
    ([8, 1, 4, 8, 4, 16], true, false),
];

/// Steps by exchange in ways that the adapter can have, three of them in a dispatch.
pub(crate) fn by_exchange(gpu: &Gpu) -> impl Iterator<Item = TimeLoop> {
    let info = gpu.info();
    let has_subgroups = gpu.device().features().contains(Features::SUBGROUP) && info.subgroup_min_size >= 8;
    let (largest, is_vulkan) = (info.subgroup_max_size, info.backend == Backend::Vulkan);
    EXCHANGE.into_iter().enumerate().filter_map(
        move |(number, ([slices, splits, units, rows, tile, columns], in_subgroups, meets))| {
            let subgroup = in_subgroups.then_some(largest);
            let (groups, splits) = match subgroup {
                // A workgroup of whole subgroups.
                Some(size) => (columns / units, splits * size / (slices * columns / units).min(size)),
                None => (columns / units, splits),
            };
            let exact_stores = is_vulkan && number % 2 == 0;
            let looks = if meets { 1 << 16 } else { 0 };
            let ahead = number == 2;
            let cut = ExchangeCut { slices, groups, splits, units, rows, tile, ahead, subgroup, exact_stores, looks };
            (has_subgroups || !in_subgroups).then_some(TimeLoop::Exchange { steps: 3, forward: cut, backward: cut })
        },
    )
}
