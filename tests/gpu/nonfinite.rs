//! One number that is not finite, anywhere in a layer: what of the results is not finite is what the oracle says, and
//! all other rows of the batch have the bits that they have without it. First with every activation, then with any
//! options: `WGPU_GRU_CASES` says how many layers are drawn, `WGPU_GRU_SEED` from which seed on.

use proptest::strategy::Strategy;
use wgpu_gru::f16::{from_f16, to_f16};
use wgpu_gru::reference::twins::gates_f16::f16_from_gates;
use wgpu_gru::train::{Adam, AdamOptions};
use wgpu_gru::verify::{Batch, Expectation, expectation};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Activation, CellWeights, Config, Direction, Gpu, Gru, GruConfig, Recurrent, Reset, RnnConfig, Saved, Schedule,
    Unroll, Unrolled, Weights, harness,
};

use crate::support::{
    ACTIVATIONS, Options, any_options, batch_of_drawn, bits, is_told, kinds, property_from, read, record, results, run,
    settings, tensor, weights_of_drawn, wide,
};

trials![
    rnn_of_nan,
    gru_of_nan_with_a_clip,
    half_weights_of_nan,
    halves,
    plain_rnns,
    grus,
    kept_as_halves,
    in_an_episode,
    the_last_weights,
    anywhere_in_any_layer,
    a_row_that_takes_no_step,
];

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

fn cell(weights: [f32; 2], gates: usize, hidden: usize) -> Weights {
    let [weight_ih, weight_hh] = weights;
    CellWeights {
        weight_ih: vec![weight_ih; gates * hidden],
        weight_hh: vec![weight_hh; gates * hidden * hidden],
        bias_ih: Vec::new(),
        bias_hh: Vec::new(),
    }
    .into()
}

/// relu of NaN was 0.
fn rnn_of_nan(gpu: &Gpu) {
    for class in CLASSES {
        for activation in ACTIVATIONS {
            let config = RnnConfig::new(1, 1).nonlinearity(activation).bias(false);
            let layer = Recurrent::with_weights(gpu, config, &cell([f32::NAN, 0.0], 1, 1)).expect("a layer");
            let mut net = layer.unroll(Unroll::inference(2, 1).adapter_class(class)).expect("an unroll");
            let output = net.forward(&tensor(gpu, &[2, 1, 1], &[1.0, 2.0]), None).expect("a forward pass").output;
            assert!(read(&output).iter().all(|y| y.is_nan()), "{activation:?} {class:?}: {:?}", read(&output));
        }
    }
}

/// The clip made -0.993 of it.
fn gru_of_nan_with_a_clip(gpu: &Gpu) {
    for class in CLASSES {
        let config = GruConfig::new(1, 1).bias(false).clip(5.0);
        let layer = Gru::with_weights(gpu, config, &cell([1.0, 0.0], 3, 1)).expect("a layer");
        let mut net = layer.unroll(Unroll::inference(1, 1).adapter_class(class)).expect("an unroll");
        let output = net.forward(&tensor(gpu, &[1, 1, 1], &[f32::NAN]), None).expect("a forward pass").output;
        assert!(read(&output)[0].is_nan(), "{class:?}: {:?}", read(&output));
    }
}

/// With weights of 16 bits the states were 0.
fn half_weights_of_nan(gpu: &Gpu) {
    for (class, half) in CLASSES.into_iter().flat_map(|class| [false, true].map(|half| (class, half))) {
        let layer = Gru::with_weights(gpu, GruConfig::new(1, 4).bias(false), &cell([0.0, f32::NAN], 3, 4));
        let unroll = Unroll::inference(1, 1).adapter_class(class).f16_weights(half);
        let mut net = layer.expect("a layer").unroll(unroll).expect("an unroll");
        let h0 = tensor(gpu, &[1, 1, 4], &[1.0; 4]);
        let output = net.forward(&tensor(gpu, &[1, 1, 1], &[0.0]), Some(&h0)).expect("a forward pass").output;
        assert!(read(&output).iter().all(|y| y.is_nan()), "{class:?} {half}: {:?}", read(&output));
    }
}

/// Beyond the largest finite half it is that; infinity and NaN stay, whatever their neighbour in the word is.
fn halves(gpu: &Gpu) {
    let numbers = [1.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65504.0, 65520.0, -1e30, f32::MAX, -0.0];
    let pairs = numbers.into_iter().flat_map(|a| numbers.map(|b| [a, b]));
    let source: Vec<f32> = pairs.flatten().collect();
    let on_gpu = tensor(gpu, &[source.len()], &source);
    let packed = tensor(gpu, &[source.len() / 2], &vec![0.0; source.len() / 2]);
    run(gpu, &harness::pack(2, false, true, &on_gpu, &packed).expect("a program"));
    let words = bits(&packed);
    for (pair, word) in source.chunks_exact(2).zip(words) {
        let expected = [to_f16(pair[0]), to_f16(pair[1])];
        assert_eq!([word as u16, (word >> 16) as u16], expected, "{pair:?}");
    }

    // The gates r, z, n, hn of 50 units.
    let gates = tensor(gpu, &[source.len()], &source);
    let hidden = source.len() / 4;
    let halves = tensor(gpu, &[2 * hidden], &vec![0.0; 2 * hidden]);
    let steps = harness::Steps::gru([1, 1, hidden], &halves, &halves, &gates);
    run(gpu, &steps.halves(false, &halves).expect("a program"));
    let mut expected = vec![0; 2 * hidden];
    f16_from_gates(hidden, &source, &mut expected);
    assert_eq!(bits(&halves), expected, "gates as halves");
    run(gpu, &steps.halves(true, &halves).expect("a program"));
    let within = source.iter().map(|&number| from_f16(to_f16(number)));
    for (&actual, right) in read(&gates).iter().zip(within) {
        assert!(actual == right || (actual.is_nan() && right.is_nan()), "{actual} for {right}");
    }
}

/// What follows the name of a gradient, for its parameter after a step.
const STEPPED: &str = " stepped";

const VALUES: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// Where a number is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Input,
    /// Past the end of a row.
    Padding,
    State,
    /// Of a row that takes no step.
    StateOfNoStep,
    Weight(usize),
    OutputGradient,
    /// Past the end of a row.
    OutputGradientPadding,
    StateGradient,
}

const PLACES: [Place; 11] = [
    Place::Input,
    Place::Padding,
    Place::State,
    Place::StateOfNoStep,
    Place::Weight(0),
    Place::Weight(1),
    Place::Weight(2),
    Place::Weight(3),
    Place::OutputGradient,
    Place::OutputGradientPadding,
    Place::StateGradient,
];

/// How a tensor lies: which row of the batch, and which step, an element is of.
fn row_and_step(batch: &Batch, batch_first: bool, width: usize, element: usize) -> [usize; 2] {
    let place = element / width;
    if batch_first {
        [place / batch.seq_len, place % batch.seq_len]
    } else {
        [place % batch.batch, place / batch.batch]
    }
}

/// What goes in, with one number in it; and the row of the batch that it is of, if it is of one. `None`: no such place.
fn poisoned(options: &Options, place: Place, value: f32, draw: u64) -> Option<(Weights, Batch, Option<usize>)> {
    let (mut weights, mut batch) = (weights_of_drawn(options), batch_of_drawn(options));
    let config = &options.config;
    let batch_first = config.batch_first;
    let (hidden, rows, seq_len) = (config.hidden_size, batch.batch, batch.seq_len);
    let length = |row: usize| options.lengths.as_ref().map_or(seq_len, |lengths| lengths[row]);
    let pick = |places: Vec<usize>| (!places.is_empty()).then(|| places[(draw % places.len() as u64) as usize]);
    // An element of a tensor over all steps, before the end of its row or past it.
    let of_steps = |batch: &Batch, width: usize, over: bool| {
        let is_wanted = |&element: &usize| {
            let [row, step] = row_and_step(batch, batch_first, width, element);
            (step >= length(row)) == over
        };
        let element = pick((0..seq_len * rows * width).filter(is_wanted).collect())?;
        Some((element, Some(row_and_step(batch, batch_first, width, element)[0])))
    };
    let of_states = |no_step: bool| {
        let row = |element: usize| element / hidden % rows;
        let is_wanted = |&element: &usize| !no_step || length(row(element)) == 0;
        let element = pick((0..config.num_cells() * rows * hidden).filter(is_wanted).collect())?;
        Some((element, Some(row(element))))
    };
    let (inputs, outputs) = (config.input_size, config.output_size());
    let row = match place {
        Place::Input | Place::Padding => {
            let (element, row) = of_steps(&batch, inputs, place == Place::Padding)?;
            batch.x[element] = value;
            row
        }
        Place::State | Place::StateOfNoStep => {
            let (element, row) = of_states(place == Place::StateOfNoStep)?;
            batch.h0[element] = value;
            row
        }
        Place::OutputGradient | Place::OutputGradientPadding => {
            let (element, row) = of_steps(&batch, outputs, place == Place::OutputGradientPadding)?;
            batch.d_output[element] = value;
            row
        }
        Place::StateGradient => {
            let (element, row) = of_states(false)?;
            batch.d_h_n[element] = value;
            row
        }
        Place::Weight(array) => {
            let cells = weights.cells.len() as u64;
            let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut weights.cells[(draw % cells) as usize];
            let values = [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().nth(array).expect("one of four");
            let element = pick((0..values.len()).collect())?;
            values[element] = value;
            None
        }
    };
    Some((weights, batch, row))
}

/// A layer on the GPU whose weights can be others.
struct Subject {
    layer: Recurrent,
    net: Unrolled,
}

impl Subject {
    fn new(gpu: &Gpu, options: &Options) -> Self {
        let layer = Recurrent::with_weights(gpu, options.config.clone(), &weights_of_drawn(options)).expect("a layer");
        let net = layer.unroll(options.unroll).expect("an unroll");
        if let Some(lengths) = &options.lengths {
            net.set_lengths(lengths).expect("lengths");
        }
        if let Some(starts) = &options.episode_starts {
            net.set_episode_starts(starts).expect("starts of episodes");
        }
        Self { layer, net }
    }

    /// Everything that a forward pass, a backward pass and a step of Adam make, by name, as the oracle names it. A
    /// parameter has the name of its gradient and [`STEPPED`].
    fn results(&mut self, weights: &Weights, batch: &Batch) -> Vec<(String, Vec<f32>)> {
        let parameters = self.layer.parameters();
        for (cell, host) in parameters.cells.iter().zip(&weights.cells) {
            let arrays = host.arrays().into_iter().filter(|array| !array.is_empty());
            cell.tensors().zip(arrays).for_each(|(tensor, array)| tensor.write(array).expect("weights"));
        }
        let mut list = results(&mut self.net, batch);
        let pairs = self.net.pairs().expect("training");
        let adam = Adam::new(pairs, &AdamOptions::default()).expect("an optimiser");
        record(self.net.output().gpu(), |encoder| adam.encode(encoder));
        let named = parameters.named(self.layer.config());
        list.extend(named.map(|(name, tensor)| (format!("d_{name}{STEPPED}"), read(tensor))));
        list
    }
}

/// Which elements of a result are of other rows than this one; none, of what is no row's.
fn of_other_rows(options: &Options, name: &str, len: usize, row: usize) -> Vec<usize> {
    let (config, batch) = (&options.config, batch_of_drawn(options));
    let of_steps = |width: usize, element: usize| row_and_step(&batch, config.batch_first, width, element)[0];
    let is_other = |&element: &usize| match name {
        "output" => of_steps(config.output_size(), element) != row,
        "d_input" => of_steps(config.input_size, element) != row,
        "h_n" | "d_h0" => element / config.hidden_size % batch.batch != row,
        _ => false,
    };
    (0..len).filter(is_other).collect()
}

/// Numbers that f32 has no room for, where f64 has, are finite here and not there: such a case says nothing.
fn is_beyond_f32(expected: &[Expectation]) -> bool {
    let values = expected.iter().flat_map(|expected| &expected.values);
    values.into_iter().any(|value| value.is_finite() && value.abs() > 1e18)
}

fn same_bits(a: &[(String, Vec<f32>)], b: &[(String, Vec<f32>)]) -> bool {
    a.iter().zip(b).all(|((_, a), (_, b))| a.iter().map(|a| a.to_bits()).eq(b.iter().map(|b| b.to_bits())))
}

/// Which of its results may be NaN where the oracle has an infinity, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    /// None.
    Same,
    /// All: where f32 has rounded to zero or overflows and f64 has not, an infinity becomes NaN.
    Any,
}

/// Every place with every value; gives how many there were.
fn check(gpu: &Gpu, options: &Options, draw: u64, allowed: Kinds) -> usize {
    let mut subject = Subject::new(gpu, options);
    let (whole_weights, whole_batch) = (weights_of_drawn(options), batch_of_drawn(options));
    let whole = subject.results(&whole_weights, &whole_batch);
    assert!(whole.iter().flat_map(|(_, values)| values).all(|value| value.is_finite()), "{options:?}");
    let mut cases = 0;
    for (number, place) in (0..).zip(PLACES) {
        for value in VALUES {
            let Some((weights, batch, row)) = poisoned(options, place, value, draw.wrapping_add(7 * number)) else {
                continue;
            };
            let expected = expectation(&options.config, &weights, &batch);
            if allowed == Kinds::Any && is_beyond_f32(&expected) {
                continue;
            }
            cases += 1;
            let actual = subject.results(&weights, &batch);
            let mut before = weights.cells.iter().flat_map(CellWeights::arrays).filter(|array| !array.is_empty());
            let case = format!("{value} in {place:?} of row {row:?}, draw {draw}, {options:?}");
            for ((name, values), (_, without)) in actual.iter().zip(&whole) {
                let gradient = name.trim_end_matches(STEPPED);
                let of_oracle = expected.iter().find(|expected| expected.tensor == gradient).expect("the same names");
                assert_eq!(values.len(), of_oracle.values.len(), "{name}");
                // A step of a gradient that is not finite is none, and a parameter that was not stays so.
                let before = if name.ends_with(STEPPED) { before.next().expect("as many arrays") } else { &[] };
                for (element, (value, of_oracle)) in values.iter().zip(&of_oracle.values).enumerate() {
                    let is_finite =
                        of_oracle.is_finite() && before.get(element).is_none_or(|before| before.is_finite());
                    let agree = value.is_finite() == is_finite;
                    assert!(agree, "{name}[{element}] is {value}, {of_oracle} by the oracle: {case}\n{values:?}");
                }
                if allowed == Kinds::Same && !name.ends_with(STEPPED) {
                    assert_eq!(kinds(&wide(values)), kinds(&of_oracle.values), "{name}: {case}");
                }
                for element in row.map(|row| of_other_rows(options, name, values.len(), row)).unwrap_or_default() {
                    let [with, without] = [values, without].map(|values| values[element]);
                    assert_eq!(with.to_bits(), without.to_bits(), "{name}[{element}], of another row: {case}");
                }
            }
        }
    }
    // Nothing is left of it.
    assert!(same_bits(&subject.results(&whole_weights, &whole_batch), &whole), "what comes after: {options:?}");
    cases
}

/// A layer of T 3 and B 2 with all that is wanted of its training.
fn check_kinds(gpu: &Gpu, config: Config, class: DeviceType, want: impl Fn(Unroll) -> Unroll) {
    let unroll = want(Unroll::training(3, 2).adapter_class(class));
    let options = Options { config, unroll, lengths: None, episode_starts: None, has_h0: true, seed: 1 };
    // Every place but those past the end of a row, and of a row that takes no step.
    assert_eq!(check(gpu, &options, 7, Kinds::Same), 8 * VALUES.len(), "{options:?}");
}

fn plain_rnns(gpu: &Gpu) {
    for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
        let config = RnnConfig::new(3, 4).nonlinearity(activation);
        let half = index / 2 % 2 == 0;
        check_kinds(gpu, config.erased(), CLASSES[index % 2], |unroll| unroll.f16_weights(half));
        let clipped = config.clip(0.5).erased();
        check_kinds(gpu, clipped, CLASSES[(index + 1) % 2], |unroll| unroll.saved(Saved::Recompute));
    }
}

fn grus(gpu: &Gpu) {
    let count = ACTIVATIONS.len();
    for (index, gate) in ACTIVATIONS.into_iter().enumerate() {
        let reset = if index % 2 == 0 { Reset::After } else { Reset::Before };
        let config = GruConfig::new(3, 4).reset(reset);
        let config = config.gate_activation(gate).candidate_activation(ACTIVATIONS[(index + 3) % count]);
        let [saved, other] = [Saved::Recompute, Saved::Everything];
        let [saved, other] = if index % 3 == 0 { [saved, other] } else { [other, saved] };
        check_kinds(gpu, config.erased(), CLASSES[index / 2 % 2], |unroll| unroll.saved(saved));
        let clipped = config.clip(0.5).erased();
        check_kinds(gpu, clipped, CLASSES[(index / 2 + 1) % 2], |unroll| unroll.saved(other).f16_weights(true));
    }
}

fn kept_as_halves(gpu: &Gpu) {
    for class in CLASSES {
        for reset in [Reset::After, Reset::Before] {
            let config = GruConfig::new(3, 4).reset(reset).candidate_activation(Activation::Softsign);
            check_kinds(gpu, config.erased(), class, |unroll| unroll.saved(Saved::F16));
        }
    }
}

/// What is not finite ends where its episode does, in every schedule.
fn in_an_episode(gpu: &Gpu) {
    let all = [Schedule::Step, Schedule::Rows, Schedule::Exchange];
    for (schedule, class) in all.into_iter().flat_map(|schedule| CLASSES.map(|class| (schedule, class))) {
        let gru = |reset| GruConfig::new(2, 5).reset(reset).direction(Direction::Bidirectional).erased();
        let rnn = RnnConfig::new(2, 5).direction(Direction::Bidirectional).erased();
        for config in [gru(Reset::After), gru(Reset::Before), rnn] {
            let unroll = Unroll::training(5, 2).episode_starts(true).schedule(schedule).adapter_class(class);
            let starts = (0..10).map(|at| [4, 5, 8].contains(&at)).collect();
            let options =
                Options { config, unroll, lengths: None, episode_starts: Some(starts), has_h0: true, seed: 3 };
            for draw in 0..4 {
                check(gpu, &options, draw, Kinds::Same);
            }
        }
    }
}

/// What an infinite weight at the end of weight_hh leaves is infinite: no zero past the end of what is multiplied meets
/// it, which would leave NaN. One step, of numbers whose signs let no infinities of two signs meet.
fn the_last_weights(gpu: &Gpu) {
    let schedules = [Schedule::Step, Schedule::Rows];
    for (schedule, class) in schedules.into_iter().flat_map(|schedule| CLASSES.map(|class| (schedule, class))) {
        // Fours and single numbers. Of as many units as the last, single steps backward on a CPU load four units at once.
        let sizes: &[usize] = if schedule == Schedule::Step { &[4, 5, 68] } else { &[4, 5] };
        for &hidden in sizes {
            let gru = GruConfig::new(1, hidden).candidate_activation(Activation::Linear).bias(false);
            let rnn = RnnConfig::new(1, hidden).nonlinearity(Activation::Relu).bias(false);
            for config in [gru.erased(), rnn.erased()] {
                let rows = config.cell().gates() * hidden;
                // So small that no gate is 1 in f32.
                let size = 1.0 / hidden as f32;
                let of_gate = |element| if element / (hidden * hidden) == 1 { -size } else { size };
                let mut weight_hh: Vec<f32> = (0..rows * hidden).map(of_gate).collect();
                weight_hh[rows * hidden - 1] = f32::INFINITY;
                let (bias_ih, bias_hh) = (Vec::new(), Vec::new());
                let weights = CellWeights { weight_ih: vec![size; rows], weight_hh, bias_ih, bias_hh }.into();
                let mut batch = Batch::random(&config, 1, 2, 1);
                for values in [&mut batch.x, &mut batch.h0, &mut batch.d_output, &mut batch.d_h_n] {
                    values.fill(1.0);
                }
                let layer = Recurrent::with_weights(gpu, config.clone(), &weights).expect("a layer");
                let unroll = Unroll::training(1, 2).schedule(schedule).adapter_class(class);
                let mut net = layer.unroll(unroll).expect("an unroll");
                let expected = expectation(&config, &weights, &batch);
                for ((name, values), of_oracle) in results(&mut net, &batch).iter().zip(&expected) {
                    assert_eq!(*name, of_oracle.tensor, "the same names");
                    assert_eq!(kinds(&wide(values)), kinds(&of_oracle.values), "{name}: {config:?} {unroll:?}");
                }
                let d_h0 = expected.iter().find(|expected| expected.tensor == "d_h0").expect("its gradient");
                assert!(d_h0.values.contains(&f64::INFINITY), "{config:?}: {:?}", d_h0.values);
            }
        }
    }
}

fn anywhere_in_any_layer(gpu: &Gpu) {
    let told = any_options().prop_filter("no f32 computation can be held to the oracle", is_told);
    let drawn = (told, proptest::prelude::any::<u32>());
    property_from(settings::seed().unwrap_or(5), settings::cases().unwrap_or(16), &drawn, |(options, draw)| {
        check(gpu, &options, u64::from(draw), Kinds::Any);
    });
}

/// What a draw may miss: the kept states of rows that are over, through every option that they pass.
fn a_row_that_takes_no_step(gpu: &Gpu) {
    let gru = |hidden| GruConfig::new(3, hidden);
    let configs: [Config; 6] = [
        RnnConfig::new(2, 1).erased(),
        RnnConfig::new(2, 8).num_layers(2).direction(Direction::Bidirectional).erased(),
        gru(8).num_layers(2).direction(Direction::Bidirectional).dropout(0.5).erased(),
        gru(5).num_layers(2).direction(Direction::Reverse).batch_first(true).erased(),
        gru(5).reset(Reset::Before).num_layers(2).bias(false).erased(),
        gru(4).reset(Reset::Before).direction(Direction::Bidirectional).erased(),
    ];
    for (seed, config) in (1..).zip(configs) {
        for saved in Saved::ALL {
            for class in CLASSES {
                let unroll =
                    Unroll::training(3, 5).lengths(true).gradient_norms(true).saved(saved).adapter_class(class);
                let lengths = Some(vec![2, 0, 3, 1, 0]);
                let options =
                    Options { config: config.clone(), unroll, lengths, episode_starts: None, has_h0: true, seed };
                assert!(check(gpu, &options, seed, Kinds::Same) > 20, "all places of {config:?}");
            }
        }
    }
}
