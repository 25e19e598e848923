//! The tests of the parts of the example `sunspots` that need no GPU. They are run from here, since of an example with
//! tests of its own (`test = true`) `cargo test` builds no program, and `tests/command_lines.rs` starts the program.

#[path = "../examples/sunspots/baseline.rs"]
mod baseline;
#[expect(dead_code, reason = "the example uses the rest")]
#[path = "../examples/sunspots/data.rs"]
mod data;
#[expect(dead_code, reason = "the example uses the rest")]
#[path = "../examples/sunspots/features.rs"]
mod features;
