// The two activations of a GRU: of the gates r and z, and of the candidate n. Values, and from what was kept of them
// values and slopes: shared/activation.wgsl.

override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

fn gate_of(a: f32) -> f32 {
    return activate(GATE, GATE_ALPHA, GATE_BETA, a);
}

fn candidate_of(a: f32) -> f32 {
    return activate(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, a);
}

fn gate_value(kept: f32) -> f32 {
    return value_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept);
}

fn gate_slope(kept: f32) -> f32 {
    return slope_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept);
}

fn candidate_value(kept: f32) -> f32 {
    return value_of_kept(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, kept);
}

fn candidate_slope(kept: f32) -> f32 {
    return slope_of_kept(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, kept);
}
