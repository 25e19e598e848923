// What steps by rows share forward, whatever the cell.

// The state before the first step, which becomes the first operand.
fn first_state(item: Item) -> f32 {
    let state = h[step_offsets(item.cell, 0u).before + state_index(item)];
    if item.is_own {
        put(item, 0u, item.unit, state);
    }
    return state;
}
