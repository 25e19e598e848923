#import shared/halves

// Gates from the halves that halve.wgsl kept. What is stored how: shared/halves.wgsl. Twin: reference::widen.

fn move_unit(gate: u32, half: u32, hidden: u32) {
    let first = unpack2x16float(halves[half]);
    let second = unpack2x16float(halves[half + hidden]);
    gates[gate] = first.x;
    gates[gate + hidden] = first.y;
    gates[gate + 2u * hidden] = second.x;
    gates[gate + 3u * hidden] = second.y;
}
