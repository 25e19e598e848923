// What steps share backward, whatever the cell. A kernel begins with d_h, the gradient of the state after its first
// step without d_output, and leaves that of the state before its last step in d_h0; a single step without the product.

// The squares of d_h of a step, and of the one before or after it.
var<workgroup> squares: array<f32, SQUARES>;

// d_h before the first step of the dispatch.
fn first_d_h(item: Item) -> f32 {
    let at = step_offsets(item.cell, 0u);
    if at.from_d_h_n {
        return d_h_n[at.d_h_n + item.row * HIDDEN + item.unit];
    }
    return d_h_of_step_after(item);
}

// What a step before in the dispatch's order, or the first kernel of this one, has left.
fn d_h_of_step_after(item: Item) -> f32 {
    return d_h0[step_offsets(item.cell, 0u).d_h0 + item.row * HIDDEN + item.unit];
}

fn store_d_h(item: Item, d_h: f32) {
    if item.is_own {
        d_h0[step_offsets(item.cell, 0u).d_h0 + item.row * HIDDEN + item.unit] = d_h;
    }
}

// (9): d_h before step i, from what reaches it past the product. A row that is over has no product. Its gates are zero,
// but zero times a weight that is not finite is NaN. Nothing reaches a state that is cut off.
fn d_before(item: Item, i: u32, d_h: f32, product: f32) -> f32 {
    return select(select(d_h + product, d_h, is_over(item, i)), 0.0, is_cut(item, i));
}

// Backward: the state before step i.
fn before_of(item: Item, i: u32) -> f32 {
    let last = h[step_offsets(item.cell, 0u).before + state_index(item, i)];
    return select(last, 0.0, is_cut(item, i));
}

fn d_output_of(item: Item, i: u32) -> f32 {
    return d_output[step_offsets(item.cell, 0u).d_output + state_index(item, i)];
}

// Where the sums of an item's row go, those of a part of the steps: [parts, B, numbers * H].
fn biases_at(item: Item, part: u32, numbers: u32) -> u32 {
    let row = part * params.batch + item.row;
    return params.biases_offset + item.cell * params.next_biases + row * numbers * HIDDEN + item.unit;
}

// Before the first barrier of step i: keeps the square of an item's d_h. A row that is over has none.
fn put_square(item: Item, i: u32, d_h: f32) {
    if HAS_NORMS && item.is_own {
        squares[((i & 1u) * ROWS + item.local_row) * COLUMNS + item.local_unit] =
            select(d_h * d_h, 0.0, is_over(item, i));
    }
}

// After it: an invocation for each sum adds up COLUMNS_OF_NORM units of a row. A row has NORMS sums of all workgroups,
// of which this one makes ROW_NORMS.
fn store_norms(workgroup: vec3<u32>, invocation: u32, i: u32) {
    if HAS_NORMS {
        for (var number = invocation; number < ROWS * ROW_NORMS; number += WORKGROUP) {
            let local_row = number / ROW_NORMS;
            let part = number % ROW_NORMS;
            let row = workgroup.y * ROWS + local_row;
            if row < params.batch {
                let begin = ((i & 1u) * ROWS + local_row) * COLUMNS;
                let first = part * COLUMNS_OF_NORM;
                let end = min(first + COLUMNS_OF_NORM, HIDDEN - workgroup.x * COLUMNS);
                var sum = 0.0;
                for (var unit = first; unit < end; unit++) {
                    sum += squares[begin + unit];
                }
                let index = row * NORMS + workgroup.x + part;
                sums[step_offsets(workgroup.z, i).norms + index * params.norms_stride] = sum;
            }
        }
    }
}
