// Numbers of 16 bits, two in a word. Twin: reference::half.

// The largest of them that is finite.
const LARGEST: f32 = 65504.0;

// Two numbers. What lies beyond the largest becomes that; an infinity stays one, and NaN stays NaN. pack2x16float may
// make anything of the latter two, so their halves are made by bits. Which of the two nearest halves a number becomes
// is the device's choice.
fn packed_halves(numbers: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(numbers);
    let size = bits & vec2<u32>(0x7fffffffu);
    let infinity = vec2<u32>(0x7f800000u);
    let special = size >= infinity;
    let no_number = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), size > infinity);
    let made = select(vec2<u32>(), no_number | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u)), special);
    let finite = select(clamp(numbers, vec2<f32>(-LARGEST), vec2<f32>(LARGEST)), vec2<f32>(), special);
    return pack2x16float(finite) | made.x | (made.y << 16u);
}
