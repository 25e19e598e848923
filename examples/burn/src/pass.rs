//! Passes of wgpu-gru on burn's buffers.
//!
//! burn hands out parts of pages whose place changes from pass to pass, and a layer of wgpu-gru is laid out once, with
//! buffers that stay. So a pass copies what it reads into the layer's own buffers and what it makes out of them, in the
//! command buffer of the pass. README.md says what that costs, and what would make it needless.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuResource, WgpuServer};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Tensor, Unroll, Unrolled, Weights, wgpu};

/// What a pass is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// The output alone.
    Output,
    /// What its backward pass needs, which makes the gradient of the input or not.
    Gradients { input: bool },
}

/// What a layer is laid out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Size {
    steps: usize,
    rows: usize,
    wanted: Wanted,
}

/// The layers of a module that are laid out and idle, by their sizes: as many of each as were ever in use at a time. A
/// layer is in use from its forward pass until autodiff has no more need of it.
#[derive(Debug, Clone)]
pub(crate) struct Layouts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gpu: Gpu,
    config: GruConfig,
    idle: Mutex<HashMap<Size, Vec<Layout>>>,
}

/// A layer with parameters of its own, which so stay as they are until its backward pass.
#[derive(Debug)]
struct Layout {
    layer: Gru,
    unrolled: Unrolled,
}

/// One forward pass, and its backward pass.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    size: Size,
    layout: Mutex<Option<Layout>>,
}

impl Layouts {
    pub(crate) fn new(gpu: &Gpu, config: GruConfig) -> Self {
        Self { shared: Arc::new(Shared { gpu: gpu.clone(), config, idle: Mutex::default() }) }
    }

    /// A pass for its output alone.
    pub(crate) fn pass(&self, steps: usize, rows: usize) -> Pass {
        Pass::new(self.shared.clone(), Size { steps, rows, wanted: Wanted::Output })
    }
}

impl Shared {
    fn layout(&self, size: Size) -> Result<Layout> {
        if let Some(layout) = lock(&self.idle).get_mut(&size).and_then(Vec::pop) {
            return Ok(layout);
        }
        let Size { steps, rows, wanted } = size;
        let unroll = match wanted {
            Wanted::Output => Unroll::inference(steps, rows),
            Wanted::Gradients { input } => Unroll::training(steps, rows).input_gradient(input),
        };
        // The weights are copied in by each pass.
        let layer = Gru::with_weights(&self.gpu, self.config.clone(), &Weights::random(&self.config, 0))?;
        let unrolled = layer.unroll(unroll)?;
        Ok(Layout { layer, unrolled })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(layout) = lock(&self.layout).take() {
            lock(&self.shared.idle).entry(self.size).or_default().push(layout);
        }
    }
}

impl Pass {
    fn new(shared: Arc<Shared>, size: Size) -> Self {
        Self { inner: Arc::new(Inner { shared, size, layout: Mutex::new(None) }) }
    }

    /// Another pass of the same sizes.
    pub(crate) fn wanting(&self, wanted: Wanted) -> Self {
        Self::new(self.inner.shared.clone(), Size { wanted, ..self.inner.size })
    }

    pub(crate) fn input_gradient(&self) -> bool {
        self.inner.size.wanted == Wanted::Gradients { input: true }
    }

    /// Of x, the state, and the parameters, as burn has them.
    pub(crate) fn shapes(&self) -> [Shape; 6] {
        let Size { steps, rows, .. } = self.inner.size;
        let GruConfig { input_size, hidden_size, .. } = self.inner.shared.config;
        let gates = 3 * hidden_size;
        [
            Shape::from([rows, steps, input_size]),
            Shape::from([rows, hidden_size]),
            Shape::from([gates, input_size]),
            Shape::from([gates, hidden_size]),
            Shape::from([gates]),
            Shape::from([gates]),
        ]
    }

    pub(crate) fn output_shape(&self) -> Shape {
        let Size { steps, rows, .. } = self.inner.size;
        Shape::from([rows, steps, self.inner.shared.config.hidden_size])
    }

    /// Runs the forward pass on x, the state and the parameters.
    ///
    /// # Panics
    /// Where the device cannot have the layer, or burn runs on another device.
    pub(crate) fn forward(&self, inputs: [CubeTensor; 6]) -> CubeTensor {
        let mut slot = lock(&self.inner.layout);
        let layout = match slot.take() {
            Some(layout) => layout,
            None => done(self.inner.shared.layout(self.inner.size)),
        };
        let Layout { layer, unrolled } = slot.insert(layout);
        let inputs = inputs.map(into_contiguous);
        let output = empty_like(&inputs[0], self.output_shape());
        // From here on all that burn has recorded for these buffers is submitted.
        let (sources, target) = (inputs.each_ref().map(place), place(&output));
        done(self.inner.shared.gpu.submit(|encoder| {
            let reads = [unrolled.input(), unrolled.h0()].into_iter().chain(layer.parameters().tensors());
            for (source, read) in sources.iter().zip(reads) {
                copy_in(encoder, &source.resource, read);
            }
            unrolled.encode_forward(encoder)?;
            copy_out(encoder, unrolled.output(), &target.resource);
            Ok(())
        }));
        output
    }

    /// Runs the backward pass: the gradient of x if it is wanted, and those of the state and the parameters.
    ///
    /// # Panics
    /// Where there was no forward pass that kept something for it.
    pub(crate) fn backward(&self, d_output: CubeTensor) -> (Option<CubeTensor>, [CubeTensor; 5]) {
        let mut slot = lock(&self.inner.layout);
        let Some(Layout { unrolled, .. }) = slot.as_mut() else {
            panic!("GRU: a backward pass without a forward pass");
        };
        let d_output = into_contiguous(d_output);
        let gradients = done(unrolled.gradients()).clone();
        let [x, others @ ..] = self.shapes().map(|shape| empty_like(&d_output, shape));
        let x = gradients.input.is_some().then_some(x);
        let made = gradients.input.iter().chain([&gradients.h0]).chain(gradients.parameters.tensors());
        let source = place(&d_output);
        let targets: Vec<_> = x.iter().chain(&others).map(place).collect();
        done(self.inner.shared.gpu.submit(|encoder| {
            copy_in(encoder, &source.resource, unrolled.d_output()?);
            unrolled.encode_backward(encoder)?;
            for (made, target) in made.zip(&targets) {
                copy_out(encoder, made, &target.resource);
            }
            Ok(())
        }));
        (x, others)
    }
}

/// A tensor of burn's, to be written.
fn empty_like(tensor: &CubeTensor, shape: Shape) -> CubeTensor {
    let handle = tensor.client.empty(shape.num_elements() * DType::F32.size());
    CubeTensor::new_contiguous(tensor.client.clone(), tensor.device.clone(), shape, handle, DType::F32)
}

/// The place of a tensor's numbers, kept as long as this lives.
struct Place<P> {
    resource: WgpuResource,
    /// burn may move what nobody holds.
    _pin: P,
}

/// The place of a tensor's numbers. Asking for it makes burn submit what it has recorded on the streams of the tensor
/// and of this thread, so that the queue has it before what follows.
fn place(tensor: &CubeTensor) -> Place<impl Sized + use<>> {
    let managed = tensor
        .client
        .get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone())
        .unwrap_or_else(|error| panic!("GRU: burn gives no buffer of wgpu: {error}"));
    Place { resource: managed.resource().clone(), _pin: managed }
}

fn copy_in(encoder: &mut wgpu::CommandEncoder, from: &WgpuResource, to: &Tensor) {
    encoder.copy_buffer_to_buffer(&from.buffer, from.offset, to.buffer(), to.byte_offset(), to.byte_len());
}

fn copy_out(encoder: &mut wgpu::CommandEncoder, from: &Tensor, to: &WgpuResource) {
    encoder.copy_buffer_to_buffer(from.buffer(), from.byte_offset(), &to.buffer, to.offset, from.byte_len());
}

fn done<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("GRU: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
