//! Memory that layers share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor};

/// Scratch memory that several unrolled layers share: what each needs only while one of its passes runs, such as the
/// input part of the gates. A GPU runs passes one after the other, so one copy is enough for all layers that are given
/// the same workspace in [`ExternalTensors`](crate::ExternalTensors).
/// [`Plan::scratch_bytes`](crate::Plan::scratch_bytes) says how much that is of a layer.
///
/// It grows as layers are unrolled: unroll the largest one first, since a layer keeps the memory that it was made with.
/// A clone is another handle to the same memory.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{ExternalTensors, Gru, GruConfig, Unroll, Workspace};
/// let shared = ExternalTensors { workspace: Some(Workspace::new(gpu)), ..Default::default() };
/// let nets = [64, 32].map(|units| {
///     let gru = Gru::new(gpu, GruConfig::new(8, units), 1)?;
///     gru.unroll_with(Unroll::inference(100, 4), &shared)
/// });
/// # Ok(()) }
/// ```
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

    /// Checks that layers on this device can use it.
    pub(super) fn expect_device(&self, gpu: &Gpu) -> Result<()> {
        if self.gpu.is_same_device(gpu) { Ok(()) } else { Err(Error::ForeignDevice { tensor: "workspace".into() }) }
    }

    /// The slot as a tensor, made or made larger where it has to be.
    pub(super) fn take(&self, slot: usize, name: &'static str, shape: &[usize]) -> Result<Tensor> {
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
