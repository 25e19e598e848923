//! Every test that needs a GPU. Without an adapter each is reported as ignored; with `WGPU_GRU_REQUIRE_GPU=1`, as
//! failed. The device is opened once; a test that breaks its device, counts what it makes, or needs other limits opens
//! one of its own.
//!
//! With `WGPU_GRU_PLAN_AS=discrete` every layer is planned as for a discrete GPU, so that a software adapter runs what
//! a GPU gets; tests that no plan reaches are then reported as ignored. `WGPU_GRU_REPORT=1` prints how much of its
//! error budgets each module uses. `settings` has all that the environment can ask.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use wgpu_gru::{Error, Gpu};

use checks::Check;
use support::report::Report;
use support::settings;

/// The tests of a module, by name.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub(crate) const TRIALS: &[(&str, crate::Test)] = &[$((stringify!($test), $test)),*];
    };
}

mod activations;
mod any_number;
mod app;
mod arrange;
mod bad_places;
mod bindings;
mod buffers_of_the_app;
mod cells;
#[path = "../checks/mod.rs"]
mod checks;
mod chunks;
mod combinations;
mod controls;
mod cooperative;
mod cuts;
mod denoise;
mod errors;
mod exchange;
mod frame;
mod golden;
mod guide;
mod half;
mod heads;
mod in_range;
mod keras;
mod layer;
mod lost;
mod matmul;
mod nonfinite;
mod onnx;
mod optimisers;
mod past_a_grid;
mod places;
mod promises;
mod pronounce;
mod recurrence;
mod rows;
mod small_devices;
mod state_dict;
mod stream;
mod sums;
mod support;
mod versions;

type Test = fn(&Gpu);

/// What runs here alone, or here and in browsers.
#[derive(Clone, Copy)]
enum Body {
    Test(Test),
    Check(Check),
}

impl Body {
    fn run(self, gpu: &Gpu) -> Result<(), Failed> {
        match self {
            Self::Test(test) => test(gpu),
            Self::Check(check) => pollster::block_on(check(gpu)).map_err(|failure| failure.describe())?,
        }
        Ok(())
    }
}

/// The module whose tests need cooperative matrices: where the adapter says nothing of them each is reported as
/// ignored; where `WGPU_GRU_REQUIRE_COOPERATIVE` is on, as failed.
const COOPERATIVE: &str = "cooperative";

const MODULES: &[(&str, &[(&str, Test)])] = &[
    ("matmul", matmul::TRIALS),
    ("combinations", combinations::TRIALS),
    ("sums", sums::TRIALS),
    ("past_a_grid", past_a_grid::TRIALS),
    ("nonfinite", nonfinite::TRIALS),
    ("recurrence", recurrence::TRIALS),
    ("rows", rows::TRIALS),
    ("cuts", cuts::TRIALS),
    ("cells", cells::forward::TRIALS),
    ("cells", cells::backward::TRIALS),
    ("arrange", arrange::TRIALS),
    ("half", half::TRIALS),
    (COOPERATIVE, cooperative::TRIALS),
    ("in_range", in_range::TRIALS),
    ("optimisers", optimisers::TRIALS),
    ("heads", heads::TRIALS),
    ("small_devices", small_devices::TRIALS),
    ("state_dict", state_dict::TRIALS),
    ("keras", keras::TRIALS),
    ("golden", golden::TRIALS),
    ("onnx", onnx::TRIALS),
    ("layer", layer::TRIALS),
    ("chunks", chunks::TRIALS),
    ("promises", promises::TRIALS),
    ("places", places::TRIALS),
    ("bad_places", bad_places::TRIALS),
    ("app", app::TRIALS),
    ("stream", stream::TRIALS),
    ("guide", guide::TRIALS),
    ("errors", errors::TRIALS),
    ("exchange", exchange::TRIALS),
    ("frame", frame::TRIALS),
    ("versions", versions::TRIALS),
    ("bindings", bindings::TRIALS),
    ("buffers_of_the_app", buffers_of_the_app::TRIALS),
    ("any_number", any_number::TRIALS),
    ("lost", lost::TRIALS),
    ("controls", controls::TRIALS),
    ("activations", activations::TRIALS),
    ("pronounce", pronounce::TRIALS),
    ("denoise", denoise::TRIALS),
];

/// Modules that no plan reaches, since each test says itself which kernels run, or for which class of adapter: planned
/// as another class than the adapter is, they would do the same once more.
const IN_ANY_PLAN: &[&str] =
    &["arrange", "cells", COOPERATIVE, "cuts", "matmul", "recurrence", "rows", "single", "sums"];

#[expect(clippy::print_stderr, reason = "which adapter was tested is part of the result")]
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(error) = settings::check() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let required = settings::is_on(settings::REQUIRE_GPU);
    let opened = || Gpu::new_blocking().map(support::planned);
    let gpu = opened();
    match &gpu {
        Ok(gpu) => eprintln!("adapter: {}", gpu.describe()),
        Err(error) => eprintln!("adapter: {error}"),
    }
    // An adapter that is there but does not open, or one that was asked for by name, is a failure in any case.
    let absent = matches!(gpu, Err(Error::NoAdapter { wanted: None, .. }));

    let without_matrices = !settings::is_on(settings::REQUIRE_COOPERATIVE)
        && gpu.as_ref().is_ok_and(|gpu| cooperative::advertised(gpu).is_none());

    // In the adapter's own plan every module runs.
    let planned_as =
        settings::planned_as().filter(|&class| gpu.as_ref().is_ok_and(|gpu| gpu.info().device_type != class));
    if let Some(class) = planned_as {
        eprintln!("planned as for a {class:?}; ignored, since no plan reaches them: {}", IN_ANY_PLAN.join(", "));
    }
    // A device for each test that runs: a software adapter compiles all kernels of a device on one thread. One that a
    // test has failed on is not used again.
    let devices = Arc::new(Mutex::new(vec![gpu]));
    let report = Arc::new(Report::default());

    let trial = |module: &'static str, name: &str, body: Body| {
        let is_ignored = (absent && !required)
            || (module == COOPERATIVE && without_matrices)
            || (planned_as.is_some() && IN_ANY_PLAN.contains(&module));
        let (devices, report) = (devices.clone(), report.clone());
        let run = move || {
            let free = devices.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let gpu = free.unwrap_or_else(opened).map_err(Failed::from)?;
            let begin = Instant::now();
            support::take_largest_share();
            body.run(&gpu)?;
            report.add(module, begin.elapsed(), support::take_largest_share());
            devices.lock().unwrap_or_else(PoisonError::into_inner).push(Ok(gpu));
            Ok(())
        };
        let name = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
        Trial::test(name, run).with_ignored_flag(is_ignored)
    };
    let has_name: Test = |gpu| assert!(!gpu.describe().is_empty(), "an adapter has a name");
    let understood: Test = |_| settings::they_are_understood();
    let mut trials = vec![trial("", "adapter", Body::Test(has_name)), trial("", "settings", Body::Test(understood))];
    for &(module, checks) in checks::MODULES {
        trials.extend(checks.iter().map(|&(name, check)| trial(module, name, Body::Check(check))));
    }
    for &(module, tests) in MODULES {
        trials.extend(tests.iter().map(|&(name, test)| trial(module, name, Body::Test(test))));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if settings::is_on(settings::REPORT) {
        eprint!("{report}");
    }
    conclusion.exit_code()
}
