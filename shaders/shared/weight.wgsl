// The weight of a row in the mean of a loss: what the mask says, but 0 for a row of the class `params.ignored`. The
// kernel has mask [rows] and, as whole numbers, expected [rows].

// Without it the mask is not read, and all rows count alike.
override HAS_MASK: bool;
// Without it every class counts.
override HAS_IGNORED: bool;

fn weight_of(row: u32) -> f32 {
    var weight = 1.0;
    if HAS_MASK {
        weight = mask[row];
    }
    if HAS_IGNORED {
        weight = select(weight, 0.0, expected[row] == params.ignored);
    }
    return weight;
}
