//! What a backward pass reads again, and whether it is still what the forward pass has read.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gpu::Tensor;
use crate::layer::Parameters;
use crate::layer::memory::Memory;
use crate::plan::Plan;
use crate::plan::buffers::TrainingRoles;
use crate::unroll::Unroll;
use crate::weights::{CellWeights, suffix_of};

/// Tensors that a backward pass reads and that others than the passes can write.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    name: Cow<'static, str>,
    tensor: Tensor,
    /// When it was last written before the forward pass, or by that.
    version: u64,
}

impl Watch {
    pub(super) fn new(config: &Config, unroll: &Unroll, plan: &Plan, parameters: &Parameters, memory: &Memory) -> Self {
        let (layout, roles) = (plan.layout(), plan.roles());
        let mut watch = Self::default();
        // What is copied by the forward pass may change.
        if !layout.copies_input {
            watch.add("input", memory.tensor(roles.input));
        }
        if !layout.copies_h0 {
            watch.add("h0", memory.tensor(roles.h0));
        }
        if !layout.copies_output {
            watch.add("output", memory.tensor(roles.output));
        }
        for (layer, &h) in roles.h.iter().enumerate() {
            watch.add(format!("the state of layer {layer}"), memory.tensor(h));
        }
        // Biases are read again where gates are made again, and the weights of the input there or where its gradient is
        // made.
        let again = layout.makes_gates_again(config);
        for (index, cell) in parameters.cells.iter().enumerate() {
            let has_d_input = index >= config.directions() || unroll.input_gradient;
            let wanted = [again || has_d_input, true, again, again];
            for ((name, tensor), wanted) in CellWeights::NAMES.into_iter().zip(cell.all()).zip(wanted) {
                if let Some(tensor) = tensor.filter(|_| wanted) {
                    watch.add(format!("{name}{}", suffix_of(config, index)), tensor);
                }
            }
        }
        if let Some(lengths) = roles.lengths {
            watch.add("lengths", memory.tensor(lengths));
        }
        if let Some(episodes) = roles.episodes {
            watch.add("episode_starts", memory.tensor(episodes.starts));
        }
        if let Some(dropout) = roles.dropout {
            watch.add("the seed of dropout", memory.tensor(dropout));
        }
        watch
    }

    fn add(&mut self, name: impl Into<Cow<'static, str>>, tensor: &Tensor) {
        self.watched.push(Watched { name: name.into(), tensor: tensor.clone(), version: 0 });
    }

    /// Remembers what is there.
    pub(super) fn remember(&mut self) {
        for watched in &mut self.watched {
            watched.version = watched.tensor.version();
        }
    }

    /// Checks that nothing was written since.
    pub(super) fn expect_unchanged(&self) -> Result<()> {
        match self.watched.iter().find(|watched| watched.tensor.version() != watched.version) {
            Some(watched) => Err(Error::ChangedSinceForward { tensor: watched.name.clone() }),
            None => Ok(()),
        }
    }
}

/// The tensors that a forward pass writes and that others can read.
pub(super) fn written_by_forward(plan: &Plan, memory: &Memory) -> Result<Vec<Tensor>> {
    let (layout, roles) = (plan.layout(), plan.roles());
    let mut written = Vec::new();
    for &h in &roles.h {
        let h = memory.tensor(h);
        // The first states are in their slot already, unless they are copied to it.
        written.push(h.outer(usize::from(!layout.copies_h0)..h.shape()[0])?);
    }
    let output = layout.copies_output.then_some(roles.output);
    let h_n = layout.copies_h_n.then_some(roles.h_n);
    let apart = [output, h_n, roles.dropout, roles.sources];
    written.extend(apart.into_iter().flatten().map(|id| memory.tensor(id).clone()));
    Ok(written)
}

/// The tensors that a backward pass writes and that others can read.
pub(super) fn written_by_backward(d: &TrainingRoles, d_parameters: &Parameters, memory: &Memory) -> Vec<Tensor> {
    let further = [d.d_input, d.norms, Some(d.d_h0)].into_iter().flatten().map(|id| memory.tensor(id));
    d_parameters.tensors().chain(further).cloned().collect()
}

/// The forward pass that a backward pass is to use up, and whether its encoder was dropped.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// How many forward passes were recorded.
    recorded: u64,
    /// The last one, unless a backward pass has used it up.
    last: Option<u64>,
    /// The last one whose encoder was dropped.
    dropped: Arc<AtomicU64>,
}

impl Saved {
    /// A forward pass is being recorded. What comes back goes where it is recorded, as what to do when that is done.
    pub(super) fn record(&mut self) -> impl FnOnce() + Send + use<> {
        self.recorded += 1;
        self.last = Some(self.recorded);
        let ticket = Ticket { number: self.recorded, submitted: false, dropped: self.dropped.clone() };
        move || ticket.submitted()
    }

    /// Whether there is a forward pass to be used up.
    pub(super) fn is_there(&self) -> bool {
        self.last.is_some_and(|last| self.dropped.load(Relaxed) < last)
    }

    /// It is used up, or will never run.
    pub(super) fn use_up(&mut self) {
        self.last = None;
    }
}

/// A forward pass in an encoder. wgpu calls what it was given when the commands are done, and drops it with an encoder
/// that was never submitted.
struct Ticket {
    number: u64,
    submitted: bool,
    dropped: Arc<AtomicU64>,
}

impl Ticket {
    fn submitted(mut self) {
        self.submitted = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.submitted {
            self.dropped.fetch_max(self.number, Relaxed);
        }
    }
}
