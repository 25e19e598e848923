//! A device with small limits cuts the time axis into chunks: the same states bit by bit, and gradients that differ by
//! the order of the sums alone.

use wgpu_gru::plan::Schedule;
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::{CellWeights, Gpu, Gru, GruConfig, Tolerance, Unroll, Unrolled, Weights, wgpu};

use crate::device::{bits, gru, largest, open, read};
use crate::support::{assert_close, expectation};

trials![small_bindings, few_workgroups, inference, one_step_a_chunk];

const CONFIG: [usize; 2] = [3, 5];
const BATCH: usize = 3;
const STEPS: usize = 60;

fn config() -> GruConfig {
    GruConfig::new(CONFIG[0], CONFIG[1])
}

fn run(gpu: &Gpu, schedule: Schedule) -> (Gru, Unrolled, Batch) {
    let config = config();
    let gru = gru(gpu, &config, &Weights::random(&config, 1));
    let mut net = gru.unroll(Unroll::training(STEPS, BATCH).schedule(schedule)).expect("an unroll");
    let batch = Batch::random(&config, STEPS, BATCH, 2);
    pollster::block_on(verify_batch(&gru, &mut net, &batch)).expect("verification");
    (gru, net, batch)
}

/// The same layer on the whole device and on the small one.
fn compare(gpu: &Gpu, limits: wgpu::Limits, fewest_chunks: usize) {
    let small = open(gpu, limits);
    for schedule in [Schedule::PerStep, Schedule::PerSequence] {
        compare_one(gpu, &small, fewest_chunks, schedule);
    }
}

fn compare_one(gpu: &Gpu, small: &Gpu, fewest_chunks: usize, schedule: Schedule) {
    let (gru, cut, batch) = run(small, schedule);
    let (_, whole, _) = run(gpu, schedule);
    assert_eq!(whole.plan().chunks().len(), 1, "the whole device needs no chunks");
    let chunks = cut.plan().chunks();
    assert!(chunks.len() >= fewest_chunks, "{chunks:?}");
    assert_eq!(chunks.iter().map(ExactSizeIterator::len).sum::<usize>(), STEPS, "{chunks:?}");
    assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start), "{chunks:?}");
    let text = cut.explain();
    assert!(text.contains(&format!("{} chunk(s) of time", chunks.len())), "{text}");
    let dispatches = if schedule == Schedule::PerStep { STEPS } else { chunks.len() };
    // 5 units: no multiple of four.
    let steps = format!("_scalar {} gru_step {dispatches}", chunks.len());
    assert!(text.contains(&steps), "{text}");

    assert_eq!(bits(cut.states(0).expect("one layer")), bits(whole.states(0).expect("one layer")), "states");
    let [d_cut, d_whole] = [&cut, &whole].map(|net| net.gradients().expect("training"));
    assert_eq!(bits(&d_cut.h0), bits(&d_whole.h0), "d_h0");
    let input = |gradients: &wgpu_gru::Gradients| bits(gradients.input.as_ref().expect("it is wanted"));
    assert_eq!(input(d_cut), input(d_whole), "d_input");
    let weights = pollster::block_on(gru.read_weights()).expect("the weights");
    let (expected, _) = expectation(gru.config(), &weights, &batch);
    let names = CellWeights::NAMES;
    let tensors = d_cut.parameters.tensors().zip(d_whole.parameters.tensors());
    for ((name, (actual, expected)), exact) in names.into_iter().zip(tensors).zip(&expected[4..]) {
        // Two sums of the same T B terms in another order.
        let tolerance = Tolerance::matmul(STEPS * BATCH).scaled(largest(exact).max(1.0));
        assert_close(&format!("d_{name}"), &read(actual), &read(expected), tolerance.plus(tolerance));
    }
}

/// 2 KiB a binding: the gates of 3 rows of 5 units are 240 bytes a step, and one alignment (256) is set aside.
fn small_binding_limits() -> wgpu::Limits {
    wgpu::Limits { max_storage_buffer_binding_size: 2048, ..wgpu::Limits::default() }
}

fn small_bindings(gpu: &Gpu) {
    compare(gpu, small_binding_limits(), 9);
}

/// At most 4 workgroups in a direction, of at least 8 rows each.
fn few_workgroups(gpu: &Gpu) {
    let limits = wgpu::Limits { max_compute_workgroups_per_dimension: 4, ..wgpu::Limits::default() };
    compare(gpu, limits, (STEPS * BATCH).div_ceil(8 * 4));
}

fn inference(gpu: &Gpu) {
    let small = open(gpu, small_binding_limits());
    let batch = Batch::random(&config(), STEPS, BATCH, 3);
    let states = [gpu, &small].map(|gpu| {
        let gru = gru(gpu, &config(), &Weights::random(&config(), 4));
        let mut net = gru.unroll(Unroll::inference(STEPS, BATCH)).expect("an unroll");
        crate::device::forward(&mut net, gpu, &batch.x, Some(&batch.h0));
        (net.plan().chunks().len(), bits(net.states(0).expect("one layer")))
    });
    assert_eq!(states[0].0, 1, "the whole device needs no chunks");
    assert!(states[1].0 > 1, "the small device does");
    assert_eq!(states[0].1, states[1].1, "states");
}

/// The smallest binding that the plan takes: two steps of gates and one alignment.
fn one_step_a_chunk(gpu: &Gpu) {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 240 + 256, ..wgpu::Limits::default() };
    compare(gpu, limits, STEPS);
}
