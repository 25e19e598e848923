// How the steps walk along a row, four numbers at a time: for H that is a multiple of 4, so that every row begins at one.
// Weights are read by shared/weights.wgsl or shared/weights_half.wgsl.

const STEP: u32 = 4u;
// What is read of one row at a time.
alias Part = vec4<f32>;
// The parts of four rows, turned: a component for each row.
alias Columns = mat4x4<f32>;

@group(0) @binding(2) var<storage, read_write> h: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gates: array<vec4<f32>>;

fn states_from(index: u32) -> Part {
    return h[index >> 2u];
}

fn gates_from(index: u32) -> Part {
    return gates[index >> 2u];
}

fn turned(a: Part, b: Part, c: Part, d: Part) -> Columns {
    return transpose(mat4x4<f32>(a, b, c, d));
}

// The weights of four units in STEP rows that lie `hidden` apart. `last` is the place of the last unit there is.
fn weight_columns(index: u32, hidden: u32, last: u32) -> Columns {
    return mat4x4<f32>(
        weights_from(index),
        weights_from(index + hidden),
        weights_from(index + 2u * hidden),
        weights_from(index + 3u * hidden),
    );
}

// sum + columns . factors, as four multiply-adds.
fn add_products(sum: vec4<f32>, columns: Columns, factors: Part) -> vec4<f32> {
    return (((sum + columns[0] * factors.x) + columns[1] * factors.y) + columns[2] * factors.z) + columns[3] * factors.w;
}

fn inner(a: Part, b: Part) -> f32 {
    return dot(a, b);
}

fn state_at(index: u32) -> f32 {
    return h[index >> 2u][index & 3u];
}

fn set_state(index: u32, value: f32) {
    h[index >> 2u][index & 3u] = value;
}

fn gate_at(index: u32) -> f32 {
    return gates[index >> 2u][index & 3u];
}

fn set_gate(index: u32, value: f32) {
    gates[index >> 2u][index & 3u] = value;
}
