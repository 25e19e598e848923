#import shared/mean
#import shared/reduce
#import shared/loss

// Mean squared error of predictions p, and its gradient: loss = sum (p - y)^2 / len, d_p = 2 (p - y) / len.
//
// Loop, bindings and departures from the twin (reference::mse): shared/loss.wgsl.

fn loss(p: f32, y: f32) -> f32 {
    let error = p - y;
    return error * error;
}

fn slope(p: f32, y: f32) -> f32 {
    return 2.0 * (p - y);
}
