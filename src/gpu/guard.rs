//! For tests: room behind every buffer that kernels can reach, full of NaN. A kernel that reads past the end of what it is
//! given makes NaN of it, and one that writes there leaves a trace: so an index out of range shows although every device
//! forbids it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::Result;
use crate::gpu::context::lock;
use crate::gpu::{Gpu, Tensor};

/// The bits of a NaN, and a length of a row that is none.
const GUARD: u32 = u32::MAX;

/// What lies behind the buffers of a device: nothing, unless a test wants it.
#[derive(Debug, Default)]
pub(super) struct Guard {
    bytes: AtomicU64,
    /// Each with what it holds in front of the guard.
    guarded: Mutex<Vec<(wgpu::Buffer, u64)>>,
}

impl Guard {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(super) fn fill(&self, mapped: &mut wgpu::BufferViewMut, from: u64) {
        let guard = vec![GUARD; (self.bytes() / 4) as usize];
        mapped.slice(from as usize..).copy_from_slice(bytemuck::cast_slice(&guard));
    }

    pub(super) fn note(&self, buffer: &wgpu::Buffer, bytes: u64) {
        lock(&self.guarded).push((buffer.clone(), bytes));
    }
}

impl Gpu {
    /// Every buffer that is made from now on has a guard of so many bytes, which bindings reach.
    pub(crate) fn guard(&self, bytes: u64) {
        self.guards().bytes.store(bytes, Relaxed);
    }

    /// How many of the guards there are, and of how many a kernel has changed something.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn broken_guards(&self) -> Result<[usize; 2]> {
        let guarded = lock(&self.guards().guarded).clone();
        let mut broken = 0;
        for (buffer, bytes) in &guarded {
            let length = ((buffer.size() - bytes) / 4) as usize;
            let guard = Tensor::of_buffer(self, buffer, (bytes / 4) as usize, &[length]).read_blocking()?;
            broken += usize::from(guard.iter().any(|number| number.to_bits() != GUARD));
        }
        Ok([guarded.len(), broken])
    }
}
