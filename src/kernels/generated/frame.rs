//! A frame: one step of all layers of a GRU or a plain RNN in one dispatch. `shaders/shared/frame.wgsl` says where its
//! numbers lie; this writes out the sums. For a GPU:
//!
//! ```text
//! for each layer
//!     ask for the first weights of both products                                 registers
//!     the layer's input, if it is the first one, and its states -> operands      workgroup memory
//!     sums of a group's unit, of all rows of its block, slice by slice           registers; weights asked for ahead
//!     add the slices; the new state of each item -> its place, and operand of the next layer
//! ```
//!
//! Departures from the twin, which takes one number after the other:
//! 1. A group of SLICES neighbouring invocations has a unit, whose weights it reads once for TILE rows of the batch.
//!    It asks for AHEAD vec4 of every weight at a time, before it multiplies those that it has, and for the first ones
//!    before the operands are there: nothing waits for a chain of loads.
//! 2. BLOCKS of such groups have further rows, where a layer has few units.
//! 3. Operands have zeros behind their end, up to a whole vec4 for every slice and for all that are asked for at a
//!    time.
//! 4. For a software rasteriser a workgroup is one subgroup of 8, of which each invocation has every eighth unit. An
//!    operand lies in the registers of all 8, element 8 i + lane in the lane's i-th, and goes round by broadcasts. New
//!    states wait there until all sums are taken: so there is neither workgroup memory nor a barrier.

use super::products::{add_in_memory, add_in_subgroup, indented, plus, type_of};
use super::sequence::is_reset_before;
use super::tile::chain;
use super::{Text, define};
use crate::config::Cell;
use crate::gpu::{Binding, BindingKind, Generate};
use crate::kernels::bindings::OptionsOfFrame;
use crate::plan::FrameCut;

/// The kernel of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    /// Of which nothing counts but what the products are.
    pub(crate) cell: Cell,
    pub(crate) cut: FrameCut,
    /// weight_ih, and weight_hh, is loaded four numbers at a time.
    pub(crate) vec4: [bool; 2],
    /// The recurrent weights count as rounded to f16.
    pub(crate) f16_weights: bool,
    pub(crate) options: OptionsOfFrame,
}

impl Generate for Frame {
    fn name(&self) -> &'static str {
        FrameCut::label(self.cell)
    }

    fn bindings(&self) -> &'static [Binding] {
        self.options.bindings()
    }

    fn sizes(&self) -> Vec<u32> {
        let FrameCut { slices, units, blocks, rows, ahead, numbers, subgroup, exact_stores, software } = self.cut;
        let OptionsOfFrame { bias, lengths, before } = self.options;
        let [ih, hh] = self.vec4;
        let flags =
            [is_reset_before(self.cell), self.f16_weights, ih, hh, bias, lengths, before, exact_stores, software];
        let sizes = [slices, units, blocks, rows, ahead, numbers, subgroup.unwrap_or(0)];
        sizes.into_iter().chain(flags.map(u32::from)).collect()
    }

    fn source(&self) -> String {
        self.text().source()
    }
}

/// A product of a layer: some sums of each unit, by their names, and the rows of the weights of which they are.
#[derive(Clone, Copy)]
struct Product {
    comment: &'static str,
    /// Of `weights_KIND`.
    kind: &'static str,
    outputs: &'static [(&'static str, u32)],
}

impl Product {
    /// How long its operand is.
    fn length(self) -> &'static str {
        if self.kind == "ih" { "inputs" } else { "params.hidden" }
    }
}

impl Frame {
    /// What a layer multiplies: with reset before the product the last one by itself, after r is known.
    fn products(&self) -> Vec<Product> {
        let product = |comment, kind, outputs| Product { comment, kind, outputs };
        match self.cell {
            Cell::Rnn { .. } => vec![product("W_ih x", "ih", &[("a", 0)]), product("W_hh h", "hh", &[("a", 0)])],
            Cell::Gru { .. } if is_reset_before(self.cell) => vec![
                product("W_ir x, W_iz x and W_in x", "ih", &[("r", 0), ("z", 1), ("n", 2)]),
                product("W_hr h and W_hz h", "hh", &[("r", 0), ("z", 1)]),
                product("W_hn (r * h)", "hh", &[("hn", 2)]),
            ],
            Cell::Gru { .. } => vec![
                product("W_ir x, W_iz x and W_in x", "ih", &[("r", 0), ("z", 1), ("n", 2)]),
                product("W_hr h, W_hz h and W_hn h", "hh", &[("r", 0), ("z", 1), ("hn", 2)]),
            ],
        }
    }

    /// The sums of a unit that are there before the first activation.
    fn sums(&self) -> &'static [&'static str] {
        match self.cell {
            Cell::Rnn { .. } => &["a"],
            Cell::Gru { .. } if is_reset_before(self.cell) => &["r", "z", "n"],
            Cell::Gru { .. } => &["r", "z", "n", "hn"],
        }
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn text(&self) -> Text {
        let &Self { cell, cut, vec4: [ih, hh], f16_weights, options, .. } = self;
        let FrameCut { slices, units, blocks, rows, ahead, numbers, exact_stores, software, .. } = cut;
        let mut imports = vec!["exponential", "activation"];
        imports.extend(match cell {
            Cell::Gru { .. } => &["gru_activations", "gru_unit"][..],
            Cell::Rnn { .. } => &["rnn_unit"],
        });
        imports.extend(f16_weights.then_some("f16"));
        imports.extend((!software).then_some("operand"));
        imports.push("frame");
        let mut defines = define(cell, f16_weights, exact_stores && !software);
        let OptionsOfFrame { bias, lengths, before } = options;
        let more = [("VEC4_IH", ih), ("VEC4_HH", hh), ("BIAS", bias), ("LENGTHS", lengths), ("BEFORE", before)];
        defines.extend(more.into_iter().filter_map(|(define, is_on)| is_on.then_some(define)));
        let mut consts = vec![("ROWS", cut.rows_of_workgroup()), ("WORKGROUP", cut.invocations())];
        consts.extend(if software {
            // Numbers of an operand that an invocation has: those of all rows.
            vec![("HELD", numbers * rows)]
        } else {
            vec![
                ("SLICES", slices),
                ("UNITS", units),
                ("TILE", rows),
                // Invocations of a group that finish numbers.
                ("SPREAD", self.spread()),
                // Elements of an operand for all slices, as many as are asked for at a time.
                ("AHEAD", 4 * slices * ahead),
                ("OPERAND_NUMBERS", numbers),
                ("OPERAND_VEC4S", numbers / 4),
            ]
        });
        let partial = if slices > 1 && !cut.uses_subgroups() {
            format!("\nvar<workgroup> partial: array<f32, {}u * WORKGROUP>;\n", FrameCut::components(cell) * rows)
        } else {
            String::new()
        };
        Text {
            name: self.name(),
            imports,
            defines,
            about: format!(
                "any I, H and L, {blocks} x {rows} row(s),\n// {slices} slice(s){}, {ahead} vec4 of each at a time",
                if cut.uses_subgroups() { " in subgroups" } else { "" }
            ),
            consts,
            declarations: self.declared() + &partial,
            in_subgroups: cut.uses_subgroups(),
            rows_first: false,
            main: if software { self.in_lanes() } else { self.in_slices() },
        }
    }

    /// The declarations of the bindings.
    fn declared(&self) -> String {
        let of = |(place, binding): (usize, &Binding)| {
            let of_four = [("weight_ih", self.vec4[0]), ("weight_hh", self.vec4[1])];
            let element = match binding.name {
                "lengths" => "u32",
                name if of_four.contains(&(name, true)) => "vec4<f32>",
                _ => "f32",
            };
            let access = match binding.kind {
                BindingKind::Uniform { .. } => {
                    return format!("\n@group(0) @binding({place}) var<uniform> params: FrameParams;\n");
                }
                BindingKind::Read => "read",
                BindingKind::ReadWrite => "read_write",
            };
            format!("@group(0) @binding({place}) var<storage, {access}> {}: array<{element}>;\n", binding.name)
        };
        self.bindings().iter().enumerate().map(of).collect()
    }

    /// Numbers that an invocation finishes.
    fn own(&self) -> u32 {
        self.cut.rows / self.spread()
    }

    fn spread(&self) -> u32 {
        self.cut.slices.min(self.cut.rows)
    }

    fn each(&self, line: impl Fn(u32) -> String) -> String {
        (0..self.own()).map(line).collect()
    }

    /// The lines that load the biases of a unit: `bias_ih` and `bias`.
    fn biases(&self, unit: &str) -> String {
        let of = |kind: &str| match self.cell {
            Cell::Rnn { .. } => format!("bias_{kind}_of(layer, 0u, {unit})"),
            Cell::Gru { .. } => format!("biases_{kind}_of(layer, {unit})"),
        };
        format!("let bias_of_ih = {};\nlet bias = {};\n", of("ih"), of("hh"))
    }

    /// The line that adds them to the sums of item `e`.
    fn input(&self, e: &str, sums: &str) -> String {
        let part = if matches!(self.cell, Cell::Gru { .. }) { ".xyz" } else { "" };
        format!("let x{e} = with_bias({sums}{part} + bias_of_ih, bias);\n")
    }

    /// The step of a unit, without the product after r.
    fn step(&self, e: &str, sums: &str) -> String {
        match self.cell {
            Cell::Rnn { .. } => format!("step_of_unit(x{e}, 0.0)"),
            Cell::Gru { .. } => format!("step_of_unit(x{e}, vec3<f32>(0.0, 0.0, {sums}.w), bias, before{e})"),
        }
    }

    /// Slices by invocations, with operands in workgroup memory.
    fn in_slices(&self) -> String {
        let products = self.products();
        let (first, after_reset) = products.split_at(2);
        let items = self.each(|e| {
            format!(
                "let local{e} = block * TILE + {};
let row{e} = min(first_row + local{e}, params.batch - 1u);
let is_own{e} = slice < SPREAD && unit < params.hidden && first_row + local{e} < params.batch;\n",
                plus("slice % SPREAD", e * self.spread())
            )
        });
        let begin: String =
            products.iter().enumerate().map(|(number, product)| self.ask_first(*product, number)).collect();
        let before = self.each(|e| {
            format!("let before{e} = state_before(layer, row{e}, own_unit);\nlet over{e} = is_over(row{e});\n")
        });
        let sums: String = self.declare(self.sums());
        let multiply: String =
            first.iter().enumerate().map(|(number, product)| self.multiply(*product, number)).collect();
        let inputs = self.each(|e| self.input(&e.to_string(), &format!("sums{e}")));
        let finish = if let [product] = after_reset {
            let reset = self.each(|e| format!("let reset{e} = reset_gate(x{e}, 0.0).r * before{e};\n"));
            let put = self.each(|e| {
                format!("if is_own{e} {{\n    set_operand(local{e} * row_width + params.below_width + unit, reset{e});\n}}\n")
            });
            let unit = self.each(|e| {
                format!(
                    "let after{e} = step_of_unit(x{e}, vec2<f32>(0.0, of_reset{e}), before{e});
let next{e} = select(after{e}.state, before{e}, over{e});\n"
                )
            });
            format!(
                "{reset}workgroupBarrier();\n{put}workgroupBarrier();\n{}{}{}{unit}",
                self.declare(&["hn"]),
                self.multiply(*product, 2),
                self.add(&["hn"], "of_reset")
            )
        } else {
            self.each(|e| {
                let step = self.step(&e.to_string(), &format!("sums{e}"));
                format!("let next{e} = select({step}.state, before{e}, over{e});\n")
            })
        };
        let store = self.each(|e| format!("if is_own{e} {{\n    store(layer, row{e}, unit, next{e});\n}}\n"));
        let stage = |line: &dyn Fn(u32) -> String| (0..4).map(line).collect::<String>();
        let place = |n: u32| if n == 0 { "first".to_owned() } else { format!("first + {n}u * WORKGROUP") };
        let stage = stage(&|n| {
            let at = place(n);
            format!("let at{n} = min({at}, numbers - 1u);\nlet number{n} = operand_number(layer, first_row, at{n});\n")
        }) + &stage(&|n| {
            // What a layer above the first one reads is there.
            format!(
                "if {} < numbers && (layer == 0u || at{n} % row_width >= params.below_width) {{
    set_operand(at{n}, number{n});
}}\n",
                place(n)
            )
        });
        let hand_on =
            self.each(|e| format!("if is_own{e} {{\n    set_operand(local{e} * row_width + unit, next{e});\n}}\n"));
        format!(
            "    let slice = invocation % SLICES;
    let unit = invocation / SLICES % UNITS;
    let own_unit = min(unit, params.hidden - 1u);
    let block = invocation / (SLICES * UNITS);
    let first_row = (workgroup.y * params.workgroups + workgroup.x) * ROWS;
    let row_width = params.below_width + params.state_width;
    let numbers = ROWS * row_width;
    // Where the operands of the block begin, in vec4.
    let begin = block * TILE * (row_width / 4u);
{}    for (var layer = 0u; layer < params.layers; layer++) {{
        let inputs = width_of(layer);
        // Who has no unit multiplies nothing.
        let is_busy = unit < params.hidden;
        // The first weights are asked for before what they are multiplied with is there.
{}        for (var first = invocation; first < numbers; first += 4u * WORKGROUP) {{
            // Four numbers are asked for before the first of them is stored.
{}        }}
        workgroupBarrier();
{}        if layer + 1u < params.layers {{
            // All have multiplied. Behind the units there are zeros, where the first layer may have read more numbers.
            workgroupBarrier();
{}            let behind = params.state_width - params.hidden;
            for (var index = invocation; index < ROWS * behind; index += WORKGROUP) {{
                set_operand(index / behind * row_width + params.hidden + index % behind, 0.0);
            }}
        }}
    }}\n",
            indented(&items, 4),
            indented(&(begin + &self.biases("own_unit") + &before), 8),
            indented(&stage, 12),
            indented(&(sums + &multiply + &self.add(self.sums(), "sums") + &inputs + &finish + &store), 8),
            indented(&hand_on, 12),
        )
    }

    /// Declares sums of all rows.
    fn declare(&self, sums: &[&str]) -> String {
        let of_row = |row| sums.iter().map(move |sum| format!("var {sum}_of_row{row} = 0.0;\n"));
        (0..self.cut.rows).flat_map(of_row).collect()
    }

    /// The lines that ask for the vec4s of a product's weights that are multiplied first, from element `k` on.
    fn ask(&self, product: Product, number: usize, k: &str, declare: &str) -> String {
        let mut text = String::new();
        for part in 0..self.cut.ahead {
            for (output, _) in product.outputs {
                let place = plus(k, 4 * self.cut.slices * part);
                let (kind, length) = (product.kind, product.length());
                let name = format!("{output}{number}_");
                text += &format!("{declare}{name}{part} = weights_{kind}({name}begin, {length}, {place});\n");
            }
        }
        text
    }

    fn ask_first(&self, product: Product, number: usize) -> String {
        let begins = product.outputs.iter().map(|(output, gate)| {
            format!("let {output}{number}_begin = row_of_{}(layer, {gate}u, unit);\n", product.kind)
        });
        begins.collect::<String>() + &self.ask(product, number, "4u * slice", "var ")
    }

    /// The loop of a product over its operand.
    fn multiply(&self, product: Product, number: usize) -> String {
        let (slices, ahead) = (self.cut.slices, self.cut.ahead);
        let mut text = String::new();
        for part in 0..ahead {
            for (output, _) in product.outputs {
                text += &format!("let {output}{part}_ = {output}{number}_{part};\n");
            }
        }
        text += "if k + AHEAD < length {\n";
        text += &indented(&self.ask(product, number, "k + AHEAD + 4u * slice", ""), 4);
        text += "}\n";
        for part in 0..ahead {
            for row in 0..self.cut.rows {
                let of_row = if row == 0 { String::new() } else { format!(" + {row}u * (row_width / 4u)") };
                text += &format!("let v{part}_{row} = operand_at({}{of_row});\n", plus("own", slices * part));
                for (output, _) in product.outputs {
                    text += &chain(
                        &format!("{output}_of_row{row}"),
                        &format!("{output}{part}_"),
                        &format!("v{part}_{row}"),
                    );
                }
            }
        }
        let area = if product.kind == "ih" { "begin" } else { "begin + params.below_width / 4u" };
        format!(
            "// {}.
{{
    let length = select(0u, {}, is_busy);
    for (var k = 0u; k < length; k += AHEAD) {{
        let own = {area} + slice + k / 4u;
{}    }}
}}\n",
            product.comment,
            product.length(),
            indented(&text, 8)
        )
    }

    /// The lines that give each item `NAMEe` the sums of its row, over all slices.
    fn add(&self, sums: &[&str], name: &str) -> String {
        let components = sums.len() as u32;
        let of = type_of(components);
        let (mut names, mut text) = (Vec::new(), String::new());
        for row in 0..self.cut.rows {
            let entry: Vec<_> = sums.iter().map(|sum| format!("{sum}_of_row{row}")).collect();
            text += &format!("let entry{row} = {of}({});\n", entry.join(", "));
            names.push(format!("entry{row}"));
        }
        if self.cut.uses_subgroups() {
            (names, text) = add_in_subgroup(names, text, self.cut.slices);
        } else if self.cut.slices > 1 {
            (names, text) = add_in_memory(components, [self.cut.rows, self.spread()], &names, text);
        }
        text += &self.each(|e| format!("{name}{e} = {};\n", names[e as usize]));
        let declared = self.each(|e| format!("var {name}{e} = {of}();\n"));
        format!("{declared}{{\n{}}}\n", indented(&text, 4))
    }

    /// All units of some rows by the eight invocations of a subgroup.
    fn in_lanes(&self) -> String {
        let products = self.products();
        let (first, after_reset) = products.split_at(2);
        let sums = self.sums();
        let multiply: String = first.iter().map(|product| self.multiply_in_lanes(*product)).collect();
        let sums_of = |sums: &[&str], name: &str| {
            let of = type_of(sums.len() as u32);
            let of_row = |row| {
                let all: Vec<_> = sums.iter().map(|sum| format!("{sum}_of_row{row}")).collect();
                format!("    {of}({}),\n", all.join(", "))
            };
            let all: String = (0..self.cut.rows).map(of_row).collect();
            format!("var {name} = array<{of}, ROWS>(\n{all});\n")
        };
        let units = |multiply: &str, sums: &[&str], name: &str, finish: &str| {
            format!(
                "for (var i = 0u; i * 8u < params.hidden; i++) {{
    let unit = min(i * 8u + lane, params.hidden - 1u);
{}{}{}{}    // A count that the compiler does not know, so that it does not unroll the loop.
    for (var row = 0u; row < rows; row++) {{
        let before = states[i * ROWS + row];
{}    }}
}}\n",
                indented(&self.biases("unit"), 4),
                indented(&self.declare(sums), 4),
                indented(multiply, 4),
                indented(&sums_of(sums, name), 4),
                indented(finish, 8),
            )
        };
        let input = self.input("", "sums_of_rows[row]");
        let keep = "next[i * ROWS + row] = select(after.state, before, is_over(first_row + row));\n";
        let lines = if let [product] = after_reset {
            // z and n of x wait for the product after r.
            let reset =
                format!("{input}xs[i * ROWS + row] = x;\nreset[i * ROWS + row] = reset_gate(x, 0.0).r * before;\n");
            let finish =
                format!("let after = step_of_unit(xs[i * ROWS + row], vec2<f32>(0.0, of_reset[row]), before);\n{keep}");
            units(&multiply, sums, "sums_of_rows", &reset)
                + &units(&self.multiply_in_lanes(*product), &["hn"], "of_reset", &finish)
        } else {
            let step = self.step("", "sums_of_rows[row]");
            units(&multiply, sums, "sums_of_rows", &format!("{input}let after = {step};\n{keep}"))
        };
        let held: &[&str] =
            if after_reset.is_empty() { &["below", "states", "next"] } else { &["below", "states", "next", "reset"] };
        let mut declared: String = held.iter().map(|name| format!("    var {name}: array<f32, HELD>;\n")).collect();
        if !after_reset.is_empty() {
            declared += "    var xs: array<vec3<f32>, HELD>;\n";
        }
        format!(
            "    let lane = invocation;
    let first_row = (workgroup.y * params.workgroups + workgroup.x) * ROWS;
    let rows = min(ROWS, params.batch - min(first_row, params.batch));
{declared}    for (var i = 0u; i * 8u < params.inputs; i++) {{
        for (var row = 0u; row < rows; row++) {{
            below[i * ROWS + row] = input_of(first_row + row, i * 8u + lane);
        }}
    }}
    for (var layer = 0u; layer < params.layers; layer++) {{
        let inputs = width_of(layer);
        for (var i = 0u; i * 8u < params.hidden; i++) {{
            for (var row = 0u; row < rows; row++) {{
                states[i * ROWS + row] = state_before(layer, first_row + row, i * 8u + lane);
            }}
        }}
{}        for (var i = 0u; i * 8u < params.hidden; i++) {{
            let unit = i * 8u + lane;
            for (var row = 0u; row < rows; row++) {{
                let state = select(0.0, next[i * ROWS + row], unit < params.hidden);
                below[i * ROWS + row] = state;
                if unit < params.hidden {{
                    store(layer, first_row + row, unit, state);
                }}
            }}
        }}
    }}\n",
            indented(&lines, 8)
        )
    }

    /// Eight elements of the operand at a time, each of which one lane has.
    fn multiply_in_lanes(&self, product: Product) -> String {
        let operand = match (product.kind, product.outputs) {
            ("ih", _) => "below",
            (_, [("hn", _)]) => "reset",
            _ => "states",
        };
        let (kind, length) = (product.kind, product.length());
        let mut before = String::new();
        let mut text = String::new();
        for (output, gate) in product.outputs {
            before += &format!("let {output}_begin = row_of_{kind}(layer, {gate}u, unit);\n");
            for part in 0..2 {
                let k = plus("k", 4 * part);
                text += &format!("let {output}{part} = weights_{kind}({output}_begin, {length}, {k});\n");
            }
        }
        for row in 0..self.cut.rows {
            text += &format!("let own{row} = {operand}[{}];\n", plus("k / 8u * ROWS", row));
            for part in 0..2 {
                let lanes = [0, 1, 2, 3].map(|j| format!("    subgroupBroadcast(own{row}, {}u),\n", 4 * part + j));
                text += &format!("let v{part}_{row} = vec4<f32>(\n{});\n", lanes.concat());
                for (output, _) in product.outputs {
                    text +=
                        &chain(&format!("{output}_of_row{row}"), &format!("{output}{part}"), &format!("v{part}_{row}"));
                }
            }
        }
        format!(
            "// {}.
{{
{}    for (var k = 0u; k < {length}; k += 8u) {{
{}    }}
}}\n",
            product.comment,
            indented(&before, 4),
            indented(&text, 8)
        )
    }
}
