//! Every test that needs a GPU. Without an adapter each is reported as ignored; with `WGPU_GRU_REQUIRE_GPU=1`, as
//! failed. The device is opened once; a test that breaks its device, counts what it makes, or needs other limits opens
//! one of its own.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use wgpu_gru::{Error, Gpu, wgpu};

/// The tests of a module, by name.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub(crate) const TRIALS: &[(&str, crate::Test)] = &[$((stringify!($test), $test)),*];
    };
}

#[path = "../support/any_options.rs"]
mod any_options;
mod app;
mod arrange;
mod bad_places;
mod cells;
mod chunks;
mod combinations;
mod controls;
mod cooperative;
mod device;
mod errors;
mod golden;
mod golden_options;
mod guide;
mod half;
mod in_range;
mod layer;
mod lost;
mod matmul;
#[expect(dead_code, reason = "the test of the oracle uses the rest")]
#[path = "../support/options.rs"]
mod option_vectors;
mod options;
mod places;
mod promises;
mod recurrence;
mod resident;
mod stream;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod train;
mod training;
#[path = "../support/golden.rs"]
mod vectors;

type Test = fn(&Gpu);

/// The module whose tests need cooperative matrices: where the adapter says nothing of them each is reported as ignored; with
/// `WGPU_GRU_REQUIRE_COOPERATIVE=1`, as failed.
const COOPERATIVE: &str = "cooperative";

const MODULES: &[(&str, &[(&str, Test)])] = &[
    ("matmul", matmul::TRIALS),
    ("options", options::TRIALS),
    ("combinations", combinations::TRIALS),
    ("sums", sums::TRIALS),
    ("recurrence", recurrence::TRIALS),
    ("cells", cells::forward::TRIALS),
    ("cells", cells::backward::TRIALS),
    ("arrange", arrange::TRIALS),
    ("half", half::TRIALS),
    (COOPERATIVE, cooperative::TRIALS),
    ("in_range", in_range::TRIALS),
    ("resident", resident::TRIALS),
    ("train", train::TRIALS),
    ("training", training::TRIALS),
    ("golden", golden::TRIALS),
    ("golden_options", golden_options::TRIALS),
    ("layer", layer::TRIALS),
    ("chunks", chunks::TRIALS),
    ("promises", promises::TRIALS),
    ("places", places::TRIALS),
    ("bad_places", bad_places::TRIALS),
    ("app", app::TRIALS),
    ("stream", stream::TRIALS),
    ("guide", guide::TRIALS),
    ("errors", errors::TRIALS),
    ("lost", lost::TRIALS),
    ("controls", controls::TRIALS),
];

/// The optional features without which the tests of a module have nothing to test.
fn needs(module: &str) -> wgpu::Features {
    match module {
        "resident" => resident::FEATURES,
        _ => wgpu::Features::empty(),
    }
}

#[expect(clippy::print_stderr, reason = "which adapter was tested is part of the result")]
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_set = |variable| std::env::var(variable).is_ok_and(|value| value == "1");
    let required = is_set("WGPU_GRU_REQUIRE_GPU");
    let gpu = Gpu::new_blocking();
    match &gpu {
        Ok(gpu) => eprintln!("adapter: {}", gpu.describe()),
        Err(error) => eprintln!("adapter: {error}"),
    }
    // An adapter that is there but does not open, or one that was asked for by name, is a failure in any case.
    let absent = matches!(gpu, Err(Error::NoAdapter { wanted: None, .. }));

    let without_matrices =
        !is_set("WGPU_GRU_REQUIRE_COOPERATIVE") && gpu.as_ref().is_ok_and(|gpu| cooperative::advertised(gpu).is_none());

    let available = match &gpu {
        Ok(gpu) => device::adapter(gpu).features(),
        Err(_) => wgpu::Features::empty(),
    };
    let is_open = gpu.is_ok();
    // A device for each test that runs: a software adapter compiles all kernels of a device on one thread. One that a test has
    // failed on is not used again.
    let devices = Arc::new(Mutex::new(vec![gpu]));

    let trial = |name: String, test: Test| {
        let is_ignored = (absent && !required) || (name.starts_with(COOPERATIVE) && without_matrices);
        let devices = devices.clone();
        let run = move || {
            let free = devices.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let gpu = free.unwrap_or_else(Gpu::new_blocking).map_err(Failed::from)?;
            test(&gpu);
            devices.lock().unwrap_or_else(PoisonError::into_inner).push(Ok(gpu));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(is_ignored)
    };
    let mut trials = vec![trial("adapter".into(), |gpu| assert!(!gpu.describe().is_empty(), "an adapter has a name"))];
    for &(module, tests) in MODULES {
        let lacking = if is_open { needs(module) - available } else { wgpu::Features::empty() };
        if !lacking.is_empty() {
            eprintln!("{module}: ignored, the adapter lacks {lacking:?}");
        }
        let of_module = |&(name, test): &(&str, Test)| {
            let trial = trial(format!("{module}::{name}"), test);
            if lacking.is_empty() { trial } else { trial.with_ignored_flag(true) }
        };
        trials.extend(tests.iter().map(of_module));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
