//! f16, IEEE 754 binary16: what `pack2x16float` and `unpack2x16float` of WGSL work with, and so
//! `shaders/shared/f16.wgsl`.

/// The largest finite f16.
pub const LARGEST: f32 = 65504.0;

/// The bits of the nearest f16, of two that are equally near the even one. A finite number beyond the largest becomes
/// that; infinity and NaN stay what they are.
#[must_use]
pub fn to_f16(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    if value.is_nan() {
        return sign | 0x7e00;
    }
    if value.is_infinite() {
        return sign | 0x7c00;
    }
    let size = f64::from(value.abs().min(LARGEST));
    // Below the least normal f16 all have one distance.
    let exponent = if size < 2_f64.powi(-14) { -14 } else { size.log2().floor() as i32 };
    let steps = (size / 2_f64.powi(exponent - 10)).round_ties_even() as u16;
    // One that rounds up to the next power of two carries into the exponent by itself.
    sign + (((exponent + 14) as u16) << 10) + steps
}

/// The number that the bits of an f16 stand for.
#[must_use]
pub fn from_f16(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    (if bits & 0x8000 == 0 { size } else { -size }) as f32
}

/// The two f16 that a number lies between, the one nearer to zero first. An f16 lies between itself and itself, as
/// do infinities and NaN; beyond the largest f16 both are that.
#[must_use]
pub fn neighbours(value: f32) -> [f32; 2] {
    if !value.is_finite() {
        return [value; 2];
    }
    let bits = to_f16(value);
    let nearest = from_f16(bits);
    let size = value.abs().min(LARGEST);
    if nearest.abs() > size {
        [from_f16(bits - 1), nearest]
    } else if nearest.abs() < size {
        [nearest, from_f16(bits + 1)]
    } else {
        [nearest; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, from_f16, neighbours, to_f16};

    #[test]
    fn known_numbers() {
        // From the tables of IEEE 754 binary16: least subnormal, largest subnormal, least normal, next to one, one,
        // largest.
        for (bits, value) in [
            (0x0001, 2_f32.powi(-24)),
            (0x03ff, 1023.0 * 2_f32.powi(-24)),
            (0x0400, 2_f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0x3c01, 1.0 + 2_f32.powi(-10)),
            (0x7bff, LARGEST),
        ] {
            assert_eq!((to_f16(value), from_f16(bits)), (bits, value));
            assert_eq!((to_f16(-value), from_f16(bits | 0x8000)), (bits | 0x8000, -value));
        }
        assert!(from_f16(to_f16(f32::NAN)).is_nan());
        for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(from_f16(to_f16(infinity)), infinity);
        }
    }

    #[test]
    fn every_f16_is_itself() {
        for bits in (0..=u16::MAX).filter(|bits| bits >> 10 & 31 != 31) {
            assert_eq!(to_f16(from_f16(bits)), bits);
        }
    }

    #[test]
    fn the_nearest_and_of_two_the_even_one() {
        let unit = 2_f32.powi(-10);
        for (value, expected) in [
            (1.0 + 0.49 * unit, 0x3c00),
            (1.0 + 0.5 * unit, 0x3c00),
            (1.0 + 0.51 * unit, 0x3c01),
            (1.0 + 1.5 * unit, 0x3c02),
            (2.0 - 0.25 * unit, 0x4000),
            (2_f32.powi(-25), 0),
            (2_f32.powi(-24) * 1.5, 2),
            (2_f32.powi(-14) * (1.0 - 2_f32.powi(-12)), 0x400),
            (1e9, 0x7bff),
        ] {
            assert_eq!(to_f16(value), expected, "{value:e}");
        }
    }

    #[test]
    fn neighbours_on_both_sides() {
        let (unit, least) = (2_f32.powi(-10), 2_f32.powi(-24));
        for (value, expected) in [
            (1.0, [1.0, 1.0]),
            (1.0 + 0.1 * unit, [1.0, 1.0 + unit]),
            (1.0 + 0.9 * unit, [1.0, 1.0 + unit]),
            (2.0 - 0.1 * unit, [2.0 - unit, 2.0]),
            (0.3 * least, [0.0, least]),
            (65503.0, [65472.0, LARGEST]),
            (65519.0, [LARGEST, LARGEST]),
            (1e9, [LARGEST, LARGEST]),
            (0.0, [0.0, 0.0]),
        ] {
            assert_eq!(neighbours(value), expected, "{value:e}");
            assert_eq!(neighbours(-value), expected.map(|half| -half), "-{value:e}");
        }
        assert_eq!(neighbours(f32::INFINITY), [f32::INFINITY; 2], "no finite half is near it");
        assert!(neighbours(f32::NAN).into_iter().all(f32::is_nan), "NaN stays NaN");
    }
}
