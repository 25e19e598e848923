//! Kernels whose text is made for their sizes.
//!
//! ```text
//! sizes -> [generator] -> a file as in shaders/ -> [source::resolve] -> WGSL -> [Gpu::generated], by sizes
//! ```
//!
//! Why: weights that fit into registers are loaded once per sequence instead of once per step, and sums that fit into
//! registers share each load. Registers cannot be indexed, so the text names each of them, and their number depends on the
//! sizes. An `override` cannot express that, and an array that a loop indexes ends up in memory.
//!
//! A generator is a struct of sizes with one pure function of them, the text. It begins with `#import` as every
//! file does: what does not depend on the sizes lies in `shaders/shared/`, where it can be read as plain WGSL, and the
//! generator writes only what is unrolled, with names, comments and a header that says what it was made for. All
//! kernels of a cell and direction have the same bindings, overrides and twin. The tests in `kernels/tests.rs`
//! parse it for a table of sizes, and `cargo run --example kernel_text -- gru_rows --hidden 96` prints one.

mod exchange;
mod frame;
mod products;
mod rows;
mod sequence;
mod step;
mod tile;

pub(crate) use exchange::Exchange;
pub(crate) use frame::Frame;
pub(crate) use rows::Rows;
pub(crate) use step::Step;

use crate::config::Cell;
use crate::kernels::source::{File, resolve};
use sequence::is_reset_before;

/// A text before imports and defines are resolved.
pub(super) struct Text {
    name: &'static str,
    /// Files of `shaders/shared/`.
    imports: Vec<&'static str>,
    pub(super) defines: Vec<&'static str>,
    /// What it is made for.
    about: String,
    consts: Vec<(&'static str, u32)>,
    declarations: String,
    /// Invocations are numbered subgroup by subgroup.
    in_subgroups: bool,
    /// The first axis of the grid counts rows of the batch, not units.
    rows_first: bool,
    main: String,
}

/// What the steps of a cell import, with what says how their work is divided.
fn imports_of_steps(cell: Cell, backward: bool, division: &[&'static str]) -> Vec<&'static str> {
    let mut imports = vec!["exponential", "activation"];
    imports.push(if backward { "step_backward_params" } else { "step_params" });
    imports.push("sequence");
    imports.extend(division);
    imports.extend(backward.then_some("sequence_backward"));
    imports.extend(match (cell, backward) {
        (Cell::Gru { .. }, false) => &["gru_activations", "gru_unit", "gru_sequence"][..],
        (Cell::Gru { .. }, true) => &["gru_activations", "gru_sequence_backward"],
        (Cell::Rnn { .. }, false) => &["rnn_unit", "rnn_sequence"],
        (Cell::Rnn { .. }, true) => &["rnn_sequence_backward"],
    });
    imports
}

/// Which variant of the shared files a kernel takes.
fn define(cell: Cell, f16_weights: bool, exact_stores: bool) -> Vec<&'static str> {
    let defines = [("EXACT_STORES", exact_stores), ("F16", f16_weights), ("RESET_BEFORE", is_reset_before(cell))];
    defines.into_iter().filter_map(|(define, is_on)| is_on.then_some(define)).collect()
}

impl Text {
    pub(super) fn source(&self) -> String {
        resolve(&File { name: self.name, text: &self.file() }, &self.defines)
    }

    pub(super) fn file(&self) -> String {
        let imports: String = self.imports.iter().map(|name| format!("#import shared/{name}\n")).collect();
        let consts: String =
            self.consts.iter().map(|(name, value)| format!("const {name}: u32 = {value}u;\n")).collect();
        let (parameters, numbering) = if self.in_subgroups {
            let parameters = "@builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,";
            // Whole subgroups, so that the numbers have no gaps.
            (parameters, "    let invocation = subgroup * size + in_subgroup;\n")
        } else {
            ("@builtin(local_invocation_index) invocation: u32,", "")
        };
        let (grid, turned) =
            if self.rows_first { ("grid", "    let workgroup = grid.yxz;\n") } else { ("workgroup", "") };
        format!(
            "{imports}
// Made by src/kernels/generated for {}.

{consts}{}
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) {grid}: vec3<u32>,
    {parameters}
) {{
{turned}{numbering}{}}}
",
            self.about, self.declarations, self.main
        )
    }
}
