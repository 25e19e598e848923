//! Kernels whose text is made for their sizes.
//!
//! ```text
//! sizes -> [generator] -> a file as in shaders/ -> [source::resolve] -> WGSL -> [Gpu::generated], by sizes
//! ```
//!
//! Why: weights that fit into registers are loaded once per sequence instead of once per step. Registers cannot be
//! indexed, so the text names each of them, and their number depends on H. An `override` cannot express that, and an
//! array that a loop indexes ends up in memory.
//!
//! A generator is a struct of sizes with one pure function of them, the text. It begins with `#import` as every
//! file does: what does not depend on the sizes lies in `shaders/shared/`, where it can be read as plain WGSL, and the
//! generator writes only what is unrolled, with names, comments and a header that says what it was made for. The kernel
//! has the bindings, the overrides and the twin of the plain kernel that it replaces. The tests in `kernels/tests.rs`
//! parse it for a table of sizes, and `cargo run --example kernel_text -- gru_rows --hidden 96` prints one.

mod rows;

pub(crate) use rows::Rows;
