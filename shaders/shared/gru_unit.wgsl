// A step of one unit of a GRU, from its sums: equations (1), (2), (3), (4) of lib.rs, with RESET_BEFORE (1), (2),
// (3'), (4).

// x_proj: of r, z and n.
alias Input = vec3<f32>;

#ifdef RESET_BEFORE

fn with_bias(x: Input, bias: vec3<f32>) -> Input {
    return x + bias;
}

// The reset gate, and its argument.
struct ResetGate {
    a_r: f32,
    r: f32,
}

// From W_hr h.
fn reset_gate(x: Input, h_proj: f32) -> ResetGate {
    let a_r = x.x + h_proj;
    return ResetGate(a_r, gate_of(a_r));                                            // (1)
}

// The other gates with their arguments, and the new state.
struct Unit {
    a_z: f32,
    z: f32,
    a_n: f32,
    n: f32,
    state: f32,
}

// From W_hz h and W_hn (r * h).
fn step_of_unit(x: Input, h_proj: vec2<f32>, before: f32) -> Unit {
    let a_z = x.y + h_proj.x;
    let z = gate_of(a_z);                                                           // (2)
    let a_n = x.z + h_proj.y;
    let n = candidate_of(a_n);                                                      // (3')
    return Unit(a_z, z, a_n, n, (1.0 - z) * n + z * before);                        // (4)
}

#else

fn with_bias(x: Input, bias: vec3<f32>) -> Input {
    return vec3<f32>(x.xy + bias.xy, x.z);
}

// The gates with their arguments, hn = W_hn h + b_hn, and the new state.
struct Unit {
    a_r: f32,
    r: f32,
    a_z: f32,
    z: f32,
    a_n: f32,
    n: f32,
    hn: f32,
    state: f32,
}

// From W_hh h.
fn step_of_unit(x: Input, h_proj: vec3<f32>, bias: vec3<f32>, before: f32) -> Unit {
    let hn = h_proj.z + bias.z;
    let a_r = x.x + h_proj.x;
    let r = gate_of(a_r);                                                           // (1)
    let a_z = x.y + h_proj.y;
    let z = gate_of(a_z);                                                           // (2)
    let a_n = x.z + r * hn;
    let n = candidate_of(a_n);                                                      // (3)
    return Unit(a_r, r, a_z, z, a_n, n, hn, (1.0 - z) * n + z * before);            // (4)
}

#endif
