// The scalars of an optimiser step: their places in `state`, which never leaves the GPU. The kernel imports shared/norm
// too.

// What stays from step to step, and is saved with the optimiser.
const LEARNING_RATE: u32 = 0u;
// 1 - beta1^t and 1 - beta2^t, where t counts the steps taken.
const CORRECTION1: u32 = 1u;
const CORRECTION2: u32 = 2u;
// How many gradients were added up since the last step.
const ACCUMULATED: u32 = 3u;

// What each step makes anew.
// The factor for the gradients: what clips their norm, and the number of those that were added up.
const SCALE: u32 = 4u;
// No gradient goes further from 0 than this; infinity: as far as it likes.
const LIMIT: u32 = 5u;
// 1: skip this step. 0: take it.
const SKIP: u32 = 6u;
// 1: no step was taken before this one.
const FIRST: u32 = 7u;

// A gradient as a step takes it. By their bits, as numbers without their signs order: of a NaN WGSL leaves open what
// clamp makes, and it must stay one, as in PyTorch's clip_grad_value_.
fn clipped(gradient: f32, scale: f32, limit: f32) -> f32 {
    let scaled = gradient * scale;
    let size = magnitude(scaled);
    let sign = bitcast<u32>(scaled) & 0x80000000u;
    let is_over = size > bitcast<u32>(limit) && size <= INFINITY;
    return select(scaled, bitcast<f32>(bitcast<u32>(limit) | sign), is_over);
}
