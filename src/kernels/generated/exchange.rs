//! Steps by exchange, forward and backward, of the GRU and of the plain RNN, and the settlement after them. What the
//! kernels do, and why, is in `shaders/shared/exchange.wgsl`, `settlement.wgsl` and what they name; this writes out what is
//! in registers.

use super::products::{Product, Products, indented, plus};
use super::sequence::{Sequence, Sums, is_reset_before};
use super::tile::chain;
use super::{Text, define, imports_of_steps};
use crate::config::Cell;
use crate::gpu::{Binding, Generate};
use crate::kernels::bindings::{Step, StepBackward};
use crate::plan::{ExchangeCut, TileCut};

/// A kernel by exchange, or the settlement of one. Uniform and twin are those of the plain step of its cell and direction,
/// and so are the overrides that do not divide its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exchange {
    /// Of which nothing counts but what the products are.
    pub(crate) cell: Cell,
    pub(crate) backward: bool,
    /// H.
    pub(crate) hidden: u32,
    pub(crate) cut: ExchangeCut,
    /// weight_hh holds two weights in a word. H is even.
    pub(crate) f16_weights: bool,
    /// What follows the exchange, instead of it.
    pub(crate) settles: bool,
}

/// Invocations of a settlement.
const SETTLEMENT: u32 = 256;

impl Generate for Exchange {
    fn name(&self) -> &'static str {
        let [exchange, settlement] = ExchangeCut::labels(self.cell, self.backward);
        if self.settles { settlement } else { exchange }
    }

    fn bindings(&self) -> &'static [Binding] {
        if self.backward { StepBackward::OF_EXCHANGE } else { Step::OF_EXCHANGE }
    }

    fn sizes(&self) -> Vec<u32> {
        let ExchangeCut { tile, rows, ahead, looks: _ } = self.cut;
        let flags = [is_reset_before(self.cell), self.f16_weights, ahead].map(u32::from);
        [&[self.hidden, rows][..], &flags, &tile.sizes()].concat()
    }

    fn source(&self) -> String {
        self.text().source()
    }
}

impl Exchange {
    fn products(&self) -> Products {
        let &Self { cell, backward, hidden, cut: ExchangeCut { tile, .. }, .. } = self;
        Products { cell, backward, hidden, units: tile.units, slices: tile.slices * tile.splits }
    }

    /// Numbers that an invocation finishes.
    fn own(&self) -> u32 {
        if self.settles {
            self.hidden.div_ceil(SETTLEMENT)
        } else {
            (self.cut.rows * self.cut.tile.columns()).div_ceil(self.cut.tile.invocations())
        }
    }

    /// The text before imports and defines are resolved.
    pub(in super::super) fn text(&self) -> Text {
        let &Self { hidden, backward, cut, settles, .. } = self;
        let ExchangeCut { tile, rows, .. } = cut;
        let of = self.products();
        let products = of.list();
        let longest = products.iter().map(|product| product.len).max().unwrap_or(0);
        let components = products.iter().map(|product| product.components).max().unwrap_or(0);
        let operand = longest.next_multiple_of(4 * of.slices);
        let (parts, columns) = (tile.parts(hidden as usize), tile.columns());
        let consts = [
            ("HIDDEN", hidden),
            // The rows of a workgroup.
            ("ROWS", if settles { 1 } else { rows }),
            // The rows that workgroups have together, and the longest operand.
            ("GROUP_ROWS", rows),
            ("RING", longest),
            ("WORKGROUP", if settles { SETTLEMENT } else { tile.invocations() }),
        ];
        let of_exchange = [
            ("PARTS", parts),
            // The longest operand, rounded up to a whole vec4 for every slice.
            ("OPERAND", operand),
            ("OPERAND_NUMBERS", tile.rows * operand),
            ("OPERAND_VEC4S", tile.rows * operand / 4),
        ];
        // The units of a workgroup are all there are.
        let of_settlement = [("SLICES", tile.slices), ("SPLITS", tile.splits), ("COLUMNS", hidden)];
        let [here_rows, here_columns] = if settles { [1, hidden] } else { [rows, columns] };
        let norms = [
            ("NORMS", parts),
            ("ROW_NORMS", if settles { parts } else { 1 }),
            ("COLUMNS_OF_NORM", columns),
            ("SQUARES", 2 * here_rows * here_columns),
        ];
        let of_form =
            if settles { of_settlement.to_vec() } else { [&tile.consts(components)[..], &of_exchange].concat() };
        let consts = [&consts[..], &of_form, if backward { &norms } else { &[] }];
        let (declarations, main) = if settles { self.settlement(&products) } else { self.exchange(&products, operand) };
        let ring = self.bindings().len() - 1;
        let declarations =
            format!("\n@group(0) @binding({ring}) var<storage, read_write> ring: array<atomic<u32>>;\n{declarations}");
        Text {
            name: self.name(),
            imports: imports_of_steps(
                self.cell,
                backward,
                if settles {
                    &["exchange_ring", "settlement"]
                } else {
                    &["exchange_ring", "operand", "tile", "exchange"]
                },
            ),
            defines: define(self.cell, self.f16_weights, tile.exact_stores && !settles),
            about: format!(
                "H = {hidden}, {parts} part(s) of {columns} units, {rows} row(s) of which {} at a time,
// {} x {} slices{}, {} unit(s) a group",
                tile.rows,
                tile.splits,
                tile.slices,
                if tile.subgroup.is_some() { " in subgroups" } else { "" },
                tile.units
            ),
            consts: consts.concat(),
            declarations,
            in_subgroups: tile.uses_subgroups() && !settles,
            rows_first: false,
            main,
        }
    }

    /// Declarations and `main` of the exchange.
    fn exchange(&self, products: &[Product], operand: u32) -> (String, String) {
        let unit = "workgroup.x * COLUMNS + invocation / SLICES % GROUPS * UNITS";
        let first = "4u * (invocation / (SLICES * GROUPS) * SLICES + invocation % SLICES)";
        let weights = self.products().weights(products, [unit, first], false);
        let functions: String =
            products.iter().map(|product| self.fetch(product) + &self.cut.tile.collect(product, 0)).collect();
        let product = |name: &str, half: &str, k: u32| {
            let Some(product) = products.iter().find(|product| product.name == name) else {
                return Sums { lines: String::new(), of_item: Vec::new() };
            };
            let of_item: Vec<_> = (0..self.own()).map(|e| format!("{name}_{k}_{e}")).collect();
            let sums: String =
                of_item.iter().map(|sum| format!("        var {sum} = {}();\n", product.sums())).collect();
            let collect: String = (0..).zip(&of_item).map(|(e, sum): (u32, _)| {
                format!(
                    "            if item_{e}.local_row / TILE == tile / TILE {{ {sum} = sums_of_{name}(item_{e}); }}\n"
                )
            }).collect();
            let ask = |tile: &str| format!("ask_for_{name}(workgroup, invocation, {half}, {tile})");
            // The words of the next tile are asked for before these are multiplied.
            let words = format!("words_{name}_{k}");
            let (first, again, next) = if self.cut.ahead {
                let next = format!(
                    "            if tile + TILE < ROWS {{\n                {words} = {};\n            }}\n",
                    ask("tile + TILE")
                );
                (format!("        var {words} = {};\n", ask("0u")), String::new(), next)
            } else {
                (String::new(), format!("            let {words} = {};\n", ask("tile")), String::new())
            };
            let tile = self.cut.tile;
            let parts = self.products().parts(product);
            let multiply = [
                &format!("// {} for the rows of a tile, over the slices of each subgroup.\n", product.comment),
                TileCut::PLACE,
                &tile.declare(product),
                &tile.multiply(product, parts, operand),
                &tile.add_slices(product, 0),
            ];
            let multiply = indented(&multiply.concat(), 16);
            // Where a longer operand lay before: its numbers would meet weights of zero, which makes NaN of what is not finite.
            let (end, read) = (product.len, 4 * self.products().slices * parts);
            let is_longest = products.iter().all(|other| other.len <= end);
            let clear = if is_longest || read == end {
                String::new()
            } else {
                let behind = read - end;
                format!(
                    "            for (var index = invocation; index < TILE * {behind}u; index += WORKGROUP) {{
                set_operand(index / {behind}u * OPERAND + {end}u + index % {behind}u, 0.0);
            }}\n"
                )
            };
            let lines = format!(
                "{sums}{first}        for (var tile = 0u; tile < ROWS; tile += TILE) {{
{again}            take_{name}({words}, workgroup, invocation, {half}, tile);
{clear}            workgroupBarrier();
{next}            {{
{multiply}            }}
            workgroupBarrier();
{collect}        }}
        flags ^= 1u << {half};\n"
            );
            Sums { lines, of_item }
        };
        let barrier = "        workgroupBarrier();\n";
        let sequence = Sequence {
            cell: self.cell,
            backward: self.backward,
            own: self.own(),
            ahead: 1,
            summed: 0,
            barrier,
            product: &product,
        };
        let main = format!(
            "    if !meet(workgroup, invocation) {{ return; }}
{}    clear_operand(invocation);
{}",
            indented(&weights, 4),
            sequence.lines()
        );
        (functions, main)
    }

    /// Asks for the words of a tile, and takes them.
    fn fetch(&self, product: &Product) -> String {
        let (name, len, tile) = (product.name, product.len, self.cut.tile);
        let invocations = tile.invocations();
        let words = (tile.rows * len).div_ceil(invocations);
        // Whether all words of an invocation lie so many elements apart in whole rows.
        let is_even = len.is_multiple_of(invocations);
        let in_a_row = if is_even { len / invocations } else { 1 };
        // Where a word comes from, after the lines that say where its row begins.
        let (mut rows, mut from, mut to) = (String::new(), Vec::new(), Vec::new());
        for word in 0..words {
            let (row, further) = (word / in_a_row, word % in_a_row * invocations);
            if !is_even {
                let index = plus("invocation", word * invocations);
                rows += &format!("    let index{word} = min({index}, {}u);\n", tile.rows * len - 1);
                rows += &format!(
                    "    let row{word} = word_at(workgroup, half, tile + index{word} / {len}u, index{word} % {len}u);\n"
                );
                to.push(format!("set_operand(index{word} / {len}u * OPERAND + index{word} % {len}u, "));
            } else {
                if further == 0 {
                    rows += &format!("    let row{row} = word_at(workgroup, half, tile + {row}u, invocation);\n");
                }
                to.push(format!("set_component({row}u * OPERAND / 4u + {}u + vec4, component, ", further / 4));
            }
            from.push(plus(&format!("row{row}"), further));
        }
        let each = |line: &dyn Fn(usize) -> String| (0..words as usize).map(line).collect::<String>();
        let members = each(&|word| format!("    word{word}: u32,\n"));
        let loads = each(&|word| format!("        atomicLoad(&ring[{}]),\n", from[word]));
        let loads_again = each(&|word| format!("        words.word{word} = look_again({}, looks);\n", from[word]));
        let stale: Vec<_> = (0..words).map(|word| format!("(words.word{word} ^ flag)")).collect();
        let stale = stale.chunks(4).map(|stale| stale.join(" | ")).collect::<Vec<_>>().join("\n            | ");
        let vec4 = if is_even { "    let vec4 = invocation / 4u;\n    let component = invocation % 4u;\n" } else { "" };
        let stores = each(&|word| format!("    {}number_of(words.word{word} | late));\n", to[word]));
        format!(
            "
// Words of the operand of a tile of rows, as they are now.
struct Words_{name} {{
{members}}}

fn ask_for_{name}(workgroup: vec3<u32>, invocation: u32, half: u32, tile: u32) -> Words_{name} {{
{rows}    return Words_{name}(
{loads}    );
}}

// Looks until all of them have come, and takes them for the operand.
fn take_{name}(
    asked: Words_{name},
    workgroup: vec3<u32>,
    invocation: u32,
    half: u32,
    tile: u32,
) {{
    let flag = (flags >> half) & 1u;
    var words = asked;
{rows}    for (; looks < LOOKS; looks++) {{
        let stale = {stale};
        if (stale & 1u) == 0u {{ break; }}
{loads_again}    }}
    // NaN for what has not come.
    let late = select(0u, 0x7fc00000u, looks >= LOOKS);
{vec4}{stores}}}
"
        )
    }

    /// Declarations and `main` of the settlement.
    fn settlement(&self, products: &[Product]) -> (String, String) {
        let functions: String = products.iter().map(|product| self.product_from_storage(product)).collect();
        let product = |name: &str, half: &str, k: u32| {
            let of_item: Vec<_> = (0..self.own()).map(|e| format!("{name}_{k}_{e}")).collect();
            let lines = (0..)
                .zip(&of_item)
                .map(|(e, sum): (u32, _)| format!("        let {sum} = {name}(item_{e}, {half});\n"))
                .collect();
            Sums { lines, of_item }
        };
        let barrier = "        storageBarrier();\n        workgroupBarrier();\n";
        let sequence = Sequence {
            cell: self.cell,
            backward: self.backward,
            own: self.own(),
            ahead: 1,
            summed: 0,
            barrier,
            product: &product,
        };
        let lines = indented(&sequence.lines(), 4);
        let main = format!(
            "    if is_abandoned(workgroup, invocation) {{
{lines}    }}
    storageBarrier();
    clear_ring(workgroup, invocation);\n"
        );
        (functions, main)
    }

    /// A product for an item, with the sums in the order of the exchange.
    fn product_from_storage(&self, product: &Product) -> String {
        let Product { name, comment, components, len, .. } = product;
        let sums = product.sums();
        let terms: String = (0..*components)
            .map(|c| {
                let load = product.load(c, "item.cell", "item.unit", "k");
                let sum = chain(&product.component("sum", c), &format!("w{c}"), "v");
                indented(&format!("let w{c} = numbers({load});\n{sum}"), 16)
            })
            .collect();
        format!(
            "
// {comment} for an item, in the order in which an exchange adds.
fn {name}(item: Item, half: u32) -> {sums} {{
    var total = {sums}();
    for (var split = 0u; split < SPLITS; split++) {{
        var slices: array<{sums}, SLICES>;
        for (var slice = 0u; slice < SLICES; slice++) {{
            var sum = {sums}();
            for (var part = 0u; part < {}u; part++) {{
                let k = 4u * ((part * SPLITS + split) * SLICES + slice);
                let v = operand_of(item, half, k, {len}u);
{terms}            }}
            slices[slice] = sum;
        }}
        for (var distance = 1u; distance < SLICES; distance *= 2u) {{
            for (var slice = 0u; slice < SLICES; slice += 2u * distance) {{
                slices[slice] += slices[slice + distance];
            }}
        }}
        total += slices[0];
    }}
    return total;
}}
",
            self.products().parts(product)
        )
    }
}
