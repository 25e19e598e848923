// The scalars of an optimiser step: their places in `state`, which never leaves the GPU.

const LEARNING_RATE: u32 = 0u;
// 1 - beta1^t and 1 - beta2^t, where t counts the steps taken.
const CORRECTION1: u32 = 1u;
const CORRECTION2: u32 = 2u;
// The factor for the gradients that clips their norm.
const SCALE: u32 = 3u;
// 1: skip this step. 0: take it.
const SKIP: u32 = 4u;
