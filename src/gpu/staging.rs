//! Staging buffers, which are kept from one readback to the next.

use std::sync::Mutex;

use crate::gpu::sync::lock;

/// How many staging buffers are kept.
const KEPT: usize = 4;

/// Staging buffers that wait for the next readback.
#[derive(Debug, Default)]
pub(super) struct StagingPool {
    buffers: Mutex<Vec<wgpu::Buffer>>,
}

impl StagingPool {
    /// The smallest kept buffer that is large enough.
    pub(super) fn take(&self, bytes: u64) -> Option<wgpu::Buffer> {
        let mut buffers = lock(&self.buffers);
        let fit = (0..buffers.len()).filter(|&i| buffers[i].size() >= bytes).min_by_key(|&i| buffers[i].size());
        fit.map(|index| buffers.swap_remove(index))
    }

    /// Keeps a buffer that is not mapped any more; the smallest goes when there are too many.
    pub(super) fn give_back(&self, buffer: wgpu::Buffer) {
        let mut buffers = lock(&self.buffers);
        buffers.push(buffer);
        if buffers.len() > KEPT
            && let Some(smallest) = (0..buffers.len()).min_by_key(|&i| buffers[i].size())
        {
            buffers.swap_remove(smallest);
        }
    }
}
