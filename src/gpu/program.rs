//! A program: dispatches whose pipelines, bind groups and uniforms were made beforehand, to be recorded again and
//! again.

use std::sync::Arc;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::gpu::kernel::{Binding, BindingKind, Kernel, View};
use crate::target::{INDEX, INDICES, at_most};

/// A fixed list of dispatches. Recording it makes nothing: no buffer, no bind group, no pipeline.
#[derive(Debug)]
pub struct Program {
    label: &'static str,
    dispatches: Vec<Dispatch>,
}

/// One dispatch of a program.
#[derive(Debug)]
pub(crate) struct Dispatch {
    kernel: Arc<Kernel>,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    dynamic_offset: Option<u32>,
    workgroups: [u32; 3],
}

impl Program {
    /// Records everything into one compute pass of the encoder. It neither submits nor waits.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(self.label), timestamp_writes: None });
        self.record(&mut pass);
    }

    /// Records everything into a compute pass that is already open. Bind group 0 and the pipeline are changed.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let mut current: Option<&Arc<Kernel>> = None;
        for dispatch in &self.dispatches {
            if !current.is_some_and(|kernel| Arc::ptr_eq(kernel, &dispatch.kernel)) {
                pass.set_pipeline(&dispatch.pipeline);
                current = Some(&dispatch.kernel);
            }
            pass.set_bind_group(0, &dispatch.bind_group, dispatch.dynamic_offset.as_slice());
            let [x, y, z] = dispatch.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// The dispatches of one kernel and the copies of weights that it reads, without the others.
    #[cfg(feature = "harness")]
    pub(crate) fn only(mut self, kernel: &str) -> Self {
        self.dispatches.retain(|dispatch| [kernel, "pack"].contains(&dispatch.kernel.label));
        self
    }

    /// How many dispatches there are.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// How many dispatches of each kernel there are, in the order of their first use.
    #[must_use]
    pub fn kernels(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for dispatch in &self.dispatches {
            let label = dispatch.kernel.label;
            match counts.iter_mut().find(|(name, _)| *name == label) {
                Some((_, count)) => *count += 1,
                None => counts.push((label, 1)),
            }
        }
        counts
    }
}

/// Collects what a program needs. Uniforms of all dispatches share one buffer, which is made at the end; so the bind
/// groups are made at the end too.
pub(crate) struct ProgramBuilder<'a> {
    gpu: &'a Gpu,
    label: &'static str,
    stride: usize,
    uniforms: Vec<u8>,
    groups: Vec<Group<'a>>,
    pending: Vec<PendingDispatch>,
}

struct Group<'a> {
    kernel: Arc<Kernel>,
    /// Where the fixed uniform of this group lies, if the kernel has one; its first uniform otherwise.
    uniform: usize,
    storage: Vec<View<'a>>,
}

struct PendingDispatch {
    group: usize,
    dynamic_offset: Option<u32>,
    workgroups: [u32; 3],
}

/// A bind group of a program that is being built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupId(usize);

impl<'a> ProgramBuilder<'a> {
    pub(crate) fn new(gpu: &'a Gpu, label: &'static str) -> Self {
        let stride = gpu.limits().min_uniform_buffer_offset_alignment as usize;
        Self { gpu, label, stride, uniforms: Vec::new(), groups: Vec::new(), pending: Vec::new() }
    }

    pub(crate) fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// A bind group: the kernel, its uniform, and its storage bindings in the order of the table. For a kernel whose
    /// uniform is chosen dynamically, `uniform` stands for the first of those to come.
    pub(crate) fn group(&mut self, kernel: Arc<Kernel>, uniform: &impl Pod, storage: Vec<View<'a>>) -> GroupId {
        let uniform = self.push(uniform);
        self.groups.push(Group { kernel, uniform, storage });
        GroupId(self.groups.len() - 1)
    }

    /// A dispatch with the uniform of its group.
    pub(crate) fn dispatch(&mut self, group: GroupId, workgroups: [u32; 3]) {
        let dynamic = self.groups[group.0].is_dynamic();
        self.pending.push(PendingDispatch { group: group.0, dynamic_offset: dynamic.then_some(0), workgroups });
    }

    /// A dispatch with a uniform of its own.
    pub(crate) fn dispatch_with(&mut self, group: GroupId, uniform: &impl Pod, workgroups: [u32; 3]) {
        let offset = self.push(uniform) - self.groups[group.0].uniform;
        self.pending.push(PendingDispatch { group: group.0, dynamic_offset: Some(offset as u32), workgroups });
    }

    /// A kernel with one dispatch.
    pub(crate) fn once(
        &mut self,
        kernel: Arc<Kernel>,
        uniform: &impl Pod,
        storage: Vec<View<'a>>,
        workgroups: [u32; 3],
    ) {
        let group = self.group(kernel, uniform, storage);
        self.dispatch(group, workgroups);
    }

    /// Checks every kernel, binding and dispatch against the limits, then makes the uniform buffer and the bind groups.
    pub(crate) fn build(self) -> Result<Program> {
        // For all of them, whatever comes of it: a thread that outlives its process is a crash in some drivers.
        self.groups.iter().for_each(|group| drop(group.kernel.made()));
        self.check()?;
        let uniforms = self.gpu.create_buffer_with(
            "uniforms",
            self.uniforms.len().max(4) as u64,
            wgpu::BufferUsages::UNIFORM,
            Some(&self.uniforms),
        )?;
        let mut groups = Vec::new();
        // A buffer of the app may have been destroyed.
        self.gpu.expect_taken("the bindings of its tensors", || {
            for Group { kernel, uniform, storage } in &self.groups {
                let mut storage = storage.iter();
                let views: Vec<View<'_>> = kernel
                    .bindings
                    .iter()
                    .filter_map(|binding| match binding.kind {
                        BindingKind::Uniform { size, .. } => {
                            Some(View { buffer: &uniforms, offset: *uniform as u64, size })
                        }
                        _ => storage.next().copied(),
                    })
                    .collect();
                groups.push(kernel.bind(self.gpu, &views)?);
            }
            Ok(())
        })?;
        let mut dispatches = Vec::new();
        for PendingDispatch { group, dynamic_offset, workgroups } in self.pending {
            let (kernel, bind_group) = (self.groups[group].kernel.clone(), groups[group].clone());
            let pipeline = kernel.made()?.pipeline.clone();
            dispatches.push(Dispatch { kernel, pipeline, bind_group, dynamic_offset, workgroups });
        }
        Ok(Program { label: self.label, dispatches })
    }

    fn check(&self) -> Result<()> {
        let limits = self.gpu.limits();
        for Group { kernel, storage, .. } in &self.groups {
            kernel.made()?;
            let bindings = kernel.bindings.iter().filter(|b| !matches!(b.kind, BindingKind::Uniform { .. }));
            let bound: Vec<_> = bindings.zip(storage).collect();
            for (binding, view) in &bound {
                let available = limits.max_storage_buffer_binding_size;
                at_most(binding.name, "max_storage_buffer_binding_size", view.size, available)?;
                at_most(binding.name, INDEX, view.size / 4, INDICES)?;
            }
            // A GPU binds a whole buffer to be read or to be written.
            for (written, view) in bound.iter().filter(|(binding, _)| matches!(binding.kind, BindingKind::ReadWrite)) {
                let is_read = |(other, of): &&(&Binding, &View<'_>)| {
                    matches!(other.kind, BindingKind::Read) && of.buffer == view.buffer
                };
                if let Some((read, _)) = bound.iter().find(is_read) {
                    return Err(Error::Aliased { first: read.name, second: written.name });
                }
            }
        }
        for PendingDispatch { group, workgroups, .. } in &self.pending {
            let label = self.groups[*group].kernel.label;
            for &count in workgroups {
                let available = u64::from(limits.max_compute_workgroups_per_dimension);
                at_most(label, "max_compute_workgroups_per_dimension", u64::from(count), available)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, uniform: &impl Pod) -> usize {
        let offset = self.uniforms.len();
        self.uniforms.extend_from_slice(bytemuck::bytes_of(uniform));
        self.uniforms.resize(self.uniforms.len().next_multiple_of(self.stride), 0);
        offset
    }
}

impl Group<'_> {
    fn is_dynamic(&self) -> bool {
        self.kernel.bindings.iter().any(|binding| matches!(binding.kind, BindingKind::Uniform { dynamic: true, .. }))
    }
}
