//! Drawn sums over rows.

use proptest::prelude::*;
use wgpu_gru::Gpu;

use crate::checks::single::check_sum;
use crate::support::{passed, property};

trials![random_sums];

fn random_sums(gpu: &Gpu) {
    property(24, &(1_usize..300, 1_usize..100, any::<bool>(), any::<u64>()), |(rows, columns, accumulate, seed)| {
        passed(pollster::block_on(check_sum(gpu, [rows, columns], accumulate, seed)));
    });
}
