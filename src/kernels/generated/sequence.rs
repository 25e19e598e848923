//! The loop over the steps of a dispatch, however the work of a step is divided. Forward, with one product a step:
//!
//! ```text
//! input_0 .. input_(D-1) = x_proj of the first D steps                  registers
//! for t in 0, D, 2 D ..
//!     for k in 0 .. D, unrolled
//!         x = input_k
//!         input_k = x_proj of step t + k + D
//!         state = step t + k, from the sums of the product, x and state; it becomes an operand
//! ```

use super::products::{indented, plus};
use crate::config::{Cell, Reset};

/// A product of a step, and its sums.
pub(super) struct Sums {
    /// The lines that compute them.
    pub(super) lines: String,
    /// Those of each item of an invocation.
    pub(super) of_item: Vec<String>,
}

/// What the loop is written for.
pub(super) struct Sequence<'a> {
    pub(super) cell: Cell,
    pub(super) backward: bool,
    /// Numbers that an invocation finishes.
    pub(super) own: u32,
    /// How many steps before its step something is loaded: D.
    pub(super) ahead: u32,
    /// Backward, over how many steps the gradients of the biases are added up on the way: a multiple of D; 0 if they are not.
    pub(super) summed: u32,
    /// The lines between what is stored for a product and the product.
    pub(super) barrier: &'a str,
    /// The product of a name with the operand of a half, in step k of the D.
    pub(super) product: &'a dyn Fn(&str, &str, u32) -> Sums,
}

/// Whether the reset gate acts before the product.
pub(super) fn is_reset_before(cell: Cell) -> bool {
    matches!(cell, Cell::Gru { reset: Reset::Before, .. })
}

impl Sequence<'_> {
    /// Items and what an invocation needs of each before the first step, the loop, what is left to do.
    pub(super) fn lines(&self) -> String {
        if self.backward { self.backward() } else { self.forward() }
    }

    fn each(&self, line: impl Fn(usize) -> String) -> String {
        (0..self.own as usize).map(line).collect()
    }

    /// `first` makes the lines of item `e`.
    fn begin(&self, first: impl Fn(usize) -> String) -> String {
        let items = self.each(|e| format!("    let item_{e} = item_of(workgroup, invocation, {e}u);\n{}", first(e)));
        let inputs = (0..self.ahead)
            .map(|k| self.each(|e| format!("    var input_{k}_{e} = input_of(item_{e}, {k}u);\n")))
            .collect::<String>();
        format!("{items}{inputs}")
    }

    /// `step` makes the lines of one that is named by `(i, k)`.
    fn steps(&self, step: impl Fn(&str, u32) -> String) -> String {
        let ahead = self.ahead;
        let last = if self.summed > 0 { "end" } else { "params.steps" };
        let steps: String = (0..ahead)
            .map(|k| {
                let i = plus("t", k);
                let end = if k == 0 { "" } else { &format!("        if {i} >= {last} {{ break; }}\n") };
                let then = plus("t", k + ahead);
                let take = |e| {
                    let input = format!("input_{k}_{e}");
                    let input = if self.backward { input } else { format!("with_bias({input}, bias_{e})") };
                    format!("        let x_{k}_{e} = {input};\n        input_{k}_{e} = input_of(item_{e}, {then});\n")
                };
                format!("{end}{}{}", self.each(take), step(&i, k))
            })
            .collect();
        if self.summed == 0 {
            return format!("    for (var t = 0u; t < params.steps; t += {ahead}u) {{\n{steps}    }}\n");
        }
        // One place where the sums are stored: each takes the compiler of a software rasteriser its time.
        let sums = self.each(|e| format!("        var sums_{e} = Gradients();\n"));
        let store = self.each(|e| format!("        store_sums(item_{e}, part / SUMMED, sums_{e});\n"));
        let steps = indented(&format!("    for (var t = part; t < end; t += {ahead}u) {{\n{steps}    }}\n"), 4);
        format!(
            "    for (var part = 0u; part < params.steps; part += SUMMED) {{
        let end = min(part + SUMMED, params.steps);
{sums}{steps}{store}    }}\n"
        )
    }

    fn forward(&self) -> String {
        let begin = self.begin(|e| {
            format!("    let bias_{e} = bias_of_item(item_{e});\n    var state_{e} = first_state(item_{e});\n")
        });
        let barrier = self.barrier;
        let steps = self.steps(|t, k| {
            if is_reset_before(self.cell) {
                let [of_state, of_reset] =
                    [("multiply_state", "0u"), ("multiply", "1u")].map(|(name, half)| (self.product)(name, half, k));
                let reset = self.each(|e| {
                    let h_proj = format!("{}.x", of_state.of_item[e]);
                    format!("        reset(item_{e}, {t}, x_{k}_{e}, {h_proj}, state_{e});\n")
                });
                let finish = self.each(|e| {
                    let h_proj = format!("vec2<f32>({}.y, {})", of_state.of_item[e], of_reset.of_item[e]);
                    format!("        state_{e} = finish(item_{e}, {t}, x_{k}_{e}, {h_proj}, state_{e});\n")
                });
                format!("{}{reset}{barrier}{}{finish}{barrier}", of_state.lines, of_reset.lines)
            } else {
                let half = format!("half_{k}");
                let sums = (self.product)("multiply", &half, k);
                let finish = self.each(|e| {
                    let arguments = format!("1u - {half}, x_{k}_{e}, {}, bias_{e}, state_{e}", sums.of_item[e]);
                    format!("        state_{e} = finish(item_{e}, {t}, {arguments});\n")
                });
                format!("        let {half} = ({t}) & 1u;\n{}{finish}{barrier}", sums.lines)
            }
        });
        format!("{begin}{}{steps}", barrier.replace("        ", "    "))
    }

    fn backward(&self) -> String {
        let begin = self.begin(|e| format!("    var d_h_{e} = first_d_h(item_{e});\n"));
        let barrier = self.barrier;
        let steps = self.steps(|i, k| {
            let norms = format!("        store_norms(workgroup, invocation, {i});\n");
            let end = |sums: &Sums| {
                self.each(|e| {
                    let sum = &sums.of_item[e];
                    format!("        d_h_{e} = d_before(item_{e}, {i}, past_{k}_{e}.d_h, {sum});\n")
                }) + &self.each(|e| {
                    let add = format!("        sums_{e} += past_{k}_{e}.d;\n");
                    if self.summed > 0 { add } else { String::new() }
                })
            };
            if is_reset_before(self.cell) {
                let [of_candidate, sums] = [("multiply_candidate", "1u"), ("multiply", "0u")]
                    .map(|(name, half)| (self.product)(name, half, k));
                let candidate =
                    self.each(|e| format!("        let begun_{k}_{e} = begin(item_{e}, {i}, x_{k}_{e}, d_h_{e});\n"));
                let finish = self.each(|e| {
                    let arguments = format!("x_{k}_{e}, begun_{k}_{e}, {}", of_candidate.of_item[e]);
                    format!("        let past_{k}_{e} = finish(item_{e}, {i}, {arguments});\n")
                });
                let (first, second) = (&of_candidate.lines, &sums.lines);
                format!("{candidate}{barrier}{norms}{first}{finish}{barrier}{second}{}", end(&sums))
            } else {
                let half = format!("half_{k}");
                let finish = self.each(|e| {
                    format!("        let past_{k}_{e} = finish(item_{e}, {i}, {half}, x_{k}_{e}, d_h_{e});\n")
                });
                let sums = (self.product)("multiply", &half, k);
                let begin = format!("        let {half} = ({i}) & 1u;\n");
                format!("{begin}{finish}{barrier}{norms}{}{}", sums.lines, end(&sums))
            }
        });
        let last = self.each(|e| format!("    store_d_h(item_{e}, d_h_{e});\n"));
        format!("{begin}{steps}{last}")
    }
}
