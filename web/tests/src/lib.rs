//! The checks that run in a browser and under Dawn: the same program in both. Every number is held to a budget of
//! `wgpu_gru::tolerance` against the f64 oracle or a twin in f64, every kernel that a browser can have is made, and no
//! validation error of the device goes unheard.

mod device;
mod kernels;
mod options;
mod products;
mod run;
mod shapes;
mod stream;
mod train;
pub mod web;
