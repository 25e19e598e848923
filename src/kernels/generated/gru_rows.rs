//! Steps of the GRU by rows. What the kernel does, and why, is in `shaders/shared/gru_rows.wgsl`; this writes its
//! registers out:
//!
//! ```text
//! weights = load the W_hr, W_hz, W_hn of this unit and slice            registers r0 r1 .. z0 z1 .. n0 n1 ..
//! x_0 .. x_(D-1) = x_proj of the first D steps                          registers
//! for t in 0, D, 2 D ..
//!     for k in 0 .. D, unrolled
//!         ahead = x_proj of step t + k + D
//!         state = step t + k, from weights and x_k
//!         x_k = ahead
//! ```

use super::super::bindings::Step;
use super::super::source::{File, resolve};
use crate::gpu::{Binding, Generate};

/// The sizes of a rows kernel: a GRU with the reset after the product, without lengths. Bindings, uniform and twin are
/// those of `GRU_STEP`, and so are the overrides that do not divide its work. The grid is `(1, B, cells)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GruRows {
    /// H. An invocation keeps 3 H / `slices` weights in registers. If H is a multiple of 4, so are the offsets of the
    /// weights.
    pub(crate) hidden: u32,
    /// Invocations per unit. In subgroups a power of two of at most 8.
    pub(crate) slices: u32,
    /// How many steps ahead `x_proj` is loaded.
    pub(crate) ahead: u32,
    /// Add slices in subgroups, which must have at least 8 invocations, instead of in workgroup memory.
    pub(crate) in_subgroups: bool,
    /// Keep the state as vec4, for devices where a store to one component leaves the others alone. On Vulkan it does,
    /// since SPIR-V has pointers to components. WGSL does not promise it: Chrome saw neighbours overwrite each other on
    /// Metal and on Direct3D (gpuweb issue 2112).
    pub(crate) has_exact_stores: bool,
}

impl Generate for GruRows {
    const BINDINGS: &'static [Binding] = Step::BINDINGS;

    fn name(&self) -> &'static str {
        if self.in_subgroups { "gru_rows_subgroup" } else { "gru_rows" }
    }

    fn sizes(&self) -> Vec<u32> {
        vec![self.hidden, self.slices, self.ahead, self.has_exact_stores.into()]
    }

    fn source(&self) -> String {
        resolve(&File { name: self.name(), text: &self.file() }, &self.defines())
    }
}

impl GruRows {
    /// Which variant of `shared/gru_rows.wgsl` it takes.
    pub(in super::super) fn defines(&self) -> Vec<&'static str> {
        let defines = [
            ("VEC4", self.hidden.is_multiple_of(4)),
            ("EXACT_STORES", self.has_exact_stores),
            ("SUBGROUP", self.in_subgroups),
            ("SLICED", self.slices > 1 && !self.in_subgroups),
        ];
        defines.into_iter().filter_map(|(define, is_on)| is_on.then_some(define)).collect()
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn file(&self) -> String {
        let &Self { hidden, slices, ahead, in_subgroups, .. } = self;
        // How many vec4 of a row of weights a slice has.
        let parts = hidden.div_ceil(4 * slices);
        let states = 4 * slices * parts;
        let how = match (slices, in_subgroups) {
            (1, false) => "one slice".to_owned(),
            (_, false) => format!("{slices} slices that are added in workgroup memory"),
            (_, true) => format!("{slices} slices that are added in their subgroup"),
        };
        let (invocations, parameters, numbering) = if in_subgroups {
            let parameters = "@builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,";
            // Whole subgroups, so that the numbers have no gaps.
            let numbering = "\n    let invocation = subgroup * size + in_subgroup;";
            ((hidden * slices).next_multiple_of(64), parameters, numbering)
        } else {
            (hidden * slices, "@builtin(local_invocation_index) invocation: u32,", "")
        };

        let members = lines(parts, |j| format!("    r{j}: vec4<f32>, z{j}: vec4<f32>, n{j}: vec4<f32>,"));
        let loads = lines(parts, |j| {
            let column = plus("first", 4 * slices * j);
            let rows = ["r", "z", "n"].map(|row| format!("weights_at(lane, {row}, {column})"));
            format!("        {},", rows.join(", "))
        });
        let products = lines(parts, |j| {
            let sums = ["r", "z", "n"].map(|gate| format!("{gate} = fma(weights.{gate}{j}, h{j}, {gate});"));
            format!("    let h{j} = states_at({});\n    {}", plus("first", 4 * slices * j), sums.join(" "))
        });
        let first = lines(ahead, |k| format!("    var x_{k} = x_proj(lane, {k}u);"));
        let steps = lines(ahead, |k| {
            let (step, then) = (plus("t", k), plus("t", k + ahead));
            let end = if k == 0 { "" } else { &format!("        if {step} >= params.steps {{ break; }}\n") };
            format!(
                "{end}        let ahead_{k} = x_proj(lane, {then});
        state = take_step(lane, weights, {step}, x_{k}, state);
        x_{k} = ahead_{k};"
            )
        });
        format!(
            "#import shared/activation
#import shared/step_params
#import shared/gru_rows

// Made by src/kernels/generated/gru_rows.rs for H = {hidden}, {how}, x_proj loaded
// {ahead} steps ahead.

const HIDDEN: u32 = {hidden}u;
const SLICES: u32 = {slices}u;
// H, rounded up to a whole vec4 for every slice.
const STATES: u32 = {states}u;
const STATE_VEC4S: u32 = {}u;
const WORKGROUP: u32 = {invocations}u;

// The weights of a unit and a slice: vec4 j of the slice is vec4 j * SLICES + slice of the row.
struct Weights {{
{members}
}}

fn load_weights(lane: Lane) -> Weights {{
    let r = lane.unit;
    let z = HIDDEN + lane.unit;
    let n = 2u * HIDDEN + lane.unit;
    let first = 4u * lane.slice;
    return Weights(
{loads}
    );
}}

// W_hr h, W_hz h and W_hn h over one slice, whose first vec4 of the state begins at `first`.
fn multiply(weights: Weights, first: u32) -> vec3<f32> {{
    var r = vec4<f32>();
    var z = vec4<f32>();
    var n = vec4<f32>();
{products}
    return vec3<f32>(sum_of(r), sum_of(z), sum_of(n));
}}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    {parameters}
) {{{numbering}
    let lane = lane_of(workgroup, invocation);
    let weights = load_weights(lane);
    var state = first_state(lane, invocation);
{first}
    for (var t = 0u; t < params.steps; t += {ahead}u) {{
{steps}
    }}
}}
",
            states / 4
        )
    }
}

/// A sum, without a zero.
fn plus(name: &str, number: u32) -> String {
    if number == 0 { name.into() } else { format!("{name} + {number}u") }
}

/// `count` lines.
fn lines(count: u32, line: impl Fn(u32) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}
