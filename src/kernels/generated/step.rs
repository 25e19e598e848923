//! Single steps, forward and backward, of the GRU and of the plain RNN. What the kernels do, and why, is in
//! `shaders/shared/step.wgsl` and what it names; this writes out the sums of a tile. The text does for every H.

use super::products::{Product, Products, Weights, indented, plus};
use super::sequence::is_reset_before;
use super::{Text, define, imports_of_steps};
use crate::config::{Cell, Reset};
use crate::gpu::{Binding, Generate};
use crate::kernels::bindings;
use crate::plan::TileCut;

/// A kernel of a single step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// Of which nothing counts but what the products are.
    pub(crate) cell: Cell,
    pub(crate) backward: bool,
    /// Of two kernels, where the reset gate acts before the product, the second one.
    pub(crate) second: bool,
    pub(crate) cut: TileCut,
    /// weight_hh holds two weights in a word. H is a multiple of 4.
    pub(crate) f16_weights: bool,
    /// weight_hh is loaded four numbers at a time. H is a multiple of 4.
    pub(crate) vec4: bool,
}

impl Generate for Step {
    fn name(&self) -> &'static str {
        TileCut::labels(self.cell, self.backward)[usize::from(self.second)]
    }

    fn bindings(&self) -> &'static [Binding] {
        if self.backward { bindings::StepBackward::BINDINGS } else { bindings::Step::BINDINGS }
    }

    fn sizes(&self) -> Vec<u32> {
        let flags = [is_reset_before(self.cell), self.f16_weights, self.vec4].map(u32::from);
        [&flags[..], &self.cut.sizes()].concat()
    }

    fn source(&self) -> String {
        self.text().source()
    }
}

impl Step {
    /// With lengths in multiples of H.
    fn products(&self) -> Vec<Product> {
        let &Self { cell, backward, cut, .. } = self;
        Products { cell, backward, hidden: 1, units: cut.units, slices: cut.slices * cut.splits }.of_step(self.second)
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn text(&self) -> Text {
        let &Self { cell, backward, cut, f16_weights, vec4, .. } = self;
        let TileCut { slices, splits, rows, units, software, .. } = cut;
        let (products, columns) = (self.products(), cut.columns());
        let components = products.iter().map(|product| product.components).sum();
        let slab = cut.slab();
        let of_step = [
            ("ROWS", rows),
            ("WORKGROUP", cut.invocations()),
            // Numbers that an invocation finishes.
            ("OWN", (rows * columns).div_ceil(cut.invocations())),
        ];
        // Numbers of a row's operand that are in workgroup memory at a time.
        let of_slab = [("SLAB", slab), ("OPERAND_NUMBERS", rows * slab), ("OPERAND_VEC4S", rows * slab / 4)];
        let norms = [("ROW_NORMS", 1), ("COLUMNS_OF_NORM", columns), ("SQUARES", rows * columns)];
        let consts = [
            &of_step[..],
            &cut.consts(components),
            if software { &[] } else { &of_slab },
            if backward { &norms } else { &[] },
        ];
        let mut defines = define(cell, f16_weights, cut.exact_stores && !software);
        let more = [("VEC4", vec4), ("SOFTWARE", software), ("FORWARD_RESET", is_reset_before(cell) && !backward)];
        defines.extend(more.into_iter().filter_map(|(define, is_on)| is_on.then_some(define)));
        let mut first = 0;
        let (mut declarations, mut main) = (String::new(), String::new());
        for product in &products {
            declarations += &self.operand(product);
            if !software {
                declarations += &cut.collect(product, first);
            }
            main += &if software { self.in_registers(product) } else { self.in_slabs(product, first) };
            first += product.components;
        }
        Text {
            name: self.name(),
            imports: imports_of_steps(
                cell,
                backward,
                if software { &["tile", "step"] } else { &["operand", "tile", "step"] },
            ),
            defines,
            about: format!(
                "any H, {rows} row(s) and {columns} units,\n// {splits} x {slices} slices{}, {units} unit(s) a group",
                if cut.uses_subgroups() { " in subgroups" } else { "" }
            ),
            consts: consts.concat(),
            declarations,
            in_subgroups: cut.uses_subgroups(),
            rows_first: true,
            main: format!("    begin_kernel();\n{main}{}", self.finish(&products)),
        }
    }

    /// The functions that find the operand of a product.
    fn operand(&self, product: &Product) -> String {
        let (name, comment) = (product.name, product.comment);
        let of_gates = |which: &str| format!("step_offsets(cell, 0u).{which} + row * WIDTH * HIDDEN");
        let (of_states, begin, k) = match (self.cell, self.backward, name) {
            (Cell::Gru { reset: Reset::Before, .. }, false, "multiply") => {
                (false, of_gates("gates") + " + 3u * HIDDEN", "k")
            }
            (_, false, _) => (true, "begin_of_state(cell, row)".to_owned(), "k"),
            (_, true, "multiply_candidate") => (false, of_gates("gates") + " + 2u * HIDDEN", "k"),
            // hn lies behind n.
            (Cell::Gru { reset: Reset::After, .. }, true, _) => {
                (false, of_gates("gates_after"), "k + select(0u, HIDDEN, k >= 2u * HIDDEN)")
            }
            (_, true, _) => (false, of_gates("gates_after"), "k"),
        };
        let number =
            |at: &str| if of_states { format!("state_at(begin, {at})") } else { format!("gates[begin + {at}]") };
        let mut text = format!(
            "
// What is multiplied for a row: {comment}. Where it begins; and element k.
fn begin_of_{name}(cell: u32, row: u32) -> u32 {{
    return {begin};
}}

fn operand_of_{name}(begin: u32, k: u32) -> f32 {{
    return {};
}}
",
            number(k)
        );
        if self.cut.software {
            let (about, body) = if self.is_whole() {
                let four = [0, 1, 2, 3].map(|by| number(&plus("at", by))).join(", ");
                let body = format!("    let at = {k};\n    return vec4<f32>({four});\n");
                ("", body)
            } else {
                let four = ["k", "k + 1u", "k + 2u", "k + 3u"]
                    .map(|k| format!("        operand_of_{name}(begin, min({k}, last)),\n"))
                    .concat();
                let body = format!(
                    "    let last = length - 1u;
    let four = vec4<f32>(
{four}    );
    return select(vec4<f32>(), four, vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(length));\n"
                );
                (": zero past the end", body)
            };
            text += &format!(
                "
// Four of them{about}.
fn four_of_{name}(begin: u32, k: u32, length: u32) -> vec4<f32> {{
{body}}}
"
            );
        }
        text
    }

    /// How long the operand of a product is: nothing where there is no step after this one. From the uniform, so that WGSL
    /// knows that all invocations come to a barrier.
    fn length(&self, product: &Product) -> String {
        let length = format!("{}u * params.hidden", product.len);
        if self.backward && product.name == "multiply" {
            format!("select(0u, {length}, params.has_product != 0u)")
        } else {
            length
        }
    }

    /// Before the loop: where the weights of each output begin. No compiler has to take that out of the loop.
    fn begin(&self, product: &Product) -> String {
        let of_output = |(number, output): (usize, &String)| {
            let (unit, component) = (number as u32 / product.components, number % product.components as usize);
            let unit = plus("unit", unit);
            let begin = match product.weights {
                Weights::Rows(gates) => format!("row_of_weights(workgroup.z, {}u, {unit})", gates[component]),
                Weights::Columns(first) if self.cut.software => {
                    format!("column_of_weights(workgroup.z, {first}u * HIDDEN, {unit}, 1u)")
                }
                Weights::Columns(first) => {
                    let width = self.cell.gates();
                    format!("row_of_transposed(workgroup.z, {width}u * HIDDEN, {first}u * HIDDEN, {unit})")
                }
            };
            format!("let {output}begin = {begin};\n")
        };
        match product.weights {
            Weights::Columns(first) if self.is_beside() => {
                format!("let units_begin = column_of_weights(workgroup.z, {first}u * HIDDEN, unit, 4u);\n")
            }
            _ => product.outputs.iter().enumerate().map(of_output).collect(),
        }
    }

    /// Weights of four units are loaded at once, row by row of weight_hh.
    fn is_beside(&self) -> bool {
        self.backward && self.cut.software && self.vec4
    }

    /// Without workgroup memory: no vec4 that an invocation loads reaches past the end of what it is loaded from.
    fn is_whole(&self) -> bool {
        self.cut.software && self.vec4 && self.cut.vec4s() == 1
    }

    /// The lines that load the four weights of each output from element `k` of the operand on.
    fn load(&self, product: &Product, k: &str, ending: &str) -> String {
        if self.is_beside() {
            let row = |row| {
                let load = if self.is_whole() {
                    format!("weights_within(units_begin + {k} * HIDDEN, {row}u * HIDDEN)")
                } else {
                    format!("weights_beside(units_begin, length, {})", plus(k, row))
                };
                format!("let row{row}{ending} = numbers({load});\n")
            };
            let of_unit = |(output, axis): (&String, &str)| {
                let rows = [0, 1, 2, 3].map(|row| format!("row{row}{ending}.{axis}")).join(", ");
                format!("let {output}{ending} = vec4<f32>({rows});\n")
            };
            return (0..4).map(row).chain(product.outputs.iter().zip(["x", "y", "z", "w"]).map(of_unit)).collect();
        }
        let is_down = matches!(product.weights, Weights::Columns(_)) && self.cut.software;
        let load = |output: &String| {
            let weights = match (is_down, self.is_whole()) {
                (true, _) => format!("weights_down({output}begin, length, {k})"),
                (false, true) => format!("weights_within({output}begin, {k})"),
                (false, false) => format!("weights_of({output}begin, length, {k})"),
            };
            let weights = if self.cut.software { format!("numbers({weights})") } else { weights };
            format!("let {output}{ending} = {weights};\n")
        };
        product.outputs.iter().map(load).collect()
    }

    /// A product slab by slab, whose sums go to workgroup memory from component `first` on.
    fn in_slabs(&self, product: &Product, first: u32) -> String {
        let (cut, name) = (self.cut, product.name);
        let weights = indented(&self.load(product, "slab + 4u * begin", "0"), 12);
        let begin = indented(&self.begin(product), 8);
        let multiply = indented(&cut.multiply(product, 1, cut.slab()), 12);
        let [place, declare, add] =
            [TileCut::PLACE, &cut.declare(product), &cut.add_slices(product, first)].map(|lines| indented(lines, 8));
        format!(
            "    {{
        let length = {};
{place}        let unit = workgroup.x * COLUMNS + group * UNITS;
{begin}{declare}        for (var slab = 0u; slab < length; slab += SLAB) {{
{weights}            for (var index = invocation; index < OPERAND_NUMBERS; index += WORKGROUP) {{
                let k = slab + index % SLAB;
                let row = begin_of_{name}(workgroup.z, row_of(workgroup, index / SLAB));
                let number = operand_of_{name}(row, min(k, length - 1u));
                set_operand(index, select(0.0, number, k < length));
            }}
            workgroupBarrier();
{multiply}            workgroupBarrier();
        }}
{add}    }}\n",
            self.length(product)
        )
    }

    /// A product whose sums stay where they are, in the variable `sums_of_NAME`: those of a row's units next to each other.
    fn in_registers(&self, product: &Product) -> String {
        let (cut, name) = (self.cut, product.name);
        let TileCut { rows, .. } = cut;
        let (mut before, mut text) = (self.begin(product), String::new());
        let vec4s = cut.vec4s();
        // Which rows an invocation loads, and from which element on.
        let (own, k) = if cut.broadcasts() && rows < 8 {
            (vec![format!("invocation % {rows}u")], format!("k + 4u * (invocation / {rows}u)"))
        } else if cut.broadcasts() {
            ((0..rows).step_by(8).map(|row| plus("invocation", row)).collect(), "k".to_owned())
        } else {
            ((0..rows).map(|row| format!("{row}u")).collect(), "k".to_owned())
        };
        for (number, row) in own.iter().enumerate() {
            before += &format!("let own{number}_begin = begin_of_{name}(workgroup.z, row_of(workgroup, {row}));\n");
            text += &format!("let own{number} = four_of_{name}(own{number}_begin, {k}, length);\n");
        }
        for part in 0..vec4s {
            let ending = if vec4s > 1 { format!("{part}") } else { String::new() };
            text += &self.load(product, &plus("k", 4 * part), &ending);
            for row in 0..rows {
                let operand = match cut.broadcasts() {
                    false => format!("own{row}"),
                    true if rows < 8 => format!("subgroupBroadcast(own0, {}u)", part * rows + row),
                    true => format!("subgroupBroadcast(own{}, {}u)", row / 8, row % 8),
                };
                text += &format!("let v{part}_{row} = {operand};\n");
                text += &cut.multiply_row(product, row, &ending, &format!("v{part}_{row}"));
            }
        }
        let entries: String = cut.entries(product).iter().map(|entry| format!("{entry},\n")).collect();
        format!(
            "    var sums_of_{name}: array<{sums}, OWN>;
    {{
        let length = {};
        let unit = workgroup.x * COLUMNS + invocation * UNITS;
{}{}        for (var k = 0u; k < length; k += {}u) {{
{}        }}
        sums_of_{name} = array<{sums}, OWN>(
{}        );
    }}\n",
            self.length(product),
            indented(&before, 8),
            indented(&cut.declare(product), 8),
            4 * vec4s,
            indented(&text, 12),
            indented(&entries, 12),
            sums = product.sums(),
        )
    }

    /// What is done with the sums.
    fn finish(&self, products: &[Product]) -> String {
        let &Self { cell, backward, second, cut, .. } = self;
        let (barrier, own) = if cut.software {
            // A count that the compiler does not know, so that it does not unroll the loop.
            ("", "min(ROWS, params.batch - workgroup.y * ROWS) * UNITS")
        } else {
            ("    workgroupBarrier();\n", "OWN")
        };
        let sums: Vec<String> = products
            .iter()
            .map(|product| format!("sums_of_{}{}", product.name, if cut.software { "[e]" } else { "(item)" }))
            .collect();
        let body = match (backward, is_reset_before(cell), second) {
            (false, false, _) => format!(
                "let bias = bias_of_item(item);
let x = with_bias(input_of(item, 0u), bias);
_ = finish(item, 0u, 0u, x, {}, bias, first_state(item));\n",
                sums[0]
            ),
            (false, true, false) => format!(
                "let x = with_bias(input_of(item, 0u), bias_of_item(item));
reset(item, 0u, x, {}, first_state(item));\n",
                sums[0]
            ),
            (false, true, true) => format!(
                "let x = with_bias(input_of(item, 0u), bias_of_item(item));
_ = finish(item, 0u, x, vec2<f32>({}, {}), first_state(item));\n",
                sums[0], sums[1]
            ),
            (true, is_reset_before, false) => format!(
                "// d_h of the state after this step, from the step after it.
let d_h = d_before(item, 0xffffffffu, first_d_h(item), {});
if params.steps == 0u {{
    store_d_h(item, d_h);
    continue;
}}
store_d_h(item, {});\n",
                sums[0],
                if is_reset_before {
                    "begin(item, 0u, input_of(item, 0u), d_h).past"
                } else {
                    "finish(item, 0u, 0u, input_of(item, 0u), d_h).d_h"
                }
            ),
            (true, _, true) => format!(
                "// The first kernel has left d_az where z was, and what reaches the state before past all products.
let input = input_of(item, 0u);
let begun = Begun(input.gates.z, input.gates.y, d_h_of_step_after(item));
store_d_h(item, finish(item, 0u, input, begun, {}).d_h);\n",
                sums[0]
            ),
        };
        let norms = if backward && !second {
            "    if HAS_NORMS && params.steps != 0u {
        workgroupBarrier();
        store_norms(workgroup, invocation, 0u);
    }\n"
        } else {
            ""
        };
        format!(
            "{barrier}    let own = {own};
    for (var e = 0u; e < own; e++) {{
        let item = item_of(workgroup, invocation, e);
{}    }}
{norms}",
            indented(&body, 8)
        )
    }
}
