//! What several test binaries share.

#![expect(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod adam;
pub(crate) mod any_options;
pub(crate) mod error;
pub(crate) mod exported;
pub(crate) mod golden;
pub(crate) mod hdf5;
pub(crate) mod keras;
pub(crate) mod numbers;
pub(crate) mod onnx;
pub(crate) mod plain;
pub(crate) mod rounded;
pub(crate) mod runs;
pub(crate) mod steps;
pub(crate) mod train;
pub(crate) mod trained;
pub(crate) mod zip;
