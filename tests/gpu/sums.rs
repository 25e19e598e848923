//! Drawn sums over rows.

use proptest::prelude::*;
use wgpu_gru::Gpu;

use crate::checks::single::{LANES, check_sum};
use crate::support::{passed, property};

trials![random_sums];

fn random_sums(gpu: &Gpu) {
    property(24, &(1_usize..300, 1_usize..100, any::<[bool; 2]>(), any::<u64>()), |(rows, columns, flags, seed)| {
        let [wide_lanes, accumulate] = flags;
        let lanes = LANES[usize::from(wide_lanes)];
        passed(pollster::block_on(check_sum(gpu, lanes, [rows, columns], accumulate, seed)));
    });
}
