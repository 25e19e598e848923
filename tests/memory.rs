//! The table of `docs/memory.md`, from the plan: what a graphics card of 8 GB can train.
//!
//! Where it is another one, the test says what it should be.

use wgpu_gru::wgpu::{DeviceType, Limits};
use wgpu_gru::{CellWeights, GruConfig, Plan, Saved, Unroll};

/// What is left of 8 GB for one layer and its training: the rest is the driver's and the app's.
const ROOM: u64 = 7_000_000_000;

/// As drivers of such cards have them: bindings of 2 GiB, buffers of 4.
fn limits() -> Limits {
    Limits { max_storage_buffer_binding_size: (1 << 31) - 4, max_buffer_size: (1 << 32) - 4, ..Limits::default() }
}

/// Whether a layer, its gradients and Adam's two moments of each weight find room.
fn fits(config: &GruConfig, unroll: &Unroll) -> bool {
    let Ok(plan) = Plan::new(config, unroll, &limits(), DeviceType::DiscreteGpu) else { return false };
    let shapes = CellWeights::shapes(config, 0);
    let numbers: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
    // Gradients are the plan's.
    plan.bytes() + 3 * 4 * numbers as u64 <= ROOM
}

/// The longest sequence that can be trained.
fn longest(hidden: usize, batch: usize, saved: Saved) -> usize {
    let config = GruConfig::new(hidden, hidden);
    let unroll = |steps| Unroll::training(steps, batch).input_gradient(false).saved(saved);
    let (mut fitting, mut too_long) = (0, 1);
    while fits(&config, &unroll(too_long)) {
        (fitting, too_long) = (too_long, 2 * too_long);
    }
    while too_long - fitting > (fitting / 1000).max(1) {
        let middle = usize::midpoint(fitting, too_long);
        if fits(&config, &unroll(middle)) { fitting = middle } else { too_long = middle }
    }
    fitting
}

/// Two digits, rounded down.
fn rounded(number: usize) -> String {
    let scale = 10_usize.pow(number.max(1).ilog10().saturating_sub(1));
    let digits = (number / scale * scale).to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[test]
fn what_8_gb_can_train() {
    let mut table = String::from("| H | B | `Everything` | `F16` | `Recompute` |\n|---|---|---|---|---|\n");
    for hidden in [64, 256, 1024, 4096] {
        for batch in [1, 64, 1024] {
            let [everything, recompute, f16] = Saved::ALL.map(|saved| rounded(longest(hidden, batch, saved)));
            table += &format!("| {hidden} | {batch} | {everything} | {f16} | {recompute} |\n");
        }
    }
    let text = include_str!("../docs/memory.md");
    assert!(text.contains(&table), "docs/memory.md should hold:\n{table}");
}
