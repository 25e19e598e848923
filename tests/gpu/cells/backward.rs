//! The steps backward.

use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::activation::value_of_kept;
use wgpu_gru::reference::twins::gru_reset_backward::gru_reset_backward as gru_reset_backward_twin;
use wgpu_gru::reference::twins::gru_step::{GruOptions, GruStepParams};
use wgpu_gru::reference::twins::gru_step_backward::{GruStepBackwardParams, gru_step_backward_with};
use wgpu_gru::reference::twins::rnn_step::RnnStepParams;
use wgpu_gru::reference::twins::rnn_step_backward::rnn_step_backward as rnn_step_backward_twin;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Cell, Gpu, Reset, Tolerance, harness};

use super::{Case, OnGpu, cases, grus, pick, rnns};
use crate::support::{assert_close, flat, largest, read, run, to_bits, wide};

trials![gru_step_backward, gru_step_backward_before_reset, gru_reset_backward, rnn_step_backward];

fn gru_step_backward(gpu: &Gpu) {
    cases(gpu, grus(Reset::After)).for_each(|case| check(gpu, "gru_step_backward", &case));
}

fn gru_step_backward_before_reset(gpu: &Gpu) {
    cases(gpu, grus(Reset::Before)).for_each(|case| check(gpu, "gru_step_backward", &case));
}

fn gru_reset_backward(gpu: &Gpu) {
    cases(gpu, grus(Reset::Before)).for_each(|case| check(gpu, "gru_reset_backward", &case));
}

fn rnn_step_backward(gpu: &Gpu) {
    cases(gpu, rnns()).for_each(|case| check(gpu, "rnn_step_backward", &case));
}

/// What goes into the steps.
struct Numbers {
    weight_hh: Vec<f32>,
    h: Vec<f32>,
    gates: Vec<f32>,
    /// `d_output`, `d_h_n`, `d_h0`.
    d: [Vec<f32>; 3],
}

impl Numbers {
    /// Values of the activations where their slope is taken, and numbers elsewhere. NaN in the columns of the other
    /// direction, and where the kernel is the first to write. Of a plain RNN with a clip the gates say which states it
    /// gave.
    fn new(case: &Case, kernel: &str, seed: u64) -> Self {
        let [seq_len, batch, hidden] = case.sizes;
        let mut uniform = SplitMix64::new(seed);
        let (weight_hh, _) = case.parameters(&mut uniform);
        let states = batch * case.directions * hidden;
        let (mut h, mut d_output) = (vec![f32::NAN; (seq_len + 2) * states], vec![f32::NAN; seq_len * states]);
        let mut marks = Vec::new();
        for slot in 0..seq_len + 2 {
            let values = match case.cell {
                Cell::Rnn { nonlinearity } => {
                    let kept = case.values(&mut uniform, batch * hidden, nonlinearity);
                    // Those after step t lie at slot t + 1.
                    if (1..=seq_len).contains(&slot) {
                        let mark = |&y: &f32| if y.is_infinite() { y } else { 0.0 };
                        marks.extend(kept.iter().map(|y| if case.clip.is_some() { mark(y) } else { f32::NAN }));
                    }
                    kept.into_iter().map(|y| value_of_kept(nonlinearity, case.clip, y)).collect()
                }
                Cell::Gru { .. } => uniform.vec(batch * hidden, 1.0),
            };
            case.own(slot).into_iter().zip(values).for_each(|(at, value)| h[at] = value);
        }
        for t in 0..seq_len {
            case.own(t).into_iter().for_each(|at| d_output[at] = uniform.next_f32());
        }
        let is_reset = kernel == "gru_reset_backward";
        let mut gates = marks;
        for _ in 0..seq_len * batch {
            match case.cell {
                Cell::Rnn { .. } => {}
                Cell::Gru { gate, .. } if is_reset => {
                    gates.extend(case.values(&mut uniform, hidden, gate));
                    gates.extend(uniform.vec(3 * hidden, 1.0));
                }
                Cell::Gru { reset, gate, candidate } => {
                    // With the reset before the product another kernel makes a gradient of r before the product reads
                    // it.
                    gates.extend(match reset {
                        Reset::After => case.values(&mut uniform, hidden, gate),
                        Reset::Before => uniform.vec(hidden, 1.0),
                    });
                    gates.extend(case.values(&mut uniform, hidden, gate));
                    gates.extend(case.values(&mut uniform, hidden, candidate));
                    gates.extend(uniform.vec(hidden, 1.0));
                }
            }
        }
        let d_h_n = uniform.vec(batch * hidden, 1.0);
        let d_h0 = if is_reset { uniform.vec(batch * hidden, 1.0) } else { vec![f32::NAN; batch * hidden] };
        Self { weight_hh, h, gates, d: [d_output, d_h_n, d_h0] }
    }
}

/// What the twin says of one step: its gates, and the size of the numbers so far.
struct Step<R> {
    t: usize,
    gates: Vec<R>,
    size: f64,
}

/// All steps by the twin, and d_h0 at the end with the size of everything.
fn twin<R: Real>(
    kernel: &str,
    case: &Case,
    numbers: &Numbers,
    real: fn(&[f32]) -> Vec<R>,
) -> (Vec<Step<R>>, (Vec<R>, f64)) {
    let [seq_len, batch, hidden] = case.sizes;
    let [d_output, d_h_n, d_h0] = &numbers.d;
    let (weight_hh, d_h_n) = (real(&numbers.weight_hh), real(d_h_n));
    let len = numbers.gates.len() / seq_len;
    let mut steps: Vec<Step<R>> = Vec::new();
    let (mut d_h0, mut size) = (real(d_h0), 1.0_f64);
    // `None` is the final dispatch.
    let order = case.order().into_iter().rev().map(Some);
    let last = (kernel != "gru_reset_backward").then_some(None);
    for step in order.chain(last) {
        let after = steps.last().map_or_else(Vec::new, |after: &Step<R>| after.gates.clone());
        // This step and the one after it are all there is.
        let known = 1 + usize::from(!after.is_empty());
        let mut gates = step.map_or_else(Vec::new, |(t, _)| real(&numbers.gates[t * len..(t + 1) * len]));
        gates.extend(after);
        let of = |values: &[f32], t: usize| real(&pick(values, &case.own(t)));
        let states =
            step.map_or_else(Vec::new, |(_, [before, after])| [of(&numbers.h, before), of(&numbers.h, after)].concat());
        let d_output = step.map_or_else(Vec::new, |(t, _)| of(d_output, t));
        let lengths = step.and_then(|(t, _)| case.lengths_at(t));
        let lengths = lengths.as_deref();
        // The step after has the number that follows, whatever the direction.
        let next = usize::from(step.is_some());
        let after_it = steps.last().and_then(|after: &Step<R>| case.lengths_at(after.t));
        let after_it =
            after_it.map(|lengths| lengths.into_iter().map(|length| length * (next + 1)).collect::<Vec<_>>());
        let lengths_after = after_it.as_deref();
        match case.cell {
            Cell::Rnn { nonlinearity: activation } => {
                let clip = case.clip;
                let params =
                    RnnStepParams { t: 0, batch, hidden, save: true, activation, clip, lengths, lengths_after };
                let (is_final, d_h_n) = (step.is_none(), &d_h_n);
                rnn_step_backward_twin(
                    &params, known, is_final, &weight_hh, &states, &d_output, d_h_n, &mut gates, &mut d_h0,
                );
            }
            Cell::Gru { .. } if kernel == "gru_reset_backward" => {
                let params = GruStepParams { t: 0, batch, hidden, save: true };
                gru_reset_backward_twin(&params, &case.options(lengths), &weight_hh, &states, &mut gates, &mut d_h0);
            }
            Cell::Gru { .. } => {
                let params = GruStepBackwardParams { seq_len: known, batch, hidden, t: step.map(|_| 0) };
                let options = GruOptions { lengths_after, ..case.options(lengths) };
                gru_step_backward_with(
                    &params, &options, &weight_hh, &states, &d_output, &d_h_n, &mut gates, &mut d_h0,
                );
            }
        }
        gates.truncate(len);
        size = size.max(largest(&gates)).max(largest(&d_h0));
        if let Some((t, _)) = step {
            steps.push(Step { t, gates, size });
        }
    }
    (steps, (d_h0, size))
}

fn check(gpu: &Gpu, kernel: &str, case: &Case) {
    // Backward reads what was saved, and no bias.
    let case = Case { save: true, has_bias: false, ..case.clone() };
    let [seq_len, _, hidden] = case.sizes;
    let numbers = Numbers::new(&case, kernel, 1);
    let Numbers { weight_hh, h, gates, d } = &numbers;
    let on_gpu = OnGpu::new(gpu, &case, weight_hh, None, h, gates);
    let [d_output, d_h_n, d_h0] = d.each_ref().map(|host| flat(gpu, host));
    let program = case.steps(&on_gpu).backward(&case.time_loop, [&d_output, &d_h_n, &d_h0]).expect("a program");
    run(gpu, &harness::only(program, kernel));

    let (narrow, (narrow_d_h0, _)) = twin(kernel, &case, &numbers, <[f32]>::to_vec);
    let (exact, (exact_d_h0, size)) = twin(kernel, &case, &numbers, wide);
    let tolerance = Tolerance::through_time(case.cell.gates() * hidden, seq_len);
    let close = |name: &str, actual: &[f32], narrow: &[f32], exact: &[f64], size: f64| {
        let (name, tolerance) = (format!("{kernel} {case:?}: {name}"), tolerance.scaled(size));
        assert_close(&format!("{name} against f64"), actual, exact, tolerance);
        assert_close(&format!("{name} against f32"), actual, narrow, tolerance.plus(tolerance));
    };
    let actual = read(&on_gpu.gates);
    let len = actual.len() / seq_len;
    for (narrow, Step { t, gates, size }) in narrow.iter().zip(&exact) {
        close(&format!("gates of step {t}"), &actual[t * len..(t + 1) * len], &narrow.gates, gates, *size);
    }
    close("d_h0", &read(&d_h0), &narrow_d_h0, &exact_d_h0, size);
    assert_eq!(to_bits(&read(&on_gpu.h)), to_bits(h), "{kernel} {case:?}: backward leaves the states as they are");
}
