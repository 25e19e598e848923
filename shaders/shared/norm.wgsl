// Sums of squares that neither overflow nor vanish, in three ranges (Blue 1978, "A portable Fortran program to find the
// Euclidean norm of a vector"): tiny numbers are scaled up before they are squared, huge ones down, all others are
// taken as they are. 2^32 squares of a range have a finite sum, so a sum that is not finite means a NaN or an infinity.

const TINY: u32 = 0u;
const MEDIUM: u32 = 1u;
const HUGE: u32 = 2u;

alias Sum = vec3<f32>;

// The bits of 2^-51 and 2^47. Without their signs numbers order as their bits do; infinity and NaN are huge.
const MEDIUM_FROM: u32 = 0x26000000u;
const HUGE_FROM: u32 = 0x57000000u;
const INFINITY: u32 = 0x7f800000u;
const SCALE_TINY: f32 = 0x1p90;
const SCALE_HUGE: f32 = 0x1p-82;

// The bits of a number without its sign. WGSL defines their comparison, but not that of a NaN.
fn magnitude(value: f32) -> u32 {
    return bitcast<u32>(value) & 0x7fffffffu;
}

fn square(value: f32) -> Sum {
    let size = magnitude(value);
    let is_tiny = size < MEDIUM_FROM;
    let is_huge = size >= HUGE_FROM;
    let scaled = value * select(select(1.0, SCALE_HUGE, is_huge), SCALE_TINY, is_tiny);
    return select(vec3<f32>(), vec3<f32>(scaled * scaled), vec3<bool>(is_tiny, !is_tiny && !is_huge, is_huge));
}

// The root of all three together. No factor is squared here: a compiler may join two factors, and their product would
// be 0.
fn root(sums: Sum) -> f32 {
    let tiny = sqrt(sums[TINY]) * (1.0 / SCALE_TINY);
    let medium = sqrt(sums[MEDIUM]);
    if magnitude(sums[HUGE]) != 0u {
        // Tiny numbers are below the rounding of huge ones.
        let huge = sqrt(sums[HUGE]);
        let ratio = medium * SCALE_HUGE / huge;
        return huge * sqrt(1.0 + ratio * ratio) * (1.0 / SCALE_HUGE);
    }
    if magnitude(sums[MEDIUM]) != 0u {
        let ratio = tiny / medium;
        return medium * sqrt(1.0 + ratio * ratio);
    }
    return tiny;
}
