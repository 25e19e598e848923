//! The products of a step, and the weights that an invocation keeps in registers for them.

use crate::config::{Cell, Reset};

/// What of a kernel says which products it has, and how their weights are divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Products {
    pub(super) cell: Cell,
    pub(super) backward: bool,
    /// H.
    pub(super) hidden: u32,
    /// Units of a group of invocations, whose weights each of them has for its slice.
    pub(super) units: u32,
    /// Slices of an operand in all.
    pub(super) slices: u32,
}

/// A product of a step: some sums for each unit.
pub(super) struct Product {
    /// Its name.
    pub(super) name: &'static str,
    /// What is multiplied, in words.
    pub(super) comment: &'static str,
    /// The names of its weights, without the number of the part: for each unit as many as it has sums.
    pub(super) outputs: Vec<String>,
    /// Sums of a unit.
    pub(super) components: u32,
    pub(super) weights: Weights,
    /// How long its operand is.
    pub(super) len: u32,
}

/// Where the weights of a product lie in weight_hh.
pub(super) enum Weights {
    /// Along the rows of these gates, one for each sum.
    Rows(&'static [u32]),
    /// Down the columns, from this row on.
    Columns(u32),
}

impl Product {
    /// The type of the sums of a unit.
    pub(super) fn sums(&self) -> String {
        type_of(self.components)
    }

    /// One of the sums of a unit.
    pub(super) fn component(&self, name: &str, component: u32) -> String {
        component_of(self.components, name, component)
    }

    /// The four weights for a sum of a unit, from element `k` of the operand on.
    pub(super) fn load(&self, component: u32, cell: &str, unit: &str, k: &str) -> String {
        match self.weights {
            Weights::Rows(gates) => {
                format!("weights_of(row_of_weights({cell}, {}u, {unit}), HIDDEN, {k})", gates[component as usize])
            }
            Weights::Columns(first) => {
                format!("weights_down(column_of_weights({cell}, {first}u, {unit}, 1u), {}u, {k})", self.len)
            }
        }
    }
}

impl Products {
    /// What a step multiplies, in order.
    pub(super) fn list(&self) -> Vec<Product> {
        let hidden = self.hidden;
        let product = |name, comment, members: &[&str], weights, len| Product {
            name,
            comment,
            outputs: (0..self.units).flat_map(|u| members.iter().map(move |member| format!("{member}{u}_"))).collect(),
            components: members.len() as u32,
            weights,
            len,
        };
        match (self.cell, self.backward) {
            (Cell::Rnn { .. }, false) => vec![product("multiply", "W_hh h", &["w"], Weights::Rows(&[0]), hidden)],
            (Cell::Gru { reset: Reset::After, .. }, false) => {
                let gates = Weights::Rows(&[0, 1, 2]);
                vec![product("multiply", "W_hr h, W_hz h and W_hn h", &["r", "z", "n"], gates, hidden)]
            }
            (Cell::Gru { reset: Reset::Before, .. }, false) => vec![
                product("multiply_state", "W_hr h and W_hz h", &["r", "z"], Weights::Rows(&[0, 1]), hidden),
                product("multiply", "W_hn (r * h)", &["n"], Weights::Rows(&[2]), hidden),
            ],
            (Cell::Rnn { .. }, true) => vec![product("multiply", "d_a . W_hh", &["w"], Weights::Columns(0), hidden)],
            (Cell::Gru { reset: Reset::After, .. }, true) => {
                vec![product("multiply", "(d_ar, d_az, d_hn) . W_hh", &["w"], Weights::Columns(0), 3 * hidden)]
            }
            (Cell::Gru { reset: Reset::Before, .. }, true) => vec![
                product("multiply_candidate", "d_an . W_hn", &["n"], Weights::Columns(2 * hidden), hidden),
                product("multiply", "(d_ar, d_az) . (W_hr, W_hz)", &["w"], Weights::Columns(0), 2 * hidden),
            ],
        }
    }

    /// The same of a single step: of its second kernel, or of its first or only one.
    pub(super) fn of_step(&self, second: bool) -> Vec<Product> {
        let mut list = self.list();
        if let Cell::Gru { reset: Reset::Before, .. } = self.cell {
            if self.backward {
                // The other way round than in a loop: a dispatch begins with the product of the step after.
                list.swap(0, 1);
                list = if second { list.split_off(1) } else { vec![list.swap_remove(0)] };
            } else {
                let (comment, member, gate): (_, _, &[u32]) =
                    if second { ("W_hz h", "z", &[1]) } else { ("W_hr h", "r", &[0]) };
                let state = &mut list[0];
                state.outputs = (0..self.units).map(|u| format!("{member}{u}_")).collect();
                (state.comment, state.components, state.weights) = (comment, 1, Weights::Rows(gate));
                list.truncate(if second { 2 } else { 1 });
            }
        }
        list
    }

    /// How many vec4 of an operand a slice has.
    pub(super) fn parts(&self, product: &Product) -> u32 {
        product.len.div_ceil(4 * self.slices)
    }

    /// The lines that load the weights: vec4 `part` of the slice of an output is `OUTPUTpart`. For a unit, which is clamped,
    /// and for the element of the operand with which the slice begins. In a loop that keeps what it has loaded where it
    /// belongs, if `software`.
    ///
    /// Names of `main`, not members of a struct that functions are given: on an H100 it is the same (`benches/RECORD.md`),
    /// and no driver has to see through a call to keep them in registers.
    pub(super) fn weights(&self, products: &[Product], [unit, first]: [&str; 2], software: bool) -> String {
        let mut text = format!(
            "// The weights of a group and a slice: vec4 j of the slice is vec4 j * {} + slice of the operand.
let own_unit = {unit};
let own_k = {first};\n",
            self.slices
        );
        let load = |product: &Product, output: usize, k: &str| {
            let (unit, component) = (output as u32 / product.components, output as u32 % product.components);
            product.load(component, "workgroup.z", &plus("own_unit", unit), k)
        };
        if software {
            return text + &self.weights_in_a_loop(products, load);
        }
        for product in products {
            for part in 0..self.parts(product) {
                let k = plus("own_k", 4 * self.slices * part);
                for (number, output) in product.outputs.iter().enumerate() {
                    text += &format!("let {output}{part} = {};\n", load(product, number, &k));
                }
            }
        }
        text
    }

    fn weights_in_a_loop(&self, products: &[Product], load: impl Fn(&Product, usize, &str) -> String) -> String {
        let longest = products.iter().map(|product| product.len.div_ceil(self.hidden)).max().unwrap_or(0);
        let width = 4 * self.slices;
        let (mut declared, mut text) = (String::new(), String::new());
        for product in products {
            for (number, output) in product.outputs.iter().enumerate() {
                text += &format!("    let {output} = {};\n", load(product, number, "k"));
                for part in 0..self.parts(product) {
                    let weight = format!("{output}{part}");
                    declared += &format!("var {weight}: Weight;\n");
                    text += &format!("    {weight} = select({weight}, {output}, j == {part}u);\n");
                }
            }
        }
        format!(
            "{declared}// params.hidden is HIDDEN. The compiler does not know it, so it does not unroll the loop.
for (var j = 0u; j * {width}u < {longest}u * params.hidden; j++) {{
    let k = own_k + j * {width}u;
{text}}}\n"
        )
    }
}

/// Adds over neighbouring invocations of a subgroup, of which there are a power of two. As long as there are several
/// numbers, each of a pair of invocations goes on with half of them: so invocation s is left with those whose number is s
/// modulo the invocations.
pub(super) fn add_in_subgroup(mut names: Vec<String>, mut text: String, invocations: u32) -> (Vec<String>, String) {
    let mut distance = 1;
    while distance < invocations {
        let mut next = Vec::new();
        let upper = format!("(slice & {distance}u) != 0u");
        if names.len() > 1 {
            for (i, pair) in names.chunks(2).enumerate() {
                let (a, b, name) = (&pair[0], &pair[1], format!("over{distance}_{i}"));
                text += &format!("let {name} = select({a}, {b}, {upper})\n");
                text += &format!("    + subgroupShuffleXor(select({b}, {a}, {upper}), {distance}u);\n");
                next.push(name);
            }
        } else {
            let (a, name) = (&names[0], format!("over{distance}_0"));
            text += &format!("let {name} = {a} + subgroupShuffleXor({a}, {distance}u);\n");
            next.push(name);
        }
        (names, distance) = (next, 2 * distance);
    }
    (names, text)
}

/// Adds over the slices of a group in workgroup memory, where the invocations of a group share so many numbers, `[all,
/// spread]`, of so many components: `spread` of them have some. What is named in `names` an invocation has of all.
pub(super) fn add_in_memory(
    components: u32,
    [items, spread]: [u32; 2],
    names: &[String],
    mut text: String,
) -> (Vec<String>, String) {
    for (entry, name) in names.iter().enumerate() {
        for c in 0..components {
            let place = entry as u32 * components + c;
            let value = component_of(components, name, c);
            text += &format!("partial[{place}u * WORKGROUP + invocation] = {value};\n");
        }
    }
    text += "workgroupBarrier();\nlet slice = invocation % SLICES;\nlet group = invocation - slice;\n";
    let sums: Vec<_> = (0..items.div_ceil(spread)).map(|e| format!("sum{e}")).collect();
    for (e, sum) in sums.iter().enumerate() {
        let first = plus("slice % SPREAD", e as u32 * spread);
        text += &format!("let at{e} = min({first}, {}u) * {components}u;\n", items - 1);
        text += &format!("var {sum} = {}();\n", type_of(components));
        text += "for (var other = 0u; other < SLICES; other++) {\n";
        for c in 0..components {
            let place = format!("({}) * WORKGROUP + group + other", plus(&format!("at{e}"), c));
            text += &format!("    {} += partial[{place}];\n", component_of(components, sum, c));
        }
        text += "}\n";
    }
    (sums, text)
}

/// The type of so many sums.
pub(super) fn type_of(components: u32) -> String {
    match components {
        1 => "f32".to_owned(),
        count => format!("vec{count}<f32>"),
    }
}

/// One of so many sums.
fn component_of(components: u32, name: &str, component: u32) -> String {
    if components == 1 { name.to_owned() } else { format!("{name}[{component}]") }
}

/// A sum, without a zero.
pub(super) fn plus(name: &str, number: u32) -> String {
    if number == 0 { name.into() } else { format!("{name} + {number}u") }
}

/// Lines further to the right.
pub(super) fn indented(lines: &str, by: usize) -> String {
    lines.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
