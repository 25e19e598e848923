// What the steps walk over, four numbers at a time: for H that is a multiple of 4, so that every row begins at one.

@group(0) @binding(1) var<storage, read> weight_hh: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> h: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gates: array<vec4<f32>>;

// Which place the last of four numbers from place k of a row on has that lies inside the row.
fn last_from(k: u32) -> u32 {
    return 3u;
}

// Four numbers from `index` on. `last` is the place of the last one inside the row, which here is 3.
fn weights_from(index: u32, last: u32) -> vec4<f32> {
    return weight_hh[index >> 2u];
}

fn states_from(index: u32, last: u32) -> vec4<f32> {
    return h[index >> 2u];
}

fn gates_from(index: u32, last: u32) -> vec4<f32> {
    return gates[index >> 2u];
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
