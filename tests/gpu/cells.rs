//! Each kernel of a step by itself, with every option that it knows, against its twin in f32 and in f64.
//!
//! A kernel gets numbers of its own, whatever the kernels before it would have left, and the dispatches of the others
//! are left out of the program. The twin is asked for one step of one direction at a time: so order, slots and columns
//! are known here a second time.

use wgpu_gru::TimeLoop;
use wgpu_gru::reference::twins::activation::{activate, kept};
use wgpu_gru::reference::twins::gru_step::GruOptions;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Activation, Cell, Gpu, Reset, Tensor, harness};

use crate::support::{ACTIVATIONS, flat, single_steps, words};

pub(crate) mod backward;
pub(crate) mod forward;

/// T, B, H: ones, primes, sizes that are no multiple of 4, the neighbours of rows (4), lanes (8, 32) and units (32,
/// 128).
const SHAPES: [[usize; 3]; 11] = [
    [1, 1, 1],
    [2, 3, 2],
    [3, 1, 7],
    [1, 4, 8],
    [2, 5, 9],
    [3, 3, 31],
    [1, 5, 32],
    [2, 7, 33],
    [1, 2, 127],
    [1, 1, 129],
    [3, 13, 6],
];

/// What a step knows of its layer.
#[derive(Debug, Clone)]
struct Case {
    cell: Cell,
    clip: Option<f32>,
    sizes: [usize; 3],
    reverse: bool,
    directions: usize,
    has_bias: bool,
    has_lengths: bool,
    save: bool,
    /// The size of the arguments of the activations.
    scale: f32,
    time_loop: TimeLoop,
}

/// A GRU with every activation for the gates and another one for the candidate.
fn grus(reset: Reset) -> impl Iterator<Item = (Cell, bool)> {
    let count = ACTIVATIONS.len();
    (0..count).map(move |index| {
        let (gate, candidate) = (ACTIVATIONS[index], ACTIVATIONS[(index + 4) % count]);
        (Cell::Gru { reset, gate, candidate }, (index % 2 == 0) == (reset == Reset::After))
    })
}

/// A plain RNN with every activation, with and without clip.
fn rnns() -> impl Iterator<Item = (Cell, bool)> {
    ACTIVATIONS.into_iter().flat_map(|nonlinearity| [true, false].map(|clip| (Cell::Rnn { nonlinearity }, clip)))
}

/// Every cell, each with some of the other options and all of the shapes, the time loops and directions in turn; last
/// far out on both sides.
fn cases(gpu: &Gpu, cells: impl Iterator<Item = (Cell, bool)>) -> impl Iterator<Item = Case> {
    let time_loops: Vec<_> = single_steps(gpu).collect();
    let far = [30.0, 1e3].map(|scale| ([2, 5, 9], scale));
    let shapes: Vec<_> = SHAPES.into_iter().map(|shape| (shape, 1.0)).chain(far).collect();
    cells.enumerate().flat_map(move |(index, (cell, clip))| {
        let time_loop = time_loops[index % time_loops.len()];
        let shapes = shapes.clone().into_iter().enumerate();
        shapes.map(move |(number, (sizes, scale))| Case {
            cell,
            clip: clip.then_some(0.5),
            sizes,
            reverse: (index + number) % 2 == 1,
            directions: 1 + (index + number) / 2 % 2,
            has_bias: index % 3 > 0,
            has_lengths: index / 2 % 2 == 0,
            save: index % 5 < 3,
            scale,
            time_loop,
        })
    })
}

impl Case {
    /// The steps in the order of the direction, each with the slots of the states before and after it.
    fn order(&self) -> Vec<(usize, [usize; 2])> {
        let steps = 0..self.sizes[0];
        if self.reverse {
            steps.rev().map(|t| (t, [t + 2, t + 1])).collect()
        } else {
            steps.map(|t| (t, [t, t + 1])).collect()
        }
    }

    /// The elements of step or slot t in `[.., B, DH]` that are this direction's.
    fn own(&self, t: usize) -> Vec<usize> {
        let [_, batch, hidden] = self.sizes;
        let column = if self.reverse { (self.directions - 1) * hidden } else { 0 };
        let row = |b: usize| ((t * batch + b) * self.directions * hidden + column..).take(hidden);
        (0..batch).flat_map(row).collect()
    }

    /// How long each row is: every length from 0 to T.
    fn lengths(&self) -> Option<Vec<usize>> {
        let [seq_len, batch, _] = self.sizes;
        self.has_lengths.then(|| (0..batch).map(|b| (seq_len + b * 5) % (seq_len + 1)).collect())
    }

    /// The same as if step t were the only one.
    fn lengths_at(&self, t: usize) -> Option<Vec<usize>> {
        let lengths = self.lengths()?;
        Some(lengths.into_iter().map(|length| usize::from(t < length)).collect())
    }

    /// What the twins know of a GRU.
    fn options<'a>(&self, lengths: Option<&'a [usize]>) -> GruOptions<'a> {
        let Cell::Gru { reset, gate, candidate } = self.cell else { panic!("{self:?} is no GRU") };
        GruOptions { reset, gate, candidate, clip: self.clip, lengths, lengths_after: None }
    }

    /// W: how many numbers a unit has in the gates.
    fn width(&self) -> usize {
        match self.cell {
            Cell::Rnn { .. } => 1,
            Cell::Gru { reset: Reset::After, .. } if !self.save => 3,
            Cell::Gru { .. } => 4,
        }
    }

    /// The weights and biases that go with a state.
    fn parameters(&self, uniform: &mut SplitMix64) -> (Vec<f32>, Option<Vec<f32>>) {
        let hidden = self.sizes[2];
        let (gates, bound) = (self.cell.gates(), 1.0 / (hidden as f32).sqrt());
        (uniform.vec(gates * hidden * hidden, bound), self.has_bias.then(|| uniform.vec(gates * hidden, bound)))
    }

    /// Values of an activation, as they are kept for backward.
    fn values(&self, uniform: &mut SplitMix64, len: usize, activation: Activation) -> Vec<f32> {
        let value = |x: f32| kept(self.clip, x, activate(activation, self.clip, x));
        uniform.vec(len, self.scale).into_iter().map(value).collect()
    }

    /// The same with every jump of an activation moved; `None` where there is none.
    fn with_jumps_moved(&self, by: f32) -> Option<Self> {
        let moved = |activation| match activation {
            Activation::ThresholdedRelu { theta } => Activation::ThresholdedRelu { theta: theta + by },
            other => other,
        };
        let cell = match self.cell {
            Cell::Rnn { nonlinearity } => Cell::Rnn { nonlinearity: moved(nonlinearity) },
            Cell::Gru { reset, gate, candidate } => Cell::Gru { reset, gate: moved(gate), candidate: moved(candidate) },
        };
        (cell != self.cell).then(|| Self { cell, ..self.clone() })
    }

    /// Where the steps find their numbers.
    fn steps<'a>(&self, on_gpu: &'a OnGpu) -> harness::Steps<'a> {
        let hidden = self.sizes[2];
        harness::Steps {
            cell: self.cell,
            clip: self.clip,
            sizes: self.sizes,
            reverse: self.reverse,
            columns: [self.directions * hidden, self.own(0)[0]],
            weight_hh: &on_gpu.weight_hh,
            bias_hh: on_gpu.bias_hh.as_ref(),
            lengths: on_gpu.lengths.as_ref(),
            h: &on_gpu.h,
            gates: &on_gpu.gates,
            sums_of_biases: None,
        }
    }
}

/// The tensors of a case.
struct OnGpu {
    weight_hh: Tensor,
    bias_hh: Option<Tensor>,
    lengths: Option<Tensor>,
    h: Tensor,
    gates: Tensor,
}

impl OnGpu {
    fn new(gpu: &Gpu, case: &Case, weight_hh: &[f32], bias_hh: Option<&[f32]>, h: &[f32], gates: &[f32]) -> Self {
        let lengths = case.lengths();
        let lengths = lengths.map(|list| list.into_iter().map(|length| length as u32).collect::<Vec<_>>());
        Self {
            weight_hh: flat(gpu, weight_hh),
            bias_hh: bias_hh.map(|bias| flat(gpu, bias)),
            lengths: lengths.map(|lengths| words(gpu, &lengths)),
            h: flat(gpu, h),
            gates: flat(gpu, gates),
        }
    }
}

/// Some elements of an array.
fn pick(values: &[f32], elements: &[usize]) -> Vec<f32> {
    elements.iter().map(|&at| values[at]).collect()
}
