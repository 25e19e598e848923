//! The checks that run in a browser and under Dawn: the same program in both. Most are those of `tests/checks`, which
//! native tests run as well. Every number is held to a budget of `wgpu_gru::tolerance` against the f64 oracle or a twin
//! in f64, every kernel that a browser can have is made, and no validation error of the device goes unheard.

#[path = "../../../tests/checks/mod.rs"]
mod checks;
mod device;
mod kernels;
mod run;
mod shapes;
mod support;
pub mod web;
