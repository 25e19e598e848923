//! Steps by rows, forward and backward, of the GRU and of the plain RNN. What the kernels do, and why, is in
//! `shaders/shared/rows.wgsl` and what it names; this writes out what is in registers. Forward, with one product a step:
//!
//! ```text
//! weights = load those of this group of units and slice                 registers
//! input_0 .. input_(D-1) = x_proj of the first D steps                  registers
//! for t in 0, D, 2 D ..
//!     for k in 0 .. D, unrolled
//!         x = input_k
//!         input_k = x_proj of step t + k + D
//!         state = step t + k, from the sums of weights times operand, x and state; it becomes an operand
//! ```

use crate::config::{Cell, Reset};
use crate::gpu::{Binding, Generate};
use crate::kernels::bindings::{Step, StepBackward};
use crate::kernels::source::{File, resolve};
use crate::plan::RowsCut;

/// A kernel by rows. Bindings, uniform and twin are those of the plain step of its cell and direction, and so are the
/// overrides that do not divide its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rows {
    /// Of which nothing counts but what the products are.
    pub(crate) cell: Cell,
    pub(crate) backward: bool,
    /// H.
    pub(crate) hidden: u32,
    pub(crate) cut: RowsCut,
    /// weight_hh holds two weights in a word. H is even.
    pub(crate) f16_weights: bool,
}

/// A product of a step: some outputs, each with its weights.
struct Product {
    /// Its function.
    name: &'static str,
    /// What is multiplied, in words.
    comment: String,
    /// The members of `Weights` of each output.
    outputs: Vec<String>,
    weights: Of,
    /// How long its operand is.
    len: u32,
}

/// Where the weights of a product lie in weight_hh.
enum Of {
    /// Along the rows of these gates of the group's unit, one for each output.
    Rows(&'static [u32]),
    /// Down the columns of the units of the group, from this row on.
    Columns(u32),
}

impl Generate for Rows {
    fn name(&self) -> &'static str {
        RowsCut::label(self.cell, self.backward)
    }

    fn bindings(&self) -> &'static [Binding] {
        if self.backward { StepBackward::BINDINGS } else { Step::BINDINGS }
    }

    fn sizes(&self) -> Vec<u32> {
        let RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software } = self.cut;
        let flags = [self.is_reset_before(), self.f16_weights, exact_stores, software].map(u32::from);
        [&[self.hidden, slices, units, rows, ahead, subgroup.unwrap_or(0)][..], &flags].concat()
    }

    fn source(&self) -> String {
        resolve(&File { name: self.name(), text: &self.file() }, &self.defines())
    }
}

impl Rows {
    fn is_reset_before(&self) -> bool {
        matches!(self.cell, Cell::Gru { reset: Reset::Before, .. })
    }

    /// Which variant of the shared files it takes.
    pub(in super::super) fn defines(&self) -> Vec<&'static str> {
        let defines = [
            ("EXACT_STORES", self.cut.exact_stores),
            ("F16", self.f16_weights),
            ("RESET_BEFORE", self.is_reset_before()),
        ];
        defines.into_iter().filter_map(|(define, is_on)| is_on.then_some(define)).collect()
    }

    /// What a step multiplies, in order.
    fn products(&self) -> Vec<Product> {
        let hidden = self.hidden;
        let along = |name, comment: &str, members: &[&str], gates| Product {
            name,
            comment: comment.to_owned(),
            outputs: members.iter().map(|&member| member.to_owned()).collect(),
            weights: Of::Rows(gates),
            len: hidden,
        };
        let down = |name, comment: &str, member: &str, first: u32, len: u32| Product {
            name,
            comment: comment.to_owned(),
            outputs: (0..self.cut.units).map(|unit| format!("{member}{unit}_")).collect(),
            weights: Of::Columns(first),
            len,
        };
        match (self.cell, self.backward) {
            (Cell::Rnn { .. }, false) => vec![along("multiply", "W_hh h", &["w"], &[0])],
            (Cell::Gru { reset: Reset::After, .. }, false) => {
                vec![along("multiply", "W_hr h, W_hz h and W_hn h", &["r", "z", "n"], &[0, 1, 2])]
            }
            (Cell::Gru { reset: Reset::Before, .. }, false) => vec![
                along("multiply_state", "W_hr h and W_hz h", &["r", "z"], &[0, 1]),
                along("multiply", "W_hn (r * h)", &["n"], &[2]),
            ],
            (Cell::Rnn { .. }, true) => vec![down("multiply", "d_a . W_hh", "w", 0, hidden)],
            (Cell::Gru { reset: Reset::After, .. }, true) => {
                vec![down("multiply", "(d_ar, d_az, d_hn) . W_hh", "w", 0, 3 * hidden)]
            }
            (Cell::Gru { reset: Reset::Before, .. }, true) => vec![
                down("multiply_candidate", "d_an . W_hn", "n", 2 * hidden, hidden),
                down("multiply", "(d_ar, d_az) . (W_hr, W_hz)", "w", 0, 2 * hidden),
            ],
        }
    }

    /// How the weights of an output are loaded, from element `k` of the operand on.
    fn load(&self, product: &Product, output: usize, k: &str) -> String {
        match product.weights {
            Of::Rows(gates) => format!("weights_along(cell, {}, {k})", plus("unit", gates[output] * self.hidden)),
            Of::Columns(first) => {
                format!("weights_down(cell, {}, {first}u, {}u, {k})", plus("unit", output as u32), product.len)
            }
        }
    }

    /// How many vec4 of an operand a slice has.
    fn parts(&self, product: &Product) -> u32 {
        product.len.div_ceil(4 * self.cut.slices)
    }

    /// Numbers that the invocations of a group finish together.
    fn items(&self) -> u32 {
        self.cut.rows * self.cut.units
    }

    /// Invocations of a group that finish numbers.
    fn spread(&self) -> u32 {
        self.cut.slices.min(self.items())
    }

    /// Numbers that an invocation finishes.
    fn own(&self) -> u32 {
        self.items().div_ceil(self.spread())
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn file(&self) -> String {
        let &Self { hidden, backward, cut, .. } = self;
        let RowsCut { slices, units, rows, ahead, subgroup, .. } = cut;
        let products = self.products();
        let longest = products.iter().map(|product| product.len).max().unwrap_or(0);
        let operand = cut.operand(longest as usize) as u32;
        let how = match (slices, subgroup) {
            (1, _) => "one slice".to_owned(),
            (_, None) => format!("{slices} slices that are added in workgroup memory"),
            (_, Some(_)) => format!("{slices} slices that are added in their subgroup"),
        };
        let (parameters, numbering) = if cut.uses_subgroups() {
            let parameters = "@builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,";
            // Whole subgroups, so that the numbers have no gaps.
            (parameters, "\n    let invocation = subgroup * size + in_subgroup;")
        } else {
            ("@builtin(local_invocation_index) invocation: u32,", "")
        };
        let cell = if matches!(self.cell, Cell::Rnn { .. }) { "rnn" } else { "gru" };
        let (params, shared, suffix) = if backward {
            ("step_backward_params", "#import shared/rows_backward\n", "_backward")
        } else {
            ("step_params", "", "")
        };
        // The products of a step use it in turn: there is a barrier between a product's last look and the next one's store.
        let partials = self.items() * products.iter().map(|product| self.components(product)).max().unwrap_or(0);
        let partial = if slices > 1 && !cut.uses_subgroups() {
            format!("\nvar<workgroup> partial: array<f32, {partials}u * WORKGROUP>;\n")
        } else {
            String::new()
        };
        let squares = if backward { format!("const SQUARES: u32 = {}u;\n", 2 * rows * hidden) } else { String::new() };
        let functions: String = products.iter().map(|product| self.function(product, operand)).collect();
        format!(
            "#import shared/activation
#import shared/{params}
#import shared/rows
{shared}#import shared/{cell}_rows{suffix}

// Made by src/kernels/generated/rows.rs for H = {hidden}, {rows} row(s), {units} unit(s) a group,
// {how}, loads {ahead} step(s) ahead.

const HIDDEN: u32 = {hidden}u;
const SLICES: u32 = {slices}u;
const UNITS: u32 = {units}u;
const ROWS: u32 = {rows}u;
// Invocations of a group that finish numbers.
const SPREAD: u32 = {}u;
// The longest operand, rounded up to a whole vec4 for every slice.
const OPERAND: u32 = {operand}u;
// The vec4 of all rows.
const HALF: u32 = {}u;
const OPERAND_NUMBERS: u32 = {}u;
const OPERAND_VEC4S: u32 = {}u;
const WORKGROUP: u32 = {}u;
{squares}{partial}
{}
{functions}
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    {parameters}
) {{{numbering}
{}}}
",
            self.spread(),
            rows * operand / 4,
            2 * rows * operand,
            rows * operand / 2,
            cut.invocations(hidden as usize),
            self.weights(&products),
            if backward { self.backward_steps() } else { self.forward_steps() },
        )
    }

    /// What an invocation keeps in registers, and how it is loaded.
    fn weights(&self, products: &[Product]) -> String {
        let slices = self.cut.slices;
        let each = |line: &dyn Fn(&Product, u32) -> String| {
            let of = |product| (0..self.parts(product)).map(move |part| line(product, part));
            products.iter().flat_map(of).collect::<Vec<_>>().join("\n")
        };
        let members = each(&|product, part| {
            let members: Vec<_> = product.outputs.iter().map(|output| format!("{output}{part}: Weight,")).collect();
            format!("    {}", members.join(" "))
        });
        let loads = if self.cut.software {
            self.loads_in_a_loop(products)
        } else {
            let loads = each(&|product, part| {
                let k = plus("first", 4 * slices * part);
                let loads =
                    (0..product.outputs.len()).map(|output| format!("        {},", self.load(product, output, &k)));
                loads.collect::<Vec<_>>().join("\n")
            });
            format!("    return Weights(\n{loads}\n    );\n")
        };
        format!(
            "// The weights of a group and a slice: vec4 j of the slice is vec4 j * SLICES + slice of the operand.
struct Weights {{
{members}
}}

fn load_weights(cell: u32, invocation: u32) -> Weights {{
    let unit = min(invocation / SLICES * UNITS, HIDDEN - 1u);
    let first = 4u * (invocation % SLICES);
{loads}}}
"
        )
    }

    /// The weights by a loop that keeps what it has loaded where it belongs.
    fn loads_in_a_loop(&self, products: &[Product]) -> String {
        let longest = products.iter().map(|product| product.len.div_ceil(self.hidden)).max().unwrap_or(0);
        let mut text = format!(
            "    var weights: Weights;
    // params.hidden is HIDDEN. The compiler does not know it, so it does not unroll the loop.
    for (var j = 0u; j * 4u * SLICES < {longest}u * params.hidden; j++) {{
        let k = first + j * 4u * SLICES;\n"
        );
        for product in products {
            for (number, output) in product.outputs.iter().enumerate() {
                text += &format!("        let {output} = {};\n", self.load(product, number, "k"));
                for part in 0..self.parts(product) {
                    let member = format!("weights.{output}{part}");
                    text += &format!("        {member} = select({member}, {output}, j == {part}u);\n");
                }
            }
        }
        text + "    }\n    return weights;\n"
    }

    /// The sums of a product, those that an invocation needs for its items.
    fn function(&self, product: &Product, operand: u32) -> String {
        let cut = self.cut;
        let RowsCut { slices, rows, .. } = cut;
        let Product { name, comment, outputs, .. } = product;
        let sums = outputs.iter().flat_map(|output| (0..rows).map(move |row| format!("{output}of_row{row}")));
        let zeros = sums.map(|sum| format!("    var {sum} = vec4<f32>();\n")).collect::<String>();
        let mut steps = String::new();
        for part in 0..self.parts(product) {
            let weights: Vec<_> =
                outputs.iter().map(|output| format!("let {output}{part} = numbers(weights.{output}{part});")).collect();
            steps += &format!("    {}\n", weights.join(" "));
            for row in 0..rows {
                let in_row = |number: u32| row * operand / 4 + number;
                let value = if cut.broadcasts() {
                    let (block, lane) = (part / 8, part % 8);
                    if lane == 0 {
                        let at = plus("first + invocation % 8u", in_row(8 * block));
                        steps += &format!("    let block{block}_{row} = operand_at({at});\n");
                    }
                    format!("subgroupBroadcast(block{block}_{row}, {lane}u)")
                } else {
                    format!("operand_at({})", plus("first", in_row(slices * part)))
                };
                let terms: Vec<_> = outputs
                    .iter()
                    .map(|output| {
                        format!("{output}of_row{row} = fma({output}{part}, v{part}_{row}, {output}of_row{row});")
                    })
                    .collect();
                steps += &format!("    let v{part}_{row} = {value};\n    {}\n", terms.join("\n    "));
            }
        }
        // An item's sums: forward those of all outputs for a row; backward the one of a unit and a row.
        let sum = |output: &String, row: u32| format!("sum_of({output}of_row{row})");
        let entries: Vec<String> = if self.backward {
            (0..rows).flat_map(|row| outputs.iter().map(move |output| sum(output, row))).collect()
        } else {
            let of_row = |row| outputs.iter().map(|output| sum(output, row)).collect::<Vec<_>>().join(", ");
            (0..rows).map(|row| format!("{}({})", self.sum_type(product), of_row(row))).collect()
        };
        let mut names: Vec<_> = (0..entries.len()).map(|entry| format!("entry{entry}")).collect();
        let mut reduction: String =
            names.iter().zip(entries).map(|(name, entry)| format!("    let {name} = {entry};\n")).collect();
        if slices > 1 && cut.uses_subgroups() {
            (names, reduction) = self.in_subgroups(names, reduction);
        } else if slices > 1 {
            (names, reduction) = self.in_memory(product, &names, reduction);
        }
        let (ty, count) = (self.sum_type(product), names.len());
        let result = format!("array<{ty}, {count}>");
        format!(
            "
// {comment} over all slices, for each item. `first`: the first vec4 of the slice.
fn {name}(weights: Weights, invocation: u32, first: u32) -> {result} {{
{zeros}{steps}{reduction}    return {result}({});
}}
",
            names.join(", ")
        )
    }

    /// How many sums of a product an item has.
    fn components(&self, product: &Product) -> u32 {
        if self.backward { 1 } else { product.outputs.len() as u32 }
    }

    fn sum_type(&self, product: &Product) -> String {
        match self.components(product) {
            1 => "f32".to_owned(),
            count => format!("vec{count}<f32>"),
        }
    }

    /// Adds over the slices of a group, which are neighbours in a subgroup. As long as there are several numbers, each of
    /// a pair of invocations goes on with half of them.
    fn in_subgroups(&self, mut names: Vec<String>, mut text: String) -> (Vec<String>, String) {
        let mut distance = 1;
        text += "    let slice = invocation % SLICES;\n";
        while distance < self.cut.slices {
            let mut next = Vec::new();
            let upper = format!("(slice & {distance}u) != 0u");
            if names.len() > 1 {
                for (i, pair) in names.chunks(2).enumerate() {
                    let (a, b, name) = (&pair[0], &pair[1], format!("over{distance}_{i}"));
                    text += &format!("    let {name} = select({a}, {b}, {upper})\n");
                    text += &format!("        + subgroupShuffleXor(select({b}, {a}, {upper}), {distance}u);\n");
                    next.push(name);
                }
            } else {
                let (a, name) = (&names[0], format!("over{distance}_0"));
                text += &format!("    let {name} = {a} + subgroupShuffleXor({a}, {distance}u);\n");
                next.push(name);
            }
            (names, distance) = (next, 2 * distance);
        }
        (names, text)
    }

    /// The same in workgroup memory.
    fn in_memory(&self, product: &Product, names: &[String], mut text: String) -> (Vec<String>, String) {
        let components = self.components(product);
        let component = |name: &str, c: u32| if components == 1 { name.to_owned() } else { format!("{name}[{c}]") };
        for (entry, name) in names.iter().enumerate() {
            for c in 0..components {
                let place = entry as u32 * components + c;
                text += &format!("    partial[{place}u * WORKGROUP + invocation] = {};\n", component(name, c));
            }
        }
        text += "    workgroupBarrier();\n    let slice = invocation % SLICES;\n    let group = invocation - slice;\n";
        let sums: Vec<_> = (0..self.own()).map(|e| format!("sum{e}")).collect();
        for (e, sum) in sums.iter().enumerate() {
            let first = plus("slice % SPREAD", e as u32 * self.spread());
            text += &format!("    let at{e} = min({first}, {}u) * {components}u;\n", self.items() - 1);
            text += &format!("    var {sum} = {}();\n", self.sum_type(product));
            text += "    for (var other = 0u; other < SLICES; other++) {\n";
            for c in 0..components {
                let place = format!("({}) * WORKGROUP + group + other", plus(&format!("at{e}"), c));
                text += &format!("        {} += partial[{place}];\n", component(sum, c));
            }
            text += "    }\n";
        }
        (sums, text)
    }

    /// Items, and what an invocation needs of each before the first step; `first` makes the lines of item `e`.
    fn begin(&self, first: impl Fn(u32) -> String) -> String {
        let items = self.each(|e| format!("    let item_{e} = item_of(workgroup, invocation, {e}u);\n{}", first(e)));
        let inputs = (0..self.cut.ahead)
            .map(|k| self.each(|e| format!("    var input_{k}_{e} = input_of(item_{e}, {k}u);\n")))
            .collect::<String>();
        format!(
            "    let weights = load_weights(workgroup.z, invocation);
    let first = invocation % SLICES;
    clear_operand(invocation);
{items}{inputs}"
        )
    }

    /// The loop over time; `step` makes the lines of one that is named by `(i, k)`.
    fn steps(&self, step: impl Fn(&str, u32) -> String) -> String {
        let ahead = self.cut.ahead;
        let steps: String = (0..ahead)
            .map(|k| {
                let i = plus("t", k);
                let end = if k == 0 { "" } else { &format!("        if {i} >= params.steps {{ break; }}\n") };
                let then = plus("t", k + ahead);
                let take = |e| {
                    let input = format!("input_{k}_{e}");
                    let input = if self.backward { input } else { format!("with_bias({input}, bias_{e})") };
                    format!("        let x_{k}_{e} = {input};\n        input_{k}_{e} = input_of(item_{e}, {then});\n")
                };
                format!("{end}{}{}", self.each(take), step(&i, k))
            })
            .collect();
        format!("    for (var t = 0u; t < params.steps; t += {ahead}u) {{\n{steps}    }}\n")
    }

    fn each(&self, line: impl Fn(u32) -> String) -> String {
        (0..self.own()).map(line).collect()
    }

    fn forward_steps(&self) -> String {
        let begin = self.begin(|e| {
            format!("    let bias_{e} = bias_of_item(item_{e});\n    var state_{e} = first_state(item_{e});\n")
        });
        let barrier = "        workgroupBarrier();\n";
        let steps = self.steps(|t, k| {
            if self.is_reset_before() {
                let states = format!("        let of_state_{k} = multiply_state(weights, invocation, first);\n");
                let reset = self.each(|e| {
                    let h_proj = format!("of_state_{k}[{e}].x");
                    format!("        reset(item_{e}, {t}, x_{k}_{e}, {h_proj}, state_{e});\n")
                });
                let product = format!("        let of_reset_{k} = multiply(weights, invocation, HALF + first);\n");
                let finish = self.each(|e| {
                    let h_proj = format!("vec2<f32>(of_state_{k}[{e}].y, of_reset_{k}[{e}])");
                    format!("        state_{e} = finish(item_{e}, {t}, x_{k}_{e}, {h_proj}, state_{e});\n")
                });
                format!("{states}{reset}{barrier}{product}{finish}{barrier}")
            } else {
                let product = format!(
                    "        let half_{k} = ({t}) & 1u;
        let sums_{k} = multiply(weights, invocation, half_{k} * HALF + first);\n"
                );
                let finish = self.each(|e| {
                    let arguments = format!("1u - half_{k}, x_{k}_{e}, sums_{k}[{e}], bias_{e}, state_{e}");
                    format!("        state_{e} = finish(item_{e}, {t}, {arguments});\n")
                });
                format!("{product}{finish}{barrier}")
            }
        });
        format!("{begin}    workgroupBarrier();\n{steps}")
    }

    fn backward_steps(&self) -> String {
        let begin = self.begin(|e| format!("    var d_h_{e} = first_d_h(item_{e});\n"));
        let barrier = "        workgroupBarrier();\n";
        let steps = self.steps(|i, k| {
            let norms = format!("        store_norms(workgroup, invocation, {i});\n");
            let end =
                self.each(|e| format!("        d_h_{e} = d_before(item_{e}, {i}, past_{k}_{e}, sums_{k}[{e}]);\n"));
            if self.is_reset_before() {
                let candidate =
                    self.each(|e| format!("        let d_az_{k}_{e} = begin(item_{e}, {i}, x_{k}_{e}, d_h_{e});\n"));
                let product = format!("        let d_q_{k} = multiply_candidate(weights, invocation, HALF + first);\n");
                let finish = self.each(|e| {
                    let arguments = format!("x_{k}_{e}, d_h_{e}, d_az_{k}_{e}, d_q_{k}[{e}]");
                    format!("        let past_{k}_{e} = finish(item_{e}, {i}, {arguments});\n")
                });
                let sums = format!("        let sums_{k} = multiply(weights, invocation, first);\n");
                format!("{candidate}{barrier}{norms}{product}{finish}{barrier}{sums}{end}")
            } else {
                let half = format!("        let half_{k} = ({i}) & 1u;\n");
                let finish = self.each(|e| {
                    format!("        let past_{k}_{e} = finish(item_{e}, {i}, half_{k}, x_{k}_{e}, d_h_{e});\n")
                });
                let sums = format!("        let sums_{k} = multiply(weights, invocation, half_{k} * HALF + first);\n");
                format!("{half}{finish}{barrier}{norms}{sums}{end}")
            }
        });
        let last = self.each(|e| format!("    store_d_h(item_{e}, d_h_{e});\n"));
        format!("{begin}{steps}{last}")
    }
}

/// A sum, without a zero.
fn plus(name: &str, number: u32) -> String {
    if number == 0 { name.into() } else { format!("{name} + {number}u") }
}
