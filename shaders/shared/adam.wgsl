// What the kernels of the optimisers share: the places of the scalars of a step in `state`, which never leave the GPU.

const LEARNING_RATE: u32 = 0u;
// 1 - beta1^t and 1 - beta2^t
const CORRECTION1: u32 = 1u;
const CORRECTION2: u32 = 2u;
// The global norm of the gradients, and what they are multiplied by to clip it.
const NORM: u32 = 3u;
const SCALE: u32 = 4u;
