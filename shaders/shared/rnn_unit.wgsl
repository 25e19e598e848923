// A step of one unit of a plain RNN, from its sums: h' = f(W_ih x + b_ih + W_hh h + b_hh).

override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

// x_proj.
alias Input = f32;

fn with_bias(x: Input, bias: f32) -> Input {
    return x + bias;
}

// The argument of the activation, and the new state.
struct Unit {
    a: f32,
    state: f32,
}

// From W_hh h.
fn step_of_unit(x: Input, h_proj: f32) -> Unit {
    let a = x + h_proj;
    return Unit(a, activate(ACTIVATION, ALPHA, BETA, a));
}
