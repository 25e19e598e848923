//! Three steps of PyTorch's Adam over two parameters, as one array, in f64:
//!
//! ```python
//! import torch  # 2.15.0
//! for clip in [None, 1.0]:
//!     p = torch.tensor([0.5, -0.25, 1.0, 0.125, -2.0], dtype=torch.float64, requires_grad=True)
//!     q = torch.tensor([[0.75], [-1.5]], dtype=torch.float64, requires_grad=True)
//!     adam = torch.optim.Adam([p, q], lr=0.0625, betas=(0.875, 0.96875), eps=2**-6)
//!     for d in GRADIENTS:
//!         p.grad, q.grad = torch.tensor(d[:5]).double(), torch.tensor(d[5:]).double().reshape(2, 1)
//!         if clip: print(torch.nn.utils.clip_grad_norm_([p, q], clip).item())
//!         adam.step()
//!     print(p.tolist() + q.flatten().tolist())
//! ```

use wgpu_gru::train::AdamOptions;

/// The options, without a norm to clip to.
pub(crate) const OPTIONS: AdamOptions = AdamOptions {
    learning_rate: 0.0625,
    beta1: 0.875,
    beta2: 0.96875,
    epsilon: 1.0 / 64.0,
    weight_decay: 0.0,
    max_norm: None,
    clip_value: None,
    skip_nonfinite: false,
    accumulate: None,
};

/// p and q before the first step.
pub(crate) const BEFORE: [f32; 7] = [0.5, -0.25, 1.0, 0.125, -2.0, 0.75, -1.5];

/// The gradients of each step.
pub(crate) const GRADIENTS: [[f32; 7]; 3] = [
    [0.5, -1.0, 0.25, 2.0, -0.125, 1.5, -0.5],
    [0.25, 0.5, -0.5, 0.0, 1.0, -0.25, 0.125],
    [-0.5, 0.25, 0.125, -0.25, 0.5, 0.0, 0.5],
];

/// Their norms.
pub(crate) const NORMS: [f64; 3] = [2.797_878_660_699_924, 1.280_868_845_744_949_7, 0.943_729_304_408_843_7];

/// `max_norm`, and p and q after the last step.
pub(crate) const AFTER: [(Option<f32>, [f64; 7]); 2] = [
    (
        None,
        [
            0.378_008_294_467_363_34,
            -0.170_121_933_137_467_1,
            0.972_182_116_990_798_5,
            -0.004_248_525_761_129_27,
            -2.030_305_198_815_828_5,
            0.630_431_260_769_516_8,
            -1.424_263_959_651_171_5,
        ],
    ),
    (
        Some(1.0),
        [
            0.397_935_481_347_403_36,
            -0.218_094_344_533_259_07,
            0.994_989_030_838_101_6,
            0.007_787_475_538_420_022,
            -2.045_937_655_296_564_5,
            0.650_686_599_492_362_3,
            -1.462_274_955_608_76,
        ],
    ),
];
