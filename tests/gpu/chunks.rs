//! A device with small limits cuts the time axis into chunks: the same states bit by bit, and gradients that differ by
//! the order of the sums alone.

use wgpu_gru::Schedule;
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{Direction, Gpu, Gru, GruConfig, Saved, Tolerance, Unroll, Unrolled, Weights, wgpu};

use crate::support::{adapter, assert_close, bits, forward, gru, largest, open_with, read, verify_batch};

trials![
    small_bindings,
    few_workgroups,
    inference,
    one_step_a_chunk,
    directions_together,
    directions_apart,
    wavefront,
    finite_check,
];

const CONFIG: [usize; 2] = [3, 5];
const BATCH: usize = 3;
const STEPS: usize = 60;

fn config() -> GruConfig {
    GruConfig::new(CONFIG[0], CONFIG[1])
}

fn run(gpu: &Gpu, config: &GruConfig, unroll: Unroll) -> (Gru, Unrolled, Batch) {
    let gru = gru(gpu, config, &Weights::random(config, 1));
    let mut net = gru.unroll(unroll).expect("an unroll");
    let batch = Batch::random(config, unroll.seq_len, BATCH, 2);
    pollster::block_on(verify_batch(&gru, &mut net, &batch)).expect("verification");
    (gru, net, batch)
}

/// A device with the features of another, so that its kernels add in the same order, but with these limits.
fn small_device(gpu: &Gpu, required_limits: wgpu::Limits) -> Gpu {
    let required_features = gpu.device().features();
    open_with(&adapter(gpu), &wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() })
}

/// The kernel of the steps forward.
fn step(schedule: Schedule) -> &'static str {
    if schedule == Schedule::Step { "gru_step" } else { "gru_rows" }
}

/// The same layer on the whole device and on the small one.
fn compare(gpu: &Gpu, limits: wgpu::Limits, fewest_chunks: usize) {
    let small = small_device(gpu, limits);
    for schedule in [Schedule::Step, Schedule::Rows] {
        compare_one(gpu, &small, fewest_chunks, schedule);
    }
}

fn compare_one(gpu: &Gpu, small: &Gpu, fewest_chunks: usize, schedule: Schedule) {
    let unroll = Unroll::training(STEPS, BATCH).schedule(schedule);
    let (cut, whole) = (run(small, &config(), unroll), run(gpu, &config(), unroll));
    same_numbers(&cut, &whole);
    let (cut, whole) = (cut.1, whole.1);
    assert_eq!(whole.plan().chunks().len(), 1, "the whole device needs no chunks");
    let chunks = cut.plan().chunks();
    assert!(chunks.len() >= fewest_chunks, "{chunks:?}");
    assert_eq!(chunks.iter().map(ExactSizeIterator::len).sum::<usize>(), STEPS, "{chunks:?}");
    assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start), "{chunks:?}");
    let text = cut.explain();
    assert!(text.contains(&format!("{} chunk(s) of time", chunks.len())), "{text}");
    let dispatches = if schedule == Schedule::Step { STEPS } else { chunks.len() };
    // 5 units: no multiple of four.
    let [forward, _] = cut.recorded();
    assert!(forward.contains(&(step(schedule), dispatches)), "{forward:?}");
    let product = forward.iter().find(|(label, _)| label.ends_with("_scalar"));
    assert!(product.is_some_and(|(_, count)| *count == chunks.len()), "{forward:?}");
}

/// States, and gradients of states and input, bit by bit; gradients of weights within what another order of sums
/// changes.
fn same_numbers((gru, cut, batch): &(Gru, Unrolled, Batch), (_, whole, _): &(Gru, Unrolled, Batch)) {
    let config = gru.config();
    for layer in 0..config.num_layers {
        let states = [cut, whole].map(|net| bits(net.states(layer).expect("a layer")));
        assert_eq!(states[0], states[1], "states of layer {layer}");
    }
    let rows = cut.plan().chunks().iter().map(ExactSizeIterator::len).sum::<usize>() * BATCH;
    let [d_cut, d_whole] = [cut, whole].map(|net| net.gradients().expect("training"));
    assert_eq!(bits(&d_cut.h0), bits(&d_whole.h0), "d_h0");
    let input = |gradients: &wgpu_gru::Gradients| bits(gradients.input.as_ref().expect("it is wanted"));
    assert_eq!(input(d_cut), input(d_whole), "d_input");
    let weights = pollster::block_on(gru.read_weights()).expect("the weights");
    let expected = expectation(config, &weights, batch);
    let tensors = d_cut.parameters.named(config).zip(d_whole.parameters.tensors());
    for (((name, actual), expected), exact) in tensors.zip(&expected[4..]) {
        assert_eq!(exact.tensor, format!("d_{name}"), "the order of the tensors");
        // Two sums of the same T B terms in another order, of a cell's own or of what came through the layer above.
        let tolerance = Tolerance::matmul(rows).scaled(largest(&exact.values).max(1.0));
        assert_close(&format!("d_{name}"), &read(actual), &read(expected), tolerance.plus(tolerance));
    }
}

/// Two layers of two directions, over steps of which an even number and a middle one are cut off.
fn both_directions(gpu: &Gpu, limits: wgpu::Limits, loops_a_layer: usize) {
    let config = config().num_layers(2).direction(Direction::Bidirectional);
    let small = small_device(gpu, limits);
    for (schedule, saved) in
        [(Schedule::Step, Saved::Everything), (Schedule::Rows, Saved::Everything), (Schedule::Step, Saved::Recompute)]
    {
        let unroll = Unroll::training(STEPS + 1, BATCH).schedule(schedule).saved(saved);
        let (cut, whole) = (run(&small, &config, unroll), run(gpu, &config, unroll));
        same_numbers(&cut, &whole);
        let chunks = cut.1.plan().chunks();
        assert!(chunks.len() > 3, "{chunks:?}");
        let dispatches = if schedule == Schedule::Step { STEPS + 1 } else { chunks.len() };
        let ([forward, _], expected) = (cut.1.recorded(), 2 * loops_a_layer * dispatches);
        assert!(forward.contains(&(step(schedule), expected)), "{expected} in {forward:?}");
    }
}

/// Layers one chunk behind each other, on the whole device and on a small one, against one layer after the other.
fn wavefront(gpu: &Gpu) {
    let small = small_device(gpu, wgpu::Limits { max_compute_workgroups_per_dimension: 4, ..wgpu::Limits::default() });
    for direction in [Direction::Forward, Direction::Reverse] {
        let config = config().num_layers(3).direction(direction);
        for schedule in [Schedule::Step, Schedule::Rows] {
            let unroll = Unroll::training(STEPS + 1, BATCH).schedule(schedule);
            let apart = run(gpu, &config, unroll.wavefront(false));
            for gpu in [gpu, &small] {
                let together = run(gpu, &config, unroll.wavefront(true));
                same_numbers(&together, &apart);
                let chunks = together.1.plan().chunks().len();
                assert!(chunks >= 8, "{chunks} chunks");
                let a_chunk = if schedule == Schedule::Step { (STEPS + 1).div_ceil(chunks) } else { 1 };
                // One chunk after the other, and the layers above at the end; the last chunk, which may be shorter, has
                // dispatches of its own, beside which there are no others in the very last wave.
                let most = (chunks + 2 + 2) * a_chunk;
                let ([forward, _], fewest) = (together.1.recorded(), chunks * a_chunk / 2);
                let (_, steps) = *forward.iter().find(|(label, _)| *label == step(schedule)).expect("steps");
                assert!((fewest..=most).contains(&steps), "{steps} dispatches, expected {most} at most");
            }
        }
    }
}

/// Few workgroups cut the time axis, but a binding holds both directions.
fn directions_together(gpu: &Gpu) {
    both_directions(gpu, wgpu::Limits { max_compute_workgroups_per_dimension: 4, ..wgpu::Limits::default() }, 1);
}

/// The bindings hold no more than a few steps.
fn directions_apart(gpu: &Gpu) {
    both_directions(gpu, small_binding_limits(), 2);
}

/// 2 KiB a binding: the gates of 3 rows of 5 units are 240 bytes a step, and one alignment (256) is set aside.
fn small_binding_limits() -> wgpu::Limits {
    wgpu::Limits { max_storage_buffer_binding_size: 2048, ..wgpu::Limits::default() }
}

fn small_bindings(gpu: &Gpu) {
    compare(gpu, small_binding_limits(), 9);
}

/// States that no binding holds whole are looked at piece by piece, in the order in which the steps were taken.
fn finite_check(gpu: &Gpu) {
    let small = small_device(gpu, small_binding_limits());
    for direction in [Direction::Forward, Direction::Bidirectional] {
        let config = config().direction(direction);
        let gru = gru(&small, &config, &Weights::random(&config, 1));
        let net = gru.unroll(Unroll::inference(STEPS, BATCH)).expect("an unroll");
        let check = net.finite_check().expect("a check");
        let states = net.states(0).expect("one layer");
        let binding = small.limits().max_storage_buffer_binding_size;
        assert!(states.byte_len() > binding, "{} bytes of states, {binding} of a binding", states.byte_len());
        let (width, zeros) = (config.output_size(), vec![0.0; states.len()]);
        for steps in [vec![], vec![0], vec![STEPS - 1], vec![17, 43], vec![30, 31]] {
            let mut host = zeros.clone();
            for &step in &steps {
                // States after a step lie one further: row 1, the last unit of each direction.
                let row = ((step + 1) * BATCH + 1) * width;
                host[row + 4] = f32::NAN;
                host[row + width - 1] = f32::NAN;
            }
            states.write(&host).expect("as many");
            small
                .submit(|encoder| {
                    check.encode(encoder);
                    Ok(())
                })
                .expect("a submission");
            let found = check.read_blocking().expect("places");
            let of =
                |name: &str| found.iter().find(|found| found.tensor == name).map(|found| (found.step, &found.place));
            let place = vec![1, 4];
            let at = |step: Option<&usize>| step.map(|&step| (Some(step), &place));
            match direction {
                Direction::Forward => assert_eq!(of("state of layer 0"), at(steps.first()), "{steps:?}"),
                _ => {
                    assert_eq!(of("state of layer 0, forward"), at(steps.first()), "{steps:?}");
                    assert_eq!(of("state of layer 0, reverse"), at(steps.last()), "{steps:?}");
                }
            }
        }
    }
}

/// At most 4 workgroups in a direction, of at least 8 rows each.
fn few_workgroups(gpu: &Gpu) {
    let limits = wgpu::Limits { max_compute_workgroups_per_dimension: 4, ..wgpu::Limits::default() };
    compare(gpu, limits, (STEPS * BATCH).div_ceil(8 * 4));
}

fn inference(gpu: &Gpu) {
    let small = small_device(gpu, small_binding_limits());
    let batch = Batch::random(&config(), STEPS, BATCH, 3);
    let states = [gpu, &small].map(|gpu| {
        let gru = gru(gpu, &config(), &Weights::random(&config(), 4));
        let mut net = gru.unroll(Unroll::inference(STEPS, BATCH)).expect("an unroll");
        forward(&mut net, gpu, &batch.x, Some(&batch.h0));
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
