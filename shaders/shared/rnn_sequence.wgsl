// Steps of the plain RNN forward. Equation: shared/rnn_unit.wgsl. Division of work: shared/sequence.wgsl. Parameters:
// shared/step_params.wgsl.
//
// h      rows of H states, read at h_before of the first step, written at h_after of each
// gates  [B, H] of a step: x_proj before. After, with SAVE and a clip, 0, or an infinity where the clip gave the state;
//        otherwise unchanged.
// weight_hh [H, H], bias_hh [H], lengths [B]

override SAVE: bool;

fn bias_of_item(item: Item) -> f32 {
    return bias_of(step_offsets(item.cell, 0u), item.unit);
}

// x_proj of an item at step t. Past the last step that of the last, which is not used.
fn input_of(item: Item, t: u32) -> Input {
    return gates[gate_index(item, min(t, params.steps - 1u))];
}

// The new state, as the next step has it; that goes into a half of the operand. From W_hh h.
fn finish(item: Item, t: u32, half: u32, x: Input, h_proj: f32, bias: f32, before: f32) -> f32 {
    let unit = step_of_unit(x, h_proj);
    let state = select(unit.state, before, is_over(item, t));
    let next = carried(item, t, state);
    if item.is_own {
        put(item, half, item.unit, next);
        h[step_offsets(item.cell, 0u).after + state_index(item, t)] = state;
        if SAVE && HAS_CLIP && !is_over(item, t) {
            gates[gate_index(item, t)] = kept(unit.a, 0.0);
        }
    }
    return next;
}
