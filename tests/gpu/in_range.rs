//! No kernel has an index out of range, whether what it reads there is used or not: each compares every index with the
//! length of what it points into, and counts. That is what `Gpu::set_runtime_checks` rests on; kernels without checks
//! have to give the same numbers.

use proptest::strategy::Strategy;
use wgpu_gru::MatmulKernel;
use wgpu_gru::harness::Placed;
use wgpu_gru::reference::twins::matmul::MatmulParams;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Accumulation, Embedding, FirstState, LossOptions, Sgd, SgdOptions};
use wgpu_gru::verify::{Batch, FiniteCheck};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Cell, Config, Direction, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Schedule, StreamOptions, Unroll,
    harness,
};

use crate::checks::losses::LOSSES;
use crate::checks::train::Trainer;
use crate::support::{
    any_options, assert_none_out_of_range, check, check_drawn, check_lengths, counting, from_bits, has_large_subgroups,
    has_subgroups_of_8, is_told, own, property_from, read, record, results, run, tensor, to_bits,
};

trials![every_kernel, any_options_in_range, they_are_counted, without_checks];

/// All kernels that may be built without checks, on one device.
fn every_kernel(gpu: &Gpu) {
    let gpu = counting(gpu);
    layers(&gpu);
    training_steps(&gpu);
    first_states(&gpu);
    finite_checks(&gpu);
    numbered_things(&gpu);
    products(&gpu);
    streams(&gpu);
    assert_none_out_of_range(&gpu);
    // Those of cooperative matrices do not count.
    let mut left_out = vec!["COOPERATIVE"];
    if !harness::supports(&gpu, MatmulKernel::Broadcast) {
        left_out.push("BROADCAST");
    }
    if !has_large_subgroups(&gpu) {
        left_out.push("SUBGROUP");
    }
    if !has_subgroups_of_8(&gpu) {
        left_out.push("GATHER_BY_ROWS");
    }
    let not_made = harness::kernels(&gpu).into_iter().filter(|(_, made)| !made).map(|(name, _)| name);
    let missed: Vec<_> = not_made.filter(|name| !left_out.iter().any(|part| name.contains(part))).collect();
    assert!(missed.is_empty(), "{missed:?} ran nowhere");
}

/// The neighbours of fours, lanes, rows and tiles.
fn layers(gpu: &Gpu) {
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        for [inputs, hidden, seq_len, batch] in [[5, 33, 3, 5], [4, 36, 2, 17]] {
            let unroll = Unroll::training(seq_len, batch).adapter_class(class).schedule(Schedule::Step);
            let gru = GruConfig::new(inputs, hidden);
            let lengths: Vec<_> = (0..batch).map(|row| row % (seq_len + 1)).collect();
            check(gpu, &gru.clone().reset(Reset::Before).direction(Direction::Reverse), unroll.gradient_norms(true));
            check(gpu, &RnnConfig::new(inputs, hidden), unroll);
            check_lengths(gpu, &gru.direction(Direction::Bidirectional), unroll.saved(Saved::F16), &lengths);
        }
    }
    let unroll = Unroll::training(2, 17).adapter_class(DeviceType::Cpu).schedule(Schedule::Step);
    check(gpu, &GruConfig::new(4, 36).num_layers(2).dropout(0.5), unroll.saved(Saved::Recompute));
    for config in [
        RnnConfig::new(4, 36).erased(),
        GruConfig::new(4, 36).erased(),
        GruConfig::new(4, 36).reset(Reset::Before).erased(),
    ] {
        check(gpu, &config, unroll.f16_weights(true));
    }
}

fn any_options_in_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    let told = any_options().prop_filter("no f32 computation can be held to the budget", is_told);
    property_from(11, 6, &told, |options| check_drawn(&gpu, &options));
    assert_none_out_of_range(&gpu);
}

/// Head, losses and optimisers too.
fn training_steps(gpu: &Gpu) {
    for sizes in [[1, 1, 1, 1, 1], [4, 3, 2, 7, 5], [9, 17, 3, 33, 2]] {
        let mut trainer = Trainer::new(gpu, sizes).expect("a trainer");
        let [parameter, gradient] = [0.1, 0.2].map(|value| tensor(gpu, &[257], &[value; 257]));
        let sgd = Sgd::new([(&parameter, &gradient)], &SgdOptions::default()).expect("an optimiser");
        let momentum = SgdOptions {
            momentum: 0.5,
            weight_decay: 0.5,
            accumulate: Some(Accumulation::Mean),
            ..SgdOptions::default()
        };
        let momentum = Sgd::new([(&parameter, &gradient)], &momentum).expect("an optimiser");
        for loss in LOSSES {
            loss.once(&parameter, &gradient, None).expect("a loss");
            loss.masked(&parameter, &gradient, None, Some(&[1.0])).expect("a loss");
        }
        for _ in 0..3 {
            gpu.submit(|encoder| {
                trainer.encode(encoder)?;
                sgd.encode(encoder);
                momentum.encode_accumulate(encoder)?;
                momentum.encode(encoder);
                Ok(())
            })
            .expect("a submission");
        }
    }
}

/// States that are copied to the rows, with the sum of their gradients.
fn first_states(gpu: &Gpu) {
    for (hidden, rows) in [(1, 1), (5, 3), (65, 9)] {
        let layer = Recurrent::new(gpu, GruConfig::new(3, hidden).num_layers(2), 1).expect("a layer");
        let mut net = layer.unroll(Unroll::training(2, rows)).expect("an unroll");
        let state = tensor(gpu, &[2, 1, hidden], &vec![0.5; 2 * hidden]);
        let first = FirstState::new(&state, &net).expect("first states");
        gpu.submit(|encoder| {
            first.encode_forward(encoder);
            net.encode_forward(encoder)?;
            net.encode_backward(encoder)?;
            first.encode_backward(encoder)
        })
        .expect("a submission");
    }
}

/// Of everything that a layer of two directions leaves, and of tensors around a workgroup.
fn finite_checks(gpu: &Gpu) {
    let config = GruConfig::new(3, 5).direction(Direction::Bidirectional);
    let net = Recurrent::new(gpu, config, 1).expect("a layer").unroll(Unroll::training(4, 3)).expect("an unroll");
    let tensors = [1, 255, 257, 5000].map(|len| tensor(gpu, &[len], &vec![0.5; len]));
    let named = tensors.iter().map(|tensor| ("a tensor".to_owned(), tensor));
    for check in [net.finite_check(), FiniteCheck::new(named)] {
        let check = check.expect("a check");
        gpu.submit(|encoder| {
            check.encode(encoder);
            Ok(())
        })
        .expect("a submission");
    }
}

/// Classes and rows of tables, those that there are not among them; parts of tensors at their ends.
fn numbered_things(gpu: &Gpu) {
    let at_the_end = |shape: &[usize], host: &[f32]| {
        let whole = tensor(gpu, &[host.len() + 3], &[&[0.0; 3], host].concat());
        whole.outer(3..host.len() + 3).and_then(|part| part.reshape(shape)).expect("a part")
    };
    for (rows, classes) in [(1, 1), (259, 3), (67, 33), (3, 300)] {
        let logits = SplitMix64::new(1).vec(rows * classes, 1.0);
        let words: Vec<_> =
            (0..rows as u32).map(|row| [row % 3, u32::MAX, 1 << 30, classes as u32][row as usize % 4]).collect();
        let words = from_bits(&words);
        for ignore_index in [None, Some(1)] {
            let [logits, d] = [0, 1].map(|_| at_the_end(&[rows, classes], &logits));
            let options = LossOptions { mask: ignore_index.is_some(), ignore_index, ..LossOptions::default() };
            let loss = options.cross_entropy(&logits, &d).expect("a loss");
            loss.expected().write(&words).expect("classes");
            record(gpu, |encoder| loss.encode(encoder));
        }
        let table = Embedding::new(gpu, classes, 5, 1).expect("a table");
        let layer = table.unroll(&at_the_end(&[rows], &words)).expect("an unroll");
        gpu.submit(|encoder| {
            layer.encode_forward(encoder);
            layer.encode_backward(encoder)
        })
        .expect("a submission");
    }
}

/// States by fours and one by one, from rows that there are and from rows that there are not, as frames and by steps.
fn streams(gpu: &Gpu) {
    let steps = |class| [(class, None), (class, Some(Schedule::Step))];
    let ways = [DeviceType::Cpu, DeviceType::DiscreteGpu].into_iter().flat_map(steps);
    for (hidden, (class, schedule)) in ways.flat_map(|way| [(5, way), (8, way)]) {
        let layer = Recurrent::new(gpu, GruConfig::new(3, hidden).erased(), 1).expect("a layer");
        let options = StreamOptions::new(4).gather(true);
        let options = options.with(|unroll| unroll.adapter_class(class));
        let options = schedule.map_or(options, |schedule| options.with(|unroll| unroll.schedule(schedule)));
        let stream = layer.stream(options).expect("a stream");
        let sources = [u32::MAX, 4, 1 << 31, 3].map(f32::from_bits);
        stream.gather_indices().expect("sources").write(&sources).expect("as many as rows");
        gpu.submit(|encoder| stream.encode_step(encoder)).expect("a submission");
    }
}

/// c = a b by every kernel that there is, with and without loads of four.
fn products(gpu: &Gpu) {
    for kernel in MatmulKernel::ALL {
        if !harness::supports(gpu, kernel) {
            continue;
        }
        // Lines of these lengths, and of the next multiple of four.
        for ([m, n, k], pad) in [([33, 31, 17], 1), ([33, 31, 17], 4), ([16, 68, 36], 4)] {
            for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false)] {
                let ones = |lines: usize, length: usize| {
                    let stride = length.next_multiple_of(pad);
                    (tensor(gpu, &[lines * stride], &vec![1.0; lines * stride]), stride)
                };
                let (a, b, c) = (
                    if transpose_a { ones(k, m) } else { ones(m, k) },
                    if transpose_b { ones(n, k) } else { ones(k, n) },
                    ones(m, n),
                );
                let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false };
                let matrices = [&a, &b, &c].map(|(tensor, stride)| Placed::whole(tensor, *stride));
                run(gpu, &harness::matmul_placed(kernel, &params, matrices, None).expect("a program"));
                let is_right = |(place, &sum): (usize, &f32)| place % c.1 >= n || sum == k as f32;
                assert!(read(&c.0).iter().enumerate().all(is_right), "{kernel:?} {params:?}: {:?}", read(&c.0));
            }
        }
    }
}

/// An index out of range is counted.
fn they_are_counted(gpu: &Gpu) {
    let gpu = counting(gpu);
    let ones = |len: usize| tensor(&gpu, &[len], &vec![1.0; len]);
    let params = MatmulParams { m: 4, n: 1, k: 4, transpose_a: false, transpose_b: false, accumulate: false };
    let product = |c| {
        let (a, b, c) = (ones(16), ones(4), ones(c));
        let matrices = [Placed::whole(&a, 4), Placed::whole(&b, 1), Placed::whole(&c, 1)];
        run(&gpu, &harness::matmul_placed(MatmulKernel::Tiled, &params, matrices, None).expect("a program"));
        harness::out_of_range(&gpu).expect("a readback")
    };
    assert_eq!(product(4), [], "all in range");
    assert_eq!(product(3), [("matmul_tiled_scalar", 1)], "one of 4 places is not there");
}

/// The bits of everything that a forward and a backward pass makes.
fn made<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Vec<Vec<u32>> {
    let mut net = Recurrent::new(gpu, config.erased(), 3).and_then(|layer| layer.unroll(unroll)).expect("an unroll");
    let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    results(&mut net, &batch).iter().map(|(_, values)| to_bits(values)).collect()
}

/// Kernels without checks at run time are other pipelines with the same numbers.
fn without_checks(gpu: &Gpu) {
    let [checked, unchecked] = [own(gpu), own(gpu)];
    checked.set_runtime_checks(true);
    assert!(checked.has_runtime_checks() && !unchecked.has_runtime_checks(), "checked if told so");
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        let unroll = Unroll::training(3, 9).adapter_class(class);
        let gru = GruConfig::new(4, 36).num_layers(2);
        for config in [gru.clone().reset(Reset::Before).erased(), gru.erased()] {
            let [with, without] = [&checked, &unchecked].map(|gpu| made(gpu, &config, unroll));
            assert_eq!(with, without, "{config:?} {unroll:?}");
        }
    }
    // All of them and none.
    let without = |gpu: &Gpu| harness::unchecked_kernels(gpu).len() as u64;
    assert_eq!(without(&checked), 0, "{:?}", harness::unchecked_kernels(&checked));
    assert_eq!(without(&unchecked), unchecked.activity().pipelines, "{:?}", harness::unchecked_kernels(&unchecked));
    // One that is there already is made anew.
    let before = checked.activity().pipelines;
    checked.set_runtime_checks(false);
    made(&checked, &GruConfig::new(3, 5), Unroll::training(3, 2));
    let others = checked.activity().pipelines - before;
    assert!(
        others > 0 && without(&checked) == others,
        "other pipelines: {others}, {:?}",
        harness::unchecked_kernels(&checked)
    );
}
