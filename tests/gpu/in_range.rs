//! No kernel reads or writes past the end of what it is given: behind every buffer lies room full of NaN that bindings
//! reach. What is read there turns a result into NaN, what is written there leaves a trace. That is what
//! `Gpu::set_runtime_checks` rests on; kernels without checks have to give the same numbers.

use proptest::strategy::Strategy;
use wgpu_gru::plan::MatmulKernel;
use wgpu_gru::reference::matmul::MatmulParams;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Config, Direction, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tensor, Unroll, harness};

use crate::any_options::any_options;
use crate::combinations;
use crate::device::{bits, own, property_from, read, run, tensor};
use crate::options::{check, check_lengths};
use crate::training::Trainer;

trials![layers, any_options_in_range, training_steps, products, a_trace_is_found, without_checks];

/// A device of its own whose buffers have guards.
fn guarded(gpu: &Gpu) -> Gpu {
    let gpu = own(gpu);
    harness::guard(&gpu);
    gpu
}

fn assert_whole(gpu: &Gpu, fewest: usize) {
    let [guards, broken] = harness::broken_guards(gpu).expect("a readback");
    assert!(guards >= fewest, "{guards} guards");
    assert_eq!(broken, 0, "of {guards} guards");
}

/// The neighbours of fours, lanes, rows and tiles.
fn layers(gpu: &Gpu) {
    let gpu = guarded(gpu);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        for [inputs, hidden, seq_len, batch] in
            [[1, 1, 1, 1], [3, 5, 3, 2], [4, 8, 2, 9], [5, 33, 3, 5], [31, 36, 2, 17], [1, 129, 2, 1]]
        {
            let unroll = Unroll::training(seq_len, batch).adapter_class(class);
            let gru = GruConfig::new(inputs, hidden);
            check(&gpu, &gru, unroll);
            check(&gpu, &gru.clone().reset(Reset::Before).direction(Direction::Reverse), unroll.gradient_norms(true));
            check(&gpu, &RnnConfig::new(inputs, hidden).num_layers(2), unroll.half_weights(hidden % 4 == 0));
            check(&gpu, &gru.clone().num_layers(2).direction(Direction::Bidirectional), unroll.saved(Saved::Half));
            let lengths: Vec<_> = (0..batch).map(|row| row % (seq_len + 1)).collect();
            check_lengths(&gpu, &gru.batch_first(true), unroll.saved(Saved::StatesOnly), &lengths);
        }
    }
    assert_whole(&gpu, 500);
}

fn any_options_in_range(gpu: &Gpu) {
    let gpu = guarded(gpu);
    let told = any_options().prop_filter("no f32 computation can be held to the budget", combinations::is_told);
    property_from(11, 24, &told, |options| combinations::check(&gpu, &options));
    assert_whole(&gpu, 500);
}

/// Head, loss and optimiser too.
fn training_steps(gpu: &Gpu) {
    let [plain, guarded] = [own(gpu), guarded(gpu)];
    for sizes in [[1, 1, 1, 1, 1], [4, 3, 2, 7, 5], [9, 17, 3, 33, 2]] {
        let states = [&plain, &guarded].map(|gpu| {
            let mut trainer = Trainer::new(gpu, sizes);
            let mut result = Vec::new();
            for _ in 0..3 {
                trainer.net.input().write(&vec![0.5; trainer.net.input().len()]).expect("a write");
                gpu.submit(|encoder| {
                    trainer.encode(encoder);
                    Ok(())
                })
                .expect("a submission");
                let gradients = trainer.net.gradients().expect("training");
                result.extend(bits(trainer.loss.loss()));
                gradients.parameters.tensors().for_each(|tensor| result.extend(bits(tensor)));
            }
            result
        });
        assert_eq!(states[0], states[1], "{sizes:?}");
        assert!(states[0].iter().all(|&bits| f32::from_bits(bits).is_finite()), "{sizes:?}");
    }
    assert_whole(&guarded, 100);
}

/// c = a b of NaN-guarded matrices, by every kernel that there is, with and without loads of four.
fn products(gpu: &Gpu) {
    let gpu = guarded(gpu);
    let mut programs = 0;
    for kernel in [MatmulKernel::Tiled, MatmulKernel::TiledSmall, MatmulKernel::Direct, MatmulKernel::Broadcast] {
        if !harness::supports(&gpu, kernel) {
            continue;
        }
        for [m, n, k] in [[1, 1, 1], [3, 5, 7], [4, 4, 4], [33, 31, 17], [65, 36, 20], [16, 68, 33]] {
            for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false)] {
                let ones = |rows: usize, columns: usize| tensor(&gpu, &[rows * columns], &vec![1.0; rows * columns]);
                let (a, b, c) = (ones(m, k), ones(k, n), ones(m, n));
                let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false };
                run(&gpu, &harness::matmul(kernel, &params, &a, &b, None, &c).expect("a program"));
                assert!(read(&c).iter().all(|&sum| sum == k as f32), "{kernel:?} {params:?}: {:?}", read(&c));
                programs += 1;
            }
        }
    }
    assert_whole(&gpu, 3 * programs);
}

/// The guards do find an index out of range, read or written.
fn a_trace_is_found(gpu: &Gpu) {
    let gpu = guarded(gpu);
    let ones = |len: usize| tensor(&gpu, &[len], &vec![1.0; len]);
    let sum = Tensor::zeros(&gpu, &[4]).expect("a tensor");
    // 4 x 4 numbers are read of which there are 15.
    let params = MatmulParams { m: 4, n: 1, k: 4, transpose_a: false, transpose_b: false, accumulate: false };
    let placed = |tensor, stride| harness::Placed { tensor, begin: 0, column: 0, stride };
    let (short, whole, b) = (ones(15), ones(16), ones(4));
    let product = |a, c| {
        let matrices = [placed(a, 4), placed(&b, 1), placed(c, 1)];
        run(&gpu, &harness::matmul_placed(MatmulKernel::Tiled, &params, matrices, None).expect("a program"));
    };
    product(&short, &sum);
    assert!(read(&sum)[3].is_nan(), "{:?}", read(&sum));
    assert_whole(&gpu, 4);
    // 4 are written where there are 3.
    product(&whole, &Tensor::zeros(&gpu, &[3]).expect("a tensor"));
    assert_eq!(harness::broken_guards(&gpu).expect("a readback")[1], 1, "the guard behind the short one");
}

/// Everything a forward and a backward pass makes.
fn results<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Vec<Vec<u32>> {
    let layer = Recurrent::new(gpu, config.erased(), 3).expect("a layer");
    let mut net = layer.unroll(unroll).expect("an unroll");
    let ones = |of: &Tensor| tensor(gpu, of.shape(), &vec![0.5; of.len()]);
    let (x, d_output) = (ones(net.input()), ones(net.d_output().expect("training")));
    let out = net.forward(&x, None).expect("a forward pass");
    let gradients = net.backward(Some(&d_output), None).expect("a backward pass");
    let tensors = [&out.output, &out.h_n, &gradients.h0].into_iter().chain(gradients.parameters.tensors());
    tensors.map(bits).collect()
}

/// Kernels without checks at run time are other pipelines with the same numbers.
fn without_checks(gpu: &Gpu) {
    let [checked, unchecked] = [own(gpu), own(gpu)];
    unchecked.set_runtime_checks(false);
    assert!(checked.has_runtime_checks() && !unchecked.has_runtime_checks(), "checked unless told otherwise");
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        for [inputs, hidden, seq_len, batch] in [[3, 5, 3, 2], [4, 36, 3, 9]] {
            let unroll = Unroll::training(seq_len, batch).adapter_class(class);
            let gru = GruConfig::new(inputs, hidden).num_layers(2);
            let before = gru.clone().reset(Reset::Before);
            for config in [gru.erased(), before.erased(), RnnConfig::new(inputs, hidden).erased()] {
                let [with, without] = [&checked, &unchecked].map(|gpu| results(gpu, &config, unroll));
                assert_eq!(with, without, "{config:?} {unroll:?}");
            }
        }
    }
    // One that is there already is made anew.
    let before = checked.activity().pipelines;
    checked.set_runtime_checks(false);
    results(&checked, &GruConfig::new(3, 5), Unroll::training(3, 2));
    assert!(checked.activity().pipelines > before, "other pipelines");
}
