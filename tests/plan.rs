//! What is found before anything is made, without a GPU: sizes, options, limits; and the arithmetic of the plan.

use wgpu_gru::train::{AdamOptions, SgdOptions};
use wgpu_gru::wgpu::{DeviceType, Limits};
use wgpu_gru::{Activation, CellWeights, Direction, Error, GruConfig, Mode, Plan, RnnConfig, Saved, Unroll, Weights};
use wgpu_gru::{Schedule, TimeLoop};

mod support;

use support::error::{assert_error, shape};

fn plan(config: &GruConfig, unroll: &Unroll, limits: &Limits) -> Result<Plan, Error> {
    Plan::new(config, unroll, limits, DeviceType::DiscreteGpu)
}

/// T 10, B 3, I 4, H 5.
fn small(limits: &Limits) -> Result<Plan, Error> {
    plan(&GruConfig::new(4, 5), &Unroll::training(10, 3), limits)
}

fn limit(what: &'static str, limit: &'static str, required: u64, available: u64) -> Error {
    Error::LimitExceeded { what, limit, required, available }
}

#[test]
fn zero_sizes() {
    let zero = |what| Error::ZeroSize { what };
    assert_error(GruConfig::new(0, 1).validate(), &zero("input_size"));
    assert_error(GruConfig::new(1, 0).validate(), &zero("hidden_size"));
    assert_error(Unroll::inference(0, 1).validate(), &zero("seq_len"));
    assert_error(Unroll::training(1, 0).validate(), &zero("batch"));
    let (config, unroll, limits) = (GruConfig::new(1, 1), Unroll::training(1, 1), Limits::default());
    assert_error(plan(&GruConfig::new(0, 1), &unroll, &limits), &zero("input_size"));
    assert_error(plan(&GruConfig::new(1, 0), &unroll, &limits), &zero("hidden_size"));
    assert_error(plan(&config, &Unroll::training(0, 1), &limits), &zero("seq_len"));
    assert_error(plan(&config, &Unroll::inference(1, 0), &limits), &zero("batch"));
    plan(&config, &unroll, &limits).expect("a layer of ones");
}

#[test]
fn weights_of_other_lengths() {
    let config = GruConfig::new(2, 3);
    let weights = Weights::random(&config, 1);
    weights.validate(&config).expect("the right lengths");
    let mismatch = |tensor, expected: &[usize], actual: usize| shape(tensor, expected, &[actual]);
    assert_error(weights.validate(&GruConfig::new(3, 3)), &mismatch("weight_ih_l0", &[9, 3], 18));
    let cell = weights.cells[0].clone();
    let other = Weights::from(CellWeights { weight_hh: vec![0.0; 26], ..cell.clone() });
    assert_error(other.validate(&config), &mismatch("weight_hh_l0", &[9, 3], 26));
    let other = Weights::from(CellWeights { bias_ih: vec![0.0; 10], ..cell.clone() });
    assert_error(other.validate(&config), &mismatch("bias_ih_l0", &[9], 10));
    let other = Weights::from(CellWeights { bias_hh: Vec::new(), ..cell });
    assert_error(other.validate(&config), &mismatch("bias_hh_l0", &[9], 0));
}

#[test]
fn options_out_of_range() {
    let good = AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() };
    good.validate().expect("the defaults");
    AdamOptions { learning_rate: 0.0, beta1: 0.0, beta2: 0.0, ..good }.validate().expect("zeros that are allowed");
    let bad = |value: f32| {
        [
            ("learning_rate", "finite and at least 0", AdamOptions { learning_rate: value, ..good }),
            ("beta1", "0 <= beta1 < 1", AdamOptions { beta1: value, ..good }),
            ("beta2", "0 <= beta2 < 1", AdamOptions { beta2: value, ..good }),
            ("epsilon", "finite and over 0", AdamOptions { epsilon: value, ..good }),
            ("max_norm", "finite and over 0", AdamOptions { max_norm: Some(value), ..good }),
        ]
    };
    for value in [f32::NAN, -0.5, f32::INFINITY, f32::NEG_INFINITY] {
        for (option, expected, options) in bad(value) {
            assert_error(options.validate(), &Error::InvalidOption { option, value: f64::from(value), expected });
        }
    }
    for (option, expected, options) in bad(1.0).into_iter().filter(|(option, ..)| option.starts_with("beta")) {
        assert_error(options.validate(), &Error::InvalidOption { option, value: 1.0, expected });
    }
    for (option, expected, options) in bad(0.0).into_iter().filter(|(_, expected, _)| *expected == "finite and over 0")
    {
        assert_error(options.validate(), &Error::InvalidOption { option, value: 0.0, expected });
    }

    let good = SgdOptions { max_norm: Some(1.0), ..SgdOptions::default() };
    good.validate().expect("the defaults");
    let options = SgdOptions { learning_rate: -1.0, ..good };
    let expected = "finite and at least 0";
    assert_error(options.validate(), &Error::InvalidOption { option: "learning_rate", value: -1.0, expected });
    let options = SgdOptions { max_norm: Some(0.0), ..good };
    let expected = "finite and over 0";
    assert_error(options.validate(), &Error::InvalidOption { option: "max_norm", value: 0.0, expected });
}

/// What every kernel needs, whatever the sizes.
#[test]
fn limits_of_the_kernels() {
    let what = "the largest kernel";
    let default = Limits::default();
    for (limits, name, required, available) in [
        (
            Limits { max_compute_invocations_per_workgroup: 255, ..default.clone() },
            "max_compute_invocations_per_workgroup",
            256,
            255,
        ),
        (Limits { max_compute_workgroup_size_x: 128, ..default.clone() }, "max_compute_workgroup_size_x", 256, 128),
        (Limits { max_compute_workgroup_size_y: 8, ..default.clone() }, "max_compute_workgroup_size_y", 16, 8),
        (
            Limits { max_compute_workgroup_storage_size: 12_287, ..default.clone() },
            "max_compute_workgroup_storage_size",
            12_288,
            12_287,
        ),
        (
            Limits { max_storage_buffers_per_shader_stage: 4, ..default.clone() },
            "max_storage_buffers_per_shader_stage",
            8,
            4,
        ),
        (Limits { max_bindings_per_bind_group: 6, ..default.clone() }, "max_bindings_per_bind_group", 9, 6),
        (
            Limits { max_dynamic_uniform_buffers_per_pipeline_layout: 0, ..default },
            "max_dynamic_uniform_buffers_per_pipeline_layout",
            1,
            0,
        ),
    ] {
        assert_error(small(&limits), &limit(what, name, required, available));
    }
}

/// What the sizes need: each just does not fit, and fits with one byte or one workgroup more.
#[test]
fn limits_of_the_sizes() {
    const BINDING: &str = "max_storage_buffer_binding_size";
    const WORKGROUPS: &str = "max_compute_workgroups_per_dimension";
    let whole = Limits::default();
    let buffer = |max_buffer_size| Limits { max_buffer_size, ..whole.clone() };
    let binding = |max_storage_buffer_binding_size| Limits { max_storage_buffer_binding_size, ..whole.clone() };
    let grid = |max_compute_workgroups_per_dimension| Limits { max_compute_workgroups_per_dimension, ..whole.clone() };

    // Gates of training: 10 steps of 3 rows of 4 times 5 numbers.
    assert_error(small(&buffer(2399)), &limit("gates", "max_buffer_size", 2400, 2399));
    // Backward has 17 dispatches: at most 34 uniforms of 256 bytes. With many steps a dispatch it has 6.
    let per_step =
        |limits: &Limits| plan(&GruConfig::new(4, 5), &Unroll::training(10, 3).schedule(Schedule::Step), limits);
    assert_error(per_step(&buffer(2400)), &limit("the uniforms of all steps", "max_buffer_size", 34 * 256, 2400));
    per_step(&buffer(34 * 256)).expect("it fits");
    assert_error(small(&buffer(2400)), &limit("the uniforms of all steps", "max_buffer_size", 12 * 256, 2400));
    small(&buffer(12 * 256)).expect("it fits");

    let wide = |limits: &Limits| plan(&GruConfig::new(100, 2), &Unroll::inference(1, 1), limits);
    assert_error(wide(&binding(2399)), &limit("weight_ih", BINDING, 2400, 2399));
    wide(&binding(2400)).expect("it fits");
    let units = |limits: &Limits| plan(&GruConfig::new(1, 30), &Unroll::inference(1, 1), limits);
    assert_error(units(&binding(10_799)), &limit("weight_hh", BINDING, 10_800, 10_799));
    units(&binding(10_800)).expect("it fits");

    // One step of the input, two of the states, one of the gates, each with one alignment of 256 bytes.
    let rows = |i, h, limits: &Limits| plan(&GruConfig::new(i, h), &Unroll::inference(9, 60), limits);
    assert_error(rows(20, 1, &binding(5055)), &limit("input", BINDING, 4800 + 256, 5055));
    rows(20, 1, &binding(5056)).expect("it fits");
    assert_error(rows(1, 1, &binding(735)), &limit("h", BINDING, 480 + 256, 735));
    assert_error(rows(1, 1, &binding(975)), &limit("gates", BINDING, 720 + 256, 975));
    assert_eq!(rows(1, 1, &binding(976)).expect("it fits").chunks().len(), 9, "one step a chunk");

    // Tiles of 64 x 64, steps of 16 units and 4 rows.
    let layer = |i, h, b, limits: &Limits| plan(&GruConfig::new(i, h), &Unroll::inference(1, b), limits);
    assert_error(layer(1, 43, 1, &grid(2)), &limit("the columns of the products", WORKGROUPS, 3, 2));
    assert_error(layer(129, 1, 1, &grid(2)), &limit("the columns of the products", WORKGROUPS, 3, 2));
    assert_error(layer(1, 33, 1, &grid(2)), &limit("the units of a step", WORKGROUPS, 3, 2));
    layer(128, 32, 1, &grid(2)).expect("it fits");
    assert_error(layer(1, 1, 9, &grid(2)), &limit("the rows of a step", WORKGROUPS, 3, 2));
    layer(1, 1, 8, &grid(2)).expect("it fits");
}

/// Nothing overflows, however large the sizes: every product saturates and is over a limit.
#[test]
fn sizes_near_the_end() {
    const HUGE: [usize; 4] = [usize::MAX, usize::MAX / 2, 1 << 62, 1 << 32];
    let unlimited =
        Limits { max_buffer_size: u64::MAX - 1, max_storage_buffer_binding_size: u64::MAX - 1, ..Limits::default() };
    for limits in [Limits::default(), unlimited] {
        for size in HUGE {
            for sizes in [[size, 1, 1, 1], [1, size, 1, 1], [1, 1, size, 1], [1, 1, 1, size], [size; 4]] {
                let [t, b, i, h] = sizes;
                for unroll in [Unroll::inference(t, b), Unroll::training(t, b)] {
                    match plan(&GruConfig::new(i, h), &unroll, &limits) {
                        Err(Error::LimitExceeded { required, available, .. }) => {
                            assert!(required > available, "{sizes:?}");
                        }
                        other => panic!("{sizes:?}: {other:?}"),
                    }
                }
            }
        }
    }
}

/// The chunks cover the time axis without a gap, and each fits.
#[test]
fn chunks_cover_the_time_axis() {
    for size in [760, 1000, 2048, 5000, 20_000] {
        let limits = Limits { max_storage_buffer_binding_size: size, ..Limits::default() };
        let of = |schedule| {
            let unroll = Unroll::training(50, 3).schedule(schedule);
            plan(&GruConfig::new(4, 5), &unroll, &limits).expect("it fits in chunks")
        };
        let (plan, many) = (of(Schedule::Step), of(Schedule::Rows));
        let mut next = 0;
        for chunk in plan.chunks() {
            assert!(chunk.start == next && !chunk.is_empty(), "{:?}", plan.chunks());
            assert!(chunk.len() as u64 * 240 + 256 <= size, "gates of {chunk:?} in {size}");
            next = chunk.end;
        }
        assert_eq!(next, 50);
        // B H of 15 numbers: first and last states begin where no binding may, so they are copied.
        assert_eq!(plan.forward_dispatches(), 2 + 50 + plan.chunks().len());
        // And backward reads a copy of the recurrent weights.
        assert_eq!(plan.backward_dispatches(), 1 + 50 + 6 * plan.chunks().len());
        assert_eq!(many.chunks(), plan.chunks());
        assert_eq!(
            (many.forward_dispatches(), many.backward_dispatches()),
            (2 + 2 * plan.chunks().len(), 6 * plan.chunks().len())
        );
    }
}

#[test]
fn the_plan_says_what_it_does() {
    let unroll = Unroll::training(64, 32);
    let plan = plan(&GruConfig::new(128, 128), &unroll, &Limits::default()).expect("it fits");
    assert_eq!((plan.schedule(), plan.chunks().len()), (Schedule::Rows, 1));
    assert_eq!((plan.forward_dispatches(), plan.backward_dispatches()), (2, 8), "long sums have parts");
    // 2 T B 3H (I + H), and twice as many back.
    assert_eq!(plan.forward_flops(), 2 * 64 * 32 * 3 * 128 * 256);
    assert_eq!(plan.backward_flops(), 2 * plan.forward_flops());
    let bytes = |name| plan.allocations().iter().find(|a| a.name == name).map(|a| a.bytes);
    assert_eq!(bytes("h"), Some(65 * 32 * 128 * 4));
    assert_eq!(bytes("gates"), Some(64 * 32 * 4 * 128 * 4));
    assert_eq!(plan.bytes(), plan.allocations().iter().map(|a| a.bytes).sum::<u64>());
    // Four gates a unit and step less, but for those of a chunk of 2 steps, and the products they are made again from.
    let other = plan.bytes_with(Saved::Recompute).expect("it fits");
    let step = 32 * 128 * 4;
    assert_eq!(plan.bytes_with(Saved::Everything), Some(plan.bytes()));
    // The sums over 2048 rows have 8 parts, and room of their own for each weight; those over the 64 of a chunk need none.
    let parts = 8 * 384 * 128 * 4;
    assert_eq!(["parts of d_weight_ih", "parts of d_weight_hh"].map(bytes), [Some(parts); 2]);
    assert_eq!(plan.bytes() - other, 64 * 4 * step - 2 * 4 * step - 2 * 3 * step + 2 * parts);
    let text = plan.to_string();
    assert!(text.contains(&format!("Saved::Recompute {other} bytes")), "{text}");
    for part in ["T=64 B=32", "Rows", "2 dispatches", "8 dispatches", "8 parts", "1 chunk(s) of time"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

/// Numbers of 16 bits, where they can be had.
#[test]
fn halves() {
    let unroll = Unroll::training(64, 4);
    let of = |config: &GruConfig, unroll: &Unroll| plan(config, unroll, &Limits::default());
    let config = GruConfig::new(6, 8);
    let unhalved = of(&config, &unroll).expect("it fits");
    let halved = of(&config, &unroll.saved(Saved::F16)).expect("it fits");
    let bytes = |plan: &Plan, name| {
        plan.allocations().iter().filter(|a| a.name == name).map(|a| a.bytes * a.count as u64).sum::<u64>()
    };
    // Of r, z, n, hn a step, 4 rows of 8.
    assert_eq!((bytes(&unhalved, "gates"), bytes(&unhalved, "f16 gates")), (64 * 4 * 4 * 8 * 4, 0));
    assert_eq!((bytes(&halved, "gates"), bytes(&halved, "f16 gates")), (2 * 4 * 4 * 8 * 4, 64 * 4 * 4 * 8 * 2));
    assert_eq!(unhalved.bytes_with(Saved::F16), Some(halved.bytes()));
    assert_eq!(halved.bytes_with(Saved::Everything), Some(unhalved.bytes()));
    for config in [config.clone().clip(2.0), config.clone().gate_activation(Activation::HARD_SIGMOID_ONNX)] {
        let error = of(&config, &unroll.saved(Saved::F16));
        assert!(matches!(error, Err(Error::OptionUnavailable { option: "Saved::F16", .. })), "{config:?}: {error:?}");
        assert_eq!(of(&config, &unroll).expect("it fits").bytes_with(Saved::F16), None, "{config:?}");
    }
    // A plain RNN has nothing to halve.
    let rnn = RnnConfig::new(6, 8).nonlinearity(Activation::Relu).clip(1.0);
    let of_rnn = |saved| Plan::new(&rnn, &unroll.saved(saved), &Limits::default(), DeviceType::DiscreteGpu);
    let [states, half] = [Saved::Recompute, Saved::F16].map(|saved| of_rnn(saved).expect("it fits").bytes());
    assert_eq!(states, half);

    let f16_weights = |unroll: Unroll| of(&config, &unroll.f16_weights(true)).expect("it fits");
    let step = |unroll: Unroll| unroll.schedule(Schedule::Step);
    let (training, inference) = (f16_weights(step(unroll)), f16_weights(step(Unroll::inference(64, 4))));
    // 3 H H numbers: in their order forward and by rows, transposed for single steps backward of a GPU.
    let of_weights = |plan: &Plan| ["transposed weight_hh", "f16 weight_hh"].map(|name| bytes(plan, name));
    assert_eq!(of_weights(&training), [3 * 8 * 8 * 2, 3 * 8 * 8 * 2]);
    assert_eq!(of_weights(&inference), [0, 3 * 8 * 8 * 2]);
    assert_eq!(of_weights(&f16_weights(step(unroll).adapter_class(DeviceType::Cpu))), [0, 3 * 8 * 8 * 2]);
    assert_eq!(of_weights(&f16_weights(unroll)), [0, 3 * 8 * 8 * 2]);
    assert_eq!(of_weights(&of(&config, &step(unroll)).expect("it fits")), [3 * 8 * 8 * 4, 0]);
    assert_eq!(of_weights(&unhalved), [0, 0]);
    let error = of(&GruConfig::new(6, 7), &unroll.f16_weights(true));
    assert!(matches!(error, Err(Error::OptionUnavailable { option: "f16_weights", .. })), "{error:?}");
}

/// Kernels go by the class of the adapter.
#[test]
fn kernels_go_by_the_adapter() {
    for (class, matmul) in [(DeviceType::DiscreteGpu, "matmul_small"), (DeviceType::Cpu, "matmul_direct")] {
        let plan =
            Plan::new(&GruConfig::new(8, 8), &Unroll::training(9, 2), &Limits::default(), class).expect("a plan");
        for list in plan.kernels() {
            assert!(list.iter().any(|(label, _)| *label == matmul), "{class:?}: {list:?}");
        }
        assert!(plan.to_string().contains(&format!("{matmul}, tiles of")), "{plan}");
    }
}

/// The schedule by size and adapter, unless the caller names one.
#[test]
fn schedules() {
    let of = |hidden, unroll: &Unroll, device| {
        let plan = Plan::new(&GruConfig::new(4, hidden), unroll, &Limits::default(), device).expect("it fits");
        plan.schedule()
    };
    for device in [DeviceType::DiscreteGpu, DeviceType::IntegratedGpu, DeviceType::Cpu] {
        assert_eq!(of(64, &Unroll::inference(100, 1), device), Schedule::Rows, "{device:?}");
        assert_eq!(of(512, &Unroll::inference(100, 1), device), Schedule::Step, "{device:?}");
        assert_eq!(of(64, &Unroll::inference(1, 1), device), Schedule::Step, "{device:?}: one step");
        let named = Unroll::training(9, 3).schedule(Schedule::Step);
        assert_eq!(of(64, &named, device), Schedule::Step, "{device:?}: by name");
        assert_eq!(of(64, &named.schedule(Schedule::Rows), device), Schedule::Rows, "{device:?}: by name");
        let error = plan(&GruConfig::new(4, 512), &named.schedule(Schedule::Rows), &Limits::default());
        assert!(matches!(error, Err(Error::OptionUnavailable { option: "Schedule::Rows", .. })), "{error:?}");
    }
    // What a workgroup's registers hold: 3 H^2 weights, twice as many of f16.
    let gpu = |hidden, unroll: &Unroll| of(hidden, unroll, DeviceType::DiscreteGpu);
    let unroll = Unroll::training(9, 3);
    assert_eq!([128, 129].map(|hidden| gpu(hidden, &unroll)), [Schedule::Rows, Schedule::Step]);
    let f16 = unroll.f16_weights(true);
    assert_eq!([128, 132].map(|hidden| gpu(hidden, &f16)), [Schedule::Rows, Schedule::Step], "256 invocations");
    let limits =
        Limits { max_compute_invocations_per_workgroup: 1024, max_compute_workgroup_size_x: 1024, ..Limits::default() };
    let large = |hidden| plan(&GruConfig::new(4, hidden), &f16, &limits).expect("it fits");
    assert_eq!([180, 184].map(|hidden| large(hidden).schedule()), [Schedule::Rows, Schedule::Step], "1024 invocations");
    // By exchange by name: nobody has seen this device exchange. A storage buffer more than WebGPU's default.
    let limits = Limits { max_storage_buffers_per_shader_stage: 9, ..limits };
    let exchange = |hidden, limits: &Limits| {
        plan(&GruConfig::new(4, hidden), &unroll.schedule(Schedule::Exchange), limits).map(|plan| plan.schedule())
    };
    assert_eq!(exchange(512, &limits).expect("it can be had"), Schedule::Exchange);
    for (hidden, limits) in [(512, &Limits::default()), (1025, &limits)] {
        let error = exchange(hidden, limits);
        assert!(matches!(error, Err(Error::OptionUnavailable { option: "Schedule::Exchange", .. })), "{error:?}");
    }
    // What a device with less has lost is said.
    let small = plan(&GruConfig::new(4, 132), &f16, &Limits::default()).expect("it fits").to_string();
    assert!(small.contains("not by rows: the device was opened for workgroups that are too small"), "{small}");
    let large = large(184).to_string();
    assert!(large.contains("not by rows: the recurrent weights are more than the registers"), "{large}");
    let lost = "not by exchange: the device was opened for too few storage buffers";
    assert!(large.contains(lost) && small.contains(lost), "{large}");
}

/// A wavefront where one layer leaves room for the next one; by name where it can be had at all.
#[test]
fn wavefronts() {
    let gru = |hidden| GruConfig::new(4, hidden).num_layers(3);
    let of = |config: &GruConfig, unroll: Unroll| plan(config, &unroll, &Limits::default());
    let is_wavefront = |plan: &Plan| plan.to_string().contains("wavefront");
    let chosen = |config: &GruConfig, unroll| is_wavefront(&of(config, unroll).expect("it fits"));
    assert!(chosen(&gru(64), Unroll::training(100, 2)), "small");
    assert!(!chosen(&gru(64), Unroll::training(100, 128)), "rows enough to fill a GPU");
    assert!(!chosen(&gru(64), Unroll::training(9, 2)), "few steps");
    assert!(chosen(&gru(64), Unroll::training(9, 2).wavefront(true)), "by name");
    assert!(!chosen(&gru(64), Unroll::training(100, 2).wavefront(false)), "by name");
    assert!(chosen(&gru(8).dropout(0.5), Unroll::inference(100, 2)), "no dropout in inference");

    let wanted = Unroll::training(100, 2).wavefront(true);
    for (config, unroll) in [
        (GruConfig::new(4, 8), wanted),
        (gru(8).direction(Direction::Bidirectional), wanted),
        (gru(8).dropout(0.5), wanted),
        (gru(8), Unroll::training(1, 2).wavefront(true)),
    ] {
        let error = of(&config, unroll);
        assert!(
            matches!(error, Err(Error::OptionUnavailable { option: "wavefront", .. })),
            "{config:?} {unroll:?}: {error:?}"
        );
        assert!(!chosen(&config, Unroll::training(unroll.seq_len, 2)), "{config:?}");
    }
    // 3 layers of 102 slots of 2 rows of 64 states in a binding, or not.
    let limits = |size| Limits { max_storage_buffer_binding_size: size, ..Limits::default() };
    let size = 3 * 102 * 2 * 64 * 4 + 256;
    assert!(plan(&gru(64), &wanted, &limits(size)).is_ok(), "it fits");
    let error = plan(&gru(64), &wanted, &limits(size - 4));
    assert!(matches!(error, Err(Error::OptionUnavailable { option: "wavefront", .. })), "{error:?}");
}

/// Every workgroup is within the limits that a browser gives, and wastes no more than half of its rows.
#[test]
fn cuts_fit_everywhere() {
    let large = 1 << 32;
    let limits = Limits { max_buffer_size: large, max_storage_buffer_binding_size: large, ..Limits::default() };
    for device in [DeviceType::DiscreteGpu, DeviceType::Cpu] {
        for batch in [1, 2, 4, 5, 63, 64, 65, 127, 128, 4096] {
            for hidden in [1, 2, 8, 31, 64, 96, 100, 128, 129, 512, 1024] {
                let config = GruConfig::new(1, hidden);
                let of = |schedule: Option<Schedule>| {
                    let unroll = Unroll::training(5, batch);
                    let unroll = schedule.map_or(unroll, |schedule| unroll.schedule(schedule));
                    let plan = Plan::new(&config, &unroll, &limits, device);
                    *plan.unwrap_or_else(|error| panic!("{device:?} B {batch} H {hidden}: {error}")).time_loop()
                };
                of(None);
                let TimeLoop::Step { forward, backward } = of(Some(Schedule::Step)) else { panic!("single steps") };
                for cut in [forward, backward] {
                    let invocations = cut.slices * cut.groups * cut.splits;
                    assert!(invocations <= 256 && cut.rows as usize <= 2 * batch, "B {batch} H {hidden} {cut:?}");
                }
                if hidden <= 128 {
                    let TimeLoop::Rows { forward, backward, .. } = of(Some(Schedule::Rows)) else { panic!("rows") };
                    for cut in [forward, backward] {
                        assert!(cut.rows as usize <= 2 * batch, "B {batch} H {hidden} {cut:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn inference_has_no_gradients() {
    let unroll = Unroll::inference(3, 2);
    assert!(unroll.mode == Mode::Inference && !unroll.input_gradient, "{unroll:?}");
    for (option, unroll) in [
        ("input_gradient", unroll.input_gradient(true)),
        ("gradient_norms", unroll.gradient_norms(true)),
        ("saved", unroll.saved(Saved::Recompute)),
        ("saved", unroll.saved(Saved::F16)),
    ] {
        assert_error(plan(&GruConfig::new(4, 5), &unroll, &Limits::default()), &Error::TrainingOption { option });
    }
    let plan = plan(&GruConfig::new(4, 5), &unroll, &Limits::default()).expect("it fits");
    assert_eq!((plan.backward_dispatches(), plan.backward_flops()), (0, 0));
    assert!(plan.allocations().iter().all(|allocation| !allocation.name.starts_with("d_")), "{plan}");
}

/// Every message names what was expected and what came.
#[test]
fn messages() {
    for (error, parts) in [
        (Error::ZeroSize { what: "batch" }, &["batch is 0", "at least 1"][..]),
        (limit("h", "max_buffer_size", 7, 5), &["h needs 7", "max_buffer_size is 5"]),
        (
            Error::ShapeMismatch { tensor: "x".into(), expected: vec![1, 2], actual: vec![3] },
            &["x has shape [3]", "expected [1, 2]"],
        ),
        (
            Error::InvalidOption { option: "beta1", value: f64::NAN, expected: "0 <= beta1 < 1" },
            &["beta1 is NaN", "< 1"],
        ),
        (Error::ForeignDevice { tensor: "x".into() }, &["x belongs to another device"]),
        (Error::Aliased { first: "x", second: "y" }, &["x and y share memory"]),
        (Error::NotTraining, &["Unroll::training"]),
        (Error::BackwardWithoutForward, &["without a forward"]),
        (Error::OutOfMemory { what: "h", bytes: 9 }, &["h of 9 bytes"]),
        (Error::NoAdapter { wanted: Some("abc".into()), found: vec!["def".into()] }, &["abc", "seen: def"]),
        (Error::NoAdapter { wanted: None, found: Vec::new() }, &["no adapter was seen"]),
        (
            Error::NoBackend { wanted: wgpu::Backends::GL, available: wgpu::Backends::VULKAN },
            &["WGPU_BACKEND", "names gl", "the crate has vulkan"],
        ),
        (
            Error::NoBackend { wanted: wgpu::Backends::empty(), available: wgpu::Backends::VULKAN },
            &["WGPU_BACKEND", "names none"],
        ),
    ] {
        for part in parts {
            assert!(error.to_string().contains(part), "{part} is not in: {error}");
        }
    }
    // A driver is advised where no adapter was seen, and only there.
    let seen = Error::NoAdapter { wanted: Some("abc".into()), found: vec!["def".into()] };
    assert!(!seen.to_string().contains("lavapipe"), "{seen}");
    let none = Error::NoAdapter { wanted: None, found: Vec::new() };
    assert_eq!(none.to_string().contains("lavapipe"), cfg!(target_os = "linux"), "{none}");
}

/// Kernels count the elements of a binding by numbers of 32 bits: what can be cut is, and what cannot is refused, on a
/// device whose bindings may be larger than any that there is.
#[test]
fn no_binding_has_more_elements_than_an_index_has_bits() {
    const INDEX: &str = "32-bit index";
    const MOST: u64 = (1 << 32) - (1 << 20);
    let limits = Limits { max_storage_buffer_binding_size: 1 << 38, max_buffer_size: u64::MAX, ..Limits::default() };
    // Gates of 4 times 8192 numbers, for 128 rows: 1023 steps are enough.
    let unroll = Unroll::training(4000, 128);
    let plan = |config: &GruConfig, unroll: &Unroll| plan(config, unroll, &limits);
    let cut = plan(&GruConfig::new(8192, 8192), &unroll).expect("it can be cut");
    let longest = cut.chunks().iter().map(|chunk| chunk.len() as u64).max().expect("a chunk");
    assert!(longest * 128 * 4 * 8192 <= MOST, "{longest} steps");
    assert!(longest > 900, "{longest} steps");
    // Both directions at once would be too much for one step. One alignment is 64 numbers.
    let rows = 1 << 18;
    let config = GruConfig::new(1, 4094);
    let wide = Limits { max_compute_workgroups_per_dimension: u32::MAX, ..limits.clone() };
    let one = |config: &GruConfig, unroll: &Unroll| Plan::new(config, unroll, &wide, DeviceType::DiscreteGpu);
    one(&config, &Unroll::training(1, rows)).expect("one direction fits");
    let both = one(&config.direction(Direction::Bidirectional), &Unroll::training(1, rows));
    both.expect("each direction has its own loop");
    let config = GruConfig::new(1, 4096);
    let required = u64::from(1_u32 << 18) * 4 * 4096 + 64;
    assert_error(one(&config, &Unroll::training(1, rows)), &limit("gates", INDEX, required, MOST));
    // What options copy is copied as a whole.
    let long = Unroll::inference(1 << 20, 64);
    plan(&GruConfig::new(64, 1), &long).expect("it is cut");
    let required = (1 << 32) + 64;
    assert_error(plan(&GruConfig::new(64, 1).batch_first(true), &long), &limit("input", INDEX, required, MOST));
    // Weights.
    let required = 3 * 40_000 * 40_000;
    assert_error(
        plan(&GruConfig::new(1, 40_000), &Unroll::inference(1, 1)),
        &limit("weight_hh", INDEX, required, MOST),
    );
}

/// The bytes of a choice that cannot be had are not told.
#[test]
fn bytes_of_what_cannot_be_had() {
    let unroll = Unroll::training(6, 3);
    for (config, unroll, there) in [
        (GruConfig::new(4, 8), unroll, [true, true, true]),
        (GruConfig::new(4, 8), unroll.episode_starts(true), [true, false, true]),
        (GruConfig::new(4, 8).clip(0.5), unroll, [true, true, false]),
    ] {
        let plan = Plan::new(&config, &unroll, &Limits::default(), DeviceType::Cpu).expect("it fits");
        assert_eq!(Saved::ALL.map(|saved| plan.bytes_with(saved).is_some()), there, "{config:?} {unroll:?}");
        let told = Saved::ALL.map(|saved| plan.to_string().contains(&format!("with Saved::{saved:?} ")));
        assert_eq!(told, there, "{config:?} {unroll:?}");
    }
}
