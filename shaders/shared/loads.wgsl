// How the steps load and store h, gates and weight_hh.
//
// VEC4: four numbers at a time, for H that is a multiple of 4, so that every row begins at a vec4. With F16 the weights
// are f16, two in a word: half the bytes to load. Without VEC4 (scalar): one number at a time, for any H, and for
// CPU-class adapters, which load lane by lane anyway and take several times as long to compile loads of vec4.

#ifdef VEC4

const LOAD_WIDTH: u32 = 4u;
// What one load brings of a row.
alias Part = vec4<f32>;
// The same of four rows, transposed: a component for each row.
alias Columns = mat4x4<f32>;

@group(0) @binding(2) var<storage, read_write> h: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gates: array<vec4<f32>>;

fn states_from(index: u32) -> Part {
    return h[index >> 2u];
}

fn gates_from(index: u32) -> Part {
    return gates[index >> 2u];
}

fn transposed(a: Part, b: Part, c: Part, d: Part) -> Columns {
    return transpose(mat4x4<f32>(a, b, c, d));
}

// The weights of four units in LOAD_WIDTH rows that lie `hidden` apart. `last`: how far it is to the last unit.
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
    let two = (sum + columns[0] * factors.x) + columns[1] * factors.y;
    return (two + columns[2] * factors.z) + columns[3] * factors.w;
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

#ifdef F16
@group(0) @binding(1) var<storage, read> weight_hh: array<vec2<u32>>;

fn weights_from(index: u32) -> vec4<f32> {
    let words = weight_hh[index >> 2u];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
#else
@group(0) @binding(1) var<storage, read> weight_hh: array<vec4<f32>>;

fn weights_from(index: u32) -> vec4<f32> {
    return weight_hh[index >> 2u];
}
#endif

#else

const LOAD_WIDTH: u32 = 1u;
alias Part = f32;
alias Columns = vec4<f32>;

@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;

fn weights_from(index: u32) -> Part {
    return weight_hh[index];
}

fn states_from(index: u32) -> Part {
    return h[index];
}

fn gates_from(index: u32) -> Part {
    return gates[index];
}

fn transposed(a: Part, b: Part, c: Part, d: Part) -> Columns {
    return vec4<f32>(a, b, c, d);
}

// Units past the last one read the weights of the last one.
fn weight_columns(index: u32, hidden: u32, last: u32) -> Columns {
    return vec4<f32>(
        weight_hh[index],
        weight_hh[index + min(1u, last)],
        weight_hh[index + min(2u, last)],
        weight_hh[index + min(3u, last)],
    );
}

fn add_products(sum: vec4<f32>, columns: Columns, factors: Part) -> vec4<f32> {
    return sum + columns * factors;
}

fn inner(a: Part, b: Part) -> f32 {
    return a * b;
}

fn state_at(index: u32) -> f32 {
    return h[index];
}

fn set_state(index: u32, value: f32) {
    h[index] = value;
}

fn gate_at(index: u32) -> f32 {
    return gates[index];
}

fn set_gate(index: u32, value: f32) {
    gates[index] = value;
}

#endif
