// Keeps gates as halves for the backward pass. What is stored how: shared/halves.wgsl. Twin: reference::halve.
//
// Departure from the twin: which of the two nearest halves a number becomes is the device's choice.

// The largest half. What lies beyond it would become anything; only hn, a sum, can.
const LARGEST: f32 = 65504.0;

fn move_unit(gate: u32, half: u32, hidden: u32) {
    halves[half] = packed(gates[gate], gates[gate + hidden]);
    halves[half + hidden] = packed(gates[gate + 2u * hidden], gates[gate + 3u * hidden]);
}

fn packed(low: f32, high: f32) -> u32 {
    return pack2x16float(clamp(vec2<f32>(low, high), vec2<f32>(-LARGEST), vec2<f32>(LARGEST)));
}
