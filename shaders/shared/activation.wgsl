// Activations and their slopes. Each is accurate to a few units in the last place of the result, for every f32 number:
// the bounds are in the table of src/activation.rs. NaN gives NaN. The kernel imports shared/exponential too. Twin:
// reference::activation.

const SIGMOID: u32 = 0u;
const TANH: u32 = 1u;
const RELU: u32 = 2u;
const HARD_SIGMOID: u32 = 3u;
const LEAKY_RELU: u32 = 4u;
const THRESHOLDED_RELU: u32 = 5u;
const SOFTSIGN: u32 = 6u;
const SOFTPLUS: u32 = 7u;
const LINEAR: u32 = 8u;
const ELU: u32 = 9u;

// The argument of an activation is limited to [-CLIP, CLIP] with HAS_CLIP.
override HAS_CLIP: bool;
override CLIP: f32;

// With q = 1 - e^(-2 |x|) it is q / (2 - q). The built-in overflows to NaN for large arguments on some drivers.
fn tanh_guarded(x: f32) -> f32 {
    let q = one_minus(exponential(-2.0 * abs(x)));
    return with_sign_of(q / (2.0 - q), x);
}

// Far out the quotient is 1, and its denominator must not be too large to divide by. For infinity it is NaN, like inf /
// inf.
fn softsign(x: f32) -> f32 {
    let size = min(abs(x), 1e9);
    let no_number = bitcast<f32>(bitcast<u32>(x) | 0x00400000u);
    return select(with_sign_of(size / (1.0 + size), x), no_number, is_infinite(x));
}

// e^x - 1 keeps its digits near zero. For x above 0 the exponential is not used.
fn elu(alpha: f32, x: f32) -> f32 {
    return select(-(alpha * one_minus(exponential(-abs(x)))), x, x >= 0.0);
}

fn hard_sigmoid(alpha: f32, beta: f32, x: f32) -> f32 {
    let line = alpha * x + beta;
    return select(clamp(line, 0.0, 1.0), line, is_nan(line));
}

// The activation `kind`, with alpha (or theta) and beta where it has them. What it makes of NaN is not used.
fn of_number(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    switch kind {
        case SIGMOID: { return sigmoid(x); }
        case TANH: { return tanh_guarded(x); }
        case RELU: { return select(0.0, x, x > 0.0); }
        case HARD_SIGMOID: { return hard_sigmoid(alpha, beta, x); }
        case LEAKY_RELU: { return select(alpha * x, x, x >= 0.0); }
        case THRESHOLDED_RELU: { return select(0.0, x, x > alpha); }
        case SOFTSIGN: { return softsign(x); }
        case SOFTPLUS: { return softplus(x); }
        case ELU: { return elu(alpha, x); }
        default: { return x; }
    }
}

fn unclipped(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    return select(of_number(kind, alpha, beta, x), x, is_nan(x));
}

// Whether the clip changes an argument. It leaves one that equals it, and NaN.
fn is_clipped(x: f32) -> bool {
    return HAS_CLIP && abs(x) > CLIP && !is_nan(x);
}

// The activation of an argument after the clip.
fn activate(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    if HAS_CLIP {
        return unclipped(kind, alpha, beta, select(x, with_sign_of(CLIP, x), is_clipped(x)));
    }
    return unclipped(kind, alpha, beta, x);
}

// What is kept for backward of the value y of an argument x: y itself or, if the clip changed x, an infinity with the
// sign of x. With a clip no value is infinite, so the two cannot be confused.
fn kept(x: f32, y: f32) -> f32 {
    if HAS_CLIP {
        return select(y, bitcast<f32>((bitcast<u32>(x) & 0x80000000u) | 0x7f800000u), is_clipped(x));
    }
    return y;
}

// The value that was kept.
fn value_of_kept(kind: u32, alpha: f32, beta: f32, y: f32) -> f32 {
    if HAS_CLIP {
        let end = select(unclipped(kind, alpha, beta, -CLIP), unclipped(kind, alpha, beta, CLIP), y > 0.0);
        return select(y, end, is_infinite(y));
    }
    return y;
}

// The slope there: 0 if the clip changed the argument.
fn slope_of_kept(kind: u32, alpha: f32, beta: f32, y: f32) -> f32 {
    let slope = activation_slope(kind, alpha, beta, y);
    return select(slope, 0.0, HAS_CLIP && is_infinite(y));
}

// The derivative of an activation, from its value y.
fn slope_of_number(kind: u32, alpha: f32, y: f32) -> f32 {
    switch kind {
        case SIGMOID: { return y * (1.0 - y); }
        case TANH: { return (1.0 - y) * (1.0 + y); }
        case RELU: { return select(0.0, 1.0, y > 0.0); }
        case HARD_SIGMOID: { return select(0.0, alpha, y > 0.0 && y < 1.0); }
        case LEAKY_RELU: { return select(alpha, 1.0, y > 0.0); }
        case THRESHOLDED_RELU: { return select(0.0, 1.0, y > 0.0); }
        case SOFTSIGN: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        case SOFTPLUS: { return one_minus(exponential(-y)); }
        case ELU: { return select(y + alpha, 1.0, y > 0.0); }
        default: { return 1.0; }
    }
}

// The same, but NaN for a NaN value, except where the slope does not depend on the value.
fn activation_slope(kind: u32, alpha: f32, beta: f32, y: f32) -> f32 {
    return select(slope_of_number(kind, alpha, y), y, kind != LINEAR && is_nan(y));
}
