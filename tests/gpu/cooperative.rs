//! Products by cooperative matrices: each against its twin, whole layers that use them, and what is refused. On a
//! software adapter both sizes are tried, since those run matrices that they do not tell of.

use std::sync::OnceLock;

use wgpu_gru::harness::{self, Placed};
use wgpu_gru::reference::twins::matmul::{MatmulParams, matmul};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, Expectation, expectation, expectation_of};
use wgpu_gru::wgpu::CooperativeScalarType::{F16, F32};
use wgpu_gru::wgpu::{CooperativeMatrixProperties, DeviceType, Features};
use wgpu_gru::{
    Direction, Error, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tolerance, Unroll, Weights, wgpu,
};

use crate::checks::{long_sums, matmul, over};
use crate::support::{
    adapter, check, check_lengths, largest, open_with, passed, read, run, tensor, verify_batch, wide,
};

trials![
    all_forms,
    anywhere_in_a_buffer,
    gap,
    nothing_past_k,
    nothing_of_rows_that_are_over,
    long_sums,
    shapes,
    rounded_operands,
    ends_of_the_range,
    the_same_bits_always_checked,
    layers,
    layers_with_options,
    leaves_a_trace,
    refused,
];

const FEATURES: Features =
    Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(Features::SHADER_F16).union(Features::SUBGROUP);

/// What an adapter says of matrices of this size.
const fn matrices(size: u32) -> CooperativeMatrixProperties {
    CooperativeMatrixProperties {
        m_size: size,
        n_size: size,
        k_size: size,
        ab_type: F16,
        cr_type: F32,
        saturating_accumulation: false,
    }
}

/// What the adapter says of its matrices, if it has any that are of use.
pub(crate) fn advertised(gpu: &Gpu) -> Option<Vec<CooperativeMatrixProperties>> {
    let adapter = adapter(gpu);
    let said = adapter.cooperative_matrix_properties();
    let is_of_use = |one: &CooperativeMatrixProperties| [8, 16].contains(&one.m_size) && *one == of_size(one);
    (adapter.features().contains(FEATURES) && said.iter().any(is_of_use)).then_some(said)
}

/// The same with saturation or without.
fn of_size(one: &CooperativeMatrixProperties) -> CooperativeMatrixProperties {
    CooperativeMatrixProperties { saturating_accumulation: one.saturating_accumulation, ..matrices(one.m_size) }
}

/// A device with these features, as an app would open it.
#[expect(unsafe_code, reason = "wgpu opens a device with an experimental feature only so")]
fn open(gpu: &Gpu, required_features: Features) -> Gpu {
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 9, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor {
        required_features,
        required_limits: limits,
        // SAFETY: wgpu asks that the caller knows of possible bugs of such features that are undefined behaviour, and
        // reports what it finds. To find them is what these tests are for, and no other test gets this device.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..wgpu::DeviceDescriptor::default()
    };
    open_with(&adapter(gpu), &descriptor)
}

/// A device that was told what the adapter says; and on a software adapter one that was told of the other size.
fn opened(gpu: &Gpu) -> Vec<Gpu> {
    let said = advertised(gpu).expect("the adapter tells of cooperative matrices");
    let told = |said: &[_]| {
        let gpu = open(gpu, FEATURES);
        gpu.set_cooperative_matrices(said).expect("matrices that the adapter has");
        gpu
    };
    let mut all = vec![told(&said)];
    if gpu.is_software() {
        let size = all[0].cooperative_matrices().expect("a size");
        all.push(told(&[matrices(24 - size)]));
    }
    all
}

/// The same for all tests: each pipeline takes its time on a software adapter.
fn gpus(gpu: &Gpu) -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| opened(gpu))
}

/// The one of the size that is told of: for what does not depend on the size.
fn first(gpu: &Gpu) -> &'static Gpu {
    &gpus(gpu)[0]
}

fn all_forms(gpu: &Gpu) {
    passed(pollster::block_on(matmul::all_forms(first(gpu))));
}

fn anywhere_in_a_buffer(gpu: &Gpu) {
    passed(pollster::block_on(matmul::anywhere_in_a_buffer(first(gpu))));
}

fn gap(gpu: &Gpu) {
    passed(pollster::block_on(matmul::gap(first(gpu))));
}

fn nothing_past_k(gpu: &Gpu) {
    passed(pollster::block_on(matmul::nothing_past_k(first(gpu))));
}

fn nothing_of_rows_that_are_over(gpu: &Gpu) {
    for gpu in gpus(gpu) {
        passed(pollster::block_on(over::sums_over_rows(gpu)));
        passed(pollster::block_on(over::rows_of_the_result(gpu)));
    }
}

fn long_sums(gpu: &Gpu) {
    for gpu in gpus(gpu) {
        passed(pollster::block_on(long_sums::products(gpu)));
    }
}

/// One product of operands as they are: its numbers on the GPU and by the twin in f64. What is added is zero.
fn product(gpu: &Gpu, params: &MatmulParams, has_bias: bool, a: &[f32], b: &[f32]) -> (Vec<f32>, Vec<f64>) {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, .. } = params;
    let kernel = matmul::kernels(gpu).next().expect("a kernel");
    let mut exact = vec![0.0; m * n];
    matmul(params, &wide(a), &wide(b), None, &mut exact);
    let [a, b, c, bias] = [a, b, &vec![0.0; m * n], &vec![0.0; n]].map(|host| tensor(gpu, &[host.len()], host));
    let strides = [if transpose_a { m } else { k }, if transpose_b { k } else { n }, n];
    let placed = [(&a, strides[0]), (&b, strides[1]), (&c, strides[2])];
    let placed = placed.map(|(tensor, stride)| Placed::whole(tensor, stride));
    let bias = has_bias.then_some((&bias, 0));
    run(gpu, &harness::matmul_placed(kernel, params, placed, bias).expect("a program"));
    (read(&c), exact)
}

fn plain([m, n, k]: [usize; 3]) -> MatmulParams {
    MatmulParams { m, n, k, transpose_a: false, transpose_b: false, accumulate: false }
}

/// Edges of matrices and tiles on both sides; and more slabs than one.
const SHAPES: [[usize; 3]; 13] = [
    [1, 1, 1],
    [3, 3, 3],
    [15, 16, 17],
    [16, 17, 15],
    [17, 15, 16],
    [32, 31, 16],
    [33, 64, 31],
    [64, 65, 33],
    [65, 33, 64],
    [31, 63, 65],
    [128, 127, 129],
    [8, 9, 7],
    [40, 100, 300],
];

/// Halves have the bound of f32, so a number in the wrong place cannot hide.
fn shapes(gpu: &Gpu) {
    for gpu in gpus(gpu) {
        let kernel = matmul::kernels(gpu).next().expect("a kernel");
        for (seed, (params, has_bias)) in (0..).zip(SHAPES.into_iter().flat_map(matmul::forms)) {
            passed(pollster::block_on(matmul::check(gpu, kernel, &params, has_bias, seed)));
        }
    }
}

/// Other numbers have the bound of halves: each operand of each product changes by `Tolerance::F16_ROUNDOFF` of itself.
/// They use some of it, or they would not have been rounded.
fn rounded_operands(gpu: &Gpu) {
    for gpu in gpus(gpu) {
        for (seed, (params, has_bias)) in (0..).zip(SHAPES.into_iter().flat_map(matmul::forms)) {
            let mut uniform = SplitMix64::new(seed);
            let a = uniform.vec(params.m * params.k, 1.0);
            let b = uniform.vec(params.k * params.n, 1.0 / (params.k as f32).sqrt());
            let (actual, exact) = product(gpu, &params, has_bias, &a, &b);
            let of_32_bits = Tolerance::matmul(params.k);
            let tolerance = of_32_bits.plus(Tolerance::f16());
            let worst = tolerance.compare(&actual, &exact);
            let name = format!("{params:?}: {worst:?}");
            assert!(worst.passed(), "{name}");
            assert!(!of_32_bits.compare(&actual, &exact).passed(), "as good as with 32 bits: {name}");
            assert!(worst.share > 0.05 || params.m * params.n < 100, "{name}");
        }
    }
}

/// Numbers beyond the largest half become that, small ones zero or the nearest, and what is no number shows.
fn ends_of_the_range(gpu: &Gpu) {
    const LARGEST: f32 = 65504.0;
    let rows = [1.0, -3.0, LARGEST, -LARGEST, 65519.0, -65520.0, 1e9, -1e30, 6.1e-5, 5.9e-8, 1e-9, -1e-30, 0.0, 0.1];
    for gpu in gpus(gpu) {
        for (m, n) in [(rows.len(), 1), (1, rows.len())] {
            let [a, b] = if n == 1 { [&rows[..], &[1.0]] } else { [&[1.0], &rows[..]] };
            let (actual, _) = product(gpu, &plain([m, n, 1]), false, a, b);
            for (actual, number) in actual.into_iter().zip(rows.map(|row| row.clamp(-LARGEST, LARGEST))) {
                // A device may take what is below 2^-14 for zero.
                let distance = if number.abs() < 2_f32.powi(-14) { 2_f32.powi(-14) } else { number.abs() / 1024.0 };
                assert!((actual - number).abs() <= distance, "{actual:e} for {number:e}");
            }
            let (actual, _) = product(gpu, &plain([1, 1, 2]), false, &[f32::NAN, 1.0], &[1.0, 1.0]);
            assert!(actual[0].is_nan(), "{actual:?}");
        }
    }
}

/// Every time, and whatever is asked of kernels that others are made for: such a kernel neither counts its indices nor
/// goes without checks.
fn the_same_bits_always_checked(gpu: &Gpu) {
    let gpu = opened(gpu).swap_remove(0);
    let mut uniform = SplitMix64::new(1);
    let [a, b] = [70 * 301, 301 * 50].map(|len| uniform.vec(len, 1.0));
    let bits = || {
        let (c, _) = product(&gpu, &plain([70, 50, 301]), false, &a, &b);
        c.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    gpu.set_runtime_checks(true);
    let first = bits();
    let pipelines = gpu.activity().pipelines;
    assert_eq!(first, bits(), "once more");
    assert_eq!(gpu.activity().pipelines, pipelines, "one pipeline");
    gpu.set_runtime_checks(false);
    assert_eq!(first, bits(), "checked all the same");
    harness::count_out_of_range(&gpu).expect("a counter");
    gpu.set_runtime_checks(true);
    assert_eq!(first, bits(), "where others count");
    assert_eq!(harness::out_of_range(&gpu).expect("a readback"), [], "nothing is counted");
}

/// Sizes around matrices and tiles, of fours and not, planned for both classes of adapters.
fn layers(gpu: &Gpu) {
    for gpu in gpus(gpu) {
        for [inputs, hidden, seq_len, batch] in [[1, 1, 1, 1], [5, 7, 6, 3], [33, 36, 5, 17], [64, 16, 4, 16]] {
            let unroll = Unroll::training(seq_len, batch).f16_products(true);
            check(gpu, &GruConfig::new(inputs, hidden), unroll.adapter_class(DeviceType::DiscreteGpu));
            check(gpu, &RnnConfig::new(inputs, hidden), unroll.adapter_class(DeviceType::Cpu));
        }
    }
}

fn layers_with_options(gpu: &Gpu) {
    let gpu = first(gpu);
    let gru = GruConfig::new(5, 8);
    let unroll = Unroll::training(7, 5).f16_products(true).adapter_class(DeviceType::DiscreteGpu);
    check(gpu, &gru.clone().num_layers(2).direction(Direction::Bidirectional), unroll.f16_weights(true));
    check(gpu, &gru.clone().num_layers(3).bias(false).batch_first(true), unroll.wavefront(true));
    check(gpu, &gru.clone().num_layers(2).dropout(0.5), unroll.gradient_norms(true));
    check(gpu, &gru.clone().direction(Direction::Reverse), unroll.saved(Saved::F16));
    for reset in [Reset::Before, Reset::After] {
        let config = gru.clone().reset(reset);
        check(gpu, &config, unroll.input_gradient(true));
        check_lengths(gpu, &config, unroll.saved(Saved::Recompute), &[7, 0, 3, 6, 1]);
    }
}

/// With the option states and gradients differ from those of 32 bits, by as much as is said; without it they are what
/// they are on any device.
fn leaves_a_trace(gpu: &Gpu) {
    let config = GruConfig::new(24, 16);
    let weights = Weights::random(&config, 1);
    let batch = Batch::random(&config, 9, 5, 2);
    let expected = expectation(&config, &weights, &batch);
    let gpu = first(gpu);
    let layer = Recurrent::with_weights(gpu, config.erased(), &weights).expect("a layer");
    let results = |wanted: bool| {
        let unroll = Unroll::training(9, 5).f16_products(wanted);
        let mut net = layer.unroll(unroll).expect("an unroll");
        let [_, backward] = net.recorded();
        let count = backward.iter().find(|(label, _)| *label == "matmul_cooperative").map(|(_, count)| *count);
        assert_eq!(count, wanted.then_some(3), "{backward:?}");
        assert_eq!(net.explain().contains("cooperative"), wanted, "{}", net.explain());
        let report = pollster::block_on(verify_batch(&layer, &mut net, &batch)).expect("a layer within its budget");
        let gradients = net.gradients().expect("training").clone();
        let d_input = gradients.input.expect("it is wanted");
        let tensors = [net.output(), &d_input, &gradients.h0, &gradients.parameters.cells[0].weight_ih];
        (tensors.map(read), report)
    };
    let ((half, report), (whole, _)) = (results(true), results(false));
    let budgets = expectation_of(&config, &Unroll::training(9, 5).f16_products(true), &weights, &batch);
    for (place, (half, whole)) in [0, 2, 3, 4].into_iter().zip(half.iter().zip(&whole)) {
        let Expectation { values, tolerance, .. } = &expected[place];
        assert!(tolerance.compare(whole, values).passed(), "{}", expected[place].tensor);
        let worst = tolerance.compare(half, values);
        assert!(!worst.passed(), "{} is as good as with 32 bits", expected[place].tensor);
        assert!(
            worst.max_error < 2.0 * Tolerance::F16_ROUNDOFF * largest(values),
            "{}: {worst:?}",
            expected[place].tensor
        );
        let share = budgets[place].tolerance.compare(half, values).share;
        assert!(share > 0.05, "{} uses {share} of its budget\n{report}", expected[place].tensor);
    }
}

fn assert_unavailable(result: wgpu_gru::Result<()>, part: &str) {
    match result {
        Err(Error::OptionUnavailable { option: "cooperative matrices", because }) => {
            assert!(because.contains(part), "{because}, expected {part}");
        }
        other => panic!("{other:?}, expected {part}"),
    }
}

/// What is refused changes nothing; what is told once more changes nothing either.
fn refused(gpu: &Gpu) {
    for (left_out, name) in [
        (Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "EXPERIMENTAL_COOPERATIVE_MATRIX"),
        (Features::SHADER_F16, "SHADER_F16"),
        (Features::SUBGROUP, "SUBGROUP"),
    ] {
        let gpu = open(gpu, FEATURES - left_out);
        assert_unavailable(gpu.set_cooperative_matrices(&[matrices(8)]), name);
        assert_eq!(gpu.cooperative_matrices(), None, "{name}");
    }
    let gpu = open(gpu, FEATURES);
    let of_32 = CooperativeMatrixProperties { ab_type: F32, ..matrices(16) };
    let into_16 = CooperativeMatrixProperties { cr_type: F16, ..matrices(8) };
    let flat = CooperativeMatrixProperties { n_size: 8, ..matrices(16) };
    let useless = [of_32, into_16, flat, matrices(32)];
    assert_unavailable(gpu.set_cooperative_matrices(&useless), "none of 16x16x16 or 8x8x8");
    assert_unavailable(gpu.set_cooperative_matrices(&[]), "none of 16x16x16 or 8x8x8");
    assert_eq!(gpu.cooperative_matrices(), None, "none of those");
    let eight = [&useless[..], &[matrices(8)]].concat();
    for _ in 0..2 {
        gpu.set_cooperative_matrices(&eight).expect("one of them is of use");
        assert_eq!(gpu.cooperative_matrices(), Some(8), "the one of use");
    }
    assert_unavailable(gpu.set_cooperative_matrices(&useless), "none of 16x16x16 or 8x8x8");
    assert_eq!(gpu.cooperative_matrices(), Some(8), "as before");
    gpu.set_cooperative_matrices(&[matrices(8), matrices(16)]).expect("both");
    assert_eq!(gpu.cooperative_matrices(), Some(16), "the larger one");
}
