//! Checks that run natively, as tests of the GPU, and in browsers, from one source. Each is an async function that
//! gives why it failed instead of panicking, since a panic would end a browser's program. The crate around them has a
//! module `support` with the numbers of `tests/support/numbers.rs` and with `own_device`.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;

use wgpu_gru::Program;
use wgpu_gru::wgpu::CommandEncoder;
use wgpu_gru::{Error, Gpu, Tensor};

use crate::support::to_bits;

/// The checks of a module, by name.
macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        pub(crate) const CHECKS: &[(&str, crate::checks::Check)] =
            &[$((stringify!($check), |gpu| Box::pin($check(gpu)))),*];
    };
}

pub(crate) mod classes;
pub(crate) mod embedding;
pub(crate) mod errors;
pub(crate) mod finite;
pub(crate) mod first_state;
pub(crate) mod layer;
pub(crate) mod long_sums;
pub(crate) mod losses;
pub(crate) mod matmul;
pub(crate) mod options;
pub(crate) mod over;
pub(crate) mod passes;
pub(crate) mod single;
pub(crate) mod steps;
pub(crate) mod stream;
pub(crate) mod train;
pub(crate) mod tuning;

pub(crate) use layer::{as_planned, check, check_episodes, check_inference, check_lengths, check_outputs, everywhere};

/// Where every pipeline takes its time, a check may make fewer of them than natively: those that take other ways.
pub(crate) const BRIEF: bool = cfg!(target_arch = "wasm32");

/// All that there are, by module.
pub(crate) const MODULES: &[(&str, &[(&str, Check)])] = &[
    ("matmul", matmul::CHECKS),
    ("single", single::CHECKS),
    ("over", over::CHECKS),
    ("long_sums", long_sums::CHECKS),
    ("options", options::CHECKS),
    ("stream", stream::CHECKS),
    ("losses", losses::CHECKS),
    ("classes", classes::CHECKS),
    ("embedding", embedding::CHECKS),
    ("train", train::CHECKS),
    ("steps", steps::CHECKS),
    ("passes", passes::CHECKS),
    ("first_state", first_state::CHECKS),
    ("tuning", tuning::CHECKS),
    ("finite", finite::CHECKS),
    ("errors", errors::CHECKS),
];

/// A check of a device.
pub(crate) type Check = for<'a> fn(&'a Gpu) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// How a check ended.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a check failed, and where.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    place: &'static Location<'static>,
}

impl Failure {
    /// In words.
    pub(crate) fn describe(&self) -> String {
        format!("{}:{}: {}", self.place.file(), self.place.line(), self.text)
    }
}

impl<E: Display> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self { text: error.to_string(), place: Location::caller() }
    }
}

/// Fails with a message unless something is so.
#[track_caller]
pub(crate) fn ensure(is_so: bool, message: impl Display) -> Outcome {
    if is_so { Ok(()) } else { Err(message.into()) }
}

/// Fails unless two things are the same.
#[track_caller]
pub(crate) fn equal<A, E>(actual: &A, expected: &E, what: impl Display) -> Outcome
where
    A: Debug + PartialEq<E> + ?Sized,
    E: Debug + ?Sized,
{
    ensure(actual == expected, format_args!("{what}: {actual:?}, expected {expected:?}"))
}

/// Fails unless an error is exactly this, fields and all.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, expected: &Error) -> Outcome {
    match result {
        Err(error) => equal(&format!("{error:?}"), &format!("{expected:?}"), "the whole error"),
        Ok(_) => Err(format!("no error, expected {expected:?}").into()),
    }
}

/// A tensor that holds these numbers.
pub(crate) fn tensor(gpu: &Gpu, shape: &[usize], host: &[f32]) -> wgpu_gru::Result<Tensor> {
    Tensor::from_slice(gpu, shape, host)
}

/// The same of one axis.
pub(crate) fn flat(gpu: &Gpu, host: &[f32]) -> wgpu_gru::Result<Tensor> {
    tensor(gpu, &[host.len()], host)
}

/// A tensor of zeros.
pub(crate) fn zeros(gpu: &Gpu, shape: &[usize]) -> wgpu_gru::Result<Tensor> {
    Tensor::zeros(gpu, shape)
}

/// The bits that a tensor holds.
pub(crate) async fn bits(tensor: &Tensor) -> wgpu_gru::Result<Vec<u32>> {
    Ok(to_bits(&tensor.read().await?))
}

/// Submits a program.
pub(crate) fn run(gpu: &Gpu, program: &Program) -> wgpu_gru::Result<()> {
    record(gpu, |encoder| program.encode(encoder))
}

/// Submits what cannot fail to be recorded.
pub(crate) fn record(gpu: &Gpu, commands: impl FnOnce(&mut CommandEncoder)) -> wgpu_gru::Result<()> {
    gpu.submit(|encoder| {
        commands(encoder);
        Ok(())
    })
}
