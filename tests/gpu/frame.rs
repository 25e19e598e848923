//! Frames: single steps of inference that one dispatch takes through all layers, against the oracle, with any options; and
//! that they are taken where they can be had.

use proptest::prelude::*;
use proptest::sample::select;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, expectation_of};
use wgpu_gru::wgpu::{Buffer, DeviceType, Limits};
use wgpu_gru::{
    Config, Direction, ExternalTensors, Gpu, Gru, GruConfig, Parameters, Recurrent, Reset, RnnConfig, Schedule,
    StreamOptions, Tensor, Tolerance, Unroll, Weights,
};

use crate::support::{
    ALL, Options, any_options, app_buffer, assert_as_planned, assert_none_out_of_range, bits, close, counting,
    from_bits, has_subgroups_of_8, is_told, open, property_from, read, results, tensor, to_bits,
};

trials![
    any_frame,
    any_frame_in_range,
    without_subgroups,
    the_same_bits_in_any_batch,
    a_number_that_is_none,
    dispatches,
    states_of_the_app,
    weights_of_the_app,
];

/// As which classes of adapter this one can be given a frame: as software, whose frames are for its own subgroups, only
/// where these are 8 invocations.
fn classes(gpu: &Gpu) -> Vec<DeviceType> {
    if has_subgroups_of_8(gpu) { vec![DeviceType::Cpu, DeviceType::DiscreteGpu] } else { vec![DeviceType::DiscreteGpu] }
}

/// A frame, and from which rows it goes on.
#[derive(Debug, Clone)]
struct Drawn {
    options: Options,
    sources: Option<Vec<u32>>,
}

/// Any layer of one direction, for one step of any number of rows.
fn any_frame_of(gpu: &Gpu, hidden: &'static [usize]) -> impl Strategy<Value = Drawn> + use<> {
    let sizes = (1_usize..40, select(hidden), select(vec![1_usize, 2, 5, 17, 40]));
    let flags = (any::<[bool; 4]>(), prop::option::of(prop::collection::vec(0_u32..50, 40)));
    // Of two directions the second may have activations of its own.
    let one = any_options().prop_filter("two directions", |drawn| drawn.config.direction != Direction::Bidirectional);
    let all = (one, sizes, flags, select(classes(gpu)));
    let drawn = all.prop_map(|(options, (inputs, hidden, rows), ([lengths, empty, f16, _], sources), class)| {
        let mut config = options.config.direction(Direction::Forward).reversed_output(false).dropout(0.0);
        (config.input_size, config.hidden_size) = (inputs, hidden);
        let unroll = Unroll::inference(1, rows).lengths(lengths).zero_empty_rows(lengths && empty);
        // Where rounding a weight crosses no kink: `any_options` says so of its own.
        let f16 = f16 && options.unroll.f16_weights && hidden.is_multiple_of(4);
        let unroll = unroll.f16_weights(f16).adapter_class(class);
        let lengths = lengths.then(|| (0..rows).map(|row| usize::from(row % 3 != 1)).collect());
        let options = Options { config, unroll, lengths, episode_starts: None, has_h0: true, ..options };
        Drawn { options, sources: sources.map(|sources| sources[..rows].to_vec()) }
    });
    drawn.prop_filter("no f32 computation can be held to the budget", |drawn| is_told(&drawn.options))
}

/// A layer by one step, and a stream of it, with rows that go on from others, against the oracle.
fn check_frame(gpu: &Gpu, Drawn { options, sources, .. }: &Drawn) {
    let Options { config, unroll, lengths, seed, .. } = options;
    let weights = Weights::random(config, *seed);
    let mut batch = Batch::random(config, 1, unroll.batch, seed.wrapping_add(1));
    batch.lengths.clone_from(lengths);
    let layer = Recurrent::with_weights(gpu, config.clone(), &weights).expect("a layer");
    let mut net = layer.unroll(*unroll).expect("an unroll");
    assert!(net.plan().frame().is_some(), "{}", net.explain());
    assert_as_planned(&net);
    let compare = |unroll: &Unroll, batch: &Batch, made: &[(String, Vec<f32>)]| {
        let expected = expectation_of(config, unroll, &weights, batch);
        for (name, values) in made {
            let right = expected.iter().find(|right| right.tensor == *name).expect("the oracle has it");
            close(&format!("{options:?}: {name}"), values, &right.values, right.tolerance).expect("within the budget");
        }
    };
    compare(unroll, &batch, &results(&mut net, &batch));

    let stream = StreamOptions::new(unroll.batch).lengths(unroll.lengths).gather(sources.is_some());
    let stream = layer.stream(stream.with(|_| *unroll)).expect("a stream");
    assert!(stream.plan().frame().is_some(), "{}", stream.explain());
    stream.input().write(&batch.x).expect("as many numbers");
    stream.state().write(&batch.h0).expect("as many numbers");
    if let Some(lengths) = lengths {
        stream.set_lengths(lengths).expect("as many as rows");
    }
    if let Some(sources) = sources {
        stream.gather_indices().expect("sources").write(&from_bits(sources)).expect("as many as rows");
        let (rows, hidden) = (unroll.batch, config.hidden_size);
        let of_layer = |states: &[f32]| -> Vec<f32> {
            let row = |&source: &u32| match states.chunks(hidden).nth(source as usize) {
                Some(row) => row.to_vec(),
                None => vec![0.0; hidden],
            };
            sources.iter().flat_map(row).collect()
        };
        batch.h0 = batch.h0.chunks(rows * hidden).flat_map(of_layer).collect();
    }
    gpu.submit(|encoder| stream.encode_step(encoder)).expect("a submission");
    let made = [("output", stream.output()), ("h_n", stream.state())];
    // A row of a stream that rests keeps its state.
    compare(&unroll.zero_empty_rows(false), &batch, &made.map(|(name, tensor)| (name.to_owned(), read(tensor))));
    if sources.is_some() {
        let own: Vec<u32> = (0..unroll.batch as u32).collect();
        assert_eq!(bits(stream.gather_indices().expect("sources")), own, "each row is its own source again");
    }
}

fn any_frame(gpu: &Gpu) {
    const HIDDEN: &[usize] = &[1, 3, 4, 7, 16, 33, 36, 64];
    property_from(21, 16, &any_frame_of(gpu, HIDDEN), |drawn| check_frame(gpu, &drawn));
}

fn any_frame_in_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    property_from(22, 5, &any_frame_of(&gpu, &[1, 5, 12, 33]), |drawn| check_frame(&gpu, &drawn));
    assert_none_out_of_range(&gpu);
}

/// Slices that are added in workgroup memory, in workgroups of 16 KiB.
fn without_subgroups(gpu: &Gpu) {
    let small = open(gpu, Limits::default());
    let layers: [Config; 4] = [
        GruConfig::new(16, 24).num_layers(2).erased(),
        GruConfig::new(64, 64).reset(Reset::Before).erased(),
        RnnConfig::new(5, 33).num_layers(3).erased(),
        GruConfig::new(100, 100).erased(),
    ];
    for config in layers {
        for rows in [1, 300] {
            let unroll = Unroll::inference(1, rows).adapter_class(DeviceType::DiscreteGpu);
            let options =
                Options { config: config.clone(), unroll, lengths: None, episode_starts: None, has_h0: true, seed: 5 };
            check_frame(&small, &Drawn { options, sources: None });
        }
    }
}

/// A row has the bits that it has alone.
fn the_same_bits_in_any_batch(gpu: &Gpu) {
    for (class, config) in classes(gpu).into_iter().flat_map(|class| {
        let gru = GruConfig::new(5, 20).num_layers(2);
        [gru.clone().reset(Reset::Before).erased(), gru.erased()].map(|config| (class, config))
    }) {
        let layer = Recurrent::new(gpu, config, 3).expect("a layer");
        let row = SplitMix64::new(1).vec(5, 1.0);
        let states_of = |rows: usize| {
            let stream = layer.stream(StreamOptions::new(rows).with(|unroll| unroll.adapter_class(class)));
            let stream = stream.expect("a stream");
            let mut x = SplitMix64::new(rows as u64).vec(rows * 5, 1.0);
            x[(rows - 1) * 5..].copy_from_slice(&row);
            stream.input().write(&x).expect("a frame");
            gpu.submit(|encoder| (0..3).try_for_each(|_| stream.encode_step(encoder))).expect("a submission");
            let states = read(stream.state());
            states.chunks(rows * 20).flat_map(|layer| to_bits(&layer[(rows - 1) * 20..])).collect::<Vec<_>>()
        };
        let alone = states_of(1);
        for rows in [2, 3, 9, 33, 700] {
            assert_eq!(states_of(rows), alone, "{class:?}: the last of {rows} rows");
        }
    }
}

/// In the input or in the state of a row, it reaches no other.
fn a_number_that_is_none(gpu: &Gpu) {
    for (class, rows) in classes(gpu).into_iter().flat_map(|class| [(class, 3), (class, 37)]) {
        let layer = Gru::new(gpu, GruConfig::new(3, 10).num_layers(2), 3).expect("a layer");
        let stream = layer.stream(StreamOptions::new(rows).with(|unroll| unroll.adapter_class(class)));
        let stream = stream.expect("a stream");
        let made = |x: &[f32], h: &[f32]| {
            stream.input().write(x).expect("a frame");
            stream.state().write(h).expect("states");
            gpu.submit(|encoder| stream.encode_step(encoder)).expect("a submission");
            [read(stream.state()), read(stream.output())]
        };
        let (x, h) = (SplitMix64::new(1).vec(rows * 3, 1.0), SplitMix64::new(2).vec(2 * rows * 10, 1.0));
        let before = made(&x, &h);
        for bad in [f32::NAN, f32::INFINITY] {
            for of_state in [false, true] {
                let (mut x, mut h) = (x.clone(), h.clone());
                *if of_state { &mut h[(rows - 2) * 10 + 9] } else { &mut x[(rows - 2) * 3 + 2] } = bad;
                for (after, before) in made(&x, &h).iter().zip(&before) {
                    for (number, (after, before)) in after.chunks(10).zip(before.chunks(10)).enumerate() {
                        let is_same = to_bits(after) == to_bits(before);
                        assert_eq!(is_same, number % rows != rows - 2, "{class:?} {bad}: row {number} of {rows}");
                    }
                }
            }
        }
    }
}

/// One dispatch a frame, two with sources; single steps where they are asked for, or there is no frame for the adapter.
fn dispatches(gpu: &Gpu) {
    if !has_subgroups_of_8(gpu) {
        let layer = Gru::new(gpu, GruConfig::new(6, 12), 3).expect("a layer");
        let unroll = Unroll::inference(1, 9).adapter_class(DeviceType::Cpu);
        let told = layer.unroll(unroll).expect("an unroll").explain();
        assert!(told.contains("not by frame: this software rasteriser has no subgroups of 8"), "{told}");
    }
    for class in classes(gpu) {
        let gru = GruConfig::new(6, 12).num_layers(2);
        for config in [gru.clone().erased(), gru.reset(Reset::Before).erased(), RnnConfig::new(6, 12).erased()] {
            let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
            let of = |options: StreamOptions| {
                let stream = layer.stream(options.with(|unroll| unroll.adapter_class(class))).expect("a stream");
                let [forward, _] = stream.plan().kernels();
                forward
            };
            let label = if config.cell().gates() == 3 { "gru_frame" } else { "rnn_frame" };
            let options = StreamOptions::new(9).lengths(true);
            assert_eq!(of(options), [(label, 1)], "{class:?}");
            assert_eq!(of(options.gather(true)), [("gather", 1), (label, 1)], "{class:?}");
            assert_eq!(of(options.with(|unroll| unroll.f16_weights(true))), [(label, 1)], "{class:?}");
            let steps = of(options.with(|unroll| unroll.schedule(Schedule::Step)));
            assert!(steps.iter().all(|(kernel, _)| !kernel.ends_with("frame")), "{class:?}: {steps:?}");
            assert!(of(options.frames(2)).iter().all(|(kernel, _)| !kernel.ends_with("frame")), "{class:?}");
        }
        let large = Gru::new(gpu, GruConfig::new(64, 256), 1).expect("a layer");
        let stream = large.stream(StreamOptions::new(1).with(|unroll| unroll.adapter_class(class)));
        let told = stream.expect("a stream").explain();
        assert!(told.contains("not by frame: the weights are more than each workgroup can read"), "{told}");
    }
}

/// First and last states of the app: in two buffers, side by side in one, and in one place.
fn states_of_the_app(gpu: &Gpu) {
    let config = GruConfig::new(5, 12).num_layers(2);
    let layer = Gru::new(gpu, config.clone(), 3).expect("a layer");
    let weights = layer.read_weights_blocking().expect("weights");
    let rows = 4;
    let len = 2 * rows * 12;
    let batch = Batch::random(&config, 1, rows, 4);
    let [one, other, both] = [len, len, 2 * len + 64].map(|len| app_buffer(gpu, len, ALL));
    let at = |buffer: &Buffer, begin: usize| {
        let begin = 4 * begin as u64;
        Tensor::from_buffer(gpu, buffer.slice(begin..begin + 4 * len as u64), &[2, rows, 12]).expect("a tensor")
    };
    for class in classes(gpu) {
        for (h0, h_n) in [
            (Some(at(&one, 0)), Some(at(&other, 0))),
            (Some(at(&both, 0)), Some(at(&both, 128))),
            (Some(at(&one, 0)), Some(at(&one, 0))),
            (Some(at(&one, 0)), None),
            (None, Some(at(&one, 0))),
        ] {
            let unroll = Unroll::inference(1, rows).adapter_class(class);
            let places = ExternalTensors { h0, h_n, ..ExternalTensors::default() };
            let mut net = layer.unroll_with(unroll, &places).expect("an unroll");
            assert!(net.plan().frame().is_some(), "{}", net.explain());
            let expected = expectation_of(&config, &unroll, &weights, &batch);
            for (name, values) in results(&mut net, &batch) {
                let right = expected.iter().find(|right| right.tensor == name).expect("the oracle has it");
                close(&format!("{class:?} {name}"), &values, &right.values, right.tolerance).expect("right");
            }
        }
    }
}

/// Layers whose weights lie apart are stepped one after the other, to the same numbers; those of one layer may lie
/// anywhere.
fn weights_of_the_app(gpu: &Gpu) {
    for (class, layers) in classes(gpu).into_iter().flat_map(|class| [(class, 1), (class, 2)]) {
        let config = GruConfig::new(5, 12).num_layers(layers);
        let made = Gru::new(gpu, config.clone(), 3).expect("a layer");
        let mut parameters: Parameters = made.parameters().clone();
        for cell in &mut parameters.cells {
            let apart = |of: &Tensor| tensor(gpu, of.shape(), &read(of));
            cell.weight_ih = apart(&cell.weight_ih);
            cell.weight_hh = apart(&cell.weight_hh);
            cell.bias_ih = cell.bias_ih.as_ref().map(apart);
            cell.bias_hh = cell.bias_hh.as_ref().map(apart);
        }
        let apart = Gru::with_parameters(gpu, config, parameters).expect("a layer");
        let states = [&made, &apart].map(|layer| {
            let stream = layer.stream(StreamOptions::new(3).with(|unroll| unroll.adapter_class(class)));
            let stream = stream.expect("a stream");
            let is_frame = layers == 1 || std::ptr::eq(layer, &made);
            assert_eq!(stream.plan().frame().is_some(), is_frame, "{}", stream.explain());
            stream.input().write(&SplitMix64::new(1).vec(15, 1.0)).expect("a frame");
            gpu.submit(|encoder| (0..3).try_for_each(|_| stream.encode_step(encoder))).expect("a submission");
            read(stream.state())
        });
        let sum = Tolerance::matmul(5 + 12).scaled(3.0);
        close(&format!("{class:?} {layers}"), &states[1], &states[0], sum.plus(sum)).expect("the same");
    }
}
