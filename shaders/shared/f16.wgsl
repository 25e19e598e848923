// Conversion to f16, two in a word. Twin: reference::f16.

// The largest finite f16.
const LARGEST: f32 = 65504.0;

// Two numbers. A finite number beyond the largest becomes that; infinity and NaN stay what they are. pack2x16float may
// make anything of these, so they are converted by their bits. Which of the two nearest f16 a number becomes is up to
// the device.
fn pack_f16(numbers: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(numbers);
    let size = bits & vec2<u32>(0x7fffffffu);
    let infinity = vec2<u32>(0x7f800000u);
    let special = size >= infinity;
    let no_number = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), size > infinity);
    let made = select(vec2<u32>(), no_number | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u)), special);
    let finite = select(clamp(numbers, vec2<f32>(-LARGEST), vec2<f32>(LARGEST)), vec2<f32>(), special);
    return pack2x16float(finite) | made.x | (made.y << 16u);
}
