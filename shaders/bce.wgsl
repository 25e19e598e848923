#import shared/exponential
#import shared/mean
#import shared/reduce
#import shared/loss

// Binary cross-entropy of logits x, and its gradient (PyTorch's BCEWithLogitsLoss): with s = sigmoid(x) it is
// loss = -sum (y ln s + (1 - y) ln(1 - s)) / len, d_x = (s - y) / len.
//
// Loop, bindings and departures from the twin (reference::bce): shared/loss.wgsl. One more: everything is written by
// what the label gives to the class that the logit speaks against, a = 1 - y for x > 0 and a = y otherwise. Then
// -(y ln s + (1 - y) ln(1 - s)) = a |x| + ln(1 + e^-|x|), and s - y is a - sigmoid(-|x|) for x > 0, and the negative of
// that otherwise. With a label of 0 or 1 nothing cancels; in f32 s - 1 itself is 0 from x = 17 on.

fn against(x: f32, y: f32) -> f32 {
    return select(y, 1.0 - y, x > 0.0);
}

// NaN comes through the product, by way of |x| or of the label.
fn loss(x: f32, y: f32) -> f32 {
    return against(x, y) * abs(x) + softplus(-abs(x));
}

// Of a NaN logit the sigmoid may be a number.
fn slope(x: f32, y: f32) -> f32 {
    let a = against(x, y);
    let s = sigmoid(-abs(x));
    return select(select(s - a, a - s, x > 0.0), x, is_nan(x));
}
