//! Arrays of f32 on the GPU, with a shape.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result, at_least_one, expect_len};
use crate::gpu::Gpu;
use crate::gpu::kernel::View;
use crate::gpu::written::Written;

/// An array of f32 in a GPU buffer, row-major, with a shape. A clone is another handle to the same numbers, and so is a
/// part of it.
///
/// A tensor knows when the crate last wrote it, and its clones and parts know it too: a backward pass refuses to work
/// on what was changed since its forward pass ([`Error::ChangedSinceForward`]). What shaders and copies of the app
/// write it cannot know, nor that two tensors were made [from one buffer](Self::from_buffer) of the app.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::Tensor;
/// let tensor = Tensor::from_slice(gpu, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let binding = tensor.binding()?; // for a shader of the app
/// assert_eq!(tensor.read_blocking()?[5], 6.0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Tensor {
    gpu: Gpu,
    buffer: wgpu::Buffer,
    /// Where it begins in the buffer, in elements.
    offset: usize,
    shape: Vec<usize>,
    /// When parts of the buffer were written: the same for all that are made of one tensor.
    written: Arc<Written>,
    /// It is scratch that several layers share, so nobody else can rely on what it holds.
    is_shared_scratch: bool,
}

impl Tensor {
    const USAGE: wgpu::BufferUsages =
        wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

    /// A tensor of zeros.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn zeros(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        Self::named(gpu, "tensor", shape, None)
    }

    /// A tensor that holds a copy of `host`.
    ///
    /// # Errors
    /// Those of [`Tensor::zeros`], and [`Error::ShapeMismatch`] where the shape holds another number of elements.
    pub fn from_slice(gpu: &Gpu, shape: &[usize], host: &[f32]) -> Result<Self> {
        Self::named(gpu, "tensor", shape, Some(host))
    }

    /// A part of a buffer that the app made as a tensor: the same memory, no copy. Give it to
    /// [`ExternalTensors`](crate::ExternalTensors), and kernels of the app and of the crate work on it in turn.
    ///
    /// The buffer needs the usage `STORAGE`; `COPY_DST` for what writes, clears or copies into the tensor; `COPY_SRC`
    /// for what reads it or copies from it. The slice begins at a multiple of the device's
    /// `min_storage_buffer_offset_alignment`, as every binding does, and may be longer than the shape.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::BufferUsage`], [`Error::BufferTooSmall`], [`Error::Misaligned`],
    /// [`Error::ForeignDevice`]. In a browser a buffer of another device is found by the browser, when it is first
    /// used; and of another [`wgpu::Instance`] it is not found at all, since wgpu cannot tell such buffers apart: keep
    /// to one instance.
    pub fn from_buffer(gpu: &Gpu, slice: wgpu::BufferSlice<'_>, shape: &[usize]) -> Result<Self> {
        let tensor = "buffer of the app";
        for &size in shape {
            at_least_one(tensor, size)?;
        }
        let alignment = u64::from(gpu.limits().min_storage_buffer_offset_alignment);
        if !slice.offset().is_multiple_of(alignment) {
            return Err(Error::Misaligned { tensor: tensor.into(), offset: slice.offset(), alignment });
        }
        let (required, available) = (bytes_of(shape), slice.size());
        if required > available {
            return Err(Error::BufferTooSmall { tensor, required, available });
        }
        let buffer = slice.buffer().clone();
        let offset = (slice.offset() / 4) as usize;
        let made = Self { offset, ..Self::of_buffer(gpu, buffer, shape) };
        made.expect_usage(tensor, wgpu::BufferUsages::STORAGE)?;
        match gpu.refusal_to_bind(&made.buffer) {
            None => Ok(made),
            Some(reason) if reason.contains("destroyed") => Err(Error::Refused { what: tensor, reason }),
            Some(_) => Err(Error::ForeignDevice { tensor: tensor.into() }),
        }
    }

    /// A tensor that begins where its buffer does.
    pub(super) fn of_buffer(gpu: &Gpu, buffer: wgpu::Buffer, shape: &[usize]) -> Self {
        let (gpu, shape) = (gpu.clone(), shape.to_vec());
        Self { gpu, buffer, offset: 0, shape, written: Arc::default(), is_shared_scratch: false }
    }

    /// A tensor whose buffer has a label.
    pub(crate) fn named(gpu: &Gpu, name: &'static str, shape: &[usize], host: Option<&[f32]>) -> Result<Self> {
        for &size in shape {
            at_least_one(name, size)?;
        }
        if let Some(host) = host {
            expect_len(name, shape, host.len())?;
        }
        let buffer = gpu.create_buffer_with(name, bytes_of(shape), Self::USAGE, host.map(bytemuck::cast_slice))?;
        Ok(Self::of_buffer(gpu, buffer, shape))
    }

    /// The part from an element on, in a shape; it must not reach past the end.
    pub(crate) fn part(&self, first: usize, shape: &[usize]) -> Self {
        Self { offset: self.offset + first, shape: shape.to_vec(), ..self.clone() }
    }

    /// The same tensor, marked as scratch that several layers share.
    pub(crate) fn into_shared_scratch(self) -> Self {
        Self { is_shared_scratch: true, ..self }
    }

    /// Whether it is scratch that several layers share.
    pub(crate) fn is_shared_scratch(&self) -> bool {
        self.is_shared_scratch
    }

    /// Checks that a buffer can hold this shape, before an array of it is made on the host.
    pub(crate) fn check_size(gpu: &Gpu, name: &'static str, shape: &[usize]) -> Result<()> {
        gpu.check_buffer_size(name, bytes_of(shape))
    }

    /// The GPU that it lives on.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The tensor for a bind group of the app: exactly its numbers, as `array<f32>`.
    ///
    /// Every tensor that the crate hands out begins where a binding may. A part that was cut out of one
    /// ([`outer`](Self::outer)) need not: bind the whole then, and give the shader an index.
    ///
    /// ```
    /// # fn example(output: &wgpu_gru::Tensor) -> wgpu_gru::Result<wgpu_gru::wgpu::BindGroupEntry<'_>> {
    /// # use wgpu_gru::wgpu;
    /// Ok(wgpu::BindGroupEntry { binding: 0, resource: output.binding()? })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Misaligned`] for such a part.
    pub fn binding(&self) -> Result<wgpu::BindingResource<'_>> {
        let alignment = u64::from(self.gpu.limits().min_storage_buffer_offset_alignment);
        let offset = self.byte_offset();
        if !offset.is_multiple_of(alignment) {
            return Err(Error::Misaligned { tensor: "tensor to bind".into(), offset, alignment });
        }
        let size = wgpu::BufferSize::new(self.byte_len());
        Ok(wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.buffer, offset, size }))
    }

    /// The buffer in which the tensor lies, from [`Tensor::byte_offset`] on: other tensors may lie in it too, so
    /// shaders of the app get [`Tensor::binding`]. Usage: `STORAGE | COPY_SRC | COPY_DST`, or what the app made it
    /// with.
    #[must_use]
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a tensor is never empty")]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where the tensor begins in its buffer, in bytes.
    #[must_use]
    pub fn byte_offset(&self) -> u64 {
        self.offset as u64 * 4
    }

    /// How long the tensor is, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.len() as u64 * 4
    }

    /// The part with these indices of the outermost axis: the same buffer, no copy.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the range is empty or reaches past the end.
    pub fn outer(&self, range: Range<usize>) -> Result<Self> {
        let rows = self.shape.first().copied().unwrap_or(1);
        if range.is_empty() || range.end > rows {
            return Err(Error::ShapeMismatch {
                tensor: "range of the outermost axis".into(),
                expected: vec![0, rows],
                actual: vec![range.start, range.end],
            });
        }
        let mut part = self.clone();
        part.offset += range.start * (self.len() / rows);
        if let Some(outermost) = part.shape.first_mut() {
            *outermost = range.len();
        }
        Ok(part)
    }

    /// The same numbers with another shape: the same buffer, no copy.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the shape holds another number of elements.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        expect_len("reshaped tensor", shape, self.len())?;
        Ok(Self { shape: shape.to_vec(), ..self.clone() })
    }

    /// Replaces the numbers. They arrive before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if `host` holds another number of elements, [`Error::BufferUsage`], [`Error::Refused`]
    /// for a buffer of the app that was destroyed or is mapped.
    pub fn write(&self, host: &[f32]) -> Result<()> {
        self.write_bytes(host.len(), bytemuck::cast_slice(host))
    }

    /// Replaces what it holds by whole numbers, one a place, for kernels that read it so.
    pub(crate) fn write_words(&self, host: &[u32]) -> Result<()> {
        self.write_bytes(host.len(), bytemuck::cast_slice(host))
    }

    /// Replaces what it holds by indices below `len`; one number more may be allowed. `name` is what errors call them.
    pub(crate) fn write_indices(
        &self,
        name: &'static str,
        host: &[usize],
        len: usize,
        allowed: Option<u32>,
    ) -> Result<()> {
        expect_len(name, &self.shape, host.len())?;
        let is_none = |&index: &usize| index >= len && allowed.is_none_or(|allowed| allowed as usize != index);
        if let Some(place) = host.iter().position(is_none) {
            return Err(Error::IndexOutOfRange { tensor: name, place, index: host[place], len });
        }
        self.write_words(&host.iter().map(|&index| index as u32).collect::<Vec<_>>())
    }

    fn write_bytes(&self, len: usize, bytes: &[u8]) -> Result<()> {
        expect_len("data to write", &self.shape, len)?;
        self.expect_usage("tensor to write", wgpu::BufferUsages::COPY_DST)?;
        self.gpu.expect_taken("the write of a tensor", || {
            self.gpu.queue().write_buffer(&self.buffer, self.byte_offset(), bytes);
            Ok(())
        })?;
        self.mark_written();
        Ok(())
    }

    /// Records a copy of `source`, which must have the same shape, into this tensor.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`] if both lie in one buffer,
    /// [`Error::BufferUsage`].
    pub fn encode_copy_from(&self, encoder: &mut wgpu::CommandEncoder, source: &Self) -> Result<()> {
        self.expect_copy_from(source)?;
        let (from, to) = (source.byte_offset(), self.byte_offset());
        encoder.copy_buffer_to_buffer(&source.buffer, from, &self.buffer, to, self.byte_len());
        self.mark_written();
        Ok(())
    }

    /// Checks that [`encode_copy_from`](Self::encode_copy_from) can be recorded.
    pub(crate) fn expect_copy_from(&self, source: &Self) -> Result<()> {
        crate::error::expect_shape("source of the copy", &self.shape, &source.shape)?;
        self.expect_same_device("source of the copy", source)?;
        if self.buffer == source.buffer {
            return Err(Error::Aliased { first: "source of the copy", second: "destination of the copy" });
        }
        source.expect_usage("source of the copy", wgpu::BufferUsages::COPY_SRC)?;
        self.expect_usage("destination of the copy", wgpu::BufferUsages::COPY_DST)
    }

    /// Records that the tensor becomes zero.
    ///
    /// # Errors
    /// [`Error::BufferUsage`].
    pub fn encode_clear(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.expect_usage("tensor to clear", wgpu::BufferUsages::COPY_DST)?;
        encoder.clear_buffer(&self.buffer, self.byte_offset(), Some(self.byte_len()));
        self.mark_written();
        Ok(())
    }

    /// Notes that the tensor is written: by what is recorded just now, or before the next submission's commands run.
    pub(crate) fn mark_written(&self) {
        self.written.mark(self.offset..self.offset + self.len());
    }

    /// When any of it was last written: a number that grows with every write.
    pub(crate) fn version(&self) -> u64 {
        self.written.last(self.offset..self.offset + self.len())
    }

    /// Checks that it lives on a device.
    pub(crate) fn expect_on(&self, gpu: &Gpu, name: impl Into<Cow<'static, str>>) -> Result<()> {
        if self.gpu.is_same_device(gpu) { Ok(()) } else { Err(Error::ForeignDevice { tensor: name.into() }) }
    }

    /// Checks that another tensor lives on the same device.
    pub(crate) fn expect_same_device(&self, name: &'static str, other: &Self) -> Result<()> {
        if self.gpu.is_same_device(&other.gpu) { Ok(()) } else { Err(Error::ForeignDevice { tensor: name.into() }) }
    }

    /// Checks that the buffer has a usage. The crate's own have all but `INDIRECT`.
    pub(crate) fn expect_usage(&self, tensor: &'static str, required: wgpu::BufferUsages) -> Result<()> {
        let actual = self.buffer.usage();
        if actual.contains(required) {
            return Ok(());
        }
        Err(Error::BufferUsage { tensor, required: required - actual, actual })
    }

    /// Checks that the tensor begins where kernels can load four numbers at once.
    pub(crate) fn expect_fours(&self, tensor: impl Into<Cow<'static, str>>) -> Result<()> {
        let (offset, alignment) = (self.byte_offset(), 16);
        if offset.is_multiple_of(alignment) {
            return Ok(());
        }
        Err(Error::Misaligned { tensor: tensor.into(), offset, alignment })
    }

    /// How many elements behind a multiple of 16 bytes it begins.
    pub(crate) fn phase(&self) -> usize {
        self.offset % 4
    }

    /// Whether two share elements.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let end = |tensor: &Self| tensor.offset + tensor.len();
        self.buffer == other.buffer && self.offset < end(other) && other.offset < end(self)
    }

    /// Whether two handles are of the very same elements.
    pub(crate) fn is_same_memory(&self, other: &Self) -> bool {
        self.buffer == other.buffer && self.offset == other.offset && self.len() == other.len()
    }

    /// Whether two are different parts of one buffer.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.buffer == other.buffer && !self.is_same_memory(other)
    }

    /// The whole tensor as a binding. Bindings begin at multiples of the device's alignment, tensors anywhere: the
    /// second value says how many elements of the binding come before the tensor. Kernels take it as an offset.
    pub(crate) fn view(&self) -> (View<'_>, u32) {
        self.view_of(0..self.len())
    }

    /// [`Tensor::view`] of some of the elements.
    pub(crate) fn view_of(&self, elements: Range<usize>) -> (View<'_>, u32) {
        let alignment = u64::from(self.gpu.limits().min_storage_buffer_offset_alignment);
        let begin = self.byte_offset() + elements.start as u64 * 4;
        let offset = begin / alignment * alignment;
        let before = begin - offset;
        (View { buffer: &self.buffer, offset, size: before + elements.len() as u64 * 4 }, (before / 4) as u32)
    }
}

/// One binding of several parts of one buffer, and how many elements of it come before each.
pub(crate) fn view_of_parts<'a>(parts: &[(&'a Tensor, Range<usize>)]) -> (View<'a>, Vec<u32>) {
    let views: Vec<_> = parts.iter().map(|(tensor, elements)| tensor.view_of(elements.clone())).collect();
    debug_assert!(views.iter().all(|(view, _)| view.buffer == views[0].0.buffer), "parts of several buffers");
    let begin = views.iter().map(|(view, _)| view.offset).min().unwrap_or_default();
    let end = views.iter().map(|(view, _)| view.offset + view.size).max().unwrap_or_default();
    let offsets = views.iter().map(|(view, before)| ((view.offset - begin) / 4) as u32 + before).collect();
    (View { buffer: views[0].0.buffer, offset: begin, size: end - begin }, offsets)
}

/// The bytes of a shape. A product that does not fit saturates, and is over every limit.
fn bytes_of(shape: &[usize]) -> u64 {
    shape.iter().fold(4_u64, |bytes, &size| bytes.saturating_mul(size as u64))
}
