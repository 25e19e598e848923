//! How a layer will be run: the schedule of the time loop, the kernels and tiles, the chunks of the time axis, bytes,
//! dispatches and FLOPs. Pure arithmetic on sizes and limits: it needs no GPU, and finds what cannot fit before anything
//! is made.

use std::fmt;
use std::ops::Range;

use crate::config::{GruConfig, Mode, Unroll};
use crate::error::{Error, Result};

/// How the time loop is laid out over dispatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Schedule {
    /// One fused dispatch a step, all steps in one compute pass. Any size.
    PerStep,
}

/// Which matrix product is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatmulKernel {
    /// Tiles of 64 x 64 through workgroup memory: GPUs.
    Tiled,
    /// 4 rows by 32 columns without workgroup memory: CPU-class adapters.
    Direct,
}

impl MatmulKernel {
    /// Rows and columns of the product that one workgroup owns.
    #[must_use]
    pub fn tile(self) -> [u32; 2] {
        match self {
            Self::Tiled => [64, 64],
            Self::Direct => [4, 32],
        }
    }
}

/// Tile sizes and kernels for a class of adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The large products.
    pub matmul: MatmulKernel,
    /// Units that a workgroup of a step owns.
    pub step_lanes: u32,
    /// Rows of the batch that an invocation of a step owns: 1 or 4.
    pub step_rows: u32,
    /// Units that an invocation of a step backward owns: 1 or 4.
    pub step_backward_units: u32,
    /// Columns and partial sums of a workgroup of the sum over rows.
    pub sum_lanes: [u32; 2],
}

impl Tuning {
    /// The choice for an adapter and a batch. `benches/RECORD.md` holds what was measured.
    #[must_use]
    pub fn new(device_type: wgpu::DeviceType, batch: usize) -> Self {
        let software = device_type == wgpu::DeviceType::Cpu;
        Self {
            matmul: if software { MatmulKernel::Direct } else { MatmulKernel::Tiled },
            step_lanes: if software { 8 } else { 32 },
            step_rows: if batch == 1 { 1 } else { 4 },
            step_backward_units: if software { 4 } else { 1 },
            sum_lanes: [32, 8],
        }
    }

    /// The invocations and bytes of workgroup memory of the largest workgroup.
    fn workgroup(&self) -> [u64; 2] {
        match self.matmul {
            MatmulKernel::Tiled => [256, 2 * 64 * 16 * 4],
            MatmulKernel::Direct => [256, 256 * 4], // the reductions of train
        }
    }
}

/// A buffer that an unrolled layer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// What it holds.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What an unrolled layer does. See the [module](self).
#[derive(Debug, Clone)]
pub struct Plan {
    config: GruConfig,
    unroll: Unroll,
    schedule: Schedule,
    tuning: Tuning,
    chunks: Vec<Range<usize>>,
    allocations: Vec<Allocation>,
}

impl Plan {
    /// Plans a layer for a device with these limits.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], and [`Error::LimitExceeded`] where no cutting of the time axis makes the layer fit.
    pub fn new(
        config: &GruConfig,
        unroll: &Unroll,
        limits: &wgpu::Limits,
        device_type: wgpu::DeviceType,
    ) -> Result<Self> {
        config.validate()?;
        unroll.validate()?;
        let tuning = Tuning::new(device_type, unroll.batch());
        check_kernels(&tuning, limits)?;
        let sizes = Sizes::new(config, unroll);
        let allocations = sizes.allocations();
        for &Allocation { name, bytes } in &allocations {
            at_most(name, "max_buffer_size", bytes, limits.max_buffer_size)?;
        }
        at_most("weight_ih", BINDING, sizes.weight_ih, limits.max_storage_buffer_binding_size)?;
        at_most("weight_hh", BINDING, sizes.weight_hh, limits.max_storage_buffer_binding_size)?;
        let chunk = sizes.steps_in_a_chunk(&tuning, limits)?;
        let chunks =
            (0..unroll.seq_len()).step_by(chunk).map(|begin| begin..(begin + chunk).min(unroll.seq_len())).collect();
        Ok(Self { config: config.clone(), unroll: *unroll, schedule: Schedule::PerStep, tuning, chunks, allocations })
    }

    /// How the time loop is laid out.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule
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

    /// The buffers that the unrolled layer makes, parameters not among them.
    #[must_use]
    pub fn allocations(&self) -> &[Allocation] {
        &self.allocations
    }

    /// The bytes of all [`allocations`](Self::allocations).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.allocations.iter().map(|allocation| allocation.bytes).sum()
    }

    /// Dispatches of a forward pass: one product a chunk, and one dispatch a step.
    #[must_use]
    pub fn forward_dispatches(&self) -> usize {
        self.chunks.len() + self.unroll.seq_len()
    }

    /// Dispatches of a backward pass: one a step and one for `d_h0`, and a chunk's two weight gradients, two bias
    /// gradients and input gradient. 0 for inference.
    #[must_use]
    pub fn backward_dispatches(&self) -> usize {
        match self.unroll.mode() {
            Mode::Inference => 0,
            Mode::Training => {
                let products = 4 + usize::from(self.unroll.has_input_gradient());
                self.unroll.seq_len() + 1 + products * self.chunks.len()
            }
        }
    }

    /// Floating-point operations of the matrix products of a forward pass: 2 T B 3H (I + H).
    #[must_use]
    pub fn forward_flops(&self) -> u64 {
        let (rows, i, h) = self.rows_and_sizes();
        6 * rows * h * (i + h)
    }

    /// Floating-point operations of the matrix products of a backward pass: as many as forward for the weights, as many
    /// again for `d_h` and, where it is wanted, `d_x`. 0 for inference.
    #[must_use]
    pub fn backward_flops(&self) -> u64 {
        let (rows, i, h) = self.rows_and_sizes();
        match self.unroll.mode() {
            Mode::Inference => 0,
            Mode::Training => {
                let d_x = if self.unroll.has_input_gradient() { i } else { 0 };
                6 * rows * h * (i + h + h + d_x)
            }
        }
    }

    fn rows_and_sizes(&self) -> (u64, u64, u64) {
        let rows = self.unroll.seq_len() as u64 * self.unroll.batch() as u64;
        (rows, self.config.input_size() as u64, self.config.hidden_size() as u64)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, unroll) = (&self.config, &self.unroll);
        writeln!(
            f,
            "GRU {} -> {}, {:?} over T={} B={}",
            config.input_size(),
            config.hidden_size(),
            unroll.mode(),
            unroll.seq_len(),
            unroll.batch()
        )?;
        writeln!(
            f,
            "  schedule {:?}, matmul {:?}, step {} units x {} rows, {} chunk(s) of time",
            self.schedule,
            self.tuning.matmul,
            self.tuning.step_lanes,
            self.tuning.step_rows,
            self.chunks.len()
        )?;
        writeln!(f, "  forward  {} dispatches, {:.3e} FLOP", self.forward_dispatches(), self.forward_flops() as f64)?;
        if unroll.mode() == Mode::Training {
            let (dispatches, flops) = (self.backward_dispatches(), self.backward_flops());
            writeln!(f, "  backward {dispatches} dispatches, {:.3e} FLOP", flops as f64)?;
        }
        write!(f, "  buffers  {} bytes:", self.bytes())?;
        for Allocation { name, bytes } in &self.allocations {
            write!(f, " {name} {bytes}")?;
        }
        Ok(())
    }
}

const BINDING: &str = "max_storage_buffer_binding_size";
const WORKGROUPS: &str = "max_compute_workgroups_per_dimension";

fn at_most(what: &'static str, limit: &'static str, required: u64, available: u64) -> Result<()> {
    if required > available { Err(Error::LimitExceeded { what, limit, required, available }) } else { Ok(()) }
}

/// What every kernel needs of a device, whatever the sizes. wgpu does not check workgroup limits after overrides are
/// resolved, so this does.
fn check_kernels(tuning: &Tuning, limits: &wgpu::Limits) -> Result<()> {
    let [invocations, memory] = tuning.workgroup();
    let what = "the largest kernel";
    for (limit, required, available) in [
        ("max_compute_invocations_per_workgroup", invocations, limits.max_compute_invocations_per_workgroup),
        ("max_compute_workgroup_size_x", 256, limits.max_compute_workgroup_size_x),
        ("max_compute_workgroup_size_y", 16, limits.max_compute_workgroup_size_y),
        ("max_compute_workgroup_storage_size", memory, limits.max_compute_workgroup_storage_size),
        ("max_storage_buffers_per_shader_stage", 6, limits.max_storage_buffers_per_shader_stage),
        ("max_bindings_per_bind_group", 7, limits.max_bindings_per_bind_group),
        ("max_dynamic_uniform_buffers_per_pipeline_layout", 1, limits.max_dynamic_uniform_buffers_per_pipeline_layout),
    ] {
        at_most(what, limit, required, u64::from(available))?;
    }
    Ok(())
}

/// The sizes of a layer in bytes. A product that does not fit 64 bits saturates, and is over every limit.
struct Sizes<'a> {
    unroll: &'a Unroll,
    weight_ih: u64,
    weight_hh: u64,
    biases: u64,
    /// `[B, I]`, `[B, H]`, `[B, W, H]`: one step.
    input: u64,
    state: u64,
    gates: u64,
    hidden: u64,
}

impl<'a> Sizes<'a> {
    fn new(config: &GruConfig, unroll: &'a Unroll) -> Self {
        let bytes = |sizes: &[usize]| sizes.iter().fold(4_u64, |bytes, &size| bytes.saturating_mul(size as u64));
        let (i, h, b) = (config.input_size(), config.hidden_size(), unroll.batch());
        let width = gates_width(unroll.mode());
        Self {
            unroll,
            weight_ih: bytes(&[3, h, i]),
            weight_hh: bytes(&[3, h, h]),
            biases: bytes(&[3, h]),
            input: bytes(&[b, i]),
            state: bytes(&[b, h]),
            gates: bytes(&[b, width, h]),
            hidden: h as u64,
        }
    }

    fn allocations(&self) -> Vec<Allocation> {
        let steps = self.unroll.seq_len() as u64;
        let over = |bytes: u64, steps: u64| bytes.saturating_mul(steps);
        let mut list = vec![
            Allocation { name: "input", bytes: over(self.input, steps) },
            Allocation { name: "h", bytes: over(self.state, steps.saturating_add(1)) },
            Allocation { name: "gates", bytes: over(self.gates, steps) },
        ];
        if self.unroll.mode() == Mode::Training {
            list.extend([
                Allocation { name: "d_output", bytes: over(self.state, steps) },
                Allocation { name: "d_h_n", bytes: self.state },
                Allocation { name: "d_h0", bytes: self.state },
                Allocation { name: "d_weight_ih", bytes: self.weight_ih },
                Allocation { name: "d_weight_hh", bytes: self.weight_hh },
                Allocation { name: "d_bias_ih", bytes: self.biases },
                Allocation { name: "d_bias_hh", bytes: self.biases },
            ]);
            if self.unroll.has_input_gradient() {
                list.push(Allocation { name: "d_input", bytes: over(self.input, steps) });
            }
        }
        list
    }

    /// How many steps every binding and every grid of a chunk can hold.
    fn steps_in_a_chunk(&self, tuning: &Tuning, limits: &wgpu::Limits) -> Result<usize> {
        let workgroups = u64::from(limits.max_compute_workgroups_per_dimension);
        let [tile_rows, tile_columns] = tuning.matmul.tile().map(u64::from);
        let batch = self.unroll.batch() as u64;
        let columns = (3 * self.hidden).max(self.input / 4 / batch);
        at_most("the columns of the products", WORKGROUPS, columns.div_ceil(tile_rows.min(tile_columns)), workgroups)?;
        at_most("the units of a step", WORKGROUPS, self.hidden.div_ceil(u64::from(tuning.step_lanes)), workgroups)?;
        at_most("the rows of a step", WORKGROUPS, batch.div_ceil(u64::from(tuning.step_rows)), workgroups)?;
        at_most("the rows of one step's product", WORKGROUPS, batch.div_ceil(tile_rows), workgroups)?;

        // A binding of n steps begins up to one alignment early, and backward reads one step past the chunk.
        let slack = u64::from(limits.min_storage_buffer_offset_alignment);
        let available = limits.max_storage_buffer_binding_size;
        let mut steps = workgroups * tile_rows / batch;
        for (what, bytes, further) in [("input", self.input, 0), ("h", self.state, 1), ("gates", self.gates, 1)] {
            at_most(what, BINDING, bytes.saturating_mul(1 + further).saturating_add(slack), available)?;
            steps = steps.min((available - slack) / bytes - further);
        }
        // The uniforms of all steps lie in one buffer, whose dynamic offsets have 32 bits.
        let stride = u64::from(limits.min_uniform_buffer_offset_alignment);
        let uniforms = stride.saturating_mul(self.unroll.seq_len() as u64 + 64);
        at_most(
            "the uniforms of all steps",
            "max_buffer_size",
            uniforms,
            limits.max_buffer_size.min(u64::from(u32::MAX)),
        )?;
        Ok(steps.min(self.unroll.seq_len() as u64) as usize)
    }
}

/// How many numbers a unit has in the gates buffer: x_proj alone for inference; r, z, n and hn for training.
pub(crate) fn gates_width(mode: Mode) -> usize {
    match mode {
        Mode::Inference => 3,
        Mode::Training => 4,
    }
}
