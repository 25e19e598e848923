//! What checks have in common: the device, what it complained of, and what came out so far.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use wgpu_gru::Program;
use wgpu_gru::harness;
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::{Cell as CellKind, Config, Error, Gpu, Recurrent, Tensor, Tolerance, Unroll, Unrolled, wgpu};

/// Why a check failed.
pub(crate) struct Failure(String);

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// How a check ended.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Fails with a message unless something is so.
pub(crate) fn ensure(is_so: bool, message: impl FnOnce() -> String) -> Outcome {
    if is_so { Ok(()) } else { Err(Failure(message())) }
}

/// A check by name.
pub(crate) type Check = (&'static str, for<'a> fn(&'a Run) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>);

/// The checks of a module, by name.
macro_rules! checks {
    ($module:literal: $($check:ident),* $(,)?) => {
        pub(crate) const CHECKS: &[crate::run::Check] =
            &[$((concat!($module, "::", stringify!($check)), |run| Box::pin($check(run)))),*];
    };
}
pub(crate) use checks;

/// What a device has of which wgpu does not know.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beyond {
    /// Of 8 invocations: `harness::assume_subgroups_of_8`.
    pub subgroups: bool,
}

/// A run of the checks.
pub(crate) struct Run {
    gpu: Gpu,
    beyond: Beyond,
    /// Kernels that were made on other devices.
    also_made: RefCell<HashSet<&'static str>>,
    /// Errors that nobody caught, from whenever on.
    complaints: Arc<Mutex<Vec<String>>>,
    /// Comparisons of the check that runs, and the largest share of a budget in them.
    compared: Cell<usize>,
    worst: Cell<f64>,
    /// What it has to say besides.
    notes: RefCell<Vec<String>>,
}

impl Run {
    /// Checks on this device, whose uncaught errors are heard from now on.
    pub(crate) fn new(gpu: Gpu, beyond: Beyond) -> Self {
        if beyond.subgroups {
            harness::assume_subgroups_of_8(&gpu);
        }
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let heard = complaints.clone();
        gpu.device().on_uncaptured_error(Arc::new(move |error| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
        }));
        Self {
            gpu,
            beyond,
            also_made: RefCell::default(),
            complaints,
            compared: Cell::new(0),
            worst: Cell::new(0.0),
            notes: RefCell::default(),
        }
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(crate) fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// Counts the kernels that another device has made.
    pub(crate) fn also_made(&self, gpu: &Gpu) {
        self.also_made.borrow_mut().extend(made(gpu));
    }

    /// Every kernel, and whether it was made.
    pub(crate) fn kernels(&self) -> Vec<(&'static str, bool)> {
        let also = self.also_made.borrow();
        harness::kernels(&self.gpu).into_iter().map(|(name, made)| (name, made || also.contains(name))).collect()
    }

    /// Says something of a check that passes.
    pub(crate) fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }

    /// Runs a check; gives what it has to say, or why it failed.
    pub(crate) async fn check(&self, (_, check): Check) -> Result<String, String> {
        self.compared.set(0);
        self.worst.set(0.0);
        let outcome = check(self).await;
        // Every error of a command that was submitted before is there when its numbers are.
        let flushed = self.flush().await;
        let complaints = std::mem::take(&mut *self.complaints.lock().unwrap_or_else(PoisonError::into_inner));
        let notes = self.notes.take();
        let wrong: Vec<String> =
            [outcome, flushed].into_iter().filter_map(Result::err).map(|Failure(why)| why).chain(complaints).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        let compared =
            format!("{} compared, {:.2} % of a budget at most", self.compared.get(), 100.0 * self.worst.get());
        let compared = (self.compared.get() > 0).then_some(compared);
        Ok(compared.into_iter().chain(notes).collect::<Vec<_>>().join("; "))
    }

    async fn flush(&self) -> Outcome {
        Tensor::zeros(&self.gpu, &[1])?.read().await?;
        Ok(())
    }

    /// A tensor that holds numbers.
    pub(crate) fn tensor(&self, host: &[f32]) -> Outcome<Tensor> {
        Ok(Tensor::from_slice(&self.gpu, &[host.len()], host)?)
    }

    /// Runs a program.
    pub(crate) fn submit(&self, program: &Program) -> Outcome {
        self.gpu.submit(|encoder| {
            program.encode(encoder);
            Ok(())
        })?;
        Ok(())
    }

    fn compared(&self, share: f64) {
        self.compared.set(self.compared.get() + 1);
        self.worst.set(self.worst.get().max(share));
    }

    /// Fails unless every number of an array is within its budget.
    pub(crate) fn close<A, E>(&self, name: &str, actual: &[A], expected: &[E], tolerance: Tolerance) -> Outcome
    where
        A: Copy + Into<f64>,
        E: Copy + Into<f64>,
    {
        ensure(actual.len() == expected.len(), || format!("{name}: {} of {} numbers", actual.len(), expected.len()))?;
        let worst = tolerance.compare(actual, expected);
        self.compared(worst.share);
        ensure(worst.passed(), || {
            let (index, percent) = (worst.index, 100.0 * worst.share);
            format!(
                "{name}[{index}] is {:e}, expected {:e}: {percent:.1} % of the budget",
                worst.actual, worst.expected
            )
        })
    }

    /// A layer forward and backward over a random batch against the oracle, every tensor of it.
    pub(crate) async fn layer<C: Copy + Into<CellKind>>(
        &self,
        config: &Config<C>,
        unroll: Unroll,
    ) -> Outcome<Unrolled> {
        let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
        self.layer_over(config, unroll, &batch).await
    }

    /// The same where rows have lengths.
    pub(crate) async fn layer_of_lengths<C: Copy + Into<CellKind>>(
        &self,
        config: &Config<C>,
        unroll: Unroll,
        lengths: &[usize],
    ) -> Outcome<Unrolled> {
        let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
        self.layer_over(config, unroll.lengths(true), &Batch { lengths: Some(lengths.to_vec()), ..batch }).await
    }

    async fn layer_over<C: Copy + Into<CellKind>>(
        &self,
        config: &Config<C>,
        unroll: Unroll,
        batch: &Batch,
    ) -> Outcome<Unrolled> {
        let config = config.erased();
        let layer = Recurrent::new(&self.gpu, config.clone(), 3)?;
        let mut net = layer.unroll(unroll)?;
        let report = match verify_batch(&layer, &mut net, batch).await {
            Ok(report) => report,
            Err(Error::OverBudget(report)) => return Err(Failure(format!("{config:?} {unroll:?}\n{report}"))),
            Err(error) => return Err(Failure(format!("{config:?} {unroll:?}: {error}"))),
        };
        let parameters = config.num_cells() * if config.bias { 4 } else { 2 };
        let wanted = usize::from(unroll.gradient_norms) + usize::from(unroll.input_gradient);
        ensure(report.tensors.len() == 3 + parameters + wanted, || format!("{config:?} {unroll:?}\n{report}"))?;
        report.tensors.iter().for_each(|tensor| self.compared(tensor.worst.share));
        Ok(net)
    }

    /// A layer without training: output and last states.
    pub(crate) async fn inference<C: Copy + Into<CellKind>>(&self, config: &Config<C>, unroll: Unroll) -> Outcome {
        let config = config.erased();
        let layer = Recurrent::new(&self.gpu, config.clone(), 3)?;
        let batch = Batch::random(&config, unroll.seq_len, unroll.batch, 5);
        let expected = wgpu_gru::verify::expectation_of(&config, &unroll, &layer.read_weights().await?, &batch);
        let mut net = layer.unroll(unroll)?;
        let [x, h0] = [(net.input(), &batch.x), (net.h0(), &batch.h0)]
            .map(|(place, host)| Tensor::from_slice(&self.gpu, place.shape(), host));
        let out = net.forward(&x?, Some(&h0?))?;
        for (tensor, expected) in [(out.output, &expected[0]), (out.h_n, &expected[1])] {
            let name = format!("{config:?} {unroll:?}: {}", expected.tensor);
            self.close(&name, &tensor.read().await?, &expected.values, expected.tolerance)?;
        }
        Ok(())
    }
}

/// A device as an app opens it.
pub(crate) async fn open(required_limits: wgpu::Limits) -> Outcome<Gpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = adapter.request_device(&descriptor).await?;
    Ok(Gpu::from_device(device, queue))
}

fn made(gpu: &Gpu) -> impl Iterator<Item = &'static str> {
    harness::kernels(gpu).into_iter().filter_map(|(name, made)| made.then_some(name))
}

/// The same numbers in f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The bits of the numbers.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest number.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}
