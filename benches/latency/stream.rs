//! What a frame of a stream costs, beside a frame of a forward pass over many of them at once.

use std::time::Instant;

use wgpu_gru::{Gpu, Gru, GruConfig, Result, StreamOptions, Unroll};

use crate::support::is_quick;

/// B, I, H.
const SIZES: [[usize; 3]; 4] = [[1, 64, 64], [256, 16, 32], [4096, 8, 32], [16384, 8, 16]];

/// Frames of the forward pass.
const FRAMES: usize = 32;

const HEAD: &str = "
### a frame of a stream

Microseconds a frame until the GPU is done, medians of rounds in turn, 32 frames a submission. Beside it a frame of a forward pass
over 32 frames at once, whose input is one large product and whose states stay in place.

| B, I, H | stream | with sources | forward pass | stream / forward pass | sources / stream |
|---|---|---|---|---|---|
";

pub(crate) fn table(gpu: &Gpu) -> Result<String> {
    let mut table = HEAD.to_owned();
    for [rows, inputs, hidden] in SIZES {
        let gru = Gru::new(gpu, GruConfig::new(inputs, hidden), 1)?;
        let [plain, sources] = [false, true].map(|wanted| gru.stream(StreamOptions::new(rows).gather(wanted)));
        let (plain, sources) = (plain?, sources?);
        let mut net = gru.unroll(Unroll::inference(FRAMES, rows))?;
        let mut times = [const { Vec::new() }; 3];
        for round in 0..if is_quick() { 3 } else { 15 } {
            for turn in 0..3 {
                let which = (round + turn) % 3;
                let begin = Instant::now();
                gpu.submit(|encoder| match which {
                    0 => (0..FRAMES).try_for_each(|_| plain.encode_step(encoder)),
                    1 => (0..FRAMES).try_for_each(|_| sources.encode_step(encoder)),
                    _ => net.encode_forward(encoder),
                })?;
                gpu.wait_blocking()?;
                times[which].push(1e6 * begin.elapsed().as_secs_f64() / FRAMES as f64);
            }
        }
        let ratio = |one: usize, other: usize| {
            let mut ratios: Vec<f64> = times[one].iter().zip(&times[other]).map(|(one, other)| one / other).collect();
            median(&mut ratios)
        };
        let (of_stream, of_sources) = (ratio(0, 2), ratio(1, 0));
        let [plain, sources, pass] = times.each_mut().map(|times| median(times));
        table += &format!(
            "| {rows}, {inputs}, {hidden} | {plain:.0} | {sources:.0} | {pass:.0} | {of_stream:.2} | {of_sources:.2} |\n"
        );
    }
    table += &memory(gpu)?;
    Ok(table)
}

/// What ten thousand frames leave behind, a submission each.
fn memory(gpu: &Gpu) -> Result<String> {
    let gru = Gru::new(gpu, GruConfig::new(8, 32).num_layers(2), 1)?;
    let stream = gru.stream(StreamOptions::new(256).gather(true))?;
    let frames = |count: usize| -> Result<Option<usize>> {
        for frame in 0..count {
            gpu.submit(|encoder| {
                stream.encode_step(encoder)?;
                stream.encode_copy_rows(encoder, &[(0, 1)])?;
                stream.encode_reset_rows(encoder, &[2])
            })?;
            if frame % 10 == 9 {
                gpu.wait_blocking()?;
            }
        }
        Ok(resident())
    };
    let (Some(begin), Some(end)) = (frames(100)?, frames(10_000)?) else { return Ok(String::new()) };
    Ok(format!(
        "\nMemory of the process after 100 frames, a submission each: {begin} KiB; after 10000 more: {end} KiB.\n"
    ))
}

/// The resident size of this process in KiB, where the system tells it as Linux does.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
