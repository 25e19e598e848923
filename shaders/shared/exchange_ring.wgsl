// Where the workgroups of an exchange meet, and the words by which they hand the operand on: of a cell
//
//   meeting    [groups]               workgroups of a group of GROUP_ROWS rows that have come
//   abandoned  [groups * GROUP_ROWS]  1: the group gave up before all had come
//   ring       [2, B, RING]           the operand, in two halves
//
// All of it is zero before an exchange. The settlement after it leaves zeros.

fn groups() -> u32 {
    return (params.batch + GROUP_ROWS - 1u) / GROUP_ROWS;
}

fn cell_begin(cell: u32) -> u32 {
    return cell * (groups() * (1u + GROUP_ROWS) + 2u * params.batch * RING);
}

fn meeting_at(cell: u32, group: u32) -> u32 {
    return cell_begin(cell) + group;
}

fn abandoned_at(cell: u32, row: u32) -> u32 {
    return cell_begin(cell) + groups() + row;
}

// Element 0 of the operand of a row in a half.
fn ring_at(cell: u32, half: u32, row: u32) -> u32 {
    return cell_begin(cell) + groups() * (1u + GROUP_ROWS) + (half * params.batch + row) * RING;
}

// A number as it is handed on, without its last bit. That of a NaN could be all that tells it from an infinity.
fn word_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return select(bits, bits | 0x00400000u, is_nan(value)) & 0xfffffffeu;
}

fn number_of(word: u32) -> f32 {
    return bitcast<f32>(word & 0xfffffffeu);
}
