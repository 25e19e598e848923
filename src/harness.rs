//! Single kernels as programs, for this crate's own tests and benches. No promise of stability.

use crate::activation::Activation;
use crate::config::{Cell, Config, Reset};
use crate::error::Result;
use crate::gpu::{Generate, Gpu, Program, Tensor};
use crate::kernels::generated::{Exchange, Frame, Rows, Step};
use crate::kernels::{self, OptionsOfFrame};
use crate::lower;
use crate::plan::external::External;
use crate::plan::ops::{
    self, Arrange, Arrangement, CellSteps, Dropout, F16Gates, Lister, Matrix, MoveRows, Op, Pack, Product,
    RecomputeGates, RowsOfBatch, StepsBackward, SumRows, Vector,
};
use crate::plan::tensors::{Id, Tensors};
use crate::plan::{ExchangeCut, FrameCut, InParts, MatmulKernel, Plan, RowsCut, TileCut, TimeLoop};
use crate::reference::twins::Real;
use crate::reference::twins::matmul::MatmulParams;
use crate::reference::twins::run::Machine;
use crate::target::Target;
use crate::unroll::Unroll;
use crate::verification::Batch;
use crate::weights::{CellWeights, Weights, cell_names};

/// Tensors that operations name, in the order in which they were put here.
#[derive(Default)]
struct Given {
    tensors: Vec<Tensor>,
    list: Tensors,
}

impl Given {
    fn add(&mut self, tensor: &Tensor) -> Id {
        self.tensors.push(tensor.clone());
        self.list.external("a tensor", tensor.shape(), tensor.phase())
    }

    fn program(&self, label: &'static str, list: &[Op]) -> Result<Program> {
        lower::program(self.tensors[0].gpu(), label, &self.tensors, list)
    }
}

/// Whether the GPU can run this kernel.
pub fn supports(gpu: &Gpu, kernel: MatmulKernel) -> bool {
    let has_what_it_needs = match kernel {
        MatmulKernel::Broadcast => gpu.target().has_subgroups_of_8(),
        MatmulKernel::Cooperative16 => gpu.cooperative_matrices() == Some(16),
        MatmulKernel::Cooperative8 => gpu.cooperative_matrices() == Some(8),
        _ => true,
    };
    has_what_it_needs && kernel.fits_in(gpu.limits())
}

/// A matrix somewhere in a tensor: where its stored rows begin, the column of them that it begins at, how far apart
/// they lie.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    pub tensor: &'a Tensor,
    pub begin: usize,
    pub column: usize,
    pub stride: usize,
}

impl<'a> Placed<'a> {
    /// A tensor that holds nothing but rows of `stride`.
    pub fn whole(tensor: &'a Tensor, stride: usize) -> Self {
        Self { tensor, begin: 0, column: 0, stride }
    }

    fn matrix(&self, given: &mut Given) -> Matrix {
        let rows = (self.tensor.len() - self.begin) / self.stride;
        Matrix::rows_of(given.add(self.tensor), self.begin, rows, self.stride).from(self.column)
    }
}

/// c (+)= op(a) op(b) + bias; the tensors hold nothing but the matrices.
pub fn matmul(
    kernel: MatmulKernel,
    params: &MatmulParams,
    a: &Tensor,
    b: &Tensor,
    bias: Option<&Tensor>,
    c: &Tensor,
) -> Result<Program> {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, .. } = params;
    let a = Placed::whole(a, if transpose_a { m } else { k });
    let b = Placed::whole(b, if transpose_b { k } else { n });
    matmul_placed(kernel, params, [a, b, Placed::whole(c, n)], bias.map(|bias| (bias, 0)))
}

/// c (+)= op(a) op(b) + bias; the bias from an element on.
pub fn matmul_placed(
    kernel: MatmulKernel,
    params: &MatmulParams,
    [a, b, c]: [Placed<'_>; 3],
    bias: Option<(&Tensor, usize)>,
) -> Result<Program> {
    let mut given = Given::default();
    let matrices = [a, b, c].map(|matrix| matrix.matrix(&mut given));
    let bias = bias.map(|(bias, begin)| Vector { tensor: given.add(bias), begin });
    matmul_of(kernel, params, &given, matrices, bias, None)
}

fn matmul_of(
    kernel: MatmulKernel,
    &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate }: &MatmulParams,
    given: &Given,
    [a, b, c]: [Matrix; 3],
    bias: Option<Vector>,
    rows: Option<RowsOfBatch>,
) -> Result<Program> {
    let product = Product { size: [m, n, k], a, transpose_a, b, transpose_b, bias, c, accumulate, rows };
    let target = given.tensors[0].gpu().target();
    given.program("matmul", &[Op::Matmul(ops::Matmul::new(product, kernel, &given.list, &target))])
}

/// c (+)= op(a) op(b) as a layer on this device has it, if it is a gradient of weights with its sums in parts. Says how, too.
pub fn matmul_as_planned(params: &MatmulParams, a: &Tensor, b: &Tensor, c: &Tensor) -> Result<(Program, String)> {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate } = params;
    let (gpu, target) = (a.gpu(), a.gpu().target());
    let mut given = Given::default();
    let places = [(a, if transpose_a { m } else { k }), (b, if transpose_b { k } else { n }), (c, n)];
    let [a, b, c] = places.map(|(tensor, stride)| Placed::whole(tensor, stride).matrix(&mut given));
    let parts = InParts::of([m, n, k], &target).filter(|_| transpose_a);
    let room = parts.map(|parts| Tensor::zeros(gpu, &[parts.at_once, m, n])).transpose()?;
    let room = room.map(|room| given.add(&room));
    let product = Product { size: [m, n, k], a, transpose_a, b, transpose_b, bias: None, c, accumulate, rows: None };
    let mut list = Lister::new(&given.list, &target, usize::MAX);
    list.sums_over_rows([(product, room)]);
    let list = list.done();
    let said: Vec<_> = list.iter().map(|op| format!("{op}")).collect();
    Ok((given.program("matmul", &list)?, said.join("; ")))
}

/// c (+)= op(a) op(b), where the k's with `transpose_a`, otherwise the m rows, are those of a batch from step and row
/// `first` on; rows that are over take no part. `words`: the bits of the lengths `[B]`; with `starts` behind them those of
/// the starts of episodes `[T, B]`, in reverse if it is true: then, with `transpose_a`, no rows whose state is cut off.
pub fn matmul_of_rows(
    kernel: MatmulKernel,
    params: &MatmulParams,
    [a, b, c]: [Placed<'_>; 3],
    (words, batch): (&Tensor, usize),
    starts: Option<bool>,
    first: [usize; 2],
) -> Result<Program> {
    let mut given = Given::default();
    let matrices = [a, b, c].map(|matrix| matrix.matrix(&mut given));
    let words = given.add(words);
    let (first_step, first_row) = (first[0], first[1]);
    let (begin, reverse) = (starts.map(|_| batch), starts.unwrap_or(false));
    let rows = RowsOfBatch { words, has_lengths: true, starts: begin, reverse, first_step, first_row, batch };
    matmul_of(kernel, params, &given, matrices, None, Some(rows))
}

/// The gates r, z and hn out of rows (r, z, n, hn): d_h_proj^T b, as the gradient of `weight_hh` reads them.
pub fn matmul_with_gap(kernel: MatmulKernel, hidden: usize, gates: &Tensor, b: &Tensor, c: &Tensor) -> Result<Program> {
    let rows = gates.len() / (4 * hidden);
    let n = b.len() / rows;
    let mut given = Given::default();
    let places = [Placed::whole(gates, 4 * hidden), Placed::whole(b, n), Placed::whole(c, n)];
    let [a, b, c] = places.map(|matrix| matrix.matrix(&mut given));
    let (m, transpose_a, transpose_b) = (3 * hidden, true, false);
    let params = MatmulParams { m, n, k: rows, transpose_a, transpose_b, accumulate: false };
    matmul_of(kernel, &params, &given, [a.with_gap(2 * hidden, hidden), b, c], None, None)
}

/// total (+)= the sum over the rows of input `[rows, columns]`.
pub fn sum_rows(accumulate: bool, input: &Tensor, total: &Tensor) -> Result<Program> {
    let columns = total.len();
    let rows = input.len() / columns;
    let mut given = Given::default();
    let input = Placed::whole(input, columns).matrix(&mut given);
    let total = Vector { tensor: given.add(total), begin: 0 };
    given.program("sum rows", &[Op::SumRows(SumRows { input, size: [rows, columns], total, accumulate, root: false })])
}

/// A cell and the steps of a whole sequence; the tensors hold nothing but their numbers.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// The cell.
    pub cell: Cell,
    /// The limit of what goes into its activations.
    pub clip: Option<f32>,
    /// T, B, H.
    pub sizes: [usize; 3],
    /// The last step comes first.
    pub reverse: bool,
    /// DH, and in which column of it this cell's units begin.
    pub columns: [usize; 2],
    /// `[GH, H]`
    pub weight_hh: &'a Tensor,
    /// `[GH]`
    pub bias_hh: Option<&'a Tensor>,
    /// `[B]`, the bits of whole numbers.
    pub lengths: Option<&'a Tensor>,
    /// `[T + 1, B, DH]`, or `[T + 2, B, DH]` in reverse; the states after step t lie at slot t + 1.
    pub h: &'a Tensor,
    /// `[T, B, W, H]`
    pub gates: &'a Tensor,
    /// `[parts, B, numbers of a unit, H]`, of [`parts_of_biases`](Self::parts_of_biases), if it is to be looked at.
    pub sums_of_biases: Option<&'a Tensor>,
}

impl<'a> Steps<'a> {
    /// A GRU forward in time without options: reset after, sigmoid, tanh, no bias.
    #[must_use]
    pub fn gru(sizes: [usize; 3], weight_hh: &'a Tensor, h: &'a Tensor, gates: &'a Tensor) -> Self {
        Self {
            cell: Cell::Gru { reset: Reset::After, gate: Activation::Sigmoid, candidate: Activation::Tanh },
            clip: None,
            sizes,
            reverse: false,
            columns: [sizes[2], 0],
            weight_hh,
            bias_hh: None,
            lengths: None,
            h,
            gates,
            sums_of_biases: None,
        }
    }

    /// How many sums of the gradients of the biases each row of the batch has backward, if steps add them up on the way.
    #[must_use]
    pub fn parts_of_biases(&self, time_loop: &TimeLoop) -> Option<usize> {
        time_loop.sums_of_biases(self.sizes[0])
    }

    fn cell_steps(&self, given: &mut Given) -> CellSteps {
        let [seq_len, batch, hidden] = self.sizes;
        let [h_stride, h_column] = self.columns;
        CellSteps {
            cell: self.cell,
            clip: self.clip,
            batch,
            hidden,
            index: 0,
            reverse: self.reverse,
            steps: 0..seq_len,
            weight_hh: given.add(self.weight_hh),
            transposed: None,
            f16_weights: false,
            bias_hh: self.bias_hh.map(|bias| given.add(bias)),
            lengths: self.lengths.map(|lengths| given.add(lengths)),
            episodes: None,
            h: given.add(self.h),
            h_stride,
            h_column,
            gates: given.add(self.gates),
            gates_width: self.gates.len() / (seq_len * batch * hidden),
        }
    }

    /// What the workgroups of an exchange meet in.
    fn exchanged(&self, time_loop: &TimeLoop) -> Result<Option<Tensor>> {
        let [_, batch, hidden] = self.sizes;
        let words = time_loop.exchange_words(self.cell, batch, hidden, 1);
        words.map(|words| Tensor::zeros(self.h.gpu(), &[words])).transpose()
    }

    /// All steps. `save` keeps what backward needs of a GRU.
    pub fn forward(&self, time_loop: &TimeLoop, save: bool) -> Result<Program> {
        let mut given = Given::default();
        let cell = self.cell_steps(&mut given);
        let exchanged = self.exchanged(time_loop)?;
        let ring = exchanged.as_ref().map(|ring| given.add(ring));
        let steps = Op::Steps(ops::Steps { cells: vec![cell], time_loop: *time_loop, ring, save });
        given.program("steps", &[steps])
    }

    /// All steps backward, and the final dispatch: `d_output` `[T, B, DH]`; `d_h_n` and `d_h0` `[B, H]`.
    pub fn backward(&self, time_loop: &TimeLoop, [d_output, d_h_n, d_h0]: [&'a Tensor; 3]) -> Result<Program> {
        let mut given = Given::default();
        let mut cell = self.cell_steps(&mut given);
        let rows = self.parts_of_biases(time_loop).unwrap_or_default() * cell.batch;
        let width = ops::gradients_of_biases(cell.cell) * cell.hidden;
        let own = Tensor::zeros(self.h.gpu(), &[(rows * width).max(1)])?;
        let sums = self.sums_of_biases.unwrap_or(&own);
        let size = [self.cell.gates() * cell.hidden, cell.hidden];
        let transposed = if time_loop.transposes_weights() { Some(Tensor::zeros(self.h.gpu(), &size)?) } else { None };
        cell.transposed = transposed.as_ref().map(|transposed| given.add(transposed));
        let pack = cell
            .transposed
            .map(|packed| Op::Pack(Pack { source: cell.weight_hh, packed, size, transposed: true, f16: false }));
        let cells = vec![cell];
        let exchanged = self.exchanged(time_loop)?;
        let steps = StepsBackward {
            cells,
            time_loop: *time_loop,
            ring: exchanged.as_ref().map(|ring| given.add(ring)),
            seq_len: self.sizes[0],
            is_first_chunk: true,
            d_outputs: vec![given.add(d_output)],
            d_h_n: given.add(d_h_n),
            d_h0: given.add(d_h0),
            sums: given.add(sums),
            squares: None,
            biases: (rows > 0).then_some(0),
        };
        given.program("steps backward", &pack.into_iter().chain([Op::StepsBackward(steps)]).collect::<Vec<_>>())
    }

    /// The gates of all steps as `halves` `[T, B, 2, H]`, or back.
    pub fn halves(&self, back: bool, halves: &'a Tensor) -> Result<Program> {
        let mut given = Given::default();
        let (steps, f16) = (self.cell_steps(&mut given), given.add(halves));
        given.program("halves", &[Op::F16Gates(F16Gates { steps, f16, unpack: back })])
    }

    /// The gates of all steps from `h_proj` `[T, B, 3H]`, in one of the passes of `gru_gates`.
    pub fn gates_again(&self, h_proj: &'a Tensor, pass: u32) -> Result<Program> {
        let mut given = Given::default();
        let (steps, h_proj) = (self.cell_steps(&mut given), given.add(h_proj));
        given.program("gates again", &[Op::RecomputeGates(RecomputeGates { steps, h_proj, pass })])
    }
}

/// Every kernel that there is, by the name of its entry in the table, and whether it was made for this device.
#[must_use]
pub fn kernels(gpu: &Gpu) -> Vec<(&'static str, bool)> {
    kernels::ALL.iter().map(|spec| (spec.name, gpu.has_made(spec))).collect()
}

/// The kernels that were made for this device without checks while they run.
#[must_use]
pub fn unchecked_kernels(gpu: &Gpu) -> Vec<&'static str> {
    gpu.unchecked_kernels()
}

/// From now on everything on this device is planned as for this class of adapter, where [`Unroll::adapter_class`] does
/// not say otherwise: layers, streams, heads. So a software adapter runs what a GPU gets. The first call counts.
///
/// [`Unroll::adapter_class`]: crate::Unroll::adapter_class
pub fn plan_as(gpu: &Gpu, class: wgpu::DeviceType) {
    gpu.plan_as(class);
}

/// From now on kernels use subgroups, of 8 invocations each, on a device of which wgpu does not know that it has them:
/// a browser's. What the device compiles must begin with `enable subgroups;` there.
pub fn assume_subgroups_of_8(gpu: &Gpu) {
    gpu.assume_subgroups_of_8();
}

/// Every kernel that is made from now on for this device counts its indices out of range. Each has one storage binding
/// more.
pub fn count_out_of_range(gpu: &Gpu) -> Result<()> {
    gpu.count_out_of_range()
}

/// The kernels that had indices out of range, and how many, where they are counted.
#[cfg(not(target_arch = "wasm32"))]
pub fn out_of_range(gpu: &Gpu) -> Result<Vec<(&'static str, u32)>> {
    gpu.out_of_range()
}

/// What a program has of one kernel, with the copies of weights that it reads.
#[must_use]
pub fn only(program: Program, kernel: &str) -> Program {
    program.only(kernel)
}

/// Where `[T, B, F]` lies in a tensor: element f of step t of row b at `begin + t strides[0] + b strides[1] + f`.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tensor.
    pub tensor: &'a Tensor,
    /// Its first element in use.
    pub begin: usize,
    /// From step to step, from row to row.
    pub strides: [usize; 2],
}

impl Place<'_> {
    fn arrangement(self, given: &mut Given) -> Arrangement {
        let elements = self.begin..self.tensor.len();
        Arrangement { tensor: given.add(self.tensor), elements, strides: self.strides, reversed: false }
    }
}

/// A copy of `[T, B, F]`, with zeros past `lengths` (the bits of whole numbers). `dropout`: its state (seed and count),
/// the layer, the share.
pub fn arrange(
    size: [usize; 3],
    places: [Place<'_>; 2],
    lengths: Option<&Tensor>,
    dropout: Option<(&Tensor, usize, f32)>,
) -> Result<Program> {
    let mut given = Given::default();
    let [source, destination] = places.map(|place| place.arrangement(&mut given));
    let lengths = lengths.map(|lengths| given.add(lengths));
    let dropout = dropout.map(|(state, layer, rate)| Dropout { state: given.add(state), layer, rate });
    given.program("arrange", &[Op::Arrange(Arrange { size, source, destination, lengths, dropout })])
}

/// One more forward pass in the state of dropout.
pub fn count(state: &Tensor) -> Result<Program> {
    let mut given = Given::default();
    let state = given.add(state);
    given.program("count", &[Op::Count { state }])
}

/// `source` `[R, H]` as the steps read it: transposed or in its own order, two in a word or one.
pub fn pack(rows: usize, transposed: bool, f16: bool, source: &Tensor, packed: &Tensor) -> Result<Program> {
    let mut given = Given::default();
    let size = [rows, source.len() / rows];
    let (source, packed) = (given.add(source), given.add(packed));
    given.program("pack", &[Op::Pack(Pack { source, packed, size, transposed, f16 })])
}

/// Rows of `width` from one tensor to another, in which they lie `strides` apart; from the rows that `sources` says
/// (the bits of whole numbers), if there are any.
pub fn move_rows(
    [rows, width]: [usize; 2],
    strides: [usize; 2],
    source: &Tensor,
    sources: Option<&Tensor>,
    destination: &Tensor,
) -> Result<Program> {
    let mut given = Given::default();
    let source = Arrangement::state(given.add(source), 0, rows, strides[0], width);
    let destination = Arrangement::state(given.add(destination), 0, rows, strides[1], width);
    let sources = sources.map(|sources| given.add(sources));
    let rows = MoveRows { rows, width, source, sources, lengths: None, destination };
    let vec4 = rows.is_vec4(&given.list);
    given.program("move rows", &[Op::MoveRows(rows, vec4)])
}

/// Numbers rows.
pub fn number(sources: &Tensor) -> Result<Program> {
    let mut given = Given::default();
    let (rows, sources) = (sources.len(), given.add(sources));
    given.program("number", &[Op::Number { sources, rows }])
}

/// A batch forward and backward through a plan by the twins: each tensor that the plan makes, with the names of
/// [`expectation_of`](crate::verify::expectation_of).
pub fn run_by_twins<R: Real>(plan: &Plan, weights: &Weights, batch: &Batch) -> Vec<(String, Vec<R>)> {
    run_with_sources(plan, weights, batch, None)
}

/// [`run_by_twins`] for the plan of a stream whose rows go on from these.
pub fn run_with_sources<R: Real>(
    plan: &Plan,
    weights: &Weights,
    batch: &Batch,
    sources: Option<&[u32]>,
) -> Vec<(String, Vec<R>)> {
    let roles = plan.roles();
    let mut machine = Machine::<R>::new(plan.tensors());
    let mut set = |id: Id, values: &[f32]| {
        let places = machine.numbers_mut(id).iter_mut().zip(values);
        places.for_each(|(place, &value)| *place = R::from_f64(f64::from(value)));
    };
    for (ids, cell) in roles.weights.iter().zip(&weights.cells) {
        ids.iter().zip(cell.arrays()).filter_map(|(id, array)| id.zip(Some(array))).for_each(|(id, a)| set(id, a));
    }
    set(roles.input, &batch.x);
    set(roles.h0, &batch.h0);
    if let Some(d) = &roles.training {
        set(d.d_output, &batch.d_output);
        set(d.d_h_n, &batch.d_h_n);
    }
    if let Some(lengths) = roles.lengths {
        let whole = vec![batch.seq_len; batch.batch];
        let of_rows = batch.lengths.as_ref().unwrap_or(&whole);
        let words = machine.words_mut(lengths).iter_mut().zip(of_rows);
        words.for_each(|(word, &length)| *word = length as u32);
    }
    if let (Some(episodes), Some(starts)) = (roles.episodes, &batch.episode_starts) {
        let words = machine.words_mut(episodes.starts).iter_mut().zip(starts);
        words.for_each(|(word, &start)| *word = u32::from(start));
    }
    if let (Some(id), Some(sources)) = (roles.sources, sources) {
        machine.words_mut(id).copy_from_slice(sources);
    }
    if let Some(dropout) = roles.dropout {
        machine.words_mut(dropout)[0] = batch.dropout_seed;
    }
    let [forward, backward] = plan.passes();
    machine.run(forward);
    machine.run(backward);
    let mut list = vec![("output".to_owned(), roles.output), ("h_n".to_owned(), roles.h_n)];
    if let Some(d) = &roles.training {
        list.extend(d.d_input.map(|id| ("d_input".to_owned(), id)));
        list.push(("d_h0".to_owned(), d.d_h0));
        for (ids, suffix) in d.d_weights.iter().zip(cell_names(plan.config())) {
            let named = CellWeights::NAMES.into_iter().zip(ids);
            list.extend(named.filter_map(|(name, id)| Some((format!("d_{name}{suffix}"), (*id)?))));
        }
        list.extend(d.norms.map(|id| ("norms of d_h".to_owned(), id)));
    }
    list.into_iter().map(|(name, id)| (name, machine.numbers(id).to_vec())).collect()
}

/// The plan of a step whose rows go on from others, on a device with these limits.
pub fn plan_with_sources(config: &Config, unroll: &Unroll, limits: &wgpu::Limits) -> Result<Plan> {
    let target = Target::new(limits, wgpu::DeviceType::DiscreteGpu);
    Plan::with(config, unroll, &External { sources: true, ..External::default() }, &target)
}

/// A kernel of the table.
#[derive(Debug, Clone)]
pub struct KernelText {
    pub name: String,
    /// In `shaders/`.
    pub file: &'static str,
    /// Which variant of the file it is.
    pub defines: &'static [&'static str],
    /// The whole text, as it is compiled.
    pub text: &'static str,
}

/// The plan of a layer on a device, without the layer.
pub fn plan<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: &Unroll) -> Result<Plan> {
    Plan::with(&config.erased(), unroll, &External::default(), &gpu.target())
}

/// Every kernel of the table, with its text.
pub fn kernel_texts() -> impl Iterator<Item = KernelText> {
    kernels::ALL.iter().zip(kernels::FILES).map(|(spec, &(file, defines))| {
        let (name, text) = (spec.name.to_lowercase(), spec.source());
        KernelText { name, file, defines, text }
    })
}

/// The whole text of a kernel by rows.
#[must_use]
pub fn rows_text(cell: Cell, backward: bool, hidden: usize, cut: RowsCut, f16_weights: bool) -> String {
    Rows { cell, backward, hidden: hidden as u32, cut, f16_weights }.source()
}

/// The whole text of a kernel of a single step: with reset before the product, of the second one if `second`.
#[must_use]
pub fn step_text(cell: Cell, backward: bool, second: bool, cut: TileCut, vec4: bool, f16_weights: bool) -> String {
    Step { cell, backward, second, cut, f16_weights, vec4 }.source()
}

/// The whole text of the kernel of a frame, with everything that one can have.
#[must_use]
pub fn frame_text(cell: Cell, cut: FrameCut, vec4: bool, f16_weights: bool) -> String {
    let options = OptionsOfFrame { bias: true, lengths: true, before: true };
    Frame { cell, cut, vec4: [vec4; 2], f16_weights, options }.source()
}

/// The whole text of a kernel by exchange, or of its settlement.
#[must_use]
pub fn exchange_text(
    cell: Cell,
    backward: bool,
    hidden: usize,
    cut: ExchangeCut,
    f16_weights: bool,
    settles: bool,
) -> String {
    Exchange { cell, backward, hidden: hidden as u32, cut, f16_weights, settles }.source()
}
