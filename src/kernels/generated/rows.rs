//! Steps by rows, forward and backward, of the GRU and of the plain RNN. What the kernels do, and why, is in
//! `shaders/shared/rows.wgsl` and what it names; this writes out what is in registers.

use super::products::{Product, Products, add_in_subgroup, plus};
use super::sequence::{Sequence, Sums, is_reset_before};
use super::{Text, define};
use crate::config::{Cell, Reset};
use crate::gpu::{Binding, Generate};
use crate::kernels::bindings::{Step, StepBackward};
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

impl Generate for Rows {
    fn name(&self) -> &'static str {
        RowsCut::label(self.cell, self.backward)
    }

    fn bindings(&self) -> &'static [Binding] {
        if self.backward { StepBackward::BINDINGS } else { Step::BINDINGS }
    }

    fn sizes(&self) -> Vec<u32> {
        let RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software } = self.cut;
        let flags = [is_reset_before(self.cell), self.f16_weights, exact_stores, software].map(u32::from);
        [&[self.hidden, slices, units, rows, ahead, subgroup.unwrap_or(0)][..], &flags].concat()
    }

    fn source(&self) -> String {
        self.text().source()
    }
}

impl Rows {
    fn products(&self) -> Products {
        let &Self { cell, backward, hidden, cut: RowsCut { units, slices, .. }, .. } = self;
        Products { cell, backward, hidden, units, slices }
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

    /// Two invocations of a subgroup finish the same numbers, and each computes one of the gates.
    fn shares_gates(&self) -> bool {
        let Self { cell, backward, cut, .. } = self;
        let is_after = matches!(cell, Cell::Gru { reset: Reset::After, .. });
        is_after && !backward && cut.uses_subgroups() && cut.slices >= 2 * self.spread()
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn text(&self) -> Text {
        let &Self { hidden, backward, cut, .. } = self;
        let RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software } = cut;
        let of = self.products();
        let products = of.list();
        let longest = products.iter().map(|product| product.len).max().unwrap_or(0);
        let operand = cut.operand(longest as usize) as u32;
        let how = match (slices, subgroup) {
            (1, _) => "one slice".to_owned(),
            (_, None) => format!("{slices} slices that are added in workgroup memory"),
            (_, Some(_)) => format!("{slices} slices that are added in their subgroup"),
        };
        // The products of a step use it in turn: there is a barrier between a product's last look and the next one's store.
        let partials = self.items() * products.iter().map(|product| product.components).max().unwrap_or(0);
        let partial = if slices > 1 && !cut.uses_subgroups() {
            format!("\nvar<workgroup> partial: array<f32, {partials}u * WORKGROUP>;\n")
        } else {
            String::new()
        };
        let norms = [("NORMS", 1), ("ROW_NORMS", 1), ("COLUMNS_OF_NORM", hidden), ("SQUARES", 2 * rows * hidden)];
        let consts = [
            ("HIDDEN", hidden),
            ("SLICES", slices),
            ("UNITS", units),
            ("ROWS", rows),
            ("COLUMNS", hidden),
            // Invocations of a group that finish numbers.
            ("SPREAD", self.spread()),
            // The longest operand, rounded up to a whole vec4 for every slice; and the vec4 of all rows.
            ("OPERAND", operand),
            ("HALF", rows * operand / 4),
            ("OPERAND_NUMBERS", 2 * rows * operand),
            ("OPERAND_VEC4S", rows * operand / 2),
            ("WORKGROUP", cut.invocations(hidden as usize)),
        ];
        let functions: String = products.iter().map(|product| self.function(product, operand)).collect();
        let unit = "min(invocation / SLICES * UNITS, HIDDEN - 1u)";
        let weights = of.weights(&products, [unit, "4u * (invocation % SLICES)"], software);
        let product = |name: &str, half: &str, k: u32| {
            let first = match half {
                "0u" => "first".to_owned(),
                half => format!("{half} * HALF + first"),
            };
            let sums = format!("{name}_{k}");
            let lines = format!("        let {sums} = {name}(weights, invocation, {first});\n");
            Sums { lines, of_item: (0..self.own()).map(|e| format!("{sums}[{e}]")).collect() }
        };
        let barrier = "        workgroupBarrier();\n";
        let sequence = Sequence { cell: self.cell, backward, own: self.own(), ahead, barrier, product: &product };
        let mut defines = define(self.cell, self.f16_weights, exact_stores);
        let second = if self.shares_gates() {
            defines.push("PAIRS");
            "    is_second = invocation % SLICES / SPREAD % 2u == 1u;\n"
        } else {
            ""
        };
        let main = format!(
            "{second}    let weights = load_weights(workgroup, invocation);
    let first = invocation % SLICES;
    clear_operand(invocation);
{}",
            sequence.lines()
        );
        Text {
            name: self.name(),
            cell: self.cell,
            backward,
            imports: &["operand", "rows"],
            defines,
            about: format!("{rows} row(s), {units} unit(s) a group,\n// {how}, loads {ahead} step(s) ahead"),
            consts: if backward { [&consts[..], &norms].concat() } else { consts.to_vec() },
            declarations: format!("{partial}\n{weights}{functions}"),
            in_subgroups: cut.uses_subgroups(),
            main,
        }
    }

    /// The sums of a product, those that an invocation needs for its items.
    fn function(&self, product: &Product, operand: u32) -> String {
        let cut = self.cut;
        let RowsCut { slices, rows, .. } = cut;
        let Product { name, comment, outputs, .. } = product;
        let sums = outputs.iter().flat_map(|output| (0..rows).map(move |row| format!("{output}of_row{row}")));
        let zeros = sums.map(|sum| format!("    var {sum} = vec4<f32>();\n")).collect::<String>();
        let mut steps = String::new();
        for part in 0..self.products().parts(product) {
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
        // An item's sums: those of a unit and a row.
        let entries = (0..rows).flat_map(|row| {
            outputs.chunks(product.components as usize).map(move |of_unit| {
                let sums: Vec<_> = of_unit.iter().map(|output| format!("sum_of({output}of_row{row})")).collect();
                sums.join(", ")
            })
        });
        let (mut names, mut reduction) = (Vec::new(), String::new());
        for (number, entry) in entries.enumerate() {
            let entry = if product.components == 1 { entry } else { format!("{}({entry})", product.sums()) };
            reduction += &format!("    let entry{number} = {entry};\n");
            names.push(format!("entry{number}"));
        }
        if slices > 1 && cut.uses_subgroups() {
            reduction += "    let slice = invocation % SLICES;\n";
            (names, reduction) = add_in_subgroup(names, reduction, slices);
        } else if slices > 1 {
            (names, reduction) = self.in_memory(product, &names, reduction);
        }
        let result = format!("array<{}, {}>", product.sums(), names.len());
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

    /// Adds over the slices of a group in workgroup memory.
    fn in_memory(&self, product: &Product, names: &[String], mut text: String) -> (Vec<String>, String) {
        let components = product.components;
        for (entry, name) in names.iter().enumerate() {
            for c in 0..components {
                let place = entry as u32 * components + c;
                let value = product.component(name, c);
                text += &format!("    partial[{place}u * WORKGROUP + invocation] = {value};\n");
            }
        }
        text += "    workgroupBarrier();\n    let slice = invocation % SLICES;\n    let group = invocation - slice;\n";
        let sums: Vec<_> = (0..self.own()).map(|e| format!("sum{e}")).collect();
        for (e, sum) in sums.iter().enumerate() {
            let first = plus("slice % SPREAD", e as u32 * self.spread());
            text += &format!("    let at{e} = min({first}, {}u) * {components}u;\n", self.items() - 1);
            text += &format!("    var {sum} = {}();\n", product.sums());
            text += "    for (var other = 0u; other < SLICES; other++) {\n";
            for c in 0..components {
                let place = format!("({}) * WORKGROUP + group + other", plus(&format!("at{e}"), c));
                text += &format!("        {} += partial[{place}];\n", product.component(sum, c));
            }
            text += "    }\n";
        }
        (sums, text)
    }
}
