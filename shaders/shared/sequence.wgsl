// What the kernels of steps share, however they divide their work: shared/rows.wgsl, shared/exchange.wgsl and
// shared/step.wgsl say how. shared/CELL_sequence.wgsl and shared/CELL_sequence_backward.wgsl have the equations;
// src/kernels/generated/ writes `main` and what is unrolled.

// Numbers per unit in the gates.
override WIDTH: u32;
// Rows have lengths: past its end a row keeps its state and has no gradients.
override HAS_LENGTHS: bool;
// Where the starts of episodes begin, [T + 1, B], behind the lengths; 0: there are none. A word that is not 0: between
// the step before and this one nothing passes in this row.
override STARTS: u32;

@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
// Not read without HAS_LENGTHS and STARTS.
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

// Whether the state before step i of a row is cut off. In reverse that is the state after the step with the next
// number: so the episode of that one begins, unless the row is over there. Nothing is before step -1, past the end of
// a direction that runs in reverse.
fn is_row_cut(cell: u32, row: u32, i: u32) -> bool {
    if STARTS == 0u {
        return false;
    }
    let t = step_offsets(cell, 0u).t + steps_further(cell, i);
    let start = t + u32(runs_in_reverse(cell));
    if t == 0xffffffffu || start >= end_of(row) {
        return false;
    }
    return lengths[STARTS + start * params.batch + row] != 0u;
}

fn is_cut(item: Item, i: u32) -> bool {
    return is_row_cut(item.cell, item.row, i);
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

// Forward: what step i leaves for the next one, past which nothing is looked at.
fn carried(item: Item, i: u32, state: f32) -> f32 {
    return select(state, 0.0, i + 1u < params.steps && is_cut(item, i + 1u));
}

// Forward: the state before the first step, which becomes the first operand.
fn first_state(item: Item) -> f32 {
    let last = h[step_offsets(item.cell, 0u).before + state_index(item, 0u)];
    let state = select(last, 0.0, is_cut(item, 0u));
    if item.is_own {
        put(item, 0u, item.unit, state);
    }
    return state;
}

#ifdef F16

// Four weights, two in a word.
alias Weight = vec2<u32>;

fn numbers(weight: Weight) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(weight.x), unpack2x16float(weight.y));
}

#else

alias Weight = vec4<f32>;

fn numbers(weight: Weight) -> vec4<f32> {
    return weight;
}

#endif

#ifdef VEC4

// Four weights at a time, for H that is a multiple of 4.
@group(0) @binding(1) var<storage, read> weight_hh: array<Weight>;

// The four weights from the k-th on of `count` that begin at `begin`: zero past their end.
fn weights_of(begin: u32, count: u32, k: u32) -> Weight {
    return select(Weight(), weight_hh[(begin + min(k, count - 4u)) / 4u], k < count);
}

// The weights of four neighbouring units in the k-th of `count` rows of weight_hh, the first of which has them at
// `begin`: zero past the last row.
fn weights_beside(begin: u32, count: u32, k: u32) -> Weight {
    return select(Weight(), weight_hh[(begin + min(k, count - 1u) * HIDDEN) / 4u], k < count);
}

// Four weights that are there: the k-th and those after it.
fn weights_within(begin: u32, k: u32) -> Weight {
    return weight_hh[(begin + k) / 4u];
}

#else

#ifdef F16

@group(0) @binding(1) var<storage, read> weight_hh: array<u32>;

fn weight_at(index: u32) -> u32 {
    return (weight_hh[index / 2u] >> (index % 2u * 16u)) & 0xffffu;
}

fn weight_of(is_there: vec4<bool>, at: vec4<u32>) -> Weight {
    let a = select(0u, weight_at(at.x), is_there.x) | (select(0u, weight_at(at.y), is_there.y) << 16u);
    let b = select(0u, weight_at(at.z), is_there.z) | (select(0u, weight_at(at.w), is_there.w) << 16u);
    return Weight(a, b);
}

#else

@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;

fn weight_of(is_there: vec4<bool>, at: vec4<u32>) -> Weight {
    let weights = vec4<f32>(weight_hh[at.x], weight_hh[at.y], weight_hh[at.z], weight_hh[at.w]);
    return select(vec4<f32>(), weights, is_there);
}

#endif

// The four weights from the k-th on of `count` that begin at `begin`: zero past their end.
fn weights_of(begin: u32, count: u32, k: u32) -> Weight {
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    return weight_of(columns < vec4<u32>(count), begin + min(columns, vec4<u32>(count - 1u)));
}

// Four weights from the k-th row on of `count` rows of weight_hh, in the column that begins at `begin`: zero past the
// last row.
fn weights_down(begin: u32, count: u32, k: u32) -> Weight {
    let rows = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    return weight_of(rows < vec4<u32>(count), begin + min(rows, vec4<u32>(count - 1u)) * HIDDEN);
}

#endif

// Where the weights of a gate of a unit begin: a row of weight_hh.
fn row_of_weights(cell: u32, gate: u32, unit: u32) -> u32 {
    return step_offsets(cell, 0u).weights + (gate * HIDDEN + min(unit, HIDDEN - 1u)) * HIDDEN;
}

// Where those begin that lead from row `first` of weight_hh and the rows after it to a unit, or to `units` of them: a
// column.
fn column_of_weights(cell: u32, first: u32, unit: u32, units: u32) -> u32 {
    return step_offsets(cell, 0u).weights + first * HIDDEN + min(unit, HIDDEN - units);
}

// The same where weight_hh is transposed, with rows of `width`.
fn row_of_transposed(cell: u32, width: u32, first: u32, unit: u32) -> u32 {
    return step_offsets(cell, 0u).weights + min(unit, HIDDEN - 1u) * width + first;
}
