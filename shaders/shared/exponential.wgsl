// The exponential, and what follows from it. Nothing relies on a built-in exponential or logarithm, whose accuracy
// differs from driver to driver. Twin: reference::activation.

// By its bits: WGSL lets a compiler assume that there is no NaN, so comparisons, min, max and clamp may lose one.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_infinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// `size`, which is not negative, with the sign of `other`.
fn with_sign_of(size: f32, other: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(size) | (bitcast<u32>(other) & 0x80000000u));
}

// e^x = scale (1 + rest), where scale is a power of two.
struct Exponential {
    scale: f32,
    rest: f32,
}

// e^x for x <= 0. Below -87.7, where e^x is less than 2^-126, it is 0.
//
// x = k ln 2 + r with a whole number k. A product of k and the 15 bits of the first part of ln 2 is exact; the second
// part is brought in by e^(r + d) = e^r (1 + d), which no compiler can merge with the first. The polynomial is that of
// Cephes' expf.
fn exponential(x: f32) -> Exponential {
    let bounded = max(x, -88.0);
    let k = round(bounded * 1.44269504);
    let r = bounded - k * 0.693145751953125;
    let p = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r
        + 1.6666665459e-1) * r + 5.0000001201e-1;
    let rest = r * r * p + r;
    return Exponential(bitcast<f32>(u32(k + 127.0) << 23u), rest - (1.0 + rest) * (k * 1.42860677e-6));
}

// In this form since scale * rest alone may be so small that a device flushes it to zero.
fn value(e: Exponential) -> f32 {
    return e.scale * (1.0 + e.rest);
}

// 1 - e^x without cancellation: where x is near 0, scale is 1.
fn one_minus(e: Exponential) -> f32 {
    return (1.0 - e.scale) - e.scale * e.rest;
}

fn sigmoid(x: f32) -> f32 {
    let e = value(exponential(-abs(x)));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// ln(1 + e) for e from 0 to 1: 2 artanh(e / (2 + e)) by its series. For a tiny e it is e itself, half of which a device
// may flush to zero.
fn ln_one_plus(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let z = s * s;
    let series = (((((z / 15.0 + 1.0 / 13.0) * z + 1.0 / 11.0) * z + 1.0 / 9.0) * z + 1.0 / 7.0) * z + 1.0 / 5.0) * z;
    return select(2.0 * (s + s * z * (series + 1.0 / 3.0)), e, e < 1e-8);
}

// ln(1 + e^x) = max(0, x) + ln(1 + e) with e = e^-|x|.
fn softplus(x: f32) -> f32 {
    return select(0.0, x, x > 0.0) + ln_one_plus(value(exponential(-abs(x))));
}
