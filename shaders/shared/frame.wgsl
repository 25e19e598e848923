// A frame: one step of all layers in one dispatch, from the input to the new states, for a single step of inference.
// Here is where its numbers lie; shared/CELL_unit.wgsl has the equations; src/kernels/generated/frame.rs says how the
// work is divided, and writes `main` and what is unrolled.
//
// input [B, I], state [L, B, H] before and after, output [B, H], lengths [B]
// weight_ih [GH, I] of the first layer and [GH, H] of each other one, weight_hh [GH, H] of each; bias_ih, bias_hh [GH]
//
// A workgroup owns some rows of the batch in all layers. So what it reads of the states nobody else writes, and the
// new ones replace them where they lie. Twin: reference::frame, which knows nothing of rows that share a weight.

struct FrameParams {
    // B, H, I, L.
    batch: u32,
    hidden: u32,
    inputs: u32,
    layers: u32,
    // Workgroups of a row of the grid.
    workgroups: u32,
    // Numbers of a row in workgroup memory: of what a layer reads, and of its state.
    below_width: u32,
    state_width: u32,
    input_offset: u32,
    before_offset: u32,
    state_offset: u32,
    output_offset: u32,
    // The first layer's weight_ih, the second one's, and from each to the next.
    weight_ih_offset: u32,
    weight_ih_above: u32,
    next_weight_ih: u32,
    // Of the others the first layer's, and from each to the next.
    weight_hh_offset: u32,
    next_weight_hh: u32,
    bias_ih_offset: u32,
    next_bias_ih: u32,
    bias_hh_offset: u32,
    next_bias_hh: u32,
}

// With lengths: the state before the frame of a row of length 0 counts as zero.
override ZERO_EMPTY: bool;

// How many numbers a layer reads of a row.
fn width_of(layer: u32) -> u32 {
    return select(params.hidden, params.inputs, layer == 0u);
}

// Where the weights of a gate of a unit begin.
fn row_of_ih(layer: u32, gate: u32, unit: u32) -> u32 {
    let above = params.weight_ih_above + (layer - 1u) * params.next_weight_ih;
    let begin = select(above, params.weight_ih_offset, layer == 0u);
    return begin + (gate * params.hidden + min(unit, params.hidden - 1u)) * width_of(layer);
}

fn row_of_hh(layer: u32, gate: u32, unit: u32) -> u32 {
    let begin = params.weight_hh_offset + layer * params.next_weight_hh;
    return begin + (gate * params.hidden + min(unit, params.hidden - 1u)) * params.hidden;
}

// The four weights from the k-th on of `count` that begin at `begin`: zero past their end.
fn weights_ih(begin: u32, count: u32, k: u32) -> vec4<f32> {
#ifdef VEC4_IH
    return select(vec4<f32>(), weight_ih[(begin + min(k, count - 4u)) / 4u], k < count);
#else
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let at = begin + min(columns, vec4<u32>(count - 1u));
    let weights = vec4<f32>(weight_ih[at.x], weight_ih[at.y], weight_ih[at.z], weight_ih[at.w]);
    return select(vec4<f32>(), weights, columns < vec4<u32>(count));
#endif
}

fn weights_hh(begin: u32, count: u32, k: u32) -> vec4<f32> {
#ifdef VEC4_HH
    return rounded(select(vec4<f32>(), weight_hh[(begin + min(k, count - 4u)) / 4u], k < count));
#else
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let at = begin + min(columns, vec4<u32>(count - 1u));
    let weights = vec4<f32>(weight_hh[at.x], weight_hh[at.y], weight_hh[at.z], weight_hh[at.w]);
    return rounded(select(vec4<f32>(), weights, columns < vec4<u32>(count)));
#endif
}

// Recurrent weights as steps read them that read a copy as f16. A frame reads each of them once, so it needs no copy.
fn rounded(weights: vec4<f32>) -> vec4<f32> {
#ifdef F16
    return vec4<f32>(unpack2x16float(pack_f16(weights.xy)), unpack2x16float(pack_f16(weights.zw)));
#else
    return weights;
#endif
}

// A number of the biases of a layer.
fn bias_ih_of(layer: u32, gate: u32, unit: u32) -> f32 {
#ifdef BIAS
    return bias_ih[params.bias_ih_offset + layer * params.next_bias_ih + gate * params.hidden + unit];
#else
    return 0.0;
#endif
}

fn bias_hh_of(layer: u32, gate: u32, unit: u32) -> f32 {
#ifdef BIAS
    return bias_hh[params.bias_hh_offset + layer * params.next_bias_hh + gate * params.hidden + unit];
#else
    return 0.0;
#endif
}

// The same of the three gates of a GRU.
fn biases_ih_of(layer: u32, unit: u32) -> vec3<f32> {
    return vec3<f32>(bias_ih_of(layer, 0u, unit), bias_ih_of(layer, 1u, unit), bias_ih_of(layer, 2u, unit));
}

fn biases_hh_of(layer: u32, unit: u32) -> vec3<f32> {
    return vec3<f32>(bias_hh_of(layer, 0u, unit), bias_hh_of(layer, 1u, unit), bias_hh_of(layer, 2u, unit));
}

// Whether a row rests: it keeps its state.
fn is_over(row: u32) -> bool {
#ifdef LENGTHS
    return lengths[row] == 0u;
#else
    return false;
#endif
}

// Element k of what the first layer reads, zero past its end.
fn input_of(row: u32, k: u32) -> f32 {
    let number = input[params.input_offset + row * params.inputs + min(k, params.inputs - 1u)];
    return select(0.0, number, k < params.inputs);
}

// The state of a unit before the frame, zero past the last one.
fn state_before(layer: u32, row: u32, unit: u32) -> f32 {
    let at = (layer * params.batch + row) * params.hidden + min(unit, params.hidden - 1u);
#ifdef BEFORE
    let before = before[params.before_offset + at];
#else
    let before = state[params.before_offset + at];
#endif
    return select(0.0, before, unit < params.hidden && !(ZERO_EMPTY && is_over(row)));
}

// Number `index` of what a workgroup multiplies, [ROWS, numbers of a row]: of a row what the first layer reads, then
// the state of a layer.
fn operand_number(layer: u32, first_row: u32, index: u32) -> f32 {
    let row_width = params.below_width + params.state_width;
    let row = min(first_row + index / row_width, params.batch - 1u);
    let k = index % row_width;
    if k < params.below_width {
        return input_of(row, k);
    }
    return state_before(layer, row, k - params.below_width);
}

// The state of a unit after the frame, in its place.
fn store(layer: u32, row: u32, unit: u32, next: f32) {
    state[params.state_offset + (layer * params.batch + row) * params.hidden + unit] = next;
    if layer + 1u == params.layers {
        output[params.output_offset + row * params.hidden + unit] = select(next, 0.0, is_over(row));
    }
}
