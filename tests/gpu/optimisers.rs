//! What training meets outside of a test: gradients that are not finite, norms that are huge or tiny, tensors that
//! begin anywhere in their buffer, more elements than a grid has invocations.

use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::sgd::{Descent, sgd};
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Sgd, SgdOptions};
use wgpu_gru::{Direction, Error, Gpu, Gru, GruConfig, Result, Tensor, Tolerance, Unroll, wgpu};

use crate::checks::losses::LOSSES;
use crate::support::{assert_close, bits, read, record, tensor, wide};

trials![
    a_norm_that_is_not_finite,
    a_nan_anywhere,
    without_clipping_a_nan_stays_where_it_is,
    steps_are_left_out,
    large_gradients_are_finite,
    huge_and_tiny_norms,
    long_sums,
    sums_of_several_parts,
    at_an_offset,
    parameters_of_many_cells,
    pytorch_defaults,
    overlapping_pairs,
];

/// Makes an optimiser of pairs, with `max_norm` and `skip_nonfinite`.
type New = fn(&[(&Tensor, &Tensor)], Option<f32>, bool) -> Result<Any>;

/// Either optimiser.
enum Any {
    Adam(Adam),
    Sgd(Sgd),
}

impl Any {
    /// Both, over the same pairs in turn.
    const BOTH: [New; 2] = [
        |pairs, max_norm, skip_nonfinite| {
            let options = AdamOptions { learning_rate: 0.1, max_norm, skip_nonfinite, ..AdamOptions::default() };
            Ok(Self::Adam(Adam::new(pairs, &options)?))
        },
        |pairs, max_norm, skip_nonfinite| {
            Ok(Self::Sgd(Sgd::new(
                pairs,
                &SgdOptions { learning_rate: 0.1, max_norm, skip_nonfinite, ..SgdOptions::default() },
            )?))
        },
    ];

    fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        match self {
            Self::Adam(adam) => adam.encode(encoder),
            Self::Sgd(sgd) => sgd.encode(encoder),
        }
    }

    fn norm(&self) -> f32 {
        read(match self {
            Self::Adam(adam) => adam.norm(),
            Self::Sgd(sgd) => sgd.norm(),
        })[0]
    }

    fn skipped(&self) -> f32 {
        read(match self {
            Self::Adam(adam) => adam.skipped(),
            Self::Sgd(sgd) => sgd.skipped(),
        })[0]
    }

    fn step(&self, gpu: &Gpu) {
        record(gpu, |encoder| self.encode(encoder));
    }
}

const NANS: [f32; 3] = [f32::NAN, f32::from_bits(0xffc0_0001), f32::from_bits(0x7f80_0001)];

/// As `clip_grad_norm_` has it: a norm that is NaN makes all parameters NaN, an infinite one multiplies by 0.
fn a_norm_that_is_not_finite(gpu: &Gpu) {
    for new in Any::BOTH {
        for bad in NANS.into_iter().chain([f32::INFINITY, -f32::INFINITY]) {
            let (p, q) = (tensor(gpu, &[2], &[1.0, 1.0]), tensor(gpu, &[1], &[1.0]));
            let (d_p, d_q) = (tensor(gpu, &[2], &[bad, 5.0]), tensor(gpu, &[1], &[100.0]));
            let optimiser = new(&[(&p, &d_p), (&q, &d_q)], Some(1.0), false).expect("an optimiser");
            optimiser.step(gpu);
            let after = [read(&p), read(&q)].concat();
            assert!(after[0].is_nan(), "{bad}: {after:?}");
            let same = |value: &f32| if bad.is_nan() { value.is_nan() } else { *value == 1.0 };
            assert!(after[1..].iter().all(same), "{bad}: {after:?}");
            let norm = optimiser.norm();
            assert!(if bad.is_nan() { norm.is_nan() } else { norm == f32::INFINITY }, "{bad} gives the norm {norm}");
            assert_close("steps left out", &[optimiser.skipped()], &[0.0], Tolerance::EXACT);
        }
    }
}

/// One NaN among many numbers, first, last and between, is heard of in all of them.
fn a_nan_anywhere(gpu: &Gpu) {
    for len in [1, 256, 5000, 300_007] {
        for at in [0, len / 2, len - 1] {
            let mut host = vec![0.01; len];
            host[at] = f32::NAN;
            let (p, other) = (tensor(gpu, &[len], &vec![1.0; len]), tensor(gpu, &[3], &[1.0; 3]));
            let (d_p, d_other) = (tensor(gpu, &[len], &host), tensor(gpu, &[3], &[1.0; 3]));
            let options = SgdOptions { max_norm: Some(1.0), ..SgdOptions::default() };
            let sgd = Any::Sgd(Sgd::new([(&other, &d_other), (&p, &d_p)], &options).expect("sgd"));
            sgd.step(gpu);
            assert!(read(&p).iter().chain(&read(&other)).all(|value| value.is_nan()), "a NaN at {at} of {len}");

            // In the prediction, and in what is expected.
            let zeros = vec![0.0; len];
            for (loss, [prediction, expected]) in
                LOSSES.iter().flat_map(|loss| [(loss, [&host, &zeros]), (loss, [&zeros, &host])])
            {
                let (prediction, d) = (tensor(gpu, &[len], prediction), tensor(gpu, &[len], &vec![1.0; len]));
                let made = loss.once(&prediction, &d, Some(expected)).expect("a loss");
                assert!(read(&made)[0].is_nan(), "{} of a NaN at {at} of {len}", loss.name);
                let nans = read(&d).iter().filter(|d| d.is_nan()).count();
                assert_eq!(nans, 1, "the other gradients of the loss are numbers");
            }
        }
    }
}

fn without_clipping_a_nan_stays_where_it_is(gpu: &Gpu) {
    for new in Any::BOTH {
        let (p, d_p) = (tensor(gpu, &[3], &[1.0; 3]), tensor(gpu, &[3], &[0.0, f32::NAN, 0.0]));
        new(&[(&p, &d_p)], None, false).expect("an optimiser").step(gpu);
        let after = read(&p);
        assert!(after[0] == 1.0 && after[1].is_nan() && after[2] == 1.0, "{after:?}");
    }
}

/// With bad gradients between the good ones everything has the same bits as without them.
fn steps_are_left_out(gpu: &Gpu) {
    const LENS: [usize; 2] = [3, 5000];
    for (new, max_norm) in Any::BOTH.into_iter().flat_map(|new| [(new, None), (new, Some(0.5))]) {
        let make = || {
            let mut uniform = SplitMix64::new(4);
            let parameters = LENS.map(|len| tensor(gpu, &[len], &uniform.vec(len, 1.0)));
            let gradients = LENS.map(|len| tensor(gpu, &[len], &vec![0.0; len]));
            let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
            let optimiser = new(&pairs, max_norm, true).expect("an optimiser");
            (parameters, gradients, optimiser)
        };
        let ((expected, expected_gradients, without), (parameters, gradients, with)) = (make(), make());
        let mut uniform = SplitMix64::new(5);
        let mut left_out = 0.0;
        for round in 0..6 {
            for (tensor, bad) in [(0, f32::NAN), (1, f32::INFINITY), (1, NANS[1]), (0, -f32::INFINITY)] {
                let before = parameters.each_ref().map(bits);
                let mut host = uniform.vec(LENS[tensor], 1.0);
                host[(round * 7 + 2) % LENS[tensor]] = bad;
                gradients[tensor].write(&host).expect("a write");
                with.step(gpu);
                left_out += 1.0;
                assert_close("steps left out", &[with.skipped()], &[left_out], Tolerance::EXACT);
                assert!(parameters.each_ref().map(bits) == before, "{bad} moves nothing");
                assert!(!with.norm().is_finite(), "the norm says what it was");
                gradients[tensor].write(&vec![0.0; LENS[tensor]]).expect("a write");
            }
            for index in 0..2 {
                let good = uniform.vec(LENS[index], 1.0);
                gradients[index].write(&good).expect("a write");
                expected_gradients[index].write(&good).expect("a write");
            }
            with.step(gpu);
            without.step(gpu);
            assert!(parameters.each_ref().map(bits) == expected.each_ref().map(bits), "round {round}, {max_norm:?}");
        }
        assert_close("steps left out", &[without.skipped()], &[0.0], Tolerance::EXACT);
    }
}

/// A square that f32 does not hold is no reason to leave a step out, nor is a norm that it does not hold.
fn large_gradients_are_finite(gpu: &Gpu) {
    for (size, len, moved) in [(1e20_f32, 1, true), (1e25, 300, true), (1e37, 20, true), (3e38, 300_007, false)] {
        let (p, d_p) = (tensor(gpu, &[len], &vec![0.0; len]), tensor(gpu, &[len], &vec![size; len]));
        let options =
            SgdOptions { learning_rate: 1.0, max_norm: Some(8.0), skip_nonfinite: true, ..SgdOptions::default() };
        let sgd = Any::Sgd(Sgd::new([(&p, &d_p)], &options).expect("sgd"));
        sgd.step(gpu);
        assert_close("steps left out", &[sgd.skipped()], &[0.0], Tolerance::EXACT);
        let exact = f64::from(size) * (len as f64).sqrt();
        let norm = f64::from(sgd.norm());
        // The norm of the last one is 1.6e41.
        assert!(if moved { (norm / exact - 1.0).abs() < 1e-6 } else { norm == f64::INFINITY }, "{norm} for {exact}");
        let expected = if moved { -8.0 / (len as f64).sqrt() } else { 0.0 };
        let tolerance = Tolerance { abs: 0.0, rel: 1e-6 };
        assert_close(&format!("{len} of {size}"), &read(&p), &vec![expected; len], tolerance);
    }
}

/// Numbers on both sides of what is scaled before it is squared, alone and mixed, in one tensor and in two.
fn huge_and_tiny_norms(gpu: &Gpu) {
    let (small, large) = (f32::powi(2.0, -51), f32::powi(2.0, 47));
    let beside = |value: f32| [f32::from_bits(value.to_bits() - 1), value, f32::from_bits(value.to_bits() + 1)];
    let lists = [
        vec![1e20_f32; 1000],
        vec![1e-25; 1000],
        vec![1e-37; 70],
        vec![1e37, -1e37, 3.0],
        beside(small).to_vec(),
        beside(large).to_vec(),
        [beside(small), beside(large)].concat(),
        vec![1e-25, 2e-16, -3e-16],
        vec![1e14, -1.5e14, 1.4e14, 1.3e14],
        vec![0.0, -0.0],
        vec![1e-25, 1.0, 1e20],
        vec![f32::MIN_POSITIVE; 4],
    ];
    for list in lists {
        let exact = sum_squares(&wide(&list)).sqrt();
        let tolerance = Tolerance { abs: 0.0, rel: 1e-6 };
        let halves = [&list[..list.len() / 2], &list[list.len() / 2..]].map(|half| tensor(gpu, &[half.len()], half));
        let whole = tensor(gpu, &[list.len()], &list);
        let zeros = |of: &Tensor| tensor(gpu, of.shape(), &vec![0.0; of.len()]);
        let (p, q, r) = (zeros(&halves[0]), zeros(&halves[1]), zeros(&whole));
        for pairs in [vec![(&p, &halves[0]), (&q, &halves[1])], vec![(&r, &whole)]] {
            let options =
                SgdOptions { learning_rate: 1.0, max_norm: Some(1.0), skip_nonfinite: true, ..SgdOptions::default() };
            let sgd = Any::Sgd(Sgd::new(&pairs, &options).expect("sgd"));
            sgd.step(gpu);
            assert_close(&format!("norm of {list:?}"), &[sgd.norm()], &[exact], tolerance);
        }
        let scale = if exact + 1e-6 > 1.0 { 1.0 / (exact + 1e-6) } else { 1.0 };
        let expected: Vec<f64> = wide(&list).into_iter().map(|value| -value * scale).collect();
        // What f32 has no normal number for may become 0.
        let tolerance = Tolerance { abs: f64::from(f32::MIN_POSITIVE), rel: 1e-6 };
        assert_close(&format!("clipped {list:?}"), &read(&r), &expected, tolerance);
    }
}

/// Sums of millions of terms of one sign, where a long chain of additions would lose digits.
fn long_sums(gpu: &Gpu) {
    let mut uniform = SplitMix64::new(6);
    for (len, spread) in [(1_000_003, 0.0), (1_000_003, 0.5), (10_000_019, 0.0), (10_000_019, 0.5)] {
        let host: Vec<f32> = uniform.vec(len, spread).into_iter().map(|value| 0.7 + value).collect();
        let exact = sum_squares(&wide(&host));
        let tolerance = Tolerance { abs: 0.0, rel: 1e-6 };
        let (p, d_p) = (tensor(gpu, &[len], &vec![0.0; len]), tensor(gpu, &[len], &host));
        let sgd = Any::Sgd(Sgd::new([(&p, &d_p)], &SgdOptions::default()).expect("sgd"));
        sgd.step(gpu);
        assert_close(&format!("norm of {len}"), &[sgd.norm()], &[exact.sqrt()], tolerance);

        for loss in LOSSES {
            let exact = (loss.exact)(&wide(&host), &vec![0.0; len], None, &mut vec![0.0; len]);
            let made = loss.once(&d_p, &p, None).expect("a loss");
            assert_close(&format!("{} of {len}", loss.name), &read(&made), &[exact], tolerance);
        }
    }
}

/// As many terms as a binding of 128 MiB holds, nearly: 449 of them per invocation, in 7 parts and one term. In one
/// chain the loss is off by up to 4e-6, in parts by 6e-7.
fn sums_of_several_parts(gpu: &Gpu) {
    let len = 7 * (1 << 22) + 65;
    let parameter = Tensor::zeros(gpu, &[len]).expect("a tensor");
    for constant in [0.7, 1.0 / 3.0] {
        let constants = tensor(gpu, &[len], &vec![constant; len]);
        let sgd = Any::Sgd(Sgd::new([(&parameter, &constants)], &SgdOptions::default()).expect("sgd"));
        sgd.step(gpu);
        let constant = f64::from(constant);
        let tolerance = Tolerance { abs: 0.0, rel: 1.5e-6 };
        assert_close(&format!("norm of {constant}"), &[sgd.norm()], &[constant * (len as f64).sqrt()], tolerance);
        for loss in LOSSES {
            let exact = (loss.exact)(&[constant], &[0.0], None, &mut [0.0]);
            // The gradient takes the place of the parameter.
            let made = loss.once(&constants, &parameter, None).expect("a loss");
            assert_close(&format!("{} of {constant}", loss.name), &read(&made), &[exact], tolerance);
        }
        parameter.write(&vec![0.0; len]).expect("zeros");
    }
}

/// A tensor in the middle of a larger one, from an odd place on.
struct Part {
    whole: Tensor,
    part: Tensor,
    begin: usize,
}

impl Part {
    const AROUND: f32 = 77.0;

    fn new(gpu: &Gpu, begin: usize, host: &[f32]) -> Self {
        let around = [&vec![Self::AROUND; begin], host, &[Self::AROUND; 5][..]].concat();
        let whole = tensor(gpu, &[around.len()], &around);
        let part = whole.outer(begin..begin + host.len()).expect("a part");
        Self { whole, part, begin }
    }

    /// The numbers, after a look at what is around them.
    fn read(&self) -> Vec<f32> {
        let mut all = read(&self.whole);
        let after = all.split_off(self.begin + self.part.len());
        let part = all.split_off(self.begin);
        assert!(all.iter().chain(&after).all(|&value| value == Self::AROUND), "nothing is written around a part");
        part
    }
}

/// More elements than a grid has invocations, and more partial sums than a workgroup: 4 tensors of 74 parts.
const LENS: [usize; 7] = [300_007, 1, 300_008, 257, 300_009, 1009, 300_010];

fn at_an_offset(gpu: &Gpu) {
    let mut uniform = SplitMix64::new(12);
    let begins = [3, 70, 1, 129, 64, 2, 67];
    let hosts = LENS.map(|len| uniform.vec(len, 1.0));
    let make = |from: usize| -> Vec<Part> {
        hosts.iter().enumerate().map(|(index, host)| Part::new(gpu, begins[(index + from) % 7], host)).collect()
    };
    let (for_adam, for_sgd, gradients) = (make(0), make(1), make(3));
    let [adam_pairs, sgd_pairs] = [&for_adam, &for_sgd].map(|parameters| -> Vec<(&Tensor, &Tensor)> {
        parameters.iter().zip(&gradients).map(|(parameter, gradient)| (&parameter.part, &gradient.part)).collect()
    });
    let max_norm = Some(300.0);
    let adam_options = AdamOptions { learning_rate: 0.01, max_norm, ..AdamOptions::default() };
    let sgd_options = SgdOptions { learning_rate: 0.01, max_norm, ..SgdOptions::default() };
    let adam_step = Any::Adam(Adam::new(&adam_pairs, &adam_options).expect("adam"));
    let sgd_step = Any::Sgd(Sgd::new(&sgd_pairs, &sgd_options).expect("sgd"));

    let (mut by_adam, mut by_sgd) = (hosts.each_ref().map(|host| wide(host)), hosts.each_ref().map(|host| wide(host)));
    let mut moments = LENS.map(|len| [vec![0.0; len], vec![0.0; len]]);
    let betas = [adam_options.beta1, adam_options.beta2].map(f64::from);
    for t in 1..=2 {
        let fresh = LENS.map(|len| uniform.vec(len, 1.0));
        let squares = sum_squares(&wide(&fresh.concat()));
        let rate = f64::from(0.01_f32);
        let state = adam_prepare(t, rate, betas, [max_norm.map(f64::from), None], squares);
        for (index, host) in fresh.iter().enumerate() {
            gradients[index].part.write(host).expect("a write");
            let [moment1, moment2] = &mut moments[index];
            let epsilon = f64::from(adam_options.epsilon);
            adam(&state, betas, [epsilon, 0.0], &wide(host), &mut by_adam[index], moment1, moment2);
            sgd(&state, &Descent::default(), &wide(host), &mut by_sgd[index], &mut []);
        }
        adam_step.step(gpu);
        sgd_step.step(gpu);
        let tolerance = Tolerance { abs: 0.0, rel: 1e-6 };
        assert_close("norms", &[adam_step.norm(), sgd_step.norm()], &[state.norm; 2], tolerance);
    }
    let tolerance = Tolerance::through_time(1, 2);
    for index in 0..LENS.len() {
        assert_close(&format!("{index} by Adam"), &for_adam[index].read(), &by_adam[index], tolerance);
        assert_close(&format!("{index} by SGD"), &for_sgd[index].read(), &by_sgd[index], tolerance);
    }

    let places = [(5, [3, 70]), (300_007, [129, 1])];
    for (loss, (len, [first, second])) in LOSSES.iter().flat_map(|loss| places.map(|place| (loss, place))) {
        let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
        let mut exact_d = vec![0.0; len];
        let exact = (loss.exact)(&wide(&prediction), &wide(&expected), None, &mut exact_d);
        let (prediction, d) = (Part::new(gpu, first, &prediction), Part::new(gpu, second, &vec![9.0; len]));
        let made = loss.once(&prediction.part, &d.part, Some(&expected)).expect("a loss");
        assert_close(loss.name, &read(&made), &[exact], Tolerance { abs: 0.0, rel: 1e-6 });
        prediction.read();
        assert_close("d_prediction", &d.read(), &exact_d, Tolerance::pointwise().scaled(1.0 / len as f64));
    }
}

/// The weights of all cells, as the layer itself lays them out: some are parts of a common buffer.
fn parameters_of_many_cells(gpu: &Gpu) {
    let config = GruConfig::new(3, 5).num_layers(2).direction(Direction::Bidirectional);
    let gru = Gru::new(gpu, config, 3).expect("a layer");
    let net = gru.unroll(Unroll::training(2, 2)).expect("an unroll");
    let pairs: Vec<_> = net.pairs().expect("training").collect();
    assert!(pairs.iter().any(|(parameter, _)| parameter.byte_offset() > 0), "some cell's weights begin elsewhere");
    let options = SgdOptions { learning_rate: 0.5, max_norm: Some(2.0), ..SgdOptions::default() };
    let step = Any::Sgd(Sgd::new(&pairs, &options).expect("sgd"));
    let mut uniform = SplitMix64::new(2);
    let fresh: Vec<_> = pairs.iter().map(|(parameter, _)| uniform.vec(parameter.len(), 1.0)).collect();
    let state = adam_prepare(1, 0.5, [0.0; 2], [Some(2.0), None], sum_squares(&wide(&fresh.concat())));
    let mut expected: Vec<_> = pairs.iter().map(|(parameter, _)| wide(&read(parameter))).collect();
    for ((gradient, host), expected) in pairs.iter().map(|pair| pair.1).zip(&fresh).zip(&mut expected) {
        gradient.write(host).expect("a write");
        sgd(&state, &Descent::default(), &wide(host), expected, &mut []);
    }
    step.step(gpu);
    for (index, (parameter, expected)) in pairs.iter().map(|pair| pair.0).zip(&expected).enumerate() {
        assert_close(&format!("parameter {index}"), &read(parameter), expected, Tolerance::through_time(1, 1));
    }
}

/// `torch.optim.Adam(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)` and `torch.optim.SGD(params, lr=1e-3)`, from
/// PyTorch's documentation. The numbers are those of the formulas there (with `weight_decay=0, amsgrad=False`) in f64.
/// The first gradient is as small as epsilon, so that a wrong epsilon shows; the second step shows both decays.
fn pytorch_defaults(gpu: &Gpu) {
    let options = AdamOptions::default();
    let expected = AdamOptions {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        max_norm: None,
        clip_value: None,
        skip_nonfinite: false,
        accumulate: None,
    };
    assert_eq!(options, expected, "the options of Adam");
    let expected = SgdOptions {
        learning_rate: 1e-3,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
        max_norm: None,
        clip_value: None,
        skip_nonfinite: false,
        accumulate: None,
    };
    assert_eq!(SgdOptions::default(), expected, "the options of SGD");

    const GRADIENTS: [[f32; 2]; 3] = [[1e-8, 0.5], [3e-8, -0.25], [2e-8, 0.125]];
    const EXPECTED: [[f64; 2]; 3] = [
        [-0.000_499_999_998_480_632_5, -0.000_999_999_980_000_001],
        [-0.001_134_210_354_821_016_4, -0.001_266_337_012_921_537_3],
        [-0.001_777_533_971_765_580_7, -0.001_606_766_150_833_465_4],
    ];
    let (p, d_p) = (tensor(gpu, &[2], &[0.0; 2]), tensor(gpu, &[2], &[0.0; 2]));
    let (q, d_q) = (tensor(gpu, &[2], &[0.0; 2]), tensor(gpu, &[2], &[8.0, -2.0]));
    let adam = Any::Adam(Adam::new([(&p, &d_p)], &options).expect("adam"));
    for (gradient, expected) in GRADIENTS.iter().zip(EXPECTED) {
        d_p.write(gradient).expect("a write");
        adam.step(gpu);
        assert_close("Adam with its defaults", &read(&p), &expected, Tolerance { abs: 0.0, rel: 2e-5 });
    }
    Any::Sgd(Sgd::new([(&q, &d_q)], &SgdOptions::default()).expect("sgd")).step(gpu);
    assert_close("SGD with its defaults", &read(&q), &[-8e-3, 2e-3], Tolerance::pointwise());
}

/// Two pairs that share elements would change each other.
fn overlapping_pairs(gpu: &Gpu) {
    let all = tensor(gpu, &[10], &[0.0; 10]);
    let gradients = tensor(gpu, &[10], &[0.0; 10]);
    let part = |of: &Tensor, begin| of.outer(begin..begin + 4).expect("a part");
    let (other, d_other) = (tensor(gpu, &[4], &[0.0; 4]), tensor(gpu, &[4], &[0.0; 4]));
    for new in Any::BOTH {
        let refused = |pairs: &[(&Tensor, &Tensor)], expected: [&str; 2]| match new(pairs, None, false).err() {
            Some(Error::Aliased { first, second }) => assert_eq!([first, second], expected, "what overlaps"),
            error => panic!("{error:?} instead of an overlap of {expected:?}"),
        };
        let (first, second) = (part(&all, 0), part(&all, 3));
        let (d_first, d_second) = (part(&gradients, 0), part(&gradients, 4));
        refused(&[(&first, &d_first), (&second, &d_second)], ["parameter", "another parameter"]);
        refused(&[(&other, &d_first), (&other, &d_second)], ["parameter", "another parameter"]);
        let crossed = ["parameter", "the gradient of another parameter"];
        refused(&[(&first, &d_first), (&other, &second)], crossed);
        refused(&[(&other, &second), (&first, &d_first)], crossed);
        refused(&[(&first, &part(&all, 6))], ["parameter", "gradient"]);

        // Parts side by side are no overlap, not even of one pair's parameter and another's gradient; nor is one
        // gradient for two parameters.
        let (d_fourth, fourth) = (part(&all, 5), part(&gradients, 4));
        new(&[(&first, &d_first), (&fourth, &d_fourth)], Some(1.0), false).expect("side by side").step(gpu);
        new(&[(&first, &d_other), (&part(&all, 4), &d_other)], None, false).expect("one gradient").step(gpu);
    }
}
