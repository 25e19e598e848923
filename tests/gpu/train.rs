//! Loss, norm, optimisers and clipping against their twins, and Adam against PyTorch.

use approx::assert_relative_eq;
use wgpu_gru::reference::adam::adam;
use wgpu_gru::reference::adam_prepare::adam_prepare;
use wgpu_gru::reference::mse::mse;
use wgpu_gru::reference::sgd::sgd;
use wgpu_gru::reference::sum_squares::sum_squares;
use wgpu_gru::train::{Adam, AdamOptions, MeanSquaredError, Sgd, SgdOptions};
use wgpu_gru::{Gpu, Tolerance, Uniform};

use crate::support::{assert_close, bits, read, record, tensor, wide, zeros};

trials![
    mean_squared_error,
    global_norm,
    adam_against_the_twin,
    adam_against_pytorch,
    a_gradient_of_zero_moves_nothing,
    learning_rate,
    sgd_against_the_twin,
    sgd_by_hand
];

fn step(gpu: &Gpu, adam: &Adam) {
    record(gpu, |encoder| adam.encode(encoder));
}

/// One element, the neighbours of a workgroup (256), and more than one element an invocation.
const LENGTHS: [usize; 6] = [1, 255, 256, 257, 1009, 300_007];

fn mean_squared_error(gpu: &Gpu) {
    for len in LENGTHS {
        let mut uniform = Uniform::new(len as u64);
        let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
        let mut exact_d = vec![0.0; len];
        let exact = mse(&wide(&prediction), &wide(&expected), &mut exact_d);
        let mut narrow_d = vec![0.0_f32; len];
        mse(&prediction, &expected, &mut narrow_d);

        let (prediction, d_prediction) = (tensor(gpu, &[len], &prediction), zeros(gpu, &[len]));
        let loss = MeanSquaredError::new(&prediction, &d_prediction).expect("a loss");
        loss.expected().write(&expected).expect("a write");
        record(gpu, |encoder| loss.encode(encoder));
        // A mean of squares: every term is divided by len, so the sum is of about 1.
        assert_close(&format!("loss of {len}"), &read(loss.loss()), &[exact], Tolerance::matmul(len));
        let tolerance = Tolerance::pointwise().scaled(1.0 / len as f64);
        let actual = read(&d_prediction);
        assert_close(&format!("d_prediction of {len} against f64"), &actual, &exact_d, tolerance);
        assert_close(&format!("d_prediction of {len} against f32"), &actual, &narrow_d, tolerance.plus(tolerance));
    }
}

/// Over several parameters of different sizes, all parts together.
fn global_norm(gpu: &Gpu) {
    let mut uniform = Uniform::new(5);
    let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
    let gradients = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
    let parameters = LENGTHS.map(|len| zeros(gpu, &[len]));
    let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
    let adam = Adam::new(&pairs, &AdamOptions::default()).expect("an optimiser");
    step(gpu, &adam);
    let all = hosts.concat();
    let exact = sum_squares(&wide(&all)).sqrt();
    // The squares are all positive and their sum is len/3: its relative error is that of a sum of len terms of 1/len.
    let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(all.len()).abs };
    assert_close("norm", &read(adam.norm()), &[exact], tolerance);
}

fn adam_against_the_twin(gpu: &Gpu) {
    const STEPS: u32 = 60;
    const LENS: [usize; 3] = [1, 257, 1009];
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let options = AdamOptions { learning_rate: 0.01, max_norm, ..AdamOptions::default() };
        let mut uniform = Uniform::new(9);
        let hosts = LENS.map(|len| uniform.vec(len, 1.0));
        let parameters = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
        let gradients = LENS.map(|len| zeros(gpu, &[len]));
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Adam::new(&pairs, &options).expect("an optimiser");

        let mut exact = hosts.each_ref().map(|host| wide(host));
        let mut moments = LENS.map(|len| [vec![0.0; len], vec![0.0; len]]);
        let betas = [options.beta1, options.beta2].map(f64::from);
        for t in 1..=STEPS {
            let fresh = LENS.map(|len| uniform.vec(len, 1.0));
            let state = adam_prepare(
                t,
                f64::from(options.learning_rate),
                betas,
                max_norm.map(f64::from),
                sum_squares(&wide(&fresh.concat())),
            );
            for (index, gradient) in fresh.iter().enumerate() {
                gradients[index].write(gradient).expect("a write");
                let [moment1, moment2] = &mut moments[index];
                let epsilon = f64::from(options.epsilon);
                adam(&state, betas, epsilon, &wide(gradient), &mut exact[index], moment1, moment2);
            }
            step(gpu, &optimiser);
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            // Each step rounds the parameter once, and a step of a few operations is added to it.
            assert_close(&name, &read(parameter), exact, Tolerance::through_time(1, STEPS as usize));
        }
    }
}

/// ```python
/// import torch  # 2.15.0
/// for clip in [None, 1.0]:
///     p = torch.tensor([0.5, -0.25, 1.0, 0.125, -2.0], dtype=torch.float64, requires_grad=True)
///     q = torch.tensor([[0.75], [-1.5]], dtype=torch.float64, requires_grad=True)
///     adam = torch.optim.Adam([p, q], lr=0.0625, betas=(0.875, 0.96875), eps=2**-6)
///     for dp, dq in zip(D_P, D_Q):
///         p.grad, q.grad = torch.tensor(dp).double(), torch.tensor(dq).double().reshape(2, 1)
///         if clip: print(torch.nn.utils.clip_grad_norm_([p, q], clip).item())
///         adam.step()
///     print(p.tolist(), q.flatten().tolist())
/// ```
fn adam_against_pytorch(gpu: &Gpu) {
    const D_P: [[f32; 5]; 3] =
        [[0.5, -1.0, 0.25, 2.0, -0.125], [0.25, 0.5, -0.5, 0.0, 1.0], [-0.5, 0.25, 0.125, -0.25, 0.5]];
    const D_Q: [[f32; 2]; 3] = [[1.5, -0.5], [-0.25, 0.125], [0.0, 0.5]];
    const NORMS: [f64; 3] = [2.797_878_660_699_924, 1.280_868_845_744_949_7, 0.943_729_304_408_843_7];
    const FREE: [f64; 7] = [
        0.378_008_294_467_363_34,
        -0.170_121_933_137_467_1,
        0.972_182_116_990_798_5,
        -0.004_248_525_761_129_27,
        -2.030_305_198_815_828_5,
        0.630_431_260_769_516_8,
        -1.424_263_959_651_171_5,
    ];
    const CLIPPED: [f64; 7] = [
        0.397_935_481_347_403_36,
        -0.218_094_344_533_259_07,
        0.994_989_030_838_101_6,
        0.007_787_475_538_420_022,
        -2.045_937_655_296_564_5,
        0.650_686_599_492_362_3,
        -1.462_274_955_608_76,
    ];
    for (max_norm, expected) in [(None, FREE), (Some(1.0), CLIPPED)] {
        let p = tensor(gpu, &[5], &[0.5, -0.25, 1.0, 0.125, -2.0]);
        let q = tensor(gpu, &[2, 1], &[0.75, -1.5]);
        let (d_p, d_q) = (zeros(gpu, &[5]), zeros(gpu, &[2, 1]));
        let options = AdamOptions {
            learning_rate: 0.0625,
            beta1: 0.875,
            beta2: 0.96875,
            epsilon: f32::powi(2.0, -6),
            max_norm,
            ..AdamOptions::default()
        };
        let adam = Adam::new(&[(&p, &d_p), (&q, &d_q)], &options).expect("an optimiser");
        for ((gradient_p, gradient_q), norm) in D_P.iter().zip(&D_Q).zip(NORMS) {
            d_p.write(gradient_p).expect("a write");
            d_q.write(gradient_q).expect("a write");
            step(gpu, &adam);
            let actual = f64::from(read(adam.norm())[0]);
            assert_relative_eq!(actual, norm, max_relative = Tolerance::matmul(7).abs);
        }
        let actual = [read(&p), read(&q)].concat();
        assert_close(
            &format!("parameters with max_norm {max_norm:?}"),
            &actual,
            &expected,
            Tolerance::through_time(1, 3),
        );
    }
}

/// No 0/0, with clipping or without.
fn a_gradient_of_zero_moves_nothing(gpu: &Gpu) {
    for max_norm in [None, Some(1.0)] {
        let (parameter, gradient) = (tensor(gpu, &[3], &[1.0, -2.0, 0.5]), zeros(gpu, &[3]));
        let options = AdamOptions { max_norm, ..AdamOptions::default() };
        let adam = Adam::new(&[(&parameter, &gradient)], &options).expect("an optimiser");
        let before = bits(&parameter);
        step(gpu, &adam);
        assert_eq!(bits(&parameter), before, "max_norm {max_norm:?}");
        assert_close("norm", &read(adam.norm()), &[0.0], Tolerance::EXACT);
    }
}

/// The first step of Adam is the learning rate long, whatever the gradient; a rate of 0 is no step.
fn learning_rate(gpu: &Gpu) {
    let (parameter, gradient) = (zeros(gpu, &[2]), tensor(gpu, &[2], &[3.0, -0.01]));
    let adam = Adam::new(&[(&parameter, &gradient)], &AdamOptions::default()).expect("an optimiser");
    adam.set_learning_rate(0.0).expect("a rate");
    step(gpu, &adam);
    assert_close("parameter", &read(&parameter), &[0.0, 0.0], Tolerance::EXACT);
    adam.set_learning_rate(0.25).expect("a rate");
    step(gpu, &adam);
    assert_close(
        "parameter",
        &read(&parameter),
        &[-0.25, 0.25],
        Tolerance::through_time(1, 2).scaled(1.0).plus(Tolerance {
            abs: 0.0,
            // epsilon, beside the smallest gradient.
            rel: 1e-8 / 0.01,
        }),
    );
}

fn descend(gpu: &Gpu, sgd: &Sgd) {
    record(gpu, |encoder| sgd.encode(encoder));
}

fn sgd_against_the_twin(gpu: &Gpu) {
    const STEPS: usize = 20;
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let mut uniform = Uniform::new(11);
        let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
        let parameters = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
        let gradients = LENGTHS.map(|len| zeros(gpu, &[len]));
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Sgd::new(&pairs, &SgdOptions { learning_rate: 0.01, max_norm, ..SgdOptions::default() })
            .expect("an optimiser");
        let mut exact = hosts.each_ref().map(|host| wide(host));
        for _ in 0..STEPS {
            let fresh = LENGTHS.map(|len| uniform.vec(len, 1.0));
            let squares = sum_squares(&wide(&fresh.concat()));
            let state = adam_prepare(1, f64::from(0.01_f32), [0.0, 0.0], max_norm.map(f64::from), squares);
            for ((gradient, exact), host) in gradients.iter().zip(&mut exact).zip(&fresh) {
                gradient.write(host).expect("a write");
                sgd(&state, &wide(host), exact);
            }
            descend(gpu, &optimiser);
            let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(LENGTHS.iter().sum()).abs };
            assert_close("norm", &read(optimiser.norm()), &[state.norm], tolerance);
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            assert_close(&name, &read(parameter), exact, Tolerance::through_time(1, STEPS));
        }
    }
}

/// A gradient of norm 5 over two parameters: as it is, clipped to 1, with a rate of 0, and none at all.
fn sgd_by_hand(gpu: &Gpu) {
    for (max_norm, expected) in [(None, [-0.5, -1.0]), (Some(1.0), [0.7, 0.6]), (Some(8.0), [-0.5, -1.0])] {
        let (p, q) = (tensor(gpu, &[1], &[1.0]), tensor(gpu, &[1, 1], &[1.0]));
        let (d_p, d_q) = (tensor(gpu, &[1], &[3.0]), tensor(gpu, &[1, 1], &[4.0]));
        let sgd =
            Sgd::new(&[(&p, &d_p), (&q, &d_q)], &SgdOptions { learning_rate: 0.5, max_norm, ..SgdOptions::default() })
                .expect("sgd");
        descend(gpu, &sgd);
        // The factor that clips has PyTorch's 1e-6 in it.
        let tolerance = Tolerance { abs: 1e-6, rel: 0.0 };
        assert_close(&format!("max_norm {max_norm:?}"), &[read(&p), read(&q)].concat(), &expected, tolerance);
        assert_close("norm", &read(sgd.norm()), &[5.0], Tolerance::pointwise());

        let before = [bits(&p), bits(&q)];
        sgd.set_learning_rate(0.0).expect("a rate");
        descend(gpu, &sgd);
        assert_eq!([bits(&p), bits(&q)], before, "a rate of 0 is no step");
        sgd.set_learning_rate(1.0).expect("a rate");
        d_p.write(&[0.0]).expect("a write");
        d_q.write(&[0.0]).expect("a write");
        descend(gpu, &sgd);
        assert_eq!([bits(&p), bits(&q)], before, "a gradient of 0 moves nothing");
    }
}
