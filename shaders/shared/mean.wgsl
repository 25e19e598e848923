// A weighted mean of losses: each counts by its share of all weights. What has the weight 0 is left out, whatever it
// is: 0 times a number that is not finite would be NaN.

fn counts(weight: f32) -> bool {
    return (bitcast<u32>(weight) & 0x7fffffffu) != 0u;
}

// NaN. No constant can be one; so it is made of any number, which only a running kernel knows.
fn no_number(any: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(any) | 0x7fc00000u);
}

// 1 / the sum of all weights. NaN of none: the mean of nothing.
fn inverse_of(weights: f32) -> f32 {
    return select(no_number(weights), 1.0 / weights, counts(weights));
}
