// What kernels that take many steps in a dispatch share, however they divide their work: shared/rows.wgsl and
// shared/exchange.wgsl say how. shared/CELL_sequence.wgsl and shared/CELL_sequence_backward.wgsl have the equations;
// src/kernels/generated/ writes `main` and what depends on H.

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
    // Its row, and its unit, in the workgroup.
    local_row: u32,
    local_unit: u32,
    // If not, there is no such number, or another invocation has it: nothing is stored.
    is_own: bool,
    // The step at which the row is over.
    end: u32,
}

// The step at which a row is over.
fn end_of(row: u32) -> u32 {
    if HAS_LENGTHS {
        return lengths[row];
    }
    return 0xffffffffu;
}

// How many steps step i of a cell lies further.
fn steps_further(cell: u32, i: u32) -> u32 {
    return (params.direction + cell * params.next_direction) * i;
}

fn is_over(item: Item, i: u32) -> bool {
    return HAS_LENGTHS && step_offsets(item.cell, 0u).t + steps_further(item.cell, i) >= item.end;
}

// Where the gates of an item at step i lie. Here and below i is a factor of nothing but a number that does not
// change, so that a step has one multiplication for it.
fn gate_index(item: Item, i: u32) -> u32 {
    return step_offsets(item.cell, 0u).gates + item.row * WIDTH * HIDDEN + item.unit
        + steps_further(item.cell, 1u) * params.batch * WIDTH * HIDDEN * i;
}

// How far behind the state of the first row before, or after, the first step that of an item before, or after, step i
// lies.
fn state_index(item: Item, i: u32) -> u32 {
    return item.row * params.h_stride + item.unit + steps_further(item.cell, 1u) * params.batch * params.h_stride * i;
}

fn sum_of(products: vec4<f32>) -> f32 {
    return (products.x + products.y) + (products.z + products.w);
}

// Forward: the state before the first step, which becomes the first operand.
fn first_state(item: Item) -> f32 {
    let state = h[step_offsets(item.cell, 0u).before + state_index(item, 0u)];
    if item.is_own {
        put(item, 0u, item.unit, state);
    }
    return state;
}

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

// Four weights of a gate of a unit, along its row of weight_hh from column k on: zero past its end.
fn weights_along(cell: u32, gate: u32, unit: u32, k: u32) -> Weight {
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let begin = step_offsets(cell, 0u).weights + (gate * HIDDEN + min(unit, HIDDEN - 1u)) * HIDDEN;
    return weight_of(columns < vec4<u32>(HIDDEN), begin + min(columns, vec4<u32>(HIDDEN - 1u)));
}

// Four weights down the column of a unit, over `count` rows of weight_hh that begin at row `first`, from the k-th of
// them on: zero past their end.
fn weights_down(cell: u32, unit: u32, first: u32, count: u32, k: u32) -> Weight {
    let rows = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let begin = step_offsets(cell, 0u).weights + min(unit, HIDDEN - 1u);
    return weight_of(rows < vec4<u32>(count), begin + (first + min(rows, vec4<u32>(count - 1u))) * HIDDEN);
}
