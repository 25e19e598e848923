#import shared/f16
#import shared/halves

// Keeps gates as halves for the backward pass. What is stored how: shared/halves.wgsl, shared/f16.wgsl.
// Twin: reference::halve.

fn move_unit(gate: u32, half: u32, hidden: u32) {
    halves[half] = packed_halves(vec2<f32>(gates[gate], gates[gate + hidden]));
    halves[half + hidden] = packed_halves(vec2<f32>(gates[gate + 2u * hidden], gates[gate + 3u * hidden]));
}
