// Steps of the GRU backward: equations (5), (6), (7), (8), (9) of lib.rs. Division of work: shared/sequence.wgsl.
// Parameters and bindings: shared/step_backward_params.wgsl.
//
// h         rows of H states, read at h_before
// gates     [B, 4, H] of a step: (r, z, n, hn) before, (d_ar, d_az, d_an, d_hn = d_an * r) after. With RESET_BEFORE
//           (r, z, n, r * h) before, (d_ar, d_az, d_an, r * h) after. r, z and n are stored as `kept` has them.
// d_output  rows of H; d_h_n [B, H]; weight_hh [3H, H]; lengths [B]; d_h0 [B, H]
//
// The operand is (d_ar, d_az, d_hn). With RESET_BEFORE it is (d_ar, d_az), after d_an in the second half.

// What a step reads for an item.
struct Input {
    // r, z and n as they are kept, and hn.
    gates: vec4<f32>,
    before: f32,
    d_output: f32,
}

// Past the last step that of the last, which is not used.
fn input_of(item: Item, step: u32) -> Input {
    let i = min(step, params.steps - 1u);
    let gate = gate_index(item, i);
#ifdef RESET_BEFORE
    let hn = 0.0;
#else
    let hn = gates[gate + 3u * HIDDEN];
#endif
    return Input(
        vec4<f32>(gates[gate], gates[gate + HIDDEN], gates[gate + 2u * HIDDEN], hn),
        before_of(item, i),
        d_output_of(item, i),
    );
}

// What a step gives: what reaches the state before past the products, and the gradients of the biases.
struct Past {
    d_h: f32,
    d: Gradients,
}

// d_an and d_az of an item whose row is not over.
fn candidate_and_update(d_h: f32, input: Input) -> vec2<f32> {
    let z = gate_value(input.gates.y);
    let n = candidate_value(input.gates.z);
    return vec2<f32>(
        d_h * (1.0 - z) * candidate_slope(input.gates.z),                           // (5)
        d_h * (input.before - n) * gate_slope(input.gates.y),                       // (6)
    );
}

#ifdef RESET_BEFORE

// d_ar, d_az, d_an.
alias Gradients = vec3<f32>;

// What there is of a step before its first product.
struct Begun {
    d_an: f32,
    // It has to wait: others may still read the half of the second product.
    d_az: f32,
    // What reaches the state before past all products.
    past: f32,
}

// d_an, the operand of the first product.
fn begin(item: Item, i: u32, input: Input, d_after: f32) -> Begun {
    let over = is_over(item, i);
    let d_h = d_after + input.d_output;
    let d = select(candidate_and_update(d_h, input), vec2<f32>(), over);
    put_square(item, i, d_h);
    if item.is_own {
        put(item, 1u, item.unit, d.x);
        gates[gate_index(item, i) + HIDDEN] = d.y;
        gates[gate_index(item, i) + 2u * HIDDEN] = d.x;
    }
    return Begun(d.x, d.y, select(d_h * gate_value(input.gates.y), d_after, over));
}

// d_ar, which makes the operand of the second product with d_az, from d_q = d_an . W_hn and what `begin` gave; and what
// reaches the state before past that second product.
fn finish(item: Item, i: u32, input: Input, begun: Begun, d_q: f32) -> Past {
    let over = is_over(item, i);
    let d_ar = select(d_q * input.before * gate_slope(input.gates.x), 0.0, over);   // (7)
    if item.is_own {
        put(item, 0u, item.unit, d_ar);
        put(item, 0u, HIDDEN + item.unit, begun.d_az);
        gates[gate_index(item, i)] = d_ar;
        if over {
            gates[gate_index(item, i) + 3u * HIDDEN] = 0.0;
        }
    }
    let past = select(begun.past + d_q * gate_value(input.gates.x), begun.past, over);
    return Past(past, Gradients(d_ar, begun.d_az, begun.d_an));
}

fn store_sums(item: Item, part: u32, d: Gradients) {
    if HAS_BIASES && item.is_own {
        let at = biases_at(item, part, 3u);
        sums[at] = d.x;
        sums[at + HIDDEN] = d.y;
        sums[at + 2u * HIDDEN] = d.z;
    }
}

#else

// d_ar, d_az, d_an, d_hn.
alias Gradients = vec4<f32>;

// The gradients of the gates, which go into a half of the operand, and what reaches the state before past the product.
fn finish(item: Item, i: u32, half: u32, input: Input, d_after: f32) -> Past {
    let over = is_over(item, i);
    let d_h = d_after + input.d_output;
    let d = select(candidate_and_update(d_h, input), vec2<f32>(), over);
    let d_ar = select(d.x * input.gates.w * gate_slope(input.gates.x), 0.0, over);  // (7)
    let d_hn = select(d.x * gate_value(input.gates.x), 0.0, over);                  // (8)
    put_square(item, i, d_h);
    if item.is_own {
        put(item, half, item.unit, d_ar);
        put(item, half, HIDDEN + item.unit, d.y);
        put(item, half, 2u * HIDDEN + item.unit, d_hn);
        let gate = gate_index(item, i);
        gates[gate] = d_ar;
        gates[gate + HIDDEN] = d.y;
        gates[gate + 2u * HIDDEN] = d.x;
        gates[gate + 3u * HIDDEN] = d_hn;
    }
    return Past(select(d_h * gate_value(input.gates.y), d_after, over), Gradients(d_ar, d.y, d.x, d_hn));
}

fn store_sums(item: Item, part: u32, d: Gradients) {
    if HAS_BIASES && item.is_own {
        let at = biases_at(item, part, 4u);
        sums[at] = d.x;
        sums[at + HIDDEN] = d.y;
        sums[at + 2u * HIDDEN] = d.z;
        sums[at + 3u * HIDDEN] = d.w;
    }
}

#endif
