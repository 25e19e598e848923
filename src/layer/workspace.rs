//! Memory that layers share.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor, side_by_side};

/// Scratch memory that several unrolled layers share: what each needs only while one of its passes runs, such as the input
/// part of the gates. A GPU runs passes one after the other, so one copy is enough for all layers that are given the same
/// workspace in [`Places`](crate::Places). [`Plan::scratch_bytes`](crate::Plan::scratch_bytes) says how much that is of a layer.
///
/// It grows as layers are unrolled: unroll the largest one first, since a layer keeps the memory that it was made with. A clone
/// is another handle to the same memory.
#[derive(Debug, Clone)]
pub struct Workspace {
    gpu: Gpu,
    /// The n-th tensor of scratch that a layer asks for lies in the n-th of these.
    slots: Arc<Mutex<Vec<Tensor>>>,
}

impl Workspace {
    /// An empty workspace.
    #[must_use]
    pub fn new(gpu: &Gpu) -> Self {
        #[cfg_attr(
            target_arch = "wasm32",
            expect(clippy::arc_with_non_send_sync, reason = "wgpu's handles are not Send in a browser")
        )]
        let slots = Arc::default();
        Self { gpu: gpu.clone(), slots }
    }

    /// The GPU that it lives on.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// How large it is now, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Tensor::byte_len).sum()
    }

    /// The slot as a tensor, made or made larger where it has to be.
    fn take(&self, slot: usize, name: &'static str, shape: &[usize]) -> Result<Tensor> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let len = shape.iter().fold(1_usize, |len, &size| len.saturating_mul(size));
        match slots.get(slot) {
            Some(found) if found.len() >= len => {}
            Some(_) => slots[slot] = Tensor::named(&self.gpu, name, shape, None)?.reshape(&[len])?,
            None => slots.push(Tensor::named(&self.gpu, name, shape, None)?.reshape(&[len])?),
        }
        Ok(slots[slot].part(0, shape).into_shared_scratch())
    }
}

/// Where the buffers of one unrolled layer come from.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) workspace: Option<&'a Workspace>,
    /// How many tensors of scratch the layer has.
    taken: Cell<usize>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(gpu: &'a Gpu, workspace: Option<&'a Workspace>) -> Result<Self> {
        match workspace {
            Some(workspace) if !workspace.gpu.is_same_device(gpu) => {
                Err(Error::ForeignDevice { tensor: "workspace".into() })
            }
            _ => Ok(Self { gpu, workspace, taken: Cell::new(0) }),
        }
    }

    /// A tensor of zeros.
    pub(super) fn zeros(&self, name: &'static str, shape: &[usize]) -> Result<Tensor> {
        Tensor::named(self.gpu, name, shape, None)
    }

    /// A tensor of anything, whose numbers need not stay when no pass of the layer runs.
    pub(super) fn scratch(&self, name: &'static str, shape: &[usize]) -> Result<Tensor> {
        match self.workspace {
            None => self.zeros(name, shape),
            Some(workspace) => workspace.take(self.taken.replace(self.taken.get() + 1), name, shape),
        }
    }

    /// [`scratch`](Self::scratch) or [`zeros`](Self::zeros).
    pub(super) fn make(&self, scratch: bool, name: &'static str, shape: &[usize]) -> Result<Tensor> {
        if scratch { self.scratch(name, shape) } else { self.zeros(name, shape) }
    }

    /// So many tensors of one shape in one buffer: each begins so many elements behind a multiple of the alignment of bindings.
    pub(super) fn side_by_side(
        &self,
        scratch: bool,
        name: &'static str,
        count: usize,
        shape: &[usize],
        before: usize,
    ) -> Result<Vec<Tensor>> {
        let len = shape.iter().fold(1_usize, |len, &size| len.saturating_mul(size));
        let [stride, all] = side_by_side(count, &[before.saturating_add(len)], self.gpu.limits());
        let all = self.make(scratch, name, &[all])?;
        Ok((0..count).map(|index| all.part(index * stride + before, shape)).collect())
    }

    /// So many tensors of one shape, one behind the other in one buffer. They are not handed out, so they begin anywhere.
    pub(super) fn in_one_buffer(
        &self,
        scratch: bool,
        name: &'static str,
        count: usize,
        shape: &[usize],
    ) -> Result<Vec<Tensor>> {
        let all = self.make(scratch, name, &[&[count], shape].concat())?;
        (0..count).map(|index| all.outer(index..index + 1)?.reshape(shape)).collect()
    }
}
