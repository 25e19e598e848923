//! What the environment asks of a run. Whatever cannot be understood is an error, never a run that tests something
//! else.

use std::num::NonZeroU32;

use wgpu_gru::wgpu::DeviceType;

/// Without an adapter every test fails.
pub(crate) const REQUIRE_GPU: &str = "WGPU_GRU_REQUIRE_GPU";
/// Without cooperative matrices the tests that need them fail.
pub(crate) const REQUIRE_COOPERATIVE: &str = "WGPU_GRU_REQUIRE_COOPERATIVE";
/// Prints how much of its error budgets each module uses, and how long it takes.
pub(crate) const REPORT: &str = "WGPU_GRU_REPORT";
/// How many layers `combinations` draws.
pub(crate) const CASES: &str = "WGPU_GRU_CASES";
/// From which seed it draws them.
pub(crate) const SEED: &str = "WGPU_GRU_SEED";
/// The class of adapter that every layer is planned for: `discrete` or `cpu`.
pub(crate) const PLAN_AS: &str = "WGPU_GRU_PLAN_AS";

/// Whether a switch is on: any value but an empty one, 0, false and no, in any case.
pub(crate) fn is_on(switch: &str) -> bool {
    std::env::var_os(switch).is_some_and(|value| means_on(&value.to_string_lossy()))
}

fn means_on(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    !["", "0", "false", "no"].contains(&value.as_str())
}

/// The value of a variable, if it has one.
fn value(variable: &str) -> Result<Option<String>, String> {
    match std::env::var(variable) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(value)) => Err(format!("{variable}={value:?} is not text")),
    }
}

fn parsed<T: std::str::FromStr>(variable: &str, what: &str) -> Result<Option<T>, String> {
    let wrong = |value| format!("{variable}={value} is not {what}");
    value(variable)?.map(|value| value.parse().map_err(|_| wrong(value))).transpose()
}

fn cases_wanted() -> Result<Option<NonZeroU32>, String> {
    parsed(CASES, "a number of cases, 1 or more")
}

fn seed_wanted() -> Result<Option<u64>, String> {
    parsed(SEED, "a seed, a whole number below 2^64")
}

fn class_wanted() -> Result<Option<DeviceType>, String> {
    value(PLAN_AS)?
        .map(|value| class(&value).ok_or(format!("{PLAN_AS}={value} is neither discrete nor cpu")))
        .transpose()
}

fn class(value: &str) -> Option<DeviceType> {
    match value.to_lowercase().as_str() {
        "discrete" => Some(DeviceType::DiscreteGpu),
        "cpu" => Some(DeviceType::Cpu),
        _ => None,
    }
}

/// Finds what cannot be understood, before any test runs.
pub(crate) fn check() -> Result<(), String> {
    cases_wanted()?;
    seed_wanted()?;
    class_wanted().map(drop)
}

const CHECKED: &str = "main has looked at it";

pub(crate) fn cases() -> Option<u32> {
    cases_wanted().expect(CHECKED).map(NonZeroU32::get)
}

pub(crate) fn seed() -> Option<u64> {
    seed_wanted().expect(CHECKED)
}

/// The class of adapter to plan for, if that is not to be the adapter's own.
pub(crate) fn planned_as() -> Option<DeviceType> {
    class_wanted().expect(CHECKED)
}

/// Needs no adapter.
pub(crate) fn they_are_understood() {
    for value in ["1", "true", "yes", "on", "TRUE", " 2 ", "-", "x"] {
        assert!(means_on(value), "{value:?}");
    }
    for value in ["", " ", "0", "false", "no", "False", "NO", " no "] {
        assert!(!means_on(value), "{value:?}");
    }
    let planned = ["discrete", "Discrete", "cpu", "gpu", "1"].map(class);
    let (discrete, cpu) = (Some(DeviceType::DiscreteGpu), Some(DeviceType::Cpu));
    assert_eq!(planned, [discrete, discrete, cpu, None, None], "the two classes");
}
