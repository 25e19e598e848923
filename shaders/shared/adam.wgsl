// What the two kernels of Adam share: the scalars of a step, which never leave the GPU.

struct AdamState {
    learning_rate: f32,
    // 1 - beta1^t and 1 - beta2^t
    correction1: f32,
    correction2: f32,
    // The global norm of the gradients, and what they are multiplied by to clip it.
    norm: f32,
    scale: f32,
}
