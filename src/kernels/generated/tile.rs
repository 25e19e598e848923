//! The product of a tile, rows of the batch by units: how `shaders/shared/tile.wgsl` divides it, written out for its sizes.

use super::products::{Product, add_in_subgroup, plus};
use crate::plan::TileCut;

impl TileCut {
    /// All that a text depends on.
    pub(super) fn sizes(self) -> [u32; 8] {
        let Self { slices, groups, splits, units, rows, subgroup, exact_stores, software } = self;
        [slices, groups, splits, units, rows, subgroup.unwrap_or(0), exact_stores.into(), software.into()]
    }

    /// The constants of `shared/tile.wgsl`, for `components` sums of a unit in all products that have a place of their own.
    pub(super) fn consts(self, components: u32) -> Vec<(&'static str, u32)> {
        vec![
            ("SLICES", self.slices),
            ("SPLITS", self.splits),
            ("GROUPS", self.groups),
            ("UNITS", self.units),
            ("COLUMNS", self.columns()),
            // Rows of a tile, and invocations of a group that have sums of it at the end.
            ("TILE", self.rows),
            ("SPREAD", self.slices.min(self.rows * self.units)),
            ("SUMS", components * self.splits * self.rows * self.columns()),
        ]
    }

    /// What an invocation multiplies.
    pub(super) const PLACE: &'static str = "let slice = invocation % SLICES;
let group = invocation / SLICES % GROUPS;
let split = invocation / (SLICES * GROUPS);
let begin = split * SLICES + slice;\n";

    /// Declares the sums of an invocation.
    pub(super) fn declare(self, product: &Product) -> String {
        let of_row = |row| product.outputs.iter().map(move |output| format!("var {output}of_row{row} = 0.0;\n"));
        (0..self.rows).flat_map(of_row).collect()
    }

    /// Adds so many vec4 of the slice, of which the weights are in registers; rows of the operand lie `operand` numbers
    /// apart in workgroup memory.
    pub(super) fn multiply(self, product: &Product, parts: u32, operand: u32) -> String {
        let mut text = String::new();
        for part in 0..parts {
            for output in &product.outputs {
                text += &format!("let {output}{part}_ = numbers({output}{part});\n");
            }
            for row in 0..self.rows {
                let value = plus("begin", row * operand / 4 + self.slices * self.splits * part);
                text += &format!("let v{part}_{row} = operand_at({value});\n");
                text += &self.multiply_row(product, row, &format!("{part}_"), &format!("v{part}_{row}"));
            }
        }
        text
    }

    /// Adds the products of the weights with this ending and a vec4 of a row's operand.
    pub(super) fn multiply_row(self, product: &Product, row: u32, ending: &str, operand: &str) -> String {
        let of = |output| chain(&format!("{output}of_row{row}"), &format!("{output}{ending}"), operand);
        product.outputs.iter().map(of).collect()
    }

    /// The sums of each unit and row, as values of the type of the product.
    pub(super) fn entries(self, product: &Product) -> Vec<String> {
        let of_row = |row| {
            product.outputs.chunks(product.components as usize).map(move |of_unit| {
                let sums: Vec<_> = of_unit.iter().map(|output| format!("{output}of_row{row}")).collect();
                let sums = sums.join(", ");
                if product.components == 1 { sums } else { format!("{}({sums})", product.sums()) }
            })
        };
        (0..self.rows).flat_map(of_row).collect()
    }

    /// Adds the slices of each subgroup, and stores the sums in workgroup memory, from component `first` on.
    pub(super) fn add_slices(self, product: &Product, first: u32) -> String {
        let (mut names, mut text) = (Vec::new(), String::new());
        for (number, entry) in self.entries(product).into_iter().enumerate() {
            text += &format!("let entry{number} = {entry};\n");
            names.push(format!("entry{number}"));
        }
        (names, text) = add_in_subgroup(names, text, self.slices);
        text += "if slice < SPREAD {\n";
        for (number, name) in (0..).zip(&names) {
            let number: u32 = number;
            let spread = self.slices.min(self.rows * self.units);
            text += &format!("    let at{number} = sum_at(split, group, {});\n", plus("slice", number * spread));
            for c in 0..product.components {
                let value = product.component(name, c);
                let place = match first + c {
                    0 => format!("at{number}"),
                    c => format!("at{number} + {c}u * SPLITS * TILE * COLUMNS"),
                };
                text += &format!("    sums_of_subgroups[{place}] = {value};\n");
            }
        }
        text + "}\n"
    }

    /// The function that adds the sums of an item over the subgroups, from component `first` on.
    pub(super) fn collect(self, product: &Product, first: u32) -> String {
        let mut text = format!(
            "
fn sums_of_{}(item: Item) -> {sums} {{
    let at = item.local_row % TILE * COLUMNS + item.local_unit;
    var sums = {sums}();
    for (var split = 0u; split < SPLITS; split++) {{\n",
            product.name,
            sums = product.sums(),
        );
        for c in 0..product.components {
            let (sum, place) = (product.component("sums", c), first + c);
            text +=
                &format!("        {sum} += sums_of_subgroups[({place}u * SPLITS + split) * TILE * COLUMNS + at];\n");
        }
        text + "    }\n    return sums;\n}\n"
    }
}

/// The lines of sum += weights . operand, one after the other.
pub(super) fn chain(sum: &str, weights: &str, operand: &str) -> String {
    let two = |[a, b]: [&str; 2]| {
        format!("{sum} = fma({weights}.{b}, {operand}.{b}, fma({weights}.{a}, {operand}.{a}, {sum}));\n")
    };
    [["x", "y"], ["z", "w"]].map(two).concat()
}
