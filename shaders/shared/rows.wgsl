// Steps by rows, forward and backward, for small H: a workgroup owns ROWS rows of the batch for all steps of a
// dispatch. Here is how the work is divided and what both directions share. shared/CELL_rows.wgsl and
// shared/CELL_rows_backward.wgsl have the equations; src/kernels/generated/rows.rs writes `main` and what depends on H.
//
// SLICES neighbouring invocations, a group, own UNITS neighbouring units. Each multiplies its slice of the operand,
// vec4 s, s + SLICES, s + 2 SLICES .. of it, for all rows and units of the group. Then the slices are added, and each
// invocation finishes some of the ROWS * UNITS numbers: its items. workgroups: (1, ceil(B / ROWS), cells).
//
// Departures from the plain loops of the twins, in all of these kernels:
// 1. The recurrent weights are loaded once and stay in registers. Hence the unrolled text: WGSL has no unroll hint, and
//    an array that a loop indexes leaves the registers.
// 2. What is multiplied, the operand, lies in workgroup memory: [2, ROWS, OPERAND]. A step with one product reads one
//    half and writes the other, so that it has one barrier. With two products each has a half of its own. Slices that
//    are added in workgroup memory take one more barrier a product.
// 3. What comes from storage is loaded some steps before its step, into registers of its own: one step ahead is not
//    enough, since a step takes less time than a load. A step takes what was loaded out of them before it loads anew.
// 4. Gates lie where x_proj lay and gradients where gates lay: an item replaces what only it reads.
// 5. Behind the operand's end there are zeros and weights of zero, up to a whole vec4 for every slice.

// Numbers per unit in the gates.
override WIDTH: u32;
// Rows have lengths: past its end a row keeps its state and has no gradients.
override HAS_LENGTHS: bool;

@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
// Not read without HAS_LENGTHS.
@group(0) @binding(4) var<storage, read> lengths: array<u32>;

// A number that an invocation finishes in every step: a unit of a row.
struct Item {
    cell: u32,
    row: u32,
    unit: u32,
    // Its row in the workgroup.
    local_row: u32,
    // If not, there is no such number, or another invocation has it: nothing is stored.
    is_own: bool,
    // The step at which the row is over.
    end: u32,
}

// Item e of an invocation.
fn item_of(workgroup: vec3<u32>, invocation: u32, e: u32) -> Item {
    let slice = invocation % SLICES;
    let index = e * SPREAD + slice % SPREAD;
    let row = workgroup.y * ROWS + index / UNITS;
    let unit = invocation / SLICES * UNITS + index % UNITS;
    let is_own = slice < SPREAD && index < ROWS * UNITS && row < params.batch && unit < HIDDEN;
    let there = min(row, params.batch - 1u);
    var end = 0xffffffffu;
    if HAS_LENGTHS {
        end = lengths[there];
    }
    return Item(workgroup.z, there, min(unit, HIDDEN - 1u), min(index / UNITS, ROWS - 1u), is_own, end);
}

fn is_over(item: Item, at: StepOffsets) -> bool {
    return HAS_LENGTHS && at.t >= item.end;
}

// Where the gates of an item lie.
fn gate_index(item: Item, at: StepOffsets) -> u32 {
    return at.gates + item.row * WIDTH * HIDDEN + item.unit;
}

// How far behind the state of the first row of a step that of an item lies.
fn state_index(item: Item) -> u32 {
    return item.row * params.h_stride + item.unit;
}

fn sum_of(products: vec4<f32>) -> f32 {
    return (products.x + products.y) + (products.z + products.w);
}

// Zeros everywhere, for what lies behind the operand's end and for rows past the batch.
fn clear_operand(invocation: u32) {
    for (var index = invocation; index < OPERAND_NUMBERS; index += WORKGROUP) {
        set_operand(index, 0.0);
    }
    workgroupBarrier();
}

// Element k of the operand of an item's row, in a half: 0 or 1.
fn put(item: Item, half: u32, k: u32, value: f32) {
    set_operand((half * ROWS + item.local_row) * OPERAND + k, value);
}

// Forward: the state before the first step, which becomes the first operand.
fn first_state(item: Item) -> f32 {
    let state = h[step_offsets(item.cell, 0u).before + state_index(item)];
    if item.is_own {
        put(item, 0u, item.unit, state);
    }
    return state;
}

#ifdef EXACT_STORES

// A store to one component of a vector leaves the others alone: so it is where the device compiles SPIR-V, which has
// pointers to components.
var<workgroup> operand: array<vec4<f32>, OPERAND_VEC4S>;

// The vec4 of this number.
fn operand_at(number: u32) -> vec4<f32> {
    return operand[number];
}

fn set_operand(index: u32, value: f32) {
    operand[index / 4u][index % 4u] = value;
}

#else

// In WGSL a store to one component of a vector may write all of it.
var<workgroup> operand: array<f32, OPERAND_NUMBERS>;

// The vec4 of this number.
fn operand_at(number: u32) -> vec4<f32> {
    let index = 4u * number;
    return vec4<f32>(operand[index], operand[index + 1u], operand[index + 2u], operand[index + 3u]);
}

fn set_operand(index: u32, value: f32) {
    operand[index] = value;
}

#endif
#ifdef F16

// Four weights, two in a word.
alias Weight = vec2<u32>;

@group(0) @binding(1) var<storage, read> weight_hh: array<u32>;

fn numbers(weight: Weight) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(weight.x), unpack2x16float(weight.y));
}

fn weight_at(index: u32) -> u32 {
    return (weight_hh[index / 2u] >> (index % 2u * 16u)) & 0xffffu;
}

fn weight_of(is_there: vec4<bool>, at: vec4<u32>) -> Weight {
    let a = select(0u, weight_at(at.x), is_there.x) | (select(0u, weight_at(at.y), is_there.y) << 16u);
    let b = select(0u, weight_at(at.z), is_there.z) | (select(0u, weight_at(at.w), is_there.w) << 16u);
    return Weight(a, b);
}

#else

alias Weight = vec4<f32>;

@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;

fn numbers(weight: Weight) -> vec4<f32> {
    return weight;
}

fn weight_of(is_there: vec4<bool>, at: vec4<u32>) -> Weight {
    let weights = vec4<f32>(weight_hh[at.x], weight_hh[at.y], weight_hh[at.z], weight_hh[at.w]);
    return select(vec4<f32>(), weights, is_there);
}

#endif

// Four weights along a row of weight_hh, from column k on: zero past its end.
fn weights_along(cell: u32, row: u32, k: u32) -> Weight {
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let begin = step_offsets(cell, 0u).weights + row * HIDDEN;
    return weight_of(columns < vec4<u32>(HIDDEN), begin + min(columns, vec4<u32>(HIDDEN - 1u)));
}

// Four weights down a column of `count` rows of weight_hh that begin at row `first`, from the k-th of them on: zero
// past their end.
fn weights_down(cell: u32, column: u32, first: u32, count: u32, k: u32) -> Weight {
    let rows = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let begin = step_offsets(cell, 0u).weights + min(column, HIDDEN - 1u);
    return weight_of(rows < vec4<u32>(count), begin + (first + min(rows, vec4<u32>(count - 1u))) * HIDDEN);
}
