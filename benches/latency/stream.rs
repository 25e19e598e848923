//! What a frame of a stream costs, beside a frame of a forward pass over many of them at once.

use std::time::Instant;

use wgpu_gru::{Gpu, Gru, GruConfig, Result, Schedule, StreamOptions, Unroll};

use crate::support::is_quick;

/// B, I, H, L.
const SIZES: [[usize; 4]; 8] = [
    [1, 64, 64, 1],
    [16, 64, 64, 1],
    [16, 8, 32, 1],
    [16, 32, 64, 2],
    [256, 16, 32, 1],
    [4096, 8, 32, 1],
    [4096, 64, 64, 1],
    [16384, 8, 16, 1],
];

/// The same, for GPUs alone.
const LARGE: [usize; 4] = [4096, 16, 128, 1];

/// Frames of the forward pass.
const FRAMES: usize = 32;

const HEAD: &str = "
### a frame of a stream

Microseconds a frame until the GPU is done, medians of rounds in turn, 32 frames a submission. `stream`: as it is planned, in one
dispatch where that is so; `single steps`: without that; `sources`: with rows that go on from others. Beside them a frame of a
forward pass over 32 frames at once, whose input is one large product and whose states stay in place. The ratios are medians, too.

| B, I, H, L | dispatches | stream | single steps | sources | forward pass | stream / single steps | sources / stream | stream / forward pass |
|---|---|---|---|---|---|---|---|---|
";

pub(crate) fn table(gpu: &Gpu) -> Result<String> {
    let mut table = HEAD.to_owned();
    let large = (!gpu.is_software()).then_some(LARGE);
    for [rows, inputs, hidden, layers] in SIZES.into_iter().chain(large) {
        let gru = Gru::new(gpu, GruConfig::new(inputs, hidden).num_layers(layers), 1)?;
        let options = StreamOptions::new(rows);
        let stream = gru.stream(options)?;
        let steps = gru.stream(options.with(|unroll| unroll.schedule(Schedule::Step)))?;
        let sources = gru.stream(options.gather(true))?;
        let mut net = gru.unroll(Unroll::inference(FRAMES, rows))?;
        let mut times = [const { Vec::new() }; 4];
        for round in 0..if is_quick() { 3 } else { 15 } {
            for turn in 0..4 {
                let which = (round + turn) % 4;
                let begin = Instant::now();
                gpu.submit(|encoder| match [&stream, &steps, &sources].get(which) {
                    Some(stream) => (0..FRAMES).try_for_each(|_| stream.encode_step(encoder)),
                    None => net.encode_forward(encoder),
                })?;
                gpu.wait_blocking()?;
                times[which].push(1e6 * begin.elapsed().as_secs_f64() / FRAMES as f64);
            }
        }
        let ratio = |one: usize, other: usize| {
            let mut ratios: Vec<f64> = times[one].iter().zip(&times[other]).map(|(one, other)| one / other).collect();
            median(&mut ratios)
        };
        let [over_steps, of_sources, over_pass] = [ratio(0, 1), ratio(2, 0), ratio(0, 3)];
        let [of_stream, of_steps, with_sources, pass] = times.each_mut().map(|times| median(times));
        let dispatches = [&stream, &steps, &sources].map(|stream| stream.plan().forward_dispatches());
        table += &format!(
            "| {rows}, {inputs}, {hidden}, {layers} | {dispatches:?} | {of_stream:.0} | {of_steps:.0} | {with_sources:.0} | {pass:.0} | {over_steps:.2} | {of_sources:.2} | {over_pass:.2} |\n"
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
