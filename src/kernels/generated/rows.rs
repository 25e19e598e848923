//! Steps by rows, forward and backward, of the GRU and of the plain RNN. What the kernels do, and why, is in
//! `shaders/shared/rows.wgsl` and what it names; this writes out what is in registers.

use super::products::{Product, Products, add_in_memory, add_in_subgroup, indented, plus};
use super::sequence::{Sequence, Sums, is_reset_before};
use super::{Text, define, imports_of_steps};
use crate::config::Cell;
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
        let norms = [
            ("NORMS", 1),
            ("ROW_NORMS", 1),
            ("COLUMNS_OF_NORM", hidden),
            ("SQUARES", 2 * rows * hidden),
            ("SUMMED", cut.summed_steps()),
        ];
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
        let unit = "min(invocation / SLICES * UNITS, HIDDEN - 1u)";
        let weights = of.weights(&products, [unit, "4u * (invocation % SLICES)"], software);
        let product = |name: &str, half: &str, k: u32| {
            let Some(product) = products.iter().find(|product| product.name == name) else {
                return Sums { lines: String::new(), of_item: Vec::new() };
            };
            let first = match half {
                "0u" => "first".to_owned(),
                half => format!("{half} * HALF + first"),
            };
            let of_item: Vec<_> = (0..self.own()).map(|e| format!("{name}_{k}_{e}")).collect();
            let declared: String =
                of_item.iter().map(|sum| format!("        var {sum} = {}();\n", product.sums())).collect();
            let lines = indented(&self.product(product, operand, &first, &of_item), 12);
            Sums { lines: format!("{declared}        {{\n{lines}        }}\n"), of_item }
        };
        let barrier = "        workgroupBarrier();\n";
        let sequence = Sequence {
            cell: self.cell,
            backward,
            own: self.own(),
            ahead,
            summed: if backward { cut.summed_steps() } else { 0 },
            barrier,
            product: &product,
        };
        let main = format!(
            "{}    let first = invocation % SLICES;
    clear_operand(invocation);
{}",
            indented(&weights, 4),
            sequence.lines()
        );
        Text {
            name: self.name(),
            imports: imports_of_steps(self.cell, backward, &["operand", "rows"]),
            defines: define(self.cell, self.f16_weights, exact_stores),
            about: format!(
                "H = {hidden}, {rows} row(s), {units} unit(s) a group,\n// {how}, loads {ahead} step(s) ahead"
            ),
            consts: if backward { [&consts[..], &norms].concat() } else { consts.to_vec() },
            declarations: partial,
            in_subgroups: cut.uses_subgroups(),
            rows_first: false,
            main,
        }
    }

    /// The lines that give each item its sums of a product, from the first vec4 of the slice on.
    fn product(&self, product: &Product, operand: u32, first: &str, of_item: &[String]) -> String {
        let cut = self.cut;
        let RowsCut { slices, rows, .. } = cut;
        let Product { comment, outputs, .. } = product;
        let mut text = format!("// {comment}.\nlet begin = {first};\n");
        for output in outputs {
            for row in 0..rows {
                text += &format!("var {output}of_row{row} = vec4<f32>();\n");
            }
        }
        for part in 0..self.products().parts(product) {
            for output in outputs {
                text += &format!("let {output}{part}_ = numbers({output}{part});\n");
            }
            for row in 0..rows {
                let in_row = |number: u32| row * operand / 4 + number;
                let value = if cut.broadcasts() {
                    let (block, lane) = (part / 8, part % 8);
                    if lane == 0 {
                        let at = plus("begin + invocation % 8u", in_row(8 * block));
                        text += &format!("let block{block}_{row} = operand_at({at});\n");
                    }
                    format!("subgroupBroadcast(block{block}_{row}, {lane}u)")
                } else {
                    format!("operand_at({})", plus("begin", in_row(slices * part)))
                };
                text += &format!("let v{part}_{row} = {value};\n");
                for output in outputs {
                    let sum = format!("{output}of_row{row}");
                    text += &format!("{sum} = fma({output}{part}_, v{part}_{row}, {sum});\n");
                }
            }
        }
        // An item's sums: those of a unit and a row.
        let entries = (0..rows).flat_map(|row| {
            outputs.chunks(product.components as usize).map(move |of_unit| {
                let sums: Vec<_> = of_unit.iter().map(|output| format!("sum_of({output}of_row{row})")).collect();
                sums.join(", ")
            })
        });
        let mut names = Vec::new();
        for (number, entry) in entries.enumerate() {
            let entry = if product.components == 1 { entry } else { format!("{}({entry})", product.sums()) };
            text += &format!("let entry{number} = {entry};\n");
            names.push(format!("entry{number}"));
        }
        if slices > 1 && cut.uses_subgroups() {
            text += "let slice = invocation % SLICES;\n";
            (names, text) = add_in_subgroup(names, text, slices);
        } else if slices > 1 {
            (names, text) = add_in_memory(product.components, [self.items(), self.spread()], &names, text);
        }
        text + &of_item.iter().zip(names).map(|(sum, name)| format!("{sum} = {name};\n")).collect::<String>()
    }
}
