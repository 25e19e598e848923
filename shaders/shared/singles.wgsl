// What quads.wgsl has, one number at a time: for any H, and for CPU-class adapters, which load lane by lane anyway and take
// several times as long to compile loads of four.

const STEP: u32 = 1u;
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

fn turned(a: Part, b: Part, c: Part, d: Part) -> Columns {
    return vec4<f32>(a, b, c, d);
}

// Units past the last one read its weights.
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
