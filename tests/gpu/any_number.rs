//! Any number anywhere: sizes, options and indices at random and at their extremes, given to everything public that
//! takes a number. Each call gives an answer or a typed error that says something, and takes little memory. Nothing is
//! timed: what is not bounded would not end at all with these numbers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::sample::select;
use wgpu_gru::train::{
    Accumulation, Adam, AdamOptions, Embedding, FirstState, LearningRate, Linear, LossOptions, Parameter, Sgd,
    SgdOptions,
};
use wgpu_gru::verify;
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Activation, Config, Direction, Error, Gpu, GruConfig, Recurrent, Reset, Result, RnnConfig, Saved, StreamOptions,
    Tensor, Unroll, Weights, wgpu,
};
use wgpu_gru::{Plan, Schedule};

use crate::support::{open, property};

trials![plans, layers, tensors, streams, training, layers_too_large, many_layers, tensors_too_large];

/// Sizes and indices: small ones, and those beside which something overflows.
fn size() -> impl Strategy<Value = usize> {
    let edges = [8_u32, 16, 18, 24, 31, 32, 33, 48, 53, 62, 63].map(|bits| 1_usize << bits);
    let mut extremes: Vec<usize> = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]).collect();
    extremes.extend([
        0,
        9973,
        65_521,
        262_140,
        262_144,
        usize::MAX / 4,
        usize::MAX / 2 + 1,
        usize::MAX - 1,
        usize::MAX,
    ]);
    prop_oneof![3 => 1_usize..9, 1 => select(extremes)]
}

/// Options that are real numbers: plain ones, and those that are none.
fn real() -> impl Strategy<Value = f32> {
    let extremes = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        -1e-45,
        f32::MIN_POSITIVE,
        f32::EPSILON,
        f32::MAX,
        f32::MIN,
        1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    prop_oneof![1 => 0.01_f32..2.0, 1 => select(extremes.to_vec())]
}

fn activation() -> impl Strategy<Value = Activation> {
    (0..10, real(), real()).prop_map(|(kind, alpha, beta)| match kind {
        0 => Activation::Sigmoid,
        1 => Activation::Relu,
        2 => Activation::HardSigmoid { alpha, beta },
        3 => Activation::LeakyRelu { alpha },
        4 => Activation::ThresholdedRelu { theta: alpha },
        5 => Activation::Softsign,
        6 => Activation::Softplus,
        7 => Activation::Linear,
        8 => Activation::Elu { alpha },
        _ => Activation::Tanh,
    })
}

fn config() -> impl Strategy<Value = Config> {
    let direction = select(vec![Direction::Forward, Direction::Reverse, Direction::Bidirectional]);
    let sizes = [size().boxed(), size().boxed(), prop_oneof![3 => Just(1_usize), 1 => size()].boxed()];
    let option = || prop_oneof![3 => Just(None), 1 => real().prop_map(Some)];
    let flags = any::<[bool; 4]>();
    let reverse = prop_oneof![3 => Just(None), 1 => activation().prop_map(Some)];
    let activations = (activation(), activation(), reverse);
    (sizes, direction, flags, option(), option(), activations).prop_map(
        |([inputs, hidden, layers], direction, flags, dropout, clip, (one, other, reverse))| {
            let [is_rnn, bias, batch_first, before] = flags;
            let common = |config: Config| {
                let config = config.num_layers(layers).direction(direction).bias(bias).batch_first(batch_first);
                let config = dropout.map_or(config.clone(), |dropout| config.dropout(dropout));
                clip.map_or(config.clone(), |clip| config.clip(clip))
            };
            if is_rnn {
                let rnn = RnnConfig::new(inputs, hidden).nonlinearity(one);
                return common(reverse.map_or(rnn.clone(), |reverse| rnn.reverse_nonlinearity(reverse)).erased());
            }
            let reset = if before { Reset::Before } else { Reset::After };
            let gru = GruConfig::new(inputs, hidden).reset(reset).gate_activation(one).candidate_activation(other);
            common(reverse.map_or(gru.clone(), |reverse| gru.reverse_candidate_activation(reverse)).erased())
        },
    )
}

fn unroll() -> impl Strategy<Value = Unroll> {
    let schedule = select(vec![None, Some(Schedule::Step), Some(Schedule::Rows), Some(Schedule::Exchange)]);
    let saved = select(vec![Saved::Everything, Saved::Recompute, Saved::F16]);
    let class = select(vec![None, Some(DeviceType::DiscreteGpu), Some(DeviceType::Cpu)]);
    (size(), size(), any::<[bool; 8]>(), schedule, saved, class).prop_map(
        |(
            seq_len,
            batch,
            [training, lengths, norms, half_weights, half_products, wavefront, starts, zero],
            schedule,
            saved,
            class,
        )| {
            let unroll = if training { Unroll::training(seq_len, batch) } else { Unroll::inference(seq_len, batch) };
            let unroll = unroll.lengths(lengths).episode_starts(starts).zero_empty_rows(zero && !training);
            let unroll = unroll.gradient_norms(norms && training).f16_weights(half_weights);
            let unroll = unroll.f16_products(half_products && half_weights);
            let unroll = if training { unroll.saved(saved) } else { unroll };
            let unroll = if wavefront { unroll.wavefront(true) } else { unroll };
            let unroll = schedule.map_or(unroll, |schedule| unroll.schedule(schedule));
            class.map_or(unroll, |class| unroll.adapter_class(class))
        },
    )
}

thread_local! {
    /// The largest piece of memory that this thread has asked for.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which remembers.
struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

#[expect(unsafe_code, reason = "an allocator is one by its unsafe methods")]
// SAFETY: every call goes to the system's allocator as it came, and so does what that gives. `LARGEST` has a constant
// as its first value and no destructor, so that to set it neither allocates nor can fail.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(size));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A device on which nothing large can be had, so that what is made is small.
fn small(gpu: &Gpu) -> Gpu {
    open(
        gpu,
        wgpu::Limits { max_buffer_size: 1 << 22, max_storage_buffer_binding_size: 1 << 20, ..wgpu::Limits::default() },
    )
}

/// Runs a call that must neither panic nor take much memory; what it gives, if anything.
fn call<T>(what: &str, call: impl FnOnce() -> Result<T>) -> Option<T> {
    LARGEST.set(0);
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| panic!("{what} panicked"));
    assert!(LARGEST.get() <= 1 << 28, "{what}: {} bytes at once", LARGEST.get());
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.to_string().len() > 10, "{what}: {error:?} says nothing");
            None
        }
    }
}

fn plans(_: &Gpu) {
    let class = select(vec![DeviceType::Cpu, DeviceType::DiscreteGpu, DeviceType::IntegratedGpu, DeviceType::Other]);
    let large = wgpu::Limits {
        max_buffer_size: u64::MAX,
        max_storage_buffer_binding_size: u64::MAX,
        max_compute_workgroups_per_dimension: u32::MAX,
        ..wgpu::Limits::default()
    };
    let limits = select(vec![wgpu::Limits::default(), wgpu::Limits::downlevel_defaults(), large]);
    property(1000, &(config(), unroll(), limits, class), |(config, unroll, limits, class)| {
        if let Some(plan) = call("Plan::new", || Plan::new(&config, &unroll, &limits, class)) {
            assert!(!plan.to_string().is_empty() && plan.bytes() > 0, "a plan says what it does");
            for chunk in plan.chunks() {
                let rows = (chunk.len() as u64).saturating_mul(unroll.batch as u64);
                assert!(rows * config.hidden_size as u64 <= u64::from(u32::MAX), "indices have 32 bits");
            }
        }
        call("Config::required_limits", || config.required_limits(&limits));
    });
}

fn layers(gpu: &Gpu) {
    let gpu = &small(gpu);
    property(150, &(config(), unroll(), any::<u64>(), any::<u32>()), |(config, unroll, seed, word)| {
        let [seq_len, batch] = [unroll.seq_len, unroll.batch];
        // What is refused elsewhere, or small: what is large and can be had takes the memory that it takes.
        if config.validate().is_err() || config.num_parameters() < 1 << 20 {
            call("Weights::random", || Ok(Weights::random(&config, seed)));
            let sizes = [
                [seq_len, batch, config.input_size],
                [seq_len, batch, config.output_size()],
                [config.num_cells(), batch, config.hidden_size],
            ];
            let elements = |sizes: [usize; 3]| sizes.iter().fold(1_u128, |len, &size| len.saturating_mul(size as u128));
            if sizes.into_iter().all(|sizes| !(1 << 20..1 << 62).contains(&elements(sizes))) {
                call("Batch::random", || Ok(Batch::random(&config, seq_len, batch, seed)));
            }
        }
        let Some(layer) = call("Recurrent::new", || Recurrent::new(gpu, config.clone(), seed)) else { return };
        let Some(mut net) = call("unroll", || layer.unroll(unroll)) else { return };
        call("FirstState::new", || {
            let state = Tensor::zeros(gpu, &[config.num_cells(), 1, config.hidden_size])?;
            FirstState::new(&state, &net)
        });
        call("finite_check", || {
            let check = net.finite_check()?;
            gpu.submit(|encoder| {
                check.encode(encoder);
                Ok(())
            })?;
            check.read_blocking()
        });
        call("set_dropout_seed", || net.set_dropout_seed(word));
        call("set_dropout_state", || net.set_dropout_state([word, word]));
        call("set_episode_starts", || net.set_episode_starts(&[true, false]));
        call("set_lengths", || net.set_lengths(&[seq_len, usize::MAX, 0]));
        if seq_len.saturating_mul(batch) < 64 && config.num_parameters() < 1000 && config.num_cells() < 8 {
            call("verify", || pollster::block_on(verify(gpu, &config, seq_len, batch, seed)));
            let batch = Batch::random(&config, batch, seq_len, seed);
            call("verify_batch", || pollster::block_on(verify_batch(&layer, &mut net, &batch)));
        }
    });
}

fn tensors(gpu: &Gpu) {
    let gpu = &small(gpu);
    let shape = || prop::collection::vec(size(), 0..4);
    property(300, &(shape(), shape(), size(), size()), |(shape, other, begin, end)| {
        call("from_slice", || Tensor::from_slice(gpu, &shape, &[1.0; 6]));
        let Some(tensor) = call("zeros", || Tensor::zeros(gpu, &shape)) else { return };
        call("outer", || tensor.outer(Range { start: begin, end }));
        call("reshape", || tensor.reshape(&other));
        call("write", || tensor.write(&[1.0; 6]));
        let buffer = tensor.buffer();
        let bound = begin as u64;
        if bound < buffer.size() {
            call("from_buffer", || Tensor::from_buffer(gpu, buffer.slice(bound..), &other));
        }
    });
}

fn streams(gpu: &Gpu) {
    let gpu = &small(gpu);
    let layer = Recurrent::new(gpu, GruConfig::new(2, 4).num_layers(2), 1).expect("a layer");
    let rows = || prop::collection::vec(size(), 0..3);
    property(
        100,
        &(size(), size(), any::<[bool; 2]>(), rows(), rows()),
        |(rows, frames, [sources, lengths], from, to)| {
            let options = StreamOptions::new(rows).frames(frames).gather(sources).lengths(lengths);
            let Some(stream) = call("stream", || layer.stream(options)) else { return };
            let pairs: Vec<_> = from.iter().copied().zip(to).collect();
            let snapshot = call("snapshot", || stream.snapshot()).expect("as large as the state");
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            call("encode_reset_rows", || stream.encode_reset_rows(&mut encoder, &from));
            call("encode_copy_rows", || stream.encode_copy_rows(&mut encoder, &pairs));
            call("encode_restore_rows", || stream.encode_restore_rows(&mut encoder, &snapshot, &pairs));
            call("set_lengths", || stream.set_lengths(&from));
        },
    );
}

fn training(gpu: &Gpu) {
    let gpu = &small(gpu);
    let parameter = Tensor::zeros(gpu, &[3]).expect("a tensor");
    let gradient = Tensor::zeros(gpu, &[3]).expect("a tensor");
    let pairs = [(&parameter, &gradient)];
    let limit = || prop_oneof![Just(None), real().prop_map(Some)];
    let accumulate = select(vec![None, Some(Accumulation::Mean), Some(Accumulation::Sum)]);
    let common = ([limit(), limit()], any::<[bool; 2]>(), accumulate, prop_oneof![Just(0.0_f32), real()]);
    let numbers = ([real(), real(), real(), real()], common);
    let indices = (prop_oneof![Just(None), size().prop_map(|index| Some(index as u32))], size(), any::<[bool; 2]>());
    property(300, &(numbers, size(), size(), any::<u64>(), indices), |(numbers, inputs, outputs, seed, indices)| {
        let ([learning_rate, beta1, beta2, epsilon], common) = numbers;
        let ([max_norm, clip_value], [skip_nonfinite, nesterov], accumulate, weight_decay) = common;
        let options = AdamOptions {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            max_norm,
            clip_value,
            skip_nonfinite,
            accumulate,
        };
        let own = Parameter { weight_decay: Some(epsilon), ..pairs[0].into() };
        call("Adam::new", || Adam::new([own], &options));
        if let Some(adam) = call("Adam::new", || Adam::new(pairs, &options)) {
            call("set_learning_rate", || adam.set_learning_rate(epsilon));
        }
        let options = SgdOptions {
            learning_rate,
            momentum: beta1,
            dampening: beta2,
            nesterov,
            weight_decay,
            max_norm,
            clip_value,
            skip_nonfinite,
            accumulate,
        };
        if let Some(sgd) = call("Sgd::new", || Sgd::new(pairs, &options)) {
            call("set_learning_rate", || sgd.set_learning_rate(epsilon));
        }
        let (steps, other) = (inputs as u64, outputs as u64);
        for rate in [
            call("LearningRate::constant", || LearningRate::constant(learning_rate)),
            call("LearningRate::step", || LearningRate::step(learning_rate, steps, beta1)),
            call("LearningRate::cosine", || LearningRate::cosine(learning_rate, steps, beta1)),
        ] {
            let warm = rate.and_then(|rate| call("warm_up", || rate.warm_up(other, beta2)));
            for (rate, step) in
                [rate, warm].into_iter().flatten().flat_map(|rate| [0, 1, other, seed].map(|step| (rate, step)))
            {
                let at = rate.at(step);
                assert!(at >= 0.0 && at <= learning_rate, "{at} at step {step} of {rate:?}");
            }
        }
        call("Linear::with_weights", || Linear::with_weights(gpu, [outputs, inputs], &[1.0; 6], &[1.0; 2]));
        let (ignore_index, index, [mask, batch_first]) = indices;
        call("Embedding::with_weights", || Embedding::with_weights(gpu, [inputs, outputs], &[1.0; 6]));
        let table = call("Embedding::new", || Embedding::new(gpu, inputs, outputs, seed));
        let table = table.and_then(|table| call("padding_idx", || table.padding_idx(index)));
        if let Some(layer) = table.and_then(|table| call("Embedding::unroll", || table.unroll(&parameter))) {
            call("write_indices", || layer.write_indices(&[index, inputs, 0]));
        }
        let linear = call("Linear::new", || Linear::new(gpu, inputs, outputs, seed));
        let tensors = || Some([Tensor::zeros(gpu, &[2, inputs]).ok()?, Tensor::zeros(gpu, &[2, inputs]).ok()?]);
        let (Some(linear), Some([x, d_x])) = (linear, tensors()) else { return };
        let Some(head) = call("Linear::unroll", || linear.unroll(&x, &d_x)) else { return };
        let options = LossOptions { mask, ignore_index, batch_first };
        let elements = LossOptions { ignore_index: None, ..options };
        let (y, d_y) = (head.output(), head.d_output());
        call("mean_squared_error", || elements.mean_squared_error(y, d_y));
        call("binary_cross_entropy", || elements.binary_cross_entropy(y, None));
        if let Some(loss) = call("cross_entropy", || options.cross_entropy(y, d_y)) {
            call("write_classes", || loss.write_classes(&[index, outputs]));
            call("set_lengths", || loss.set_lengths(&[index, inputs]));
        }
    });
}

/// Numbers around every width that a size could be stored in.
const HUGE: [usize; 8] = [1 << 16, (1 << 20) + 1, 1 << 26, 1 << 31, 1 << 32, 1 << 40, usize::MAX / 2 + 1, usize::MAX];

#[track_caller]
fn is_typed<T>(what: &str, result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::LimitExceeded { required, available, .. }) => {
            assert!(required > available, "{what}: {required} of {available}");
            true
        }
        Err(Error::InvalidOption { option: "num_layers", .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn layers_too_large(gpu: &Gpu) {
    for size in HUGE {
        for config in [
            GruConfig::new(2, 3).num_layers(size).erased(),
            RnnConfig::new(2, 3).num_layers(size).bias(false).erased(),
            GruConfig::new(size, 1 << 20).erased(),
            GruConfig::new(2, size).num_layers(4096).erased(),
            GruConfig::new(size, size).erased(),
        ] {
            let what = format!("{config:?}");
            assert!(is_typed(&what, Recurrent::new(gpu, config.clone(), 1)), "{what} cannot be");
            assert!(is_typed(&what, config.required_limits(gpu.limits())), "{what} cannot be");
            assert!(is_typed(&what, pollster::block_on(verify(gpu, &config, 2, 2, 1))), "{what} cannot be");
        }
        let layer = Recurrent::new(gpu, GruConfig::new(2, 64), 1).expect("a layer");
        for unroll in [Unroll::inference(1, size), Unroll::training(size, 1), Unroll::training(size, size)] {
            let what = format!("{unroll:?}");
            if size > 1 << 26 {
                assert!(is_typed(&what, layer.unroll(unroll)), "{what} cannot be");
                let verified = verify(gpu, layer.config(), unroll.seq_len, unroll.batch, 1);
                assert!(is_typed(&what, pollster::block_on(verified)), "{what} cannot be");
            }
        }
        for options in [StreamOptions::new(size), StreamOptions::new(1).frames(size)] {
            let what = format!("{options:?}");
            if size > 1 << 26 {
                assert!(is_typed(&what, layer.stream(options)), "{what} cannot be");
            }
        }
    }
}

/// As many layers as there may be, and one more.
fn many_layers(gpu: &Gpu) {
    let most = GruConfig::MAX_LAYERS;
    let deep: Config = RnnConfig::new(1, 1).num_layers(most).erased();
    let layer = Recurrent::new(gpu, deep, 1).expect("a layer");
    let frame = Unroll::inference(1, 1).adapter_class(DeviceType::DiscreteGpu);
    let frame = layer.unroll(frame).expect("an unroll");
    assert_eq!(frame.plan().forward_dispatches(), 1, "one for all of a single step");
    let net = layer.unroll(Unroll::inference(2, 1)).expect("an unroll");
    assert!(net.plan().forward_dispatches() >= 2 * most, "two for each at least");
    let one_more = RnnConfig::new(1, 1).num_layers(most + 1).validate();
    assert!(is_typed("one more", one_more), "one more is refused");
}

fn tensors_too_large(gpu: &Gpu) {
    for size in HUGE.into_iter().skip(3) {
        for shape in [&[size][..], &[size, size], &[2, size, 3]] {
            let what = format!("{shape:?}");
            assert!(is_typed(&what, Tensor::zeros(gpu, shape)), "{what} cannot be");
        }
        for [inputs, outputs] in [[size, 2], [2, size], [size; 2]] {
            let what = format!("a head of {inputs} and {outputs}");
            assert!(is_typed(&what, Linear::new(gpu, inputs, outputs, 1)), "{what} cannot be");
            assert!(is_typed(&what, Embedding::new(gpu, inputs, outputs, 1)), "{what} cannot be");
        }
    }
}
