//! What the modules of these tests share. None of them imports another one.

mod buffers;
mod check;
#[path = "../../support/mod.rs"]
mod common;
mod device;
mod drawn;
mod halves;
mod loops;
pub(crate) mod report;
pub(crate) mod settings;

pub(crate) use buffers::{ALL, app_buffer, batch_of, cases, given};
pub(crate) use check::{assert_as_planned, check, check_lengths, passed, results, verify_batch};
pub(crate) use common::any_options::{Options, any_options};
pub(crate) use common::error::{assert_error, shape};
pub(crate) use common::numbers::{
    ACTIVATIONS, assert_close, close, from_bits, kinds, largest, note, take_largest_share, to_bits, wide,
};
pub(crate) use common::plain::expectation;
pub(crate) use common::rounded::mistakes;
pub(crate) use common::{adam, exported, golden, keras, onnx, runs, steps, train, trained};
pub(crate) use device::{
    adapter, assert_none_out_of_range, bits, counting, counts, encoder, flat, forward, gru, has_large_subgroups,
    has_subgroups_of_8, objects, open, open_with, own, own_device, planned, property, property_from, read, record, run,
    tensor, words, zeros,
};
pub(crate) use drawn::{batch_of_drawn, check_drawn, is_told, weights_of_drawn};
pub(crate) use halves::assert_halves;
pub(crate) use loops::{by_exchange, by_rows, single_steps, time_loops};
