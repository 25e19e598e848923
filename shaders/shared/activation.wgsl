// Activations and their slopes. The argument of exp is never positive, so that nothing overflows; sigmoid and tanh are
// accurate to a few units in the last place of 1 for any finite argument. Twin: reference::activation.

const SIGMOID: u32 = 0u;
const TANH: u32 = 1u;
const RELU: u32 = 2u;
const HARD_SIGMOID: u32 = 3u;
const LEAKY_RELU: u32 = 4u;
const THRESHOLDED_RELU: u32 = 5u;
const SOFTSIGN: u32 = 6u;
const SOFTPLUS: u32 = 7u;
const LINEAR: u32 = 8u;

// What goes into an activation is limited to [-CLIP, CLIP] with HAS_CLIP.
override HAS_CLIP: bool;
override CLIP: f32;

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    let s = 1.0 / (1.0 + e);
    return select(e * s, s, x >= 0.0);
}

// The built-in tanh overflows to NaN for large arguments on some drivers.
fn tanh_guarded(x: f32) -> f32 {
    let e = exp(-2.0 * abs(x));
    let t = (1.0 - e) / (1.0 + e);
    return select(-t, t, x >= 0.0);
}

// ln(1 + e^x). For small e = e^-|x|, ln(1 + e) by its series: log(1 + e) would lose the digits of e.
fn softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    let series = e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - e * 0.25)));
    return max(x, 0.0) + select(log(1.0 + e), series, e < 0.03);
}

fn unclipped(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    switch kind {
        case SIGMOID: { return sigmoid(x); }
        case TANH: { return tanh_guarded(x); }
        case RELU: { return max(x, 0.0); }
        case HARD_SIGMOID: { return clamp(alpha * x + beta, 0.0, 1.0); }
        case LEAKY_RELU: { return select(alpha * x, x, x >= 0.0); }
        case THRESHOLDED_RELU: { return select(0.0, x, x > alpha); }
        case SOFTSIGN: { return x / (1.0 + abs(x)); }
        case SOFTPLUS: { return softplus(x); }
        default: { return x; }
    }
}

// The activation `kind`; alpha (or theta) and beta where it has them.
fn activate(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    if HAS_CLIP {
        return unclipped(kind, alpha, beta, clamp(x, -CLIP, CLIP));
    }
    return unclipped(kind, alpha, beta, x);
}

// Whether the clip gave a value. The ends are met to within some rounding errors, since a compiler may compute them
// otherwise than the value: so a value that close to an end counts as clipped too.
fn is_clipped(kind: u32, alpha: f32, beta: f32, y: f32) -> bool {
    let ends = vec2<f32>(unclipped(kind, alpha, beta, -CLIP), unclipped(kind, alpha, beta, CLIP));
    let slack = 4e-7 * max(1.0, max(abs(ends.x), abs(ends.y)));
    return y >= max(ends.x, ends.y) - slack || y <= min(ends.x, ends.y) + slack;
}

// Its derivative, from its value y. A value that the clip gives has slope 0.
fn activation_slope(kind: u32, alpha: f32, beta: f32, y: f32) -> f32 {
    if HAS_CLIP {
        if is_clipped(kind, alpha, beta, y) {
            return 0.0;
        }
    }
    switch kind {
        case SIGMOID: { return y * (1.0 - y); }
        case TANH: { return 1.0 - y * y; }
        case RELU: { return select(0.0, 1.0, y > 0.0); }
        case HARD_SIGMOID: { return select(0.0, alpha, y > 0.0 && y < 1.0); }
        case LEAKY_RELU: { return select(alpha, 1.0, y > 0.0); }
        case THRESHOLDED_RELU: { return select(0.0, 1.0, y > 0.0); }
        case SOFTSIGN: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        // 1 - e^-y; for small y by its series.
        case SOFTPLUS: { return select(1.0 - exp(-y), y * (1.0 - y * (0.5 - y / 6.0)), y < 0.03); }
        default: { return 1.0; }
    }
}
