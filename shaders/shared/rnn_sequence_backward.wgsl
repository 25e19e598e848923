// Steps of the plain RNN backward: d_a = d_h' f'(a). Division of work: shared/sequence.wgsl. Parameters and
// bindings: shared/step_backward_params.wgsl.
//
// h         rows of H states, read at h_after
// gates     [B, H] of a step: d_a after, which is d_x_proj and d_h_proj. With a clip 0 before, or an infinity where the
//           clip gave the state; otherwise it is not read.
// d_output  rows of H; d_h_n [B, H]; weight_hh [H, H]; lengths [B]; d_h0 [B, H]
//
// The operand is d_a.

override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

// What a step reads for an item.
struct Input {
    after: f32,
    is_clipped: bool,
    d_output: f32,
}

// Past the last step that of the last, which is not used.
fn input_of(item: Item, step: u32) -> Input {
    let i = min(step, params.steps - 1u);
    var is_clipped = false;
    if HAS_CLIP {
        is_clipped = is_infinite(gates[gate_index(item, i)]);
    }
    let after = h[step_offsets(item.cell, 0u).after + state_index(item, i)];
    return Input(after, is_clipped, d_output_of(item, i));
}

// d_a
alias Gradients = f32;

// What a step gives: what reaches the state before past the product, and the gradient of the biases.
struct Past {
    d_h: f32,
    d: Gradients,
}

// d_a, which goes into a half of the operand; and what reaches the state before past the product.
fn finish(item: Item, i: u32, half: u32, input: Input, d_after: f32) -> Past {
    let over = is_over(item, i);
    let d_h = d_after + input.d_output;
    let slope = select(activation_slope(ACTIVATION, ALPHA, BETA, input.after), 0.0, input.is_clipped);
    let d_a = select(d_h * slope, 0.0, over);
    put_square(item, i, d_h);
    if item.is_own {
        put(item, half, item.unit, d_a);
        gates[gate_index(item, i)] = d_a;
    }
    return Past(select(0.0, d_after, over), d_a);
}

fn store_sums(item: Item, part: u32, d: Gradients) {
    if HAS_BIASES && item.is_own {
        sums[biases_at(item, part, 1u)] = d;
    }
}
