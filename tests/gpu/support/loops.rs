//! Ways to make the steps of a layer.

use wgpu_gru::{Cut, Schedule, TimeLoop};

/// Both schedules (the second cannot have the reset gate before the product), each with the cuts that adapters get and
/// with odd ones: lanes, slices, rows.
pub(crate) fn time_loops() -> impl Iterator<Item = TimeLoop> {
    let cuts = [[8, 1, 1], [8, 1, 8], [16, 4, 4], [64, 2, 1], [4, 2, 8]];
    let cut = |[lanes, split, rows]: [u32; 3]| Cut { lanes, split, rows, vec4: split > 1 };
    [(Schedule::PerStep, 1), (Schedule::PerSequence, 3)].into_iter().flat_map(move |(schedule, steps)| {
        // Forward and backward need not have the same cut.
        (0..cuts.len()).map(move |i| {
            let (forward, backward) = (cut(cuts[i]), cut(cuts[(i + 2) % cuts.len()]));
            TimeLoop { schedule, steps, forward, backward }
        })
    })
}
