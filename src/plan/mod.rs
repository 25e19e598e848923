//! How a layer will be run, as two lists: of buffers, and of operations in order. Everything that is said of a plan
//! (bytes, dispatches, FLOPs) is a sum over them, and everything that is made and recorded comes from them.
//!
//! Pure arithmetic on sizes and limits: it needs no GPU, and finds what cannot fit before anything is made.
//!
//! ```text
//! config, unroll, external, target          what the layer is, how it is run, what is given, on which device
//!   feasible                                what cannot be had, and why
//!   frame                                   whether one dispatch takes a single step through all layers
//!   layout     schedule      chunks         which copies; how steps are laid out over dispatches; pieces of time
//!   turns                                   which cells take their steps together
//!   buffers                                 the list of buffers, and which tensors lie in them
//!   passes                                  the list of operations forward, and backward; matmul chooses the kernels
//! ```

use std::ops::Range;

use crate::config::{Cell, Config};
use crate::error::Result;
use crate::target::{Target, at_most, bytes};
use crate::unroll::{Mode, Saved, Unroll};

pub(crate) mod buffers;
mod chunks;
mod cuts;
mod explain;
pub(crate) mod external;
mod feasible;
pub(crate) mod frame;
mod layout;
mod matmul;
pub(crate) mod ops;
mod passes;
mod schedule;
pub(crate) mod tensors;
mod time_loop;
mod turns;

use crate::schedule::Schedule;
pub use cuts::{ExchangeCut, RowsCut, TileCut};
pub use frame::FrameCut;
pub use matmul::MatmulKernel;
pub use time_loop::TimeLoop;

pub(crate) use external::External;
#[cfg(test)]
pub(crate) use feasible::LARGEST_UNIFORM;
pub(crate) use layout::Layout;
pub(crate) use matmul::{InParts, is_long};

use buffers::{Lists, Roles};
use chunks::Sizes;
use feasible::{WhyNot, check_kernels, check_options, no_saved};
use ops::Op;
use passes::Passes;
use tensors::{Buffer, Owner, Tensors};

/// Buffers of one name and size that an unrolled layer makes.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Unroll};
/// # let net = Gru::new(gpu, GruConfig::new(8, 32), 1)?.unroll(Unroll::training(20, 4))?;
/// for buffer in net.plan().allocations() {
///     println!("{}: {} of {} bytes", buffer.name, buffer.count, buffer.bytes);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// What each holds.
    pub name: &'static str,
    /// How many of them there are.
    pub count: usize,
    /// The size of one in bytes.
    pub bytes: u64,
    /// Whether nothing but a pass needs it while that runs: such buffers can lie in a [`Workspace`](crate::Workspace),
    /// which several layers share.
    pub scratch: bool,
}

/// How a layer will be run: the list of its buffers and that of its operations. [`explain`](crate::Unrolled::explain)
/// prints both.
///
/// ```
/// use wgpu_gru::wgpu::{DeviceType, Limits};
/// use wgpu_gru::{GruConfig, Plan, Unroll};
/// let unroll = Unroll::training(1000, 64);
/// let plan = Plan::new(&GruConfig::new(64, 256), &unroll, &Limits::default(), DeviceType::DiscreteGpu)?;
/// println!("{} bytes, {} dispatches forward", plan.bytes(), plan.forward_dispatches());
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    config: Config,
    unroll: Unroll,
    time_loop: TimeLoop,
    /// Why another schedule was not chosen that might have been.
    why_not: WhyNot,
    layout: Layout,
    chunks: Vec<Range<usize>>,
    tensors: Tensors,
    roles: Roles,
    forward: Vec<Op>,
    backward: Vec<Op>,
    allocations: Vec<Allocation>,
    /// Bytes with each of [`Saved::ALL`], where they can be had; for training.
    saved_bytes: Option<[Option<u64>; 3]>,
}

/// What is planned for, if nothing says that it cannot be planned.
fn checked(config: &Config, unroll: &Unroll, external: &External, target: &Target) -> Result<Target> {
    config.validate()?;
    unroll.validate()?;
    if unroll.mode == Mode::Training {
        config.validate_training()?;
    }
    let class = unroll.adapter_class.unwrap_or(target.class);
    let target = Target { class, ..target.clone() };
    // A step is told its number, to be compared with the lengths.
    at_most("seq_len", "32-bit index of a step", unroll.seq_len as u64, u64::from(u32::MAX))?;
    check_kernels(&target)?;
    check_options(config, unroll, external, &target)?;
    Ok(target)
}

impl Plan {
    /// Plans a layer for a device with these limits, without subgroups and cooperative matrices.
    /// [`Unrolled::plan`](crate::Unrolled::plan) is what is done on a device that is open.
    ///
    /// # Errors
    /// Those of [`Config::validate`] and [`Unroll::validate`], for training
    /// [`Error::NoDerivative`](crate::Error::NoDerivative);
    /// [`Error::OptionUnavailable`](crate::Error::OptionUnavailable) for what was asked for by name; and
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where no cutting of the time axis makes the layer fit.
    pub fn new<C: Copy + Into<Cell>>(
        config: &Config<C>,
        unroll: &Unroll,
        limits: &wgpu::Limits,
        device_type: wgpu::DeviceType,
    ) -> Result<Self> {
        config.validate()?;
        Self::with(&config.erased(), unroll, &External::default(), &Target::new(limits, device_type))
    }

    /// Plans a layer some of whose tensors are given.
    pub(crate) fn with(config: &Config, unroll: &Unroll, external: &External, target: &Target) -> Result<Self> {
        let target = &checked(config, unroll, external, target)?;
        let (time_loop, why_not) = TimeLoop::new(config, unroll, target)?;
        let frame = FrameCut::new(config, unroll, external, target);
        let layout = Layout::new(config, unroll, external, target, &time_loop, frame.ok());
        let why_not = WhyNot { frame: frame.err().flatten(), ..why_not };
        let sizes = Sizes { config, unroll, target, layout: &layout, time_loop: &time_loop };
        let chunks = sizes.chunks()?;
        let blocks = turns::blocks(config, &layout, &chunks);
        let lists = Lists {
            config,
            unroll,
            external,
            target,
            layout: &layout,
            time_loop: &time_loop,
            chunks: &chunks,
            blocks: &blocks,
        };
        let (tensors, roles) = lists.buffers();
        let allocations = allocations(&tensors);
        for &Allocation { name, bytes, .. } in &allocations {
            at_most(name, "max_buffer_size", bytes, target.limits.max_buffer_size)?;
        }
        let bytes_with = |saved: Saved| {
            if no_saved(config, unroll, saved).is_some() {
                return None;
            }
            let unroll = &unroll.saved(saved);
            let layout = &Layout::new(config, unroll, external, target, &time_loop, None);
            let chunks = &Sizes { unroll, layout, ..sizes }.chunks().ok()?;
            let blocks = &turns::blocks(config, layout, chunks);
            Some(total(&self::allocations(&Lists { unroll, layout, chunks, blocks, ..lists }.buffers().0)))
        };
        let saved_bytes = (unroll.mode == Mode::Training).then(|| Saved::ALL.map(bytes_with));
        let passes = Passes { lists, tensors: &tensors, roles: &roles };
        let (forward, backward) = (passes.forward(), passes.backward());
        // Each program has its uniforms in one buffer, whose dynamic offsets have 32 bits: at most one per dispatch and
        // one per bind group.
        let uniforms = dispatches(&forward).max(dispatches(&backward)).saturating_mul(2);
        let required = uniforms.saturating_mul(u64::from(target.limits.min_uniform_buffer_offset_alignment));
        let available = target.limits.max_buffer_size.min(u64::from(u32::MAX));
        at_most("the uniforms of all steps", "max_buffer_size", required, available)?;
        let (config, unroll) = (config.clone(), *unroll);
        Ok(Self {
            config,
            unroll,
            time_loop,
            why_not,
            layout,
            chunks,
            tensors,
            roles,
            forward,
            backward,
            allocations,
            saved_bytes,
        })
    }

    /// The time loops that are worth a measurement for such a layer, the one that it has without one first.
    pub(crate) fn candidates(config: &Config, unroll: &Unroll, target: &Target) -> Result<Vec<TimeLoop>> {
        let target = checked(config, unroll, &External::default(), target)?;
        TimeLoop::candidates(config, unroll, &target)
    }

    /// What the layer is.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is laid out over time.
    #[must_use]
    pub fn unroll(&self) -> &Unroll {
        &self.unroll
    }

    /// How the time loop is laid out.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.time_loop.schedule()
    }

    /// Steps of a dispatch, and how its workgroups are cut.
    #[must_use]
    pub fn time_loop(&self) -> &TimeLoop {
        &self.time_loop
    }

    /// How the workgroups of a frame are cut, where one dispatch takes the only step through all layers; then nothing of
    /// the [`time_loop`](Self::time_loop) runs.
    #[must_use]
    pub fn frame(&self) -> Option<FrameCut> {
        self.layout.frame
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
        total(&self.allocations)
    }

    /// How many of these [`bytes`](Self::bytes) are scratch, which several layers can share.
    #[must_use]
    pub fn scratch_bytes(&self) -> u64 {
        total(self.allocations.iter().filter(|allocation| allocation.scratch))
    }

    /// The bytes that training takes with this choice of what forward keeps, whatever was chosen. `None` for inference,
    /// and where it would not fit or cannot be had.
    #[must_use]
    pub fn bytes_with(&self, saved: Saved) -> Option<u64> {
        let place = Saved::ALL.iter().position(|&choice| choice == saved)?;
        self.saved_bytes?[place]
    }

    /// Dispatches of a forward pass.
    #[must_use]
    pub fn forward_dispatches(&self) -> usize {
        usize::try_from(dispatches(&self.forward)).unwrap_or(usize::MAX)
    }

    /// Dispatches of a backward pass. 0 for inference.
    #[must_use]
    pub fn backward_dispatches(&self) -> usize {
        usize::try_from(dispatches(&self.backward)).unwrap_or(usize::MAX)
    }

    /// Floating-point operations of the matrix products of a forward pass: 2 T B GH (I + H) per cell, with G gates.
    #[must_use]
    pub fn forward_flops(&self) -> u64 {
        flops(&self.forward)
    }

    /// Floating-point operations of the matrix products of a backward pass: as many as forward for the weights, as many
    /// again for `d_h` and, where it is wanted, `d_x`; as many again where the gates are made again. 0 for inference.
    #[must_use]
    pub fn backward_flops(&self) -> u64 {
        flops(&self.backward)
    }

    /// For tests: the kernels of a forward and of a backward pass, with the number of dispatches of each.
    #[doc(hidden)]
    #[must_use]
    pub fn kernels(&self) -> [Vec<(&'static str, usize)>; 2] {
        [&self.forward, &self.backward].map(|list| {
            let mut counts: Vec<(&'static str, usize)> = Vec::new();
            for (label, dispatches) in list.iter().flat_map(Op::kernels) {
                match counts.iter_mut().find(|(known, _)| *known == label) {
                    Some((_, count)) => *count += dispatches as usize,
                    None => counts.push((label, dispatches as usize)),
                }
            }
            counts
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The buffers, and the tensors in them.
    pub(crate) fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// What each tensor is.
    pub(crate) fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The operations of a forward pass, and of a backward pass.
    pub(crate) fn passes(&self) -> [&[Op]; 2] {
        [&self.forward, &self.backward]
    }
}

fn allocations(tensors: &Tensors) -> Vec<Allocation> {
    let of = |(buffer, count): (&Buffer, usize)| Allocation {
        name: buffer.name,
        count,
        bytes: bytes(&[buffer.elements]),
        scratch: buffer.owner == Owner::Scratch,
    };
    tensors.grouped().into_iter().map(of).collect()
}

/// The bytes of all of them.
fn total<'a>(allocations: impl IntoIterator<Item = &'a Allocation>) -> u64 {
    allocations.into_iter().fold(0, |sum, a| sum.saturating_add(a.bytes.saturating_mul(a.count as u64)))
}

fn dispatches(list: &[Op]) -> u64 {
    list.iter().map(Op::dispatches).fold(0, u64::saturating_add)
}

fn flops(list: &[Op]) -> u64 {
    list.iter().map(Op::flops).fold(0, u64::saturating_add)
}
