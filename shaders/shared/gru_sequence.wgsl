// Steps of the GRU forward. Equations: shared/gru_unit.wgsl. Division of work: shared/sequence.wgsl. Parameters:
// shared/step_params.wgsl.
//
// h      rows of H states, read at h_before of the first step, written at h_after of each
// gates  [B, W, H] of a step: x_proj = (r, z, n) in the first three before. After, with SAVE, (r, z, n, hn), with
//        RESET_BEFORE (r, z, n, r * h); without it they are unchanged. W is WIDTH. r, z and n are stored as `kept` has
//        them.
// weight_hh [3H, H], bias_hh [3H], lengths [B]
//
// The operand is h, with RESET_BEFORE h and then r * h.

override SAVE: bool;

// b_hr, b_hz, b_hn of a unit. Those that are added to x_proj anyhow are added to it early.
fn bias_of_item(item: Item) -> vec3<f32> {
    let at = step_offsets(item.cell, 0u);
    return vec3<f32>(bias_of(at, item.unit), bias_of(at, HIDDEN + item.unit), bias_of(at, 2u * HIDDEN + item.unit));
}

// x_proj of an item at step t. Past the last step that of the last, which is not used.
fn input_of(item: Item, t: u32) -> Input {
    let gate = gate_index(item, min(t, params.steps - 1u));
    return Input(gates[gate], gates[gate + HIDDEN], gates[gate + 2u * HIDDEN]);
}

#ifdef RESET_BEFORE

// (1), and r * h as the operand of the second product, from W_hr h.
fn reset(item: Item, t: u32, x: Input, h_proj: f32, before: f32) {
    let gate = reset_gate(x, h_proj);
    let state = gate.r * before;
    if item.is_own {
        put(item, 1u, item.unit, state);
        if SAVE && !is_over(item, t) {
            gates[gate_index(item, t)] = kept(gate.a_r, gate.r);
            gates[gate_index(item, t) + 3u * HIDDEN] = state;
        }
    }
}

// The new state, as the next step has it, from W_hz h and W_hn (r * h).
fn finish(item: Item, t: u32, x: Input, h_proj: vec2<f32>, before: f32) -> f32 {
    let unit = step_of_unit(x, h_proj, before);
    let state = select(unit.state, before, is_over(item, t));
    let next = carried(item, t, state);
    if item.is_own {
        put(item, 0u, item.unit, next);
        h[step_offsets(item.cell, 0u).after + state_index(item, t)] = state;
        if SAVE && !is_over(item, t) {
            let gate = gate_index(item, t);
            gates[gate + HIDDEN] = kept(unit.a_z, unit.z);
            gates[gate + 2u * HIDDEN] = kept(unit.a_n, unit.n);
        }
    }
    return next;
}

#else

// The new state, as the next step has it; that goes into a half of the operand. From W_hh h.
fn finish(item: Item, t: u32, half: u32, x: Input, h_proj: vec3<f32>, bias: vec3<f32>, before: f32) -> f32 {
    let unit = step_of_unit(x, h_proj, bias, before);
    let state = select(unit.state, before, is_over(item, t));
    let next = carried(item, t, state);
    if item.is_own {
        put(item, half, item.unit, next);
        h[step_offsets(item.cell, 0u).after + state_index(item, t)] = state;
        if SAVE && !is_over(item, t) {
            let gate = gate_index(item, t);
            gates[gate] = kept(unit.a_r, unit.r);
            gates[gate + HIDDEN] = kept(unit.a_z, unit.z);
            gates[gate + 2u * HIDDEN] = kept(unit.a_n, unit.n);
            gates[gate + 3u * HIDDEN] = unit.hn;
        }
    }
    return next;
}

#endif
