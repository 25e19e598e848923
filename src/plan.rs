//! How a layer will be run: the schedule of the time loop, the kernels and tiles, the chunks of the time axis, bytes,
//! dispatches and FLOPs. Pure arithmetic on sizes and limits: it needs no GPU, and finds what cannot fit before anything
//! is made.

use std::fmt;
use std::ops::Range;

use crate::config::{Cell, Config};
use crate::error::{Error, Result};
use crate::unroll::{Mode, Saved, Unroll};

mod layout;
mod products;
mod sizes;
mod time_loop;
mod turns;

pub use crate::unroll::Schedule;
pub use time_loop::{Cut, TimeLoop};

pub(crate) use layout::{Keeps, Layout};
use layout::{no_half_weights, no_halves, no_wavefront};
pub use products::MatmulKernel;
pub(crate) use products::{is_long, ranges_of_rows};
pub(crate) use sizes::cells_a_buffer;
use sizes::{Sizes, at_most, check_kernels};
pub(crate) use turns::{Block, Part, Turn};

/// Tile sizes and kernels for a class of adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The large products: [`MatmulKernel::Tiled`] or [`MatmulKernel::Direct`], each of which has a second form that single
    /// products take where it suits them.
    pub matmul: MatmulKernel,
    /// The products of at most 8 rows have a kernel of their own. For a layer that has no more in all, T B: a longer one whose
    /// time axis is cut into chunks has the same bits as one that is not.
    pub few_rows: bool,
    /// Columns and partial sums of a workgroup of the sum over rows.
    pub sum_lanes: [u32; 2],
}

impl Tuning {
    /// The choice for an adapter. `benches/RECORD.md` holds what was measured.
    #[must_use]
    pub fn new(device_type: wgpu::DeviceType) -> Self {
        let software = device_type == wgpu::DeviceType::Cpu;
        Self {
            matmul: if software { MatmulKernel::Direct } else { MatmulKernel::Tiled },
            few_rows: false,
            sum_lanes: [32, 8],
        }
    }

    /// The invocations and bytes of workgroup memory of the largest workgroup.
    fn workgroup(&self) -> [u64; 2] {
        match self.matmul {
            MatmulKernel::Tiled | MatmulKernel::TiledSmall => [256, 2 * 64 * 16 * 4],
            // The reductions of train. What cooperative matrices need, `Gpu::set_cooperative_matrices` has looked at.
            _ => [256, 256 * 4],
        }
    }
}

/// A buffer that an unrolled layer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// What it holds.
    pub name: &'static str,
    /// How many of them there are.
    pub count: usize,
    /// The size of one in bytes.
    pub bytes: u64,
    /// Whether nothing but a pass needs it while that runs: such buffers can lie in a [`Workspace`](crate::Workspace), which
    /// several layers share.
    pub scratch: bool,
}

/// What an unrolled layer does. See the [module](self).
#[derive(Debug, Clone)]
pub struct Plan {
    config: Config,
    unroll: Unroll,
    time_loop: TimeLoop,
    tuning: Tuning,
    layout: Layout,
    chunks: Vec<Range<usize>>,
    blocks: Vec<Block>,
    allocations: Vec<Allocation>,
    /// Bytes with each of [`Saved::ALL`], where they can be had; for training.
    saved_bytes: Option<[Option<u64>; 3]>,
}

impl Plan {
    /// Plans a layer for a device with these limits.
    ///
    /// # Errors
    /// Those of [`Config::validate`] and [`Unroll::validate`], for training [`Error::NoDerivative`];
    /// [`Error::ScheduleUnavailable`] and [`Error::OptionUnavailable`] for what was asked for by name; and
    /// [`Error::LimitExceeded`] where no cutting of the time axis makes the layer fit.
    pub fn new<C: Copy + Into<Cell>>(
        config: &Config<C>,
        unroll: &Unroll,
        limits: &wgpu::Limits,
        device_type: wgpu::DeviceType,
    ) -> Result<Self> {
        config.validate()?;
        unroll.validate()?;
        if unroll.mode() == Mode::Training {
            config.validate_training()?;
        }
        let config = config.erased();
        let device_type = unroll.wanted_adapter_class().unwrap_or(device_type);
        // A step is told its number, to be compared with the lengths.
        at_most("seq_len", "32-bit index of a step", unroll.seq_len() as u64, u64::from(u32::MAX))?;
        let few_rows = unroll.seq_len().saturating_mul(unroll.batch()) <= 8;
        let tuning = Tuning { few_rows, ..Tuning::new(device_type) };
        check_kernels(&tuning, limits)?;
        let layout = Layout::new(&config, unroll, limits, device_type);
        for (option, wanted, because) in [
            ("wavefront", unroll.wanted_wavefront() == Some(true), no_wavefront(&config, unroll, limits)),
            ("Saved::Half", unroll.saved_gates() == Saved::Half, no_halves(&config)),
            ("half_weights", unroll.has_half_weights(), no_half_weights(&config)),
        ] {
            if let (true, Some(because)) = (wanted, because) {
                return Err(Error::OptionUnavailable { option, because });
            }
        }
        let time_loop = TimeLoop::new(&config, unroll, &layout, limits, device_type)?;
        let sizes = Sizes { config: &config, unroll, layout: &layout, tuning: &tuning, time_loop: &time_loop, limits };
        let chunks = sizes.chunks(limits)?;
        let blocks = turns::blocks(&config, &layout, &chunks);
        let allocations = sizes.allocations(&chunks, &blocks);
        for &Allocation { name, bytes, .. } in &allocations {
            at_most(name, "max_buffer_size", bytes, limits.max_buffer_size)?;
        }
        let saved_bytes = (unroll.mode() == Mode::Training).then(|| {
            Saved::ALL.map(|saved| {
                if saved == Saved::Half && no_halves(&config).is_some() {
                    return None;
                }
                let unroll = unroll.saved(saved);
                let layout = Layout::new(&config, &unroll, limits, device_type);
                let sizes = Sizes { unroll: &unroll, layout: &layout, ..sizes };
                let chunks = sizes.chunks(limits).ok()?;
                Some(total(&sizes.allocations(&chunks, &turns::blocks(&config, &layout, &chunks))))
            })
        });
        let plan =
            Self { config, unroll: *unroll, time_loop, tuning, layout, chunks, blocks, allocations, saved_bytes };
        // Each program has its uniforms in one buffer, whose dynamic offsets have 32 bits: at most one a dispatch and one a
        // bind group.
        let uniforms = plan.dispatches_forward().max(plan.dispatches_backward()).saturating_mul(2);
        let required = uniforms.saturating_mul(u64::from(limits.min_uniform_buffer_offset_alignment));
        let available = limits.max_buffer_size.min(u64::from(u32::MAX));
        at_most("the uniforms of all steps", "max_buffer_size", required, available)?;
        Ok(plan)
    }

    /// How the time loop is laid out.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.time_loop.schedule
    }

    /// Steps of a dispatch, and how its workgroups are cut.
    #[must_use]
    pub fn time_loop(&self) -> &TimeLoop {
        &self.time_loop
    }

    /// Kernels and tiles.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The pieces into which the time axis is cut so that each binding and each grid of workgroups is within its limit.
    #[must_use]
    pub fn chunks(&self) -> &[Range<usize>] {
        &self.chunks
    }

    pub(crate) fn longest_chunk(&self) -> usize {
        sizes::longest(&self.chunks)
    }

    /// The buffers that the unrolled layer makes, parameters not among them.
    #[must_use]
    pub fn allocations(&self) -> &[Allocation] {
        &self.allocations
    }

    /// The bytes of all [`allocations`](Self::allocations).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        total(&self.allocations)
    }

    /// How many of these [`bytes`](Self::bytes) are scratch, which several layers can share.
    #[must_use]
    pub fn scratch_bytes(&self) -> u64 {
        total(self.allocations.iter().filter(|allocation| allocation.scratch))
    }

    /// The bytes that training takes with this choice of what forward keeps, whatever was chosen. `None` for inference, and
    /// where it would not fit or cannot be had.
    #[must_use]
    pub fn bytes_with(&self, saved: Saved) -> Option<u64> {
        let place = Saved::ALL.iter().position(|&choice| choice == saved)?;
        self.saved_bytes?[place]
    }

    /// Dispatches of a forward pass: for each cell one that packs its weights (GPUs), one that halves them (where asked for) and one product a chunk; for all that take
    /// their steps together one dispatch a step (two where the reset gate acts before the product) or for as many steps as
    /// the time loop says; and copies where options need them: in and out of another layout, of first and last states of
    /// more than one cell, of outputs that dropout acts on, of gates that are kept as halves.
    #[must_use]
    pub fn forward_dispatches(&self) -> usize {
        usize::try_from(self.dispatches_forward()).unwrap_or(usize::MAX)
    }

    fn dispatches_forward(&self) -> u64 {
        let (config, layout) = (&self.config, &self.layout);
        let of_cell = [layout.packs_weights, layout.halves_weights, layout.copies_h0, layout.copies_h_n]
            .into_iter()
            .map(u64::from)
            .sum::<u64>();
        let of_part = 1 + u64::from(layout.keeps == Keeps::Halves);
        let of_turn = |turn: &Turn| {
            let steps = self.time_loop.dispatches(turn.steps) as u64 * layout.dispatches_a_step as u64;
            turn.parts.len() as u64 * of_part + steps
        };
        let numbers = self.unroll.given().sources;
        let copies = [layout.copies_input, layout.copies_output, numbers].into_iter().map(u64::from).sum::<u64>();
        let dropout = if layout.has_dropout { config.layers() as u64 } else { 0 };
        config.num_cells() as u64 * of_cell + self.turns().map(of_turn).sum::<u64>() + copies + dropout
    }

    /// Dispatches of a backward pass: for all that take their steps together one a step (or two) and one that ends each chunk,
    /// or one for many steps; for each cell and chunk the products and sums of its gradients, the products over rows of more
    /// than 8192 in several, and those that make the gates again where they were not kept, or the one that reads them from
    /// halves. 0 for inference.
    #[must_use]
    pub fn backward_dispatches(&self) -> usize {
        usize::try_from(self.dispatches_backward()).unwrap_or(usize::MAX)
    }

    fn dispatches_backward(&self) -> u64 {
        if self.unroll.mode() == Mode::Inference {
            return 0;
        }
        let (config, layout) = (&self.config, &self.layout);
        let before = u64::from(layout.is_reset_before);
        let biases: u64 = if config.has_bias() { 2 } else { 0 };
        let again: u64 = match layout.keeps {
            Keeps::Halves => 1,
            Keeps::Nothing if layout.makes_gates_again(config) => 3 + 2 * before,
            Keeps::Gates | Keeps::Nothing => 0,
        };
        let of_part = |part: &Part, ranges: u64| {
            let d_input = part.layer > 0 || self.unroll.has_input_gradient();
            (2 + before) * ranges + biases + again + u64::from(d_input)
        };
        let of_turn = |turn: &Turn| {
            let steps = self.time_loop.backward_dispatches(turn.steps) as u64 + before * turn.steps as u64;
            let ranges = ranges_of_rows(turn.steps * self.unroll.batch()).len() as u64;
            steps + turn.parts.iter().map(|part| of_part(part, ranges)).sum::<u64>()
        };
        let norms = if self.unroll.has_gradient_norms() { config.num_cells() as u64 } else { 0 };
        let dropout = if layout.has_dropout { config.layers() as u64 - 1 } else { 0 };
        let copies =
            u64::from(layout.copies_d_output) + u64::from(config.is_batch_first() && self.unroll.has_input_gradient());
        self.turns().map(of_turn).sum::<u64>() + norms + dropout + copies
    }

    /// Floating-point operations of the matrix products of a forward pass: 2 T B GH (I + H) a cell, with G gates.
    #[must_use]
    pub fn forward_flops(&self) -> u64 {
        self.flops(|inputs, hidden, _| inputs.saturating_add(hidden))
    }

    /// Floating-point operations of the matrix products of a backward pass: as many as forward for the weights, as many
    /// again for `d_h` and, where it is wanted, `d_x`; as many again where the gates are made again. 0 for inference.
    #[must_use]
    pub fn backward_flops(&self) -> u64 {
        if self.unroll.mode() == Mode::Inference {
            return 0;
        }
        let again = self.layout.makes_gates_again(&self.config);
        self.flops(|inputs, hidden, layer| {
            let d_x = if layer > 0 || self.unroll.has_input_gradient() { inputs } else { 0 };
            let columns = [inputs, hidden, hidden, d_x, if again { inputs.saturating_add(hidden) } else { 0 }];
            columns.into_iter().fold(0, u64::saturating_add)
        })
    }

    /// The sum over all cells of 2 T B GH times the columns of their products.
    fn flops(&self, columns: impl Fn(u64, u64, usize) -> u64) -> u64 {
        let config = &self.config;
        let hidden = config.hidden_size();
        let of_column =
            [self.unroll.seq_len(), self.unroll.batch(), config.cell().gates(), hidden, config.directions()];
        let of_column = of_column.into_iter().fold(2_u64, |flops, size| flops.saturating_mul(size as u64));
        (0..config.layers())
            .map(|layer| (columns(config.layer_input_size(layer) as u64, hidden as u64, layer), of_column))
            .fold(0, |sum, (columns, of_column)| sum.saturating_add(of_column.saturating_mul(columns)))
    }

    fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.blocks.iter().flat_map(|block| &block.turns)
    }

    /// Whose steps are taken together, in the order of a forward pass.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// The bytes of all of them.
fn total<'a>(allocations: impl IntoIterator<Item = &'a Allocation>) -> u64 {
    allocations.into_iter().fold(0, |sum, a| sum.saturating_add(a.bytes.saturating_mul(a.count as u64)))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, unroll) = (&self.config, &self.unroll);
        let cell = match config.cell() {
            Cell::Gru { .. } => "GRU",
            Cell::Rnn { .. } => "RNN",
        };
        writeln!(
            f,
            "{cell} {} -> {}, {} layer(s), {:?}, {:?} over T={} B={}",
            config.input_size(),
            config.hidden_size(),
            config.layers(),
            config.layer_direction(),
            unroll.mode(),
            unroll.seq_len(),
            unroll.batch()
        )?;
        writeln!(
            f,
            "  schedule {:?}, matmul {:?}{}, {} chunk(s) of time{}",
            self.time_loop.schedule,
            self.tuning.matmul,
            if unroll.has_half_products() { " of halves" } else { "" },
            self.chunks.len(),
            if self.layout.wavefront { ", layers in a wavefront" } else { "" }
        )?;
        let Cut { lanes, split, rows, .. } = self.time_loop.forward;
        write!(
            f,
            "  steps    {} a dispatch at most, {lanes} x {split} invocations for {rows} row(s)",
            self.time_loop.steps
        )?;
        if unroll.mode() == Mode::Training {
            let Cut { lanes, split, rows, .. } = self.time_loop.backward;
            write!(f, ", backward {lanes} x {split} for {rows}")?;
        }
        writeln!(f)?;
        writeln!(f, "  forward  {} dispatches, {:.3e} FLOP", self.forward_dispatches(), self.forward_flops() as f64)?;
        if unroll.mode() == Mode::Training {
            let (dispatches, flops) = (self.backward_dispatches(), self.backward_flops());
            writeln!(f, "  backward {dispatches} dispatches, {:.3e} FLOP", flops as f64)?;
        }
        write!(f, "  buffers  {} bytes, {} of them scratch:", self.bytes(), self.scratch_bytes())?;
        for Allocation { name, count, bytes, .. } in &self.allocations {
            match count {
                1 => write!(f, " {name} {bytes}")?,
                _ => write!(f, " {name} {count} x {bytes}")?,
            }
        }
        for saved in Saved::ALL {
            if let Some(bytes) = self.bytes_with(saved) {
                let mark = if saved == unroll.saved_gates() { ", chosen" } else { "" };
                write!(f, "\n  with Saved::{saved:?} {bytes} bytes{mark}")?;
            }
        }
        Ok(())
    }
}
