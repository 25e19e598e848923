// What quads.wgsl has, for any H: four numbers by four loads, with zeros past the end of a row.

@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;

// Which place the last of four numbers from place k of a row on has that lies inside the row.
fn last_from(k: u32) -> u32 {
    return min(3u, params.hidden - 1u - k);
}

// Where four numbers from `index` on lie; those past `last`, the place of the last one inside the row, read that one.
fn places(index: u32, last: u32) -> vec4<u32> {
    return index + min(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
}

fn zeros_past(values: vec4<f32>, last: u32) -> vec4<f32> {
    return select(vec4<f32>(), values, vec4<u32>(0u, 1u, 2u, 3u) <= vec4<u32>(last));
}

fn weights_from(index: u32, last: u32) -> vec4<f32> {
    let i = places(index, last);
    return zeros_past(vec4<f32>(weight_hh[i.x], weight_hh[i.y], weight_hh[i.z], weight_hh[i.w]), last);
}

fn states_from(index: u32, last: u32) -> vec4<f32> {
    let i = places(index, last);
    return zeros_past(vec4<f32>(h[i.x], h[i.y], h[i.z], h[i.w]), last);
}

fn gates_from(index: u32, last: u32) -> vec4<f32> {
    let i = places(index, last);
    return zeros_past(vec4<f32>(gates[i.x], gates[i.y], gates[i.z], gates[i.w]), last);
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
