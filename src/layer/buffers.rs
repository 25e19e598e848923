//! The buffers of an unrolled layer.

use crate::config::Config;
use crate::error::Result;
use crate::gpu::{Gpu, Tensor, View};
use crate::layer::workspace::Maker;
use crate::layer::{Parameters, Places};
use crate::plan::{Keeps, Part, Plan, cells_a_buffer};
use crate::unroll::{Mode, Unroll};

/// Everything that a forward pass reads and writes, parameters aside. Which of them are there, [`Plan`] says.
#[derive(Debug)]
pub(super) struct Buffers {
    /// `[T, B, I]`, or `[B, T, I]` if batch-first.
    pub(super) input: Tensor,
    /// The input time-major, with zeros past the ends of rows.
    pub(super) arranged_input: Option<Tensor>,
    /// The states of each layer, `[slots, B, DH]`; those after step t lie at slot t + 1. In one buffer in a wavefront.
    pub(super) h: Vec<Tensor>,
    /// The gates of each cell, chunk by chunk; or, where they are not kept, of each part of a turn, for one chunk. Those of a
    /// turn lie in one buffer.
    pub(super) gates: Vec<Vec<Tensor>>,
    /// The gates of each cell, chunk by chunk, two in a word, `[chunk, B, 2, H]`, where they are kept so.
    pub(super) half_gates: Vec<Vec<Tensor>>,
    /// What each layer but the first reads where dropout acts, `[T, B, DH]`.
    pub(super) layer_inputs: Vec<Tensor>,
    /// `[T, B, DH]`, or `[B, T, DH]` if batch-first: a part of the last layer's states, or a tensor of its own.
    pub(super) output: Tensor,
    /// `[LD, B, H]`, parts of the states where there is one cell that runs forward, or tensors of their own.
    pub(super) h0: Tensor,
    pub(super) h_n: Tensor,
    /// On the way to `h0` from what lies in its buffer, such as `h_n`, `[LD, B, H]`.
    pub(super) carried: Option<Tensor>,
    /// The recurrent weights of each cell as the steps forward read them, `[H / 4, GH]` fours, where they are packed.
    pub(super) packed: Vec<Tensor>,
    /// The recurrent weights of each cell two in a word, in their order, where the steps read them so.
    pub(super) half_weights: Vec<Tensor>,
    /// `[B]`, whole numbers.
    pub(super) lengths: Option<Tensor>,
    /// From which row of `h0` each row goes on, `[B]`, whole numbers.
    pub(super) sources: Option<Tensor>,
    /// Seed of dropout and count of forward passes, whole numbers.
    pub(super) dropout: Option<Tensor>,
    pub(super) training: Option<TrainingBuffers>,
}

/// What a backward pass reads and writes besides.
#[derive(Debug)]
pub(super) struct TrainingBuffers {
    /// In the layout of the output.
    pub(super) d_output: Tensor,
    /// The gradient of the output of each layer, `[T, B, DH]`. The last one is `d_output` itself unless that is batch-first. In
    /// one buffer in a wavefront.
    pub(super) d_layers: Vec<Tensor>,
    /// The gradient of an output that was dropped out, before that is taken into account.
    pub(super) d_dropped: Option<Tensor>,
    /// `[LD, B, H]`
    pub(super) d_h_n: Tensor,
    pub(super) d_h0: Tensor,
    pub(super) d_parameters: Parameters,
    /// In the layout of the input.
    pub(super) d_input: Option<Tensor>,
    pub(super) arranged_d_input: Option<Tensor>,
    /// The recurrent product of one chunk, where the gates are made again.
    pub(super) h_proj: Option<Tensor>,
    /// Sums of squares of d_h, `[LD, workgroups, T]`; one number that is not used where norms are not wanted.
    pub(super) squares: Tensor,
    /// `[LD, T]`
    pub(super) norms: Option<Tensor>,
}

impl Buffers {
    /// `groups`: how many sums of squares a step backward makes.
    pub(super) fn new(
        gpu: &Gpu,
        config: &Config,
        unroll: &Unroll,
        plan: &Plan,
        places: &Places,
        groups: usize,
    ) -> Result<Self> {
        let maker = Maker::new(gpu, places.workspace.as_ref())?;
        let zeros = |name, shape: &[usize]| maker.zeros(name, shape);
        // What is given, or a tensor of zeros.
        let place = |given: &Option<Tensor>, name, shape: &[usize]| match given {
            Some(given) => Ok(given.clone()),
            None => maker.zeros(name, shape),
        };
        let zeros_if = |wanted: bool, name, shape: &[usize]| wanted.then(|| zeros(name, shape)).transpose();
        let training = unroll.mode() == Mode::Training;
        let layout = plan.layout();
        let (t, b) = (unroll.seq_len(), unroll.batch());
        let (i, hidden, width) = (config.input_size(), config.hidden_size(), config.output_size());
        let (cells, layers) = (config.num_cells(), config.layers());
        let outer = |features: usize| if config.is_batch_first() { [b, t, features] } else { [t, b, features] };

        let shape = [layout.slots, b, width];
        let h = of_layers(&maker, layout.scratch_states, plan, "h", layers, &shape, layout.before_states)?;
        let last = &h[layers - 1];
        let state = |slot: usize| last.outer(slot..slot + 1);
        let dropped_layers = if layout.has_dropout { layers - 1 } else { 0 };
        Ok(Self {
            input: place(&places.input, "input", &outer(i))?,
            arranged_input: layout
                .copies_input
                .then(|| maker.make(!training, "arranged input", &[t, b, i]))
                .transpose()?,
            gates: gates(&maker, config, unroll, plan)?,
            half_gates: if layout.keeps == Keeps::Halves { half_gates(gpu, config, unroll, plan)? } else { Vec::new() },
            layer_inputs: (0..dropped_layers).map(|_| zeros("layer input", &[t, b, width])).collect::<Result<_>>()?,
            output: if layout.copies_output {
                place(&places.output, "output", &outer(width))?
            } else {
                last.outer(1..t + 1)?
            },
            h0: if layout.copies_h0 { place(&places.h0, "h0", &[cells, b, hidden])? } else { state(0)? },
            h_n: if layout.copies_h_n { place(&places.h_n, "h_n", &[cells, b, hidden])? } else { state(t)? },
            carried: layout
                .carries(unroll.given())
                .then(|| maker.scratch("carried state", &[cells, b, hidden]))
                .transpose()?,
            packed: weights_if(layout.packs_weights, true, &maker, config, plan, "packed weight_hh")?,
            half_weights: weights_if(layout.halves_weights, !training, &maker, config, plan, "half weight_hh")?,
            lengths: zeros_if(unroll.has_lengths(), "lengths", &[b])?,
            sources: zeros_if(unroll.given().sources, "sources of rows", &[b])?,
            dropout: zeros_if(layout.has_dropout, "dropout", &[2])?,
            training: training
                .then(|| TrainingBuffers::new(&maker, config, unroll, plan, places, groups))
                .transpose()?,
            h,
        })
    }

    /// What a layer reads, `[T, B, in]`.
    pub(super) fn layer_input(&self, layer: usize, seq_len: usize) -> Result<Tensor> {
        match layer.checked_sub(1) {
            None => Ok(self.arranged_input.as_ref().unwrap_or(&self.input).clone()),
            Some(below) if self.layer_inputs.is_empty() => self.h[below].outer(1..seq_len + 1),
            Some(below) => Ok(self.layer_inputs[below].clone()),
        }
    }

    pub(super) fn lengths_view(&self) -> Option<View<'_>> {
        self.lengths.as_ref().map(|lengths| lengths.view().0)
    }
}

/// A tensor for each layer, in one buffer if the layers take their steps together; so many elements lie before each.
fn of_layers(
    maker: &Maker<'_>,
    scratch: bool,
    plan: &Plan,
    name: &'static str,
    layers: usize,
    shape: &[usize],
    before: usize,
) -> Result<Vec<Tensor>> {
    let together = if plan.layout().wavefront { layers } else { 1 };
    let buffers =
        (0..layers).step_by(together.max(1)).map(|_| maker.side_by_side(scratch, name, together, shape, before));
    Ok(buffers.collect::<Result<Vec<_>>>()?.concat())
}

/// The gates of cells and chunks.
fn gates(maker: &Maker<'_>, config: &Config, unroll: &Unroll, plan: &Plan) -> Result<Vec<Vec<Tensor>>> {
    let layout = plan.layout();
    let scratch = layout.keeps != Keeps::Gates;
    let together = |parts: usize, steps: usize| {
        let shape = [steps, unroll.batch(), layout.gates_width, config.hidden_size()];
        maker.in_one_buffer(scratch, "gates", parts, &shape)
    };
    if scratch {
        let parts = together(layout.together, plan.longest_chunk())?;
        return Ok(parts.into_iter().map(|tensor| vec![tensor]).collect());
    }
    let mut all: Vec<(Part, Tensor)> = Vec::new();
    for turn in plan.blocks().iter().flat_map(|block| &block.turns) {
        all.extend(turn.parts.iter().copied().zip(together(turn.parts.len(), turn.steps)?));
    }
    all.sort_by_key(|(part, _)| (part.layer, part.direction, part.chunk));
    let of_cell = all.chunks(plan.chunks().len());
    Ok(of_cell.map(|chunks| chunks.iter().map(|(_, tensor)| tensor.clone()).collect()).collect())
}

/// Room for the gates of cells and chunks, two in a word.
fn half_gates(gpu: &Gpu, config: &Config, unroll: &Unroll, plan: &Plan) -> Result<Vec<Vec<Tensor>>> {
    let of_chunk =
        |steps: usize| Tensor::named(gpu, "half gates", &[steps, unroll.batch(), 2, config.hidden_size()], None);
    let of_cell = |_| plan.chunks().iter().map(|chunk| of_chunk(chunk.len())).collect();
    (0..config.num_cells()).map(of_cell).collect()
}

/// Room for the recurrent weights of all cells, if it is wanted: as many in a buffer as they are themselves.
fn weights_if(
    wanted: bool,
    scratch: bool,
    maker: &Maker<'_>,
    config: &Config,
    plan: &Plan,
    name: &'static str,
) -> Result<Vec<Tensor>> {
    if !wanted {
        return Ok(Vec::new());
    }
    let shape = plan.layout().words_of_weights(config);
    let (cells, in_a_buffer) = (config.num_cells(), cells_a_buffer(config, maker.gpu.limits()));
    let buffers = (0..cells)
        .step_by(in_a_buffer)
        .map(|first| maker.in_one_buffer(scratch, name, in_a_buffer.min(cells - first), &shape));
    Ok(buffers.collect::<Result<Vec<_>>>()?.concat())
}

impl TrainingBuffers {
    fn new(
        maker: &Maker<'_>,
        config: &Config,
        unroll: &Unroll,
        plan: &Plan,
        places: &Places,
        groups: usize,
    ) -> Result<Self> {
        let zeros_if = |wanted: bool, name, shape: &[usize]| wanted.then(|| maker.zeros(name, shape)).transpose();
        let scratch_if = |wanted: bool, name, shape: &[usize]| wanted.then(|| maker.scratch(name, shape)).transpose();
        let place = |given: &Option<Tensor>, name, shape: &[usize]| match given {
            Some(given) => Ok(given.clone()),
            None => maker.zeros(name, shape),
        };
        let layout = plan.layout();
        let (t, b) = (unroll.seq_len(), unroll.batch());
        let (i, hidden, width) = (config.input_size(), config.hidden_size(), config.output_size());
        let cells = config.num_cells();
        let chunk = plan.longest_chunk();
        let batch_first = config.is_batch_first();
        let outer = |features: usize| if batch_first { [b, t, features] } else { [t, b, features] };
        let has_norms = unroll.has_gradient_norms();
        let d_input = unroll.has_input_gradient();
        // The last layer's is the one that is given, if it need not be copied.
        let last = places.d_output.as_ref().filter(|_| !layout.copies_d_output);
        let made = config.layers() - usize::from(last.is_some());
        let mut d_layers = of_layers(maker, false, plan, "d_output", made, &[t, b, width], 0)?;
        d_layers.extend(last.cloned());
        Ok(Self {
            d_output: if layout.copies_d_output {
                place(&places.d_output, "d_output", &outer(width))?
            } else {
                d_layers[config.layers() - 1].clone()
            },
            d_layers,
            d_dropped: scratch_if(layout.has_dropout, "d_dropped", &[t, b, width])?,
            d_h_n: place(&places.d_h_n, "d_h_n", &[cells, b, hidden])?,
            d_h0: place(&places.d_h0, "d_h0", &[cells, b, hidden])?,
            d_parameters: match &places.gradients {
                Some(gradients) => gradients.clone(),
                None => Parameters::new(maker.gpu, config, None)?,
            },
            d_input: d_input.then(|| place(&places.d_input, "d_input", &outer(i))).transpose()?,
            arranged_d_input: scratch_if(d_input && batch_first, "arranged d_input", &[t, b, i])?,
            h_proj: scratch_if(layout.makes_gates_again(config), "h_proj", &[chunk, b, 3, hidden])?,
            squares: if has_norms {
                maker.scratch("squares of d_h", &[cells, groups, t])?
            } else {
                maker.zeros("unused", &[1])?
            },
            norms: zeros_if(has_norms, "norms of d_h", &[cells, t])?,
        })
    }
}
