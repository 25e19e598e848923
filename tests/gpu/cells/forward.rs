//! The steps forward, and the gates made again.

use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::gru_gates::gru_gates as gru_gates_twin;
use wgpu_gru::reference::twins::gru_reset::gru_reset as gru_reset_twin;
use wgpu_gru::reference::twins::gru_step::{GruStepParams, gru_step_with};
use wgpu_gru::reference::twins::rnn_step::{RnnStepParams, rnn_step as rnn_step_twin};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Cell, Gpu, Reset, Tolerance, harness};

use super::{Case, OnGpu, cases, grus, pick, rnns};
use crate::support::{assert_close, flat, largest, read, run, to_bits, wide};

trials![gru_step, gru_step_after_reset, gru_reset, rnn_step, gru_gates];

/// In the places that nothing has written.
const UNWRITTEN: f32 = 77.0;

fn gru_step(gpu: &Gpu) {
    cases(gpu, grus(Reset::After)).for_each(|case| check(gpu, "gru_step", &case));
}

fn gru_step_after_reset(gpu: &Gpu) {
    cases(gpu, grus(Reset::Before)).for_each(|case| check(gpu, "gru_step", &case));
}

fn gru_reset(gpu: &Gpu) {
    cases(gpu, grus(Reset::Before)).for_each(|case| check(gpu, "gru_reset", &case));
}

fn rnn_step(gpu: &Gpu) {
    cases(gpu, rnns()).for_each(|case| check(gpu, "rnn_step", &case));
}

fn gru_gates(gpu: &Gpu) {
    for reset in [Reset::After, Reset::Before] {
        // They are the gates of what was saved, and know of no lengths and no bias.
        for case in cases(gpu, grus(reset)).map(|case| Case { save: true, has_lengths: false, has_bias: false, ..case })
        {
            for pass in 0..if reset == Reset::Before { 2 } else { 1 } {
                until_told(&case, |seed| check_gates(gpu, &case, pass, seed));
            }
        }
    }
}

/// What goes into the steps.
struct Numbers {
    weight_hh: Vec<f32>,
    bias_hh: Option<Vec<f32>>,
    h: Vec<f32>,
    gates: Vec<f32>,
}

impl Numbers {
    /// A step reads the first states, and NaN lies where it writes; `gru_reset` and `gru_gates` read all states and
    /// write none. NaN too in the columns of the other direction.
    fn new(case: &Case, kernel: &str, seed: u64) -> Self {
        let [seq_len, batch, hidden] = case.sizes;
        let mut uniform = SplitMix64::new(seed);
        let (weight_hh, bias_hh) = case.parameters(&mut uniform);
        let mut h = vec![f32::NAN; (seq_len + 2) * batch * case.directions * hidden];
        let written = kernel == "gru_step" || kernel == "rnn_step";
        for (number, (_, [before, _])) in case.order().into_iter().enumerate() {
            if number == 0 || !written {
                case.own(before).into_iter().for_each(|at| h[at] = uniform.next_f32());
            }
        }
        let mut gates = Vec::new();
        for _ in 0..seq_len * batch {
            gates.extend(uniform.vec(case.cell.gates() * hidden, case.scale));
            match case.cell {
                Cell::Gru { reset: Reset::Before, .. } if kernel != "gru_reset" => {
                    gates.extend(uniform.vec(hidden, 1.0));
                }
                _ => gates.resize(gates.len() + (case.width() - case.cell.gates()) * hidden, UNWRITTEN),
            }
        }
        Self { weight_hh, bias_hh, h, gates }
    }
}

/// Checks with one seed after the other, until no argument of an activation lies at a jump of it, where f32 and f64 may
/// be on different sides.
fn until_told(case: &Case, check: impl Fn(u64) -> bool) {
    assert!((1..50).any(check), "{case:?}: an argument at a jump with every seed");
}

fn check(gpu: &Gpu, kernel: &str, case: &Case) {
    until_told(case, |seed| check_steps(gpu, kernel, case, &Numbers::new(case, kernel, seed)));
}

/// One step by the twin: the states after it, if it makes any, and the gates.
fn twin<R: Real>(
    kernel: &str,
    case: &Case,
    numbers: &Numbers,
    t: usize,
    states: &[f32],
    real: fn(&[f32]) -> Vec<R>,
) -> [Vec<R>; 2] {
    let [_, batch, hidden] = case.sizes;
    let (weight_hh, bias_hh) = (real(&numbers.weight_hh), numbers.bias_hh.as_deref().map(real));
    let bias_hh = bias_hh.as_deref();
    let mut h = real(states);
    h.resize(2 * batch * hidden, R::default());
    let mut gates = real(gates_of(case, &numbers.gates, t));
    let lengths = case.lengths_at(t);
    let lengths = lengths.as_deref();
    let params = GruStepParams { t: 0, batch, hidden, save: case.save };
    match case.cell {
        Cell::Rnn { nonlinearity } => {
            let (activation, clip, save) = (nonlinearity, case.clip, case.save);
            let params = RnnStepParams { t: 0, batch, hidden, save, activation, clip, lengths, lengths_after: None };
            rnn_step_twin(&params, &weight_hh, bias_hh, &mut h, &mut gates);
        }
        Cell::Gru { .. } if kernel == "gru_reset" => {
            gru_reset_twin(&params, &case.options(lengths), &weight_hh, bias_hh, &h, &mut gates);
            return [Vec::new(), gates];
        }
        Cell::Gru { .. } => gru_step_with(&params, &case.options(lengths), &weight_hh, bias_hh, &mut h, &mut gates),
    }
    [h.split_off(batch * hidden), gates]
}

fn gates_of<'a>(case: &Case, gates: &'a [f32], t: usize) -> &'a [f32] {
    let len = gates.len() / case.sizes[0];
    &gates[t * len..(t + 1) * len]
}

/// All steps on the GPU; then each by itself, from the states that the GPU had before it. False where a jump is near.
fn check_steps(gpu: &Gpu, kernel: &str, case: &Case, numbers: &Numbers) -> bool {
    let Numbers { weight_hh, bias_hh, h, gates } = numbers;
    let on_gpu = OnGpu::new(gpu, case, weight_hh, bias_hh.as_deref(), h, gates);
    let program = case.steps(&on_gpu).forward(&case.time_loop, case.save).expect("a program");
    run(gpu, &harness::only(program, kernel));
    let (h_after, gates_after) = (read(&on_gpu.h), read(&on_gpu.gates));
    let makes_states = kernel != "gru_reset";

    let mut untouched = h.clone();
    for (t, [before, after]) in case.order() {
        let states = pick(&h_after, &case.own(before));
        let made = if makes_states { pick(&h_after, &case.own(after)) } else { Vec::new() };
        for (&at, &value) in case.own(after).iter().zip(&made) {
            untouched[at] = value;
        }
        let of_twin = |case: &Case| twin(kernel, case, numbers, t, &states, wide);
        let (narrow, exact) = (twin(kernel, case, numbers, t, &states, <[f32]>::to_vec), of_twin(case));
        let terms = largest(gates_of(case, gates, t)).max(largest(&states));
        if !hold(
            case,
            &format!("{kernel} t {t}"),
            terms,
            [&made, gates_of(case, &gates_after, t)],
            &narrow,
            &exact,
            of_twin,
        ) {
            return false;
        }
    }
    assert_eq!(to_bits(&h_after), to_bits(&untouched), "{kernel} {case:?}: states that are not its own");
    if makes_states && !case.save {
        assert_eq!(to_bits(&gates_after), to_bits(gates), "{kernel} {case:?}: gates that were not to be saved");
    }
    true
}

/// The budget is that of one step, for sums of H terms of the size of what goes in, and for products of what comes out.
/// False where an argument lies within it of a jump.
fn hold(
    case: &Case,
    name: &str,
    terms: f64,
    actual: [&[f32]; 2],
    narrow: &[Vec<f32>; 2],
    exact: &[Vec<f64>; 2],
    of_twin: impl Fn(&Case) -> [Vec<f64>; 2],
) -> bool {
    // What the clip gave is kept as an infinity.
    let finite = |values: &Vec<f64>| largest(&values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>());
    let scale = exact.iter().fold(terms.max(1.0), |most, values| most.max(finite(values)));
    let tolerance = Tolerance::through_time(case.sizes[2], 1).scaled(scale);
    let budget = tolerance.abs as f32;
    let sides = [-budget, budget].map(|by| case.with_jumps_moved(by));
    if let [Some(below), Some(above)] = sides
        && of_twin(&below) != of_twin(&above)
    {
        return false;
    }
    let marks = |by: f32| {
        let case = Case { clip: case.clip.map(|limit| limit + by), ..case.clone() };
        of_twin(&case).map(|values| values.iter().map(|value| value.is_infinite()).collect::<Vec<_>>())
    };
    if case.clip.is_some() && marks(-budget) != marks(budget) {
        return false;
    }
    for (index, part) in ["h", "gates"].into_iter().enumerate() {
        let name = format!("{name} {case:?}: {part}");
        assert_close(&format!("{name} against f64"), actual[index], &exact[index], tolerance);
        assert_close(&format!("{name} against f32"), actual[index], &narrow[index], tolerance.plus(tolerance));
    }
    true
}

fn check_gates(gpu: &Gpu, case: &Case, pass: u32, seed: u64) -> bool {
    let [seq_len, batch, hidden] = case.sizes;
    let Numbers { weight_hh, h, gates, .. } = Numbers::new(case, "gru_gates", seed);
    let h_proj = SplitMix64::new(seed + 100).vec(seq_len * batch * 3 * hidden, 1.0);
    let on_gpu = OnGpu::new(gpu, case, &weight_hh, None, &h, &gates);
    let projected = flat(gpu, &h_proj);
    run(gpu, &case.steps(&on_gpu).gates_again(&projected, pass).expect("a program"));

    let mut order = case.order();
    order.sort_unstable();
    let states: Vec<_> = order.iter().flat_map(|&(_, [before, _])| pick(&h, &case.own(before))).collect();
    let of_twin = |case: &Case| {
        let mut made = wide(&gates);
        let rows = [seq_len * batch, hidden];
        gru_gates_twin(rows, &case.options(None), pass, &wide(&states), &wide(&h_proj), &mut made);
        [Vec::new(), made]
    };
    let mut narrow = gates.clone();
    gru_gates_twin([seq_len * batch, hidden], &case.options(None), pass, &states, &h_proj, &mut narrow);
    let actual = read(&on_gpu.gates);
    let (name, terms) = (format!("gru_gates pass {pass}"), largest(&gates));
    hold(case, &name, terms, [&[], &actual], &[Vec::new(), narrow], &of_twin(case), of_twin)
}
