// What the kernels of the optimisers share: the places of the scalars of a step in `state`, which never leave the GPU.

const LEARNING_RATE: u32 = 0u;
// 1 - beta1^t and 1 - beta2^t, where t counts the steps that were taken.
const CORRECTION1: u32 = 1u;
const CORRECTION2: u32 = 2u;
// What the gradients are multiplied by to clip their norm.
const SCALE: u32 = 3u;
// 1: leave this step out. 0: take it.
const SKIP: u32 = 4u;
