//! The fused step and its backward, over some steps, against their twins in f32 and in f64.

use proptest::prelude::*;
use wgpu_gru::TimeLoop;
use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::gru_step::{GruStepParams, gru_step};
use wgpu_gru::reference::twins::gru_step_backward::{GruStepBackwardParams, gru_step_backward};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Program, Tensor, Tolerance, harness};

use crate::support::{assert_close, bits, largest, property, read, run, single_steps, tensor, time_loops, wide};

trials![table_forward, table_backward, random_shapes, inference_leaves_the_projection, saturating];

/// T, B, H: ones, primes, and the neighbours of rows (4), of lanes (8, 32), and of four units a lane (32, 128).
const SHAPES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [2, 3, 1],
    [3, 1, 7],
    [1, 4, 8],
    [2, 5, 9],
    [5, 3, 31],
    [3, 4, 32],
    [2, 7, 33],
    [7, 2, 13],
    [2, 8, 65],
    [11, 1, 5],
    [4, 13, 17],
    [2, 2, 127],
    [2, 3, 129],
];

/// What goes into the steps.
pub(crate) struct Steps {
    shape: [usize; 3],
    save: bool,
    weight_hh: Vec<f32>,
    bias_hh: Vec<f32>,
    /// h0, then NaN where the steps write.
    h: Vec<f32>,
    /// x_proj, and NaN in the place of hn.
    gates: Vec<f32>,
}

impl Steps {
    pub(crate) fn random(shape: [usize; 3], save: bool, scale: f32, seed: u64) -> Self {
        let [t, b, hidden] = shape;
        let mut uniform = SplitMix64::new(seed);
        let bound = 1.0 / (hidden as f32).sqrt();
        let weight_hh = uniform.vec(3 * hidden * hidden, bound);
        let bias_hh = uniform.vec(3 * hidden, bound);
        let mut h = uniform.vec(b * hidden, 1.0);
        h.resize((t + 1) * b * hidden, f32::NAN);
        let mut gates = Vec::new();
        for _ in 0..t * b {
            gates.extend(uniform.vec(3 * hidden, scale));
            gates.resize(gates.len() + if save { hidden } else { 0 }, f32::NAN);
        }
        Self { shape, save, weight_hh, bias_hh, h, gates }
    }

    /// h and gates by the twin.
    fn twin<R: Real>(&self, real: impl Fn(&[f32]) -> Vec<R>) -> [Vec<R>; 2] {
        let [seq_len, batch, hidden] = self.shape;
        let (mut h, mut gates) = (real(&self.h), real(&self.gates));
        for t in 0..seq_len {
            let params = GruStepParams { t, batch, hidden, save: self.save };
            gru_step(&params, &real(&self.weight_hh), &real(&self.bias_hh), &mut h, &mut gates);
        }
        [h, gates]
    }

    /// h and gates by the GPU.
    pub(crate) fn gpu(&self, gpu: &Gpu, time_loop: &TimeLoop) -> [Tensor; 2] {
        self.gpu_with(gpu, time_loop, |program| program)
    }

    /// The same by a part of the program.
    pub(crate) fn gpu_with(&self, gpu: &Gpu, time_loop: &TimeLoop, part: impl Fn(Program) -> Program) -> [Tensor; 2] {
        let flat = |host: &[f32]| tensor(gpu, &[host.len()], host);
        let (weight_hh, bias_hh) = (flat(&self.weight_hh), flat(&self.bias_hh));
        let (h, gates) = (flat(&self.h), flat(&self.gates));
        let plain = harness::Steps::gru(self.shape, &weight_hh, &h, &gates);
        let steps = harness::Steps { bias_hh: Some(&bias_hh), ..plain };
        run(gpu, &part(steps.forward(time_loop, self.save).expect("a program")));
        [h, gates]
    }
}

/// h and gates against the twin.
pub(crate) fn check_forward(gpu: &Gpu, time_loop: &TimeLoop, steps: &Steps, scale: f64) {
    let [t, _, hidden] = steps.shape;
    let (narrow, exact) = (steps.twin(<[f32]>::to_vec), steps.twin(wide));
    let actual = steps.gpu(gpu, time_loop).each_ref().map(read);
    let tolerance = Tolerance::through_time(hidden, t).scaled(scale);
    for (index, name) in ["h", "gates"].into_iter().enumerate() {
        let name = format!("{:?} save {} {time_loop:?}: {name}", steps.shape, steps.save);
        assert_close(&format!("{name} against f64"), &actual[index], &exact[index], tolerance);
        assert_close(&format!("{name} against f32"), &actual[index], &narrow[index], tolerance.plus(tolerance));
    }
}

/// gates and d_h0 by the twin, from h and gates as the forward steps left them.
fn twin_backward<R: Real>(
    shape: [usize; 3],
    weight_hh: &[R],
    [h, gates]: [&[R]; 2],
    [d_output, d_h_n]: [&[R]; 2],
) -> [Vec<R>; 2] {
    let [seq_len, batch, hidden] = shape;
    let (mut gates, mut d_h0) = (gates.to_vec(), vec![R::from_f64(f64::NAN); batch * hidden]);
    for t in (0..seq_len).rev().map(Some).chain([None]) {
        let params = GruStepBackwardParams { seq_len, batch, hidden, t };
        gru_step_backward(&params, weight_hh, h, d_output, d_h_n, &mut gates, &mut d_h0);
    }
    [gates, d_h0]
}

pub(crate) fn check_backward(gpu: &Gpu, time_loop: &TimeLoop, steps: &Steps, seed: u64) {
    let [t, batch, hidden] = steps.shape;
    let mut uniform = SplitMix64::new(seed);
    let (d_output, d_h_n) = (uniform.vec(t * batch * hidden, 1.0), uniform.vec(batch * hidden, 1.0));
    // From the twin's own forward, rounded to f32: so that only the backward kernel is looked at.
    let [h, gates] = steps.twin(<[f32]>::to_vec);
    let d = [&d_output[..], &d_h_n[..]];
    let narrow = twin_backward(steps.shape, &steps.weight_hh, [&h, &gates], d);
    let d_wide = d.map(wide);
    let [wide_h, wide_gates, wide_weight] = [&h, &gates, &steps.weight_hh].map(|values| wide(values));
    let exact = twin_backward(steps.shape, &wide_weight, [&wide_h, &wide_gates], [&d_wide[0], &d_wide[1]]);

    let flat = |host: &[f32]| tensor(gpu, &[host.len()], host);
    let (weight_hh, h, gates) = (flat(&steps.weight_hh), flat(&h), flat(&gates));
    let (d_output, d_h_n, d_h0) = (flat(&d_output), flat(&d_h_n), flat(&vec![f32::NAN; batch * hidden]));
    let states = bits(&h);
    let plain = harness::Steps::gru(steps.shape, &weight_hh, &h, &gates);
    let parts = plain.parts_of_biases(time_loop);
    let sums = flat(&vec![f32::NAN; (parts.unwrap_or(0) * batch * 4 * hidden).max(1)]);
    let plain = harness::Steps { sums_of_biases: Some(&sums), ..plain };
    run(gpu, &plain.backward(time_loop, [&d_output, &d_h_n, &d_h0]).expect("a program"));
    if let Some(parts) = parts {
        let TimeLoop::Rows { backward, .. } = time_loop else { panic!("{time_loop:?}") };
        let at_a_time = [time_loop.steps(), backward.summed_steps() as usize];
        let expected = sums_of_steps(steps.shape, at_a_time, &exact[0]);
        assert_eq!(expected.len(), parts * batch * 4 * hidden, "{:?} {time_loop:?}", steps.shape);
        let tolerance = Tolerance::through_time(3 * hidden, t).scaled(64.0 * largest(&exact[0]).max(1.0));
        assert_close(&format!("{:?} {time_loop:?}: sums", steps.shape), &read(&sums), &expected, tolerance);
    }
    assert_eq!(bits(&h), states, "backward leaves the states as they are");
    for (index, (name, tensor)) in [("gates", &gates), ("d_h0", &d_h0)].into_iter().enumerate() {
        let name = format!("{:?} {time_loop:?}: {name}", steps.shape);
        let tolerance = Tolerance::through_time(3 * hidden, t).scaled(largest(&exact[index]).max(1.0));
        assert_close(&format!("{name} against f64"), &read(tensor), &exact[index], tolerance);
        assert_close(&format!("{name} against f32"), &read(tensor), &narrow[index], tolerance.plus(tolerance));
    }
}

/// The gradients of the gates, `[T, B, 4, H]`, summed over some steps of a dispatch at a time, from the last step on.
fn sums_of_steps([t, batch, hidden]: [usize; 3], [of_dispatch, summed]: [usize; 2], gates: &[f64]) -> Vec<f64> {
    let row = 4 * hidden;
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for (n, step) in gates.chunks(batch * row).rev().enumerate().take(t) {
        if (n % of_dispatch).is_multiple_of(summed) {
            sums.push(vec![0.0; batch * row]);
        }
        let last = sums.len() - 1;
        sums[last].iter_mut().zip(step).for_each(|(sum, d)| *sum += d);
    }
    sums.concat()
}

/// Of steps by rows and by exchange some: each H is another kernel, which a software adapter takes long to compile.
fn shapes(number: u64, time_loop: &TimeLoop) -> impl Iterator<Item = (u64, [usize; 3])> {
    let (one_of, widest) = match time_loop {
        TimeLoop::Step { .. } => (1, u32::MAX),
        // All slices of all units are invocations of one workgroup, and some devices have 256.
        TimeLoop::Rows { forward, backward, .. } => (3, 33.min(256 / forward.slices.max(backward.slices))),
        _ => (4, 33),
    };
    (1..)
        .zip(SHAPES)
        .filter(move |(seed, [_, _, hidden])| seed % one_of == number % one_of && *hidden <= widest as usize)
}

fn table_forward(gpu: &Gpu) {
    for (number, time_loop) in (1..).zip(time_loops(gpu)) {
        for (seed, shape) in shapes(number, &time_loop) {
            for save in [true, false] {
                check_forward(gpu, &time_loop, &Steps::random(shape, save, 1.0, seed), 1.0);
            }
        }
    }
}

fn table_backward(gpu: &Gpu) {
    for (number, time_loop) in (1..).zip(time_loops(gpu)) {
        for (seed, shape) in shapes(number, &time_loop) {
            check_backward(gpu, &time_loop, &Steps::random(shape, true, 1.0, seed), seed);
        }
    }
}

fn random_shapes(gpu: &Gpu) {
    let time_loops: Vec<_> = single_steps(gpu).collect();
    let cases = (0..time_loops.len(), 1_usize..8, 1_usize..12, 1_usize..50, any::<u32>());
    property(32, &cases, |(time_loop, t, batch, hidden, seed)| {
        let steps = Steps::random([t, batch, hidden], true, 1.0, seed.into());
        check_forward(gpu, &time_loops[time_loop], &steps, 1.0);
        check_backward(gpu, &time_loops[time_loop], &steps, u64::from(seed) + 1);
    });
}

/// Without saving, the projection is still there afterwards, bit by bit.
fn inference_leaves_the_projection(gpu: &Gpu) {
    for time_loop in time_loops(gpu) {
        let steps = Steps::random([3, 5, 9], false, 1.0, 1);
        let [_, gates] = steps.gpu(gpu, &time_loop);
        let before: Vec<_> = steps.gates.iter().map(|gate| gate.to_bits()).collect();
        assert_eq!(bits(&gates), before, "{time_loop:?}");
    }
}

/// Gates far out on both sides, up to 1e3: every result is finite and where the twin says.
fn saturating(gpu: &Gpu) {
    for scale in [30.0_f32, 1e3] {
        for time_loop in time_loops(gpu) {
            let steps = Steps::random([3, 5, 9], true, scale, 3);
            // The error of an activation grows with its argument, which is at most this.
            check_forward(gpu, &time_loop, &steps, f64::from(scale));
            check_backward(gpu, &time_loop, &steps, 4);
        }
    }
}
