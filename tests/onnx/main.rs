//! Models of ONNX: those of exporters, the crate's own, and damaged ones; no GPU.

mod damaged;
mod export;
mod import;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;

use support::numbers::{largest, wide};
use wgpu_gru::Tolerance;
use wgpu_gru::onnx::Layer;
use wgpu_gru::reference::oracle::{self, Run};
use wgpu_gru::verify::Batch;

/// What the oracle makes of a layer.
fn run(layer: &Layer, batch: &Batch) -> [(&'static str, Vec<f64>); 2] {
    let run = Run {
        seq_len: batch.seq_len,
        batch: batch.batch,
        lengths: batch.lengths.clone(),
        dropout: Vec::new(),
        episode_starts: None,
    };
    let forward =
        oracle::forward(&layer.config, &oracle::cells(&layer.weights), &run, &wide(&batch.x), &wide(&batch.h0));
    [("output", forward.output), ("h_n", forward.h_n)]
}

/// As `tests/golden.rs` has it for numbers of ONNX Runtime.
fn agrees(actual: &[f64], expected: &[f64]) -> bool {
    let tolerance = Tolerance { abs: 32.0 * Tolerance::UNIT_ROUNDOFF * largest(expected), rel: 0.0 };
    tolerance.compare(actual, expected).passed()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wgpu-gru-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
