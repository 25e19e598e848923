//! The list of buffers, and what the tensors in them are. The layer makes what it says and nothing else.

use std::ops::Range;

use super::external::External;
use super::feasible::cells_per_buffer;
use super::frame::weights_lie_together;
use super::layout::{Keeps, Layout};
use super::matmul::InParts;
use super::ops::{Episodes, gradients_of_biases};
use super::tensors::{Id, Owner, Tensors};
use super::time_loop::TimeLoop;
use super::turns::{Block, Part};
use crate::config::Config;
use crate::target::{INDICES, Target, bytes};
use crate::unroll::{Mode, Unroll};
use crate::weights::CellWeights;

/// The tensors of a cell's weights and biases, or of their gradients, in the order of [`CellWeights::NAMES`].
pub(crate) type CellTensors = [Option<Id>; 4];

/// Weights and biases of all cells, or their gradients. Cells take their steps together: so their recurrent weights lie
/// in one buffer, where it holds them. `of_frames`: the others do, too, where a frame can bind them.
pub(crate) fn parameters(
    tensors: &mut Tensors,
    config: &Config,
    limits: &wgpu::Limits,
    names: [&'static str; 4],
    of_frames: bool,
) -> Vec<CellTensors> {
    let [weight_ih, weight_hh, bias_ih, bias_hh] = names;
    let (cells, in_a_buffer) = (config.num_cells(), cells_per_buffer(config, limits));
    let together = of_frames && weights_lie_together(config, limits);
    let mut list = Vec::with_capacity(cells);
    for first in (0..cells).step_by(in_a_buffer) {
        let count = in_a_buffer.min(cells - first);
        let shapes = |index: usize| CellWeights::shapes(config, index / config.directions());
        let [_, of_weight, _, of_bias] = shapes(first);
        let weights = tensors.side_by_side((weight_hh, Owner::Layer), count, &of_weight, 0, limits);
        let has_bias = config.bias;
        let biases = if has_bias {
            tensors.side_by_side((bias_hh, Owner::Layer), count, &of_bias, 0, limits)
        } else {
            Vec::new()
        };
        let mut of_input = |name: &'static str, kind: usize| -> Vec<Id> {
            let shapes: Vec<_> = (first..first + count).map(|cell| shapes(cell)[kind].clone()).collect();
            if together {
                return tensors.one_by_one((name, Owner::Layer), &shapes, limits);
            }
            shapes.iter().map(|shape| tensors.make(name, shape, Owner::Layer)).collect()
        };
        let weights_ih = of_input(weight_ih, 0);
        let biases_ih = if has_bias { of_input(bias_ih, 2) } else { Vec::new() };
        for (place, weight) in weights.into_iter().enumerate() {
            let [bias_ih, bias_hh] = [&biases_ih, &biases].map(|list| list.get(place).copied());
            list.push([Some(weights_ih[place]), Some(weight), bias_ih, bias_hh]);
        }
    }
    list
}

/// What each tensor of a forward pass is.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    /// `[T, B, I]`, or `[B, T, I]` if batch-first.
    pub(crate) input: Id,
    /// The input time-major, with zeros past the ends of rows.
    pub(crate) arranged_input: Option<Id>,
    /// The states of each layer, `[slots, B, DH]`; those after step t lie at slot t + 1. In one buffer in a wavefront.
    pub(crate) h: Vec<Id>,
    /// The states of each layer after its steps, `[T, B, DH]`: slots 1 to T of `h`.
    pub(crate) outputs: Vec<Id>,
    /// The gates of each cell, chunk by chunk; or, where they are not kept, of each part of a turn, for one chunk.
    /// Those of a turn lie in one buffer.
    pub(crate) gates: Vec<Vec<Id>>,
    /// The gates of each cell, chunk by chunk, as f16, two in a word, `[chunk, B, 2, H]`, where they are kept so.
    pub(crate) f16_gates: Vec<Vec<Id>>,
    /// What each layer reads, `[T, B, in]`.
    pub(crate) layer_inputs: Vec<Id>,
    /// `[T, B, DH]`, or `[B, T, DH]` if batch-first: a part of the last layer's states, or a tensor of its own.
    pub(crate) output: Id,
    /// `[LD, B, H]`, parts of the states where there is one cell that runs forward, or tensors of their own.
    pub(crate) h0: Id,
    pub(crate) h_n: Id,
    /// On the way to `h0` from what lies in its buffer, such as `h_n`, `[LD, B, H]`.
    pub(crate) carried: Option<Id>,
    pub(crate) weights: Vec<CellTensors>,
    /// The recurrent weights of each cell transposed, `[H, GH]`, where single steps backward read them so.
    pub(crate) transposed: Vec<Id>,
    /// The recurrent weights of each cell as f16 in their own order, where the steps read them so.
    pub(crate) f16_weights: Vec<Id>,
    /// `[B]`, whole numbers.
    pub(crate) lengths: Option<Id>,
    pub(crate) episodes: Option<Episodes>,
    /// From which row of `h0` each row goes on, `[B]`, whole numbers.
    pub(crate) sources: Option<Id>,
    /// Seed of dropout and count of forward passes, whole numbers.
    pub(crate) dropout: Option<Id>,
    /// By which the workgroups of steps by exchange meet and hand on the operand, whole numbers. Zero between dispatches.
    pub(crate) ring: Option<Id>,
    pub(crate) training: Option<TrainingRoles>,
}

/// What each further tensor of a backward pass is.
#[derive(Debug, Clone)]
pub(crate) struct TrainingRoles {
    /// In the layout of the output.
    pub(crate) d_output: Id,
    /// The gradient of the output of each layer, `[T, B, DH]`. The last one is `d_output` itself unless that is copied.
    /// In one buffer in a wavefront.
    pub(crate) d_layers: Vec<Id>,
    /// The gradient of an output that was dropped out, before that is taken into account.
    pub(crate) d_dropped: Option<Id>,
    /// `[LD, B, H]`
    pub(crate) d_h_n: Id,
    pub(crate) d_h0: Id,
    pub(crate) d_weights: Vec<CellTensors>,
    /// In the layout of the input.
    pub(crate) d_input: Option<Id>,
    pub(crate) arranged_d_input: Option<Id>,
    /// The recurrent product of one chunk, where the gates are made again.
    pub(crate) h_proj: Option<Id>,
    /// What the steps add up, one behind the other; or one number that is bound in its place.
    pub(crate) sums: Id,
    /// Where in it the sums of squares of d_h begin, `[LD, workgroups, T]`, where norms are wanted.
    pub(crate) squares: Option<usize>,
    /// Where in it the sums of the gradients of the biases begin, where the steps make them, for one chunk of the cells that
    /// take their steps together.
    pub(crate) biases: Option<usize>,
    /// Room for the parts of long sums of rows, where any has parts: of the gradients of weight_ih, of weight_hh, and of the
    /// last rows of that, where these are a product of their own.
    pub(crate) parts: [Option<Id>; 3],
    /// `[LD, T]`
    pub(crate) norms: Option<Id>,
}

/// What the lists are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) config: &'a Config,
    pub(super) unroll: &'a Unroll,
    pub(super) external: &'a External,
    pub(super) target: &'a Target,
    pub(super) layout: &'a Layout,
    pub(super) time_loop: &'a TimeLoop,
    pub(super) chunks: &'a [Range<usize>],
    pub(super) blocks: &'a [Block],
}

impl Lists<'_> {
    /// `[T, B, features]`, or `[B, T, features]` if batch-first.
    fn outer(&self, features: usize) -> [usize; 3] {
        let (t, b) = (self.unroll.seq_len, self.unroll.batch);
        if self.config.batch_first { [b, t, features] } else { [t, b, features] }
    }

    fn longest_chunk(&self) -> usize {
        self.chunks.iter().map(ExactSizeIterator::len).max().unwrap_or_default()
    }

    /// Every buffer, and what its tensors are.
    pub(super) fn buffers(&self) -> (Tensors, Roles) {
        let Self { config, unroll, external, layout, .. } = *self;
        let mut list = Tensors::default();
        let training = unroll.mode == Mode::Training;
        let (t, b) = (unroll.seq_len, unroll.batch);
        let (i, hidden, width) = (config.input_size, config.hidden_size, config.output_size());
        let (cells, layers) = (config.num_cells(), config.num_layers);
        let state = [cells, b, hidden];
        let given = |list: &mut Tensors, phase: Option<usize>, name, shape: &[usize]| match phase {
            Some(phase) => list.external(name, shape, phase),
            None => list.make(name, shape, Owner::Layer),
        };
        let scratch = |list: &mut Tensors, name, shape: &[usize]| list.make(name, shape, Owner::Scratch);
        let scratch_if = |wanted: bool| if wanted { Owner::Scratch } else { Owner::Layer };

        let input = given(&mut list, external.input, "input", &self.outer(i));
        let arranged_input =
            layout.copies_input.then(|| list.make("arranged input", &[t, b, i], scratch_if(!training)));
        let shape = [layout.slots, b, width];
        // A frame has neither states of steps nor gates.
        let h = if layout.frame.is_some() {
            Vec::new()
        } else {
            self.per_layer(&mut list, ("h", scratch_if(layout.scratch_states)), layers, &shape, layout.before_states)
        };
        let outputs: Vec<Id> = h.iter().map(|&states| list.outer(states, 1..t + 1)).collect();
        let gates = if layout.frame.is_some() { Vec::new() } else { self.gates(&mut list) };
        let f16_gates = if layout.keeps == Keeps::F16 { self.f16_gates(&mut list) } else { Vec::new() };
        let dropped = if layout.has_dropout { layers - 1 } else { 0 };
        let dropped: Vec<Id> = (0..dropped).map(|_| list.make("layer input", &[t, b, width], Owner::Layer)).collect();
        let output = if layout.copies_output {
            given(&mut list, external.output, "output", &self.outer(width))
        } else {
            outputs[layers - 1]
        };
        let state_of = |list: &mut Tensors, copied: bool, phase, name, slot: usize| {
            if copied { given(list, phase, name, &state) } else { list.outer(h[layers - 1], slot..slot + 1) }
        };
        let [h0, h_n] = if layout.frame.is_some() && external.h0.is_none() && external.h_n.is_none() {
            // One binding holds both.
            let both = list.side_by_side(("h0 and h_n", Owner::Layer), 2, &state, 0, &self.target.limits);
            [both[0], both[1]]
        } else {
            let h0 = state_of(&mut list, layout.copies_h0, external.h0, "h0", 0);
            [h0, state_of(&mut list, layout.copies_h_n, external.h_n, "h_n", t)]
        };
        let carried = layout.carries(external).then(|| scratch(&mut list, "carried state", &state));
        let words = layout.words_of_weights(config);
        let of_transposed = ("transposed weight_hh", Owner::Scratch);
        let transposed = self.weight_copies(&mut list, layout.transposes_weights, of_transposed, &words);
        let of_f16 = ("f16 weight_hh", scratch_if(!training));
        let f16_weights = self.weight_copies(&mut list, layout.f16_weights, of_f16, &words);
        // One binding holds both.
        let (lengths, episodes) = if unroll.episode_starts {
            let named = ("lengths and episode starts", Owner::Layer);
            let ([lengths, starts, words], begin) = list.pair(named, [&[b], &[t, b]], b, &self.target.limits);
            (unroll.lengths.then_some(lengths), Some(Episodes { starts, words, begin }))
        } else {
            (unroll.lengths.then(|| list.make("lengths", &[b], Owner::Layer)), None)
        };
        let sources = external.sources.then(|| list.make("sources of rows", &[b], Owner::Layer));
        let dropout = layout.has_dropout.then(|| list.make("dropout", &[2], Owner::Layer));
        let words = self.time_loop.exchange_words(config.cell(), b, hidden, layout.together);
        let ring = words.filter(|_| layout.frame.is_none()).map(|words| list.make("exchange", &[words], Owner::Layer));
        let weights = self.external_parameters(&mut list, &external.weights, CellWeights::NAMES);
        let training = training.then(|| self.training(&mut list));
        let first = arranged_input.unwrap_or(input);
        let above = |below: usize| dropped.get(below).or(outputs.get(below)).copied();
        let layer_inputs = std::iter::once(first).chain((0..layers - 1).filter_map(above)).collect();
        let roles = Roles {
            input,
            arranged_input,
            h,
            outputs,
            gates,
            f16_gates,
            layer_inputs,
            output,
            h0,
            h_n,
            carried,
            weights,
            transposed,
            f16_weights,
            lengths,
            episodes,
            sources,
            dropout,
            ring,
            training,
        };
        (list, roles)
    }

    /// A tensor per layer, in one buffer if the layers take their steps together.
    fn per_layer(
        &self,
        list: &mut Tensors,
        named: (&'static str, Owner),
        layers: usize,
        shape: &[usize],
        before: usize,
    ) -> Vec<Id> {
        let together = if self.layout.wavefront { layers.max(1) } else { 1 };
        let buffers = (0..layers).step_by(together);
        buffers.flat_map(|_| list.side_by_side(named, together, shape, before, &self.target.limits)).collect()
    }

    /// The gates of cells and chunks.
    fn gates(&self, list: &mut Tensors) -> Vec<Vec<Id>> {
        let layout = self.layout;
        let shape = |steps: usize| [steps, self.unroll.batch, layout.gates_width, self.config.hidden_size];
        if layout.keeps != Keeps::Gates {
            let parts = list.in_a_row("gates", Owner::Scratch, layout.together, &shape(self.longest_chunk()));
            return parts.into_iter().map(|tensor| vec![tensor]).collect();
        }
        let mut all: Vec<(Part, Id)> = Vec::new();
        for turn in self.blocks.iter().flat_map(|block| &block.turns) {
            let tensors = list.in_a_row("gates", Owner::Layer, turn.parts.len(), &shape(turn.steps));
            all.extend(turn.parts.iter().copied().zip(tensors));
        }
        all.sort_by_key(|(part, _)| (part.layer, part.direction, part.chunk));
        let of_cell = all.chunks(self.chunks.len());
        of_cell.map(|chunks| chunks.iter().map(|&(_, tensor)| tensor).collect()).collect()
    }

    /// Room for the gates of cells and chunks as f16.
    fn f16_gates(&self, list: &mut Tensors) -> Vec<Vec<Id>> {
        let shape = |steps: usize| [steps, self.unroll.batch, 2, self.config.hidden_size];
        let mut of_cell =
            || self.chunks.iter().map(|chunk| list.make("f16 gates", &shape(chunk.len()), Owner::Layer)).collect();
        (0..self.config.num_cells()).map(|_| of_cell()).collect()
    }

    /// Room for copies of the recurrent weights of all cells, if they are wanted: as many in a buffer as they are
    /// themselves.
    fn weight_copies(
        &self,
        list: &mut Tensors,
        wanted: bool,
        (name, owner): (&'static str, Owner),
        shape: &[usize],
    ) -> Vec<Id> {
        let cells = if wanted { self.config.num_cells() } else { 0 };
        let in_a_buffer = cells_per_buffer(self.config, &self.target.limits);
        let firsts = (0..cells).step_by(in_a_buffer);
        firsts.flat_map(|first| list.in_a_row(name, owner, in_a_buffer.min(cells - first), shape)).collect()
    }

    /// Parameters or gradients that are given.
    fn external_parameters(
        &self,
        list: &mut Tensors,
        phases: &[[usize; 4]],
        names: [&'static str; 4],
    ) -> Vec<CellTensors> {
        let of_cell = |cell: usize| {
            let shapes = CellWeights::shapes(self.config, cell / self.config.directions());
            let phases = phases.get(cell).copied().unwrap_or_default();
            let mut tensors: CellTensors = [None; 4];
            for place in 0..4 {
                if !shapes[place].contains(&0) {
                    tensors[place] = Some(list.external(names[place], &shapes[place], phases[place]));
                }
            }
            tensors
        };
        (0..self.config.num_cells()).map(of_cell).collect()
    }

    /// Numbers of the largest parts of sums that gradients have at once: of weight_ih of any layer, of weight_hh, and of the
    /// last rows of that, where these are a product of their own.
    fn parts_of_sums(&self) -> [usize; 3] {
        let (config, rows) = (self.config, self.longest_chunk().saturating_mul(self.unroll.batch));
        let (hidden, units) = (config.hidden_size, config.cell().gates() * config.hidden_size);
        let numbers = |[size, width]: [usize; 2]| {
            let parts = InParts::of([size, width, rows], self.target).filter(|_| !self.unroll.f16_products);
            parts.map_or(0, |parts| parts.at_once.saturating_mul(size).saturating_mul(width))
        };
        let inputs = (0..config.num_layers).map(|layer| numbers([units, config.layer_input_size(layer)]));
        let of_inputs = inputs.max().unwrap_or_default();
        if self.layout.is_reset_before {
            return [of_inputs, numbers([2 * hidden, hidden]), numbers([hidden, hidden])];
        }
        [of_inputs, numbers([units, hidden]), 0]
    }

    /// Numbers of the sums of the gradients of the biases, where the steps add them up, behind as many of squares. Where one
    /// binding does not hold both, and on a software rasteriser, where that took 1.04 times as long, they are sums over the
    /// gradients of the gates.
    fn sums_of_biases(&self, squares: usize) -> usize {
        let (config, limits) = (self.config, &self.target.limits);
        let is_wanted = config.bias && !self.target.is_software();
        let rows = self.time_loop.sums_of_biases(self.longest_chunk()).filter(|_| is_wanted).unwrap_or_default();
        let width = gradients_of_biases(config.cell()).saturating_mul(config.hidden_size);
        let sizes = [self.layout.together, rows, self.unroll.batch, width];
        let numbers = sizes.into_iter().fold(1_usize, usize::saturating_mul);
        let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(4 * INDICES);
        let slack = u64::from(limits.min_storage_buffer_offset_alignment);
        if bytes(&[squares.saturating_add(numbers)]).saturating_add(slack) <= most { numbers } else { 0 }
    }

    fn training(&self, list: &mut Tensors) -> TrainingRoles {
        const GRADIENTS: [&str; 4] = ["d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"];
        let Self { config, unroll, external, layout, .. } = *self;
        let (t, b) = (unroll.seq_len, unroll.batch);
        let (i, hidden, width) = (config.input_size, config.hidden_size, config.output_size());
        let (cells, layers) = (config.num_cells(), config.num_layers);
        let state = [cells, b, hidden];
        let given = |list: &mut Tensors, phase: Option<usize>, name, shape: &[usize]| match phase {
            Some(phase) => list.external(name, shape, phase),
            None => list.make(name, shape, Owner::Layer),
        };
        // The last layer's is the one that is given, if it need not be copied.
        let last = external.d_output.filter(|_| !layout.copies_d_output);
        let made = layers - usize::from(last.is_some());
        let mut d_layers = self.per_layer(list, ("d_output", Owner::Layer), made, &[t, b, width], 0);
        d_layers.extend(last.map(|phase| list.external("d_output", &[t, b, width], phase)));
        let d_output = if layout.copies_d_output {
            given(list, external.d_output, "d_output as given", &self.outer(width))
        } else {
            d_layers[layers - 1]
        };
        let scratch_if = |list: &mut Tensors, wanted: bool, name, shape: &[usize]| {
            wanted.then(|| list.make(name, shape, Owner::Scratch))
        };
        let has_d_input = unroll.input_gradient;
        let has_norms = unroll.gradient_norms;
        let groups = self.time_loop.groups(b, hidden);
        let d_dropped = scratch_if(list, layout.has_dropout, "d_dropped", &[t, b, width]);
        let d_h_n = given(list, external.d_h_n, "d_h_n", &state);
        let d_h0 = given(list, external.d_h0, "d_h0", &state);
        let d_weights = match &external.gradients {
            Some(phases) => self.external_parameters(list, phases, GRADIENTS),
            None => parameters(list, config, &self.target.limits, GRADIENTS, false),
        };
        let d_input = has_d_input.then(|| given(list, external.d_input, "d_input", &self.outer(i)));
        let has_arranged = has_d_input && config.batch_first;
        let arranged_d_input = scratch_if(list, has_arranged, "arranged d_input", &[t, b, i]);
        let chunk = self.longest_chunk();
        let h_proj = scratch_if(list, layout.makes_gates_again(config), "h_proj", &[chunk, b, 3, hidden]);
        let [of_input, of_state, of_reset_state] = self.parts_of_sums();
        let parts = [
            scratch_if(list, of_input > 0, "parts of d_weight_ih", &[of_input]),
            scratch_if(list, of_state > 0, "parts of d_weight_hh", &[of_state]),
            scratch_if(list, of_reset_state > 0, "parts of the rows of n", &[of_reset_state]),
        ];
        let squares = if has_norms { cells * groups * t } else { 0 };
        let biases = self.sums_of_biases(squares);
        let all = squares + biases;
        let sums = if all > 0 { ("sums of steps", Owner::Scratch) } else { ("unused", Owner::Layer) };
        let sums = list.make(sums.0, &[all.max(1)], sums.1);
        let norms = has_norms.then(|| list.make("norms of d_h", &[cells, t], Owner::Layer));
        TrainingRoles {
            d_output,
            d_layers,
            d_dropped,
            d_h_n,
            d_h0,
            d_weights,
            d_input,
            arranged_d_input,
            h_proj,
            sums,
            squares: has_norms.then_some(0),
            biases: (biases > 0).then_some(squares),
            parts,
            norms,
        }
    }
}
