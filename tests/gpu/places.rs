//! Layers that work on tensors of the app, or of each other, give what they give on their own; and share their scratch
//! memory.

use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    CellParameters, Config, Direction, Error, ExternalTensors, Gpu, Gru, GruConfig, Parameters, Recurrent, Saved,
    Schedule, Tensor, Unroll, Unrolled, Workspace,
};

use crate::support::{assert_as_planned, assert_error, batch_of, bits, cases, given, own, read, shape, tensor};

trials![
    everything_in_buffers_of_the_app,
    each_alone,
    weights_in_a_buffer_of_the_app,
    weights_within_a_binding,
    a_layer_on_another,
    first_and_last_states_in_one,
    swapped_weights,
    a_workspace_of_several,
];

/// A tensor of a shape that is the second half of another one: it begins where hardly any device lets a binding begin.
fn half_of_another(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let len = shape[0];
    given(gpu, &[&[2 * len], &shape[1..]].concat()).outer(len..2 * len).expect("a part")
}

/// Makes a tensor of a shape.
type Give = fn(&Gpu, &[usize]) -> Tensor;

fn parameters_like(gpu: &Gpu, parameters: &Parameters, give: Give) -> Parameters {
    let like = |tensor: &Tensor| give(gpu, tensor.shape());
    let cell = |cell: &CellParameters| CellParameters {
        weight_ih: like(&cell.weight_ih),
        weight_hh: like(&cell.weight_hh),
        bias_ih: cell.bias_ih.as_ref().map(like),
        bias_hh: cell.bias_hh.as_ref().map(like),
    };
    Parameters { cells: parameters.cells.iter().map(cell).collect() }
}

/// Writes a batch, runs both passes in one submission, and gives the bits of everything they make.
fn results(gpu: &Gpu, net: &mut Unrolled, batch: &Batch) -> Vec<Vec<u32>> {
    net.input().write(&batch.x).expect("x");
    net.h0().write(&batch.h0).expect("h0");
    net.d_output().expect("training").write(&batch.d_output).expect("d_output");
    net.d_h_n().expect("training").write(&batch.d_h_n).expect("d_h_n");
    if let Some(lengths) = &batch.lengths {
        net.set_lengths(lengths).expect("lengths");
    }
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)
    })
    .expect("a submission");
    let gradients = net.gradients().expect("training");
    let tensors = [net.output(), net.h_n(), &gradients.h0].into_iter().chain(&gradients.input);
    tensors.chain(&gradients.norms).chain(gradients.parameters.tensors()).map(bits).collect()
}

/// The places of everything that an unrolled layer would make.
fn places_like(gpu: &Gpu, net: &Unrolled, give: Give) -> ExternalTensors {
    let gradients = net.gradients().expect("training");
    let like = |tensor: &Tensor| Some(give(gpu, tensor.shape()));
    ExternalTensors {
        input: like(net.input()),
        h0: like(net.h0()),
        output: like(net.output()),
        h_n: like(net.h_n()),
        d_output: like(net.d_output().expect("training")),
        d_h_n: like(net.d_h_n().expect("training")),
        d_input: gradients.input.as_ref().and_then(like),
        d_h0: like(&gradients.h0),
        gradients: Some(parameters_like(gpu, &gradients.parameters, give)),
        workspace: None,
    }
}

/// The same numbers, to the last bit, in the buffers of the app; the layer makes fewer of its own, as the plan says.
fn check(gpu: &Gpu, config: &Config, unroll: Unroll, give: Give, choose: fn(ExternalTensors) -> ExternalTensors) {
    let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
    let batch = batch_of(config, &unroll);
    let mut net = layer.unroll(unroll).expect("an unroll");
    let expected = results(gpu, &mut net, &batch);
    let places = choose(places_like(gpu, &net, give));
    let mut given = layer.unroll_with(unroll, &places).unwrap_or_else(|error| panic!("{config:?} {unroll:?}: {error}"));
    assert_eq!(results(gpu, &mut given, &batch), expected, "{config:?} {unroll:?}");
    // Again, with what the first pass left.
    if config.dropout == 0.0 {
        assert_eq!(results(gpu, &mut given, &batch), expected, "again {config:?} {unroll:?}");
    }
    for (place, used) in [(&places.input, given.input()), (&places.output, given.output()), (&places.h_n, given.h_n())]
    {
        let is_used = |place: &Tensor| place.buffer() == used.buffer();
        assert!(place.as_ref().is_none_or(is_used), "the very buffer of the app");
    }
    assert_as_planned(&given);
    let made = |net: &Unrolled| net.plan().allocations().iter().map(|made| made.count).sum::<usize>();
    assert!(made(&given) <= made(&net), "{}\n{}", given.plan(), net.plan());
}

fn everything_in_buffers_of_the_app(gpu: &Gpu) {
    for (config, unroll) in cases() {
        check(gpu, &config, unroll, given, |places| places);
    }
}

/// One tensor at a time, from the beginning of a binding on and from the middle of one.
fn each_alone(gpu: &Gpu) {
    fn none() -> ExternalTensors {
        ExternalTensors::default()
    }
    let each: [fn(ExternalTensors) -> ExternalTensors; 9] = [
        |all| ExternalTensors { input: all.input, ..none() },
        |all| ExternalTensors { h0: all.h0, ..none() },
        |all| ExternalTensors { output: all.output, ..none() },
        |all| ExternalTensors { h_n: all.h_n, ..none() },
        |all| ExternalTensors { d_output: all.d_output, ..none() },
        |all| ExternalTensors { d_h_n: all.d_h_n, ..none() },
        |all| ExternalTensors { d_input: all.d_input, ..none() },
        |all| ExternalTensors { d_h0: all.d_h0, ..none() },
        |all| ExternalTensors { gradients: all.gradients, ..none() },
    ];
    for choose in each {
        for give in [given as Give, half_of_another] {
            check(gpu, &GruConfig::new(5, 8).erased(), Unroll::training(6, 3), give, choose);
        }
    }
}

/// Weights one behind the other in one buffer of the app, and each in one of its own: what cells take together goes by
/// that.
fn weights_in_a_buffer_of_the_app(gpu: &Gpu) {
    for (config, unroll) in cases() {
        let own = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
        let apart = parameters_like(gpu, own.parameters(), given);
        let layer = Recurrent::with_parameters(gpu, config.clone(), apart.clone()).expect("a layer");
        let weights = pollster::block_on(own.read_weights()).expect("weights");
        layer.set_weights(&weights).expect("buffers that can be written");
        let batch = batch_of(&config, &unroll);
        // A wavefront is not to be had then, so its sums are taken in another order.
        let refused = layer.unroll(unroll);
        if unroll.wavefront == Some(true) {
            let because = "the recurrent weights of the layers do not lie evenly in one buffer";
            assert_error(refused, &Error::OptionUnavailable { option: "wavefront", because });
        } else {
            let expected = results(gpu, &mut own.unroll(unroll).expect("an unroll"), &batch);
            assert_eq!(results(gpu, &mut refused.expect("an unroll"), &batch), expected, "{config:?} {unroll:?}");
        }
        assert_eq!(pollster::block_on(layer.read_weights()).expect("weights"), weights, "they stay");
        let of_the_app = layer.parameters().cells[0].weight_hh.buffer() == apart.cells[0].weight_hh.buffer();
        assert!(of_the_app, "the very buffer of the app");
    }
}

/// Parameters that begin where no binding may: as single steps read them, of software and of a GPU, and by rows.
fn weights_within_a_binding(gpu: &Gpu) {
    let config = GruConfig::new(3, 4).erased();
    let own = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
    let weights = pollster::block_on(own.read_weights()).expect("weights");
    // The rows of each, and one or four before them.
    let within = |shape: &[usize], before: usize| given(gpu, shape).outer(before..before + 12).expect("12 rows");
    let cells = vec![CellParameters {
        weight_ih: within(&[16, 3], 4),
        weight_hh: within(&[13, 4], 1),
        bias_ih: Some(within(&[16], 4)),
        bias_hh: Some(within(&[16], 4)),
    }];
    let layer = Recurrent::with_parameters(gpu, config.clone(), Parameters { cells }).expect("a layer");
    layer.set_weights(&weights).expect("buffers that can be written");
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        for (schedule, f16) in [Schedule::Step, Schedule::Rows].into_iter().flat_map(|s| [(s, false), (s, true)]) {
            let unroll = Unroll::training(6, 3).adapter_class(class).schedule(schedule).f16_weights(f16);
            let batch = batch_of(&config, &unroll);
            let [expected, moved] =
                [&own, &layer].map(|layer| results(gpu, &mut layer.unroll(unroll).expect("an unroll"), &batch));
            assert_eq!(moved, expected, "{unroll:?}");
        }
    }
}

/// A stack of two layers of one cell each, without copies between them, is a layer of two.
fn a_layer_on_another(gpu: &Gpu) {
    let config = GruConfig::new(3, 5).num_layers(2);
    let both = Gru::new(gpu, config.clone(), 3).expect("a layer");
    let of_cell = |index: usize, inputs: usize| {
        let parameters = Parameters { cells: vec![both.parameters().cells[index].clone()] };
        Gru::with_parameters(gpu, GruConfig::new(inputs, 5), parameters).expect("a layer")
    };
    let (below, above) = (of_cell(0, 3), of_cell(1, 5));
    let batch = Batch::random(&config, 4, 6, 1);
    let mut whole = both.unroll(Unroll::training(4, 6)).expect("an unroll");
    batch_into(&whole, &batch);
    let mut first = below.unroll(Unroll::training(4, 6)).expect("an unroll");
    let places = ExternalTensors {
        input: Some(first.output().clone()),
        d_input: Some(first.d_output().expect("training").clone()),
        ..ExternalTensors::default()
    };
    let mut second = above.unroll_with(Unroll::training(4, 6), &places).expect("an unroll");
    first.input().write(&batch.x).expect("x");
    let (lower, upper) = (6 * 5, 2 * 6 * 5);
    for (net, states) in [(&first, 0..lower), (&second, lower..upper)] {
        net.h0().write(&batch.h0[states.clone()]).expect("h0");
        net.d_h_n().expect("training").write(&batch.d_h_n[states]).expect("d_h_n");
    }
    second.d_output().expect("training").write(&batch.d_output).expect("d_output");
    gpu.submit(|encoder| {
        whole.encode_forward(encoder)?;
        whole.encode_backward(encoder)?;
        first.encode_forward(encoder)?;
        second.encode_forward(encoder)?;
        second.encode_backward(encoder)?;
        first.encode_backward(encoder)
    })
    .expect("a submission");
    assert_eq!(bits(second.output()), bits(whole.output()), "the output");
    let gradients = whole.gradients().expect("training");
    let d_input = |net: &Unrolled| bits(net.gradients().expect("training").input.as_ref().expect("it is wanted"));
    assert_eq!(d_input(&first), bits(gradients.input.as_ref().expect("it is wanted")), "the gradient of the input");
    for (net, cell) in [(&first, 0), (&second, 1)] {
        let (own, of_both) =
            (&net.gradients().expect("training").parameters.cells[0], &gradients.parameters.cells[cell]);
        assert!(own.tensors().map(bits).eq(of_both.tensors().map(bits)), "the gradients of cell {cell}");
    }
}

fn batch_into(net: &Unrolled, batch: &Batch) {
    net.input().write(&batch.x).expect("x");
    net.h0().write(&batch.h0).expect("h0");
    net.d_output().expect("training").write(&batch.d_output).expect("d_output");
    net.d_h_n().expect("training").write(&batch.d_h_n).expect("d_h_n");
}

/// Each pass goes on where the last one ended, without a copy.
fn first_and_last_states_in_one(gpu: &Gpu) {
    let config = GruConfig::new(3, 8).num_layers(2);
    let layer = Gru::new(gpu, config.clone(), 3).expect("a layer");
    let batch = Batch::random(&config, 8, 3, 2);
    let state = given(gpu, &[2, 3, 8]);
    state.write(&batch.h0).expect("h0");
    let places = ExternalTensors { h0: Some(state.clone()), h_n: Some(state.clone()), ..ExternalTensors::default() };
    let mut half = layer.unroll_with(Unroll::inference(4, 3), &places).expect("an unroll");
    let mut output = Vec::new();
    for x in batch.x.chunks(4 * 3 * 3) {
        half.input().write(x).expect("x");
        gpu.submit(|encoder| {
            half.encode_forward(encoder)?;
            half.encode_carry_state(encoder)
        })
        .expect("a submission");
        output.extend(bits(half.output()));
    }
    let mut whole = layer.unroll(Unroll::inference(8, 3)).expect("an unroll");
    let out = whole
        .forward(&tensor(gpu, &[8, 3, 3], &batch.x), Some(&tensor(gpu, &[2, 3, 8], &batch.h0)))
        .expect("a forward pass");
    assert_eq!(output, bits(&out.output), "the outputs");
    assert_eq!(bits(&state), bits(&out.h_n), "the last states");
}

/// Between two passes of one submission the weights become those of another layer.
fn swapped_weights(gpu: &Gpu) {
    let config = GruConfig::new(3, 8).num_layers(2);
    let [day, night, used] = [1, 2, 1].map(|seed| Gru::new(gpu, config.clone(), seed).expect("a layer"));
    let x = Batch::random(&config, 4, 3, 2).x;
    let expected =
        [&day, &night].map(|layer| bits(&layer.forward(&tensor(gpu, &[4, 3, 3], &x), None).expect("a pass").output));
    let mut net = used.unroll(Unroll::inference(4, 3)).expect("an unroll");
    net.input().write(&x).expect("x");
    let outputs = [0, 1].map(|_| given(gpu, net.output().shape()));
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        outputs[0].encode_copy_from(encoder, net.output())?;
        used.parameters().encode_copy_from(encoder, night.parameters())?;
        net.encode_forward(encoder)?;
        outputs[1].encode_copy_from(encoder, net.output())
    })
    .expect("a submission");
    assert_eq!(outputs.each_ref().map(bits), expected, "by day and by night");
    let other = Gru::new(gpu, GruConfig::new(3, 8), 1).expect("a layer");
    let copied = gpu.submit(|encoder| used.parameters().encode_copy_from(encoder, other.parameters()));
    assert_error(copied, &shape("parameters to copy", &[8], &[4]));
}

/// Layers of all sorts, one after the other in the same scratch memory, which is full of NaN before.
fn a_workspace_of_several(gpu: &Gpu) {
    let workspace = Workspace::new(gpu);
    assert_eq!(workspace.bytes(), 0, "it is empty at first");
    let places = ExternalTensors { workspace: Some(workspace.clone()), ..ExternalTensors::default() };
    // The largest first.
    let poison = GruConfig::new(40, 40).num_layers(4).direction(Direction::Bidirectional).batch_first(true).erased();
    let poison = Recurrent::new(gpu, poison, 1).expect("a layer");
    let large = Unroll::training(9, 9).saved(Saved::Recompute).adapter_class(DeviceType::DiscreteGpu);
    let mut poison = poison.unroll_with(large, &places).expect("an unroll");
    let nan = |net: &Unrolled| {
        for tensor in [net.input(), net.d_output().expect("training")] {
            tensor.write(&vec![f32::NAN; tensor.len()]).expect("as many numbers");
        }
    };
    nan(&poison);
    let mut shared = 0;
    for (config, unroll) in cases() {
        let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
        let batch = batch_of(&config, &unroll);
        let expected = results(gpu, &mut layer.unroll(unroll).expect("an unroll"), &batch);
        let mut net = layer.unroll_with(unroll, &places).expect("an unroll");
        gpu.submit(|encoder| {
            poison.encode_forward(encoder)?;
            poison.encode_backward(encoder)
        })
        .expect("a submission");
        assert_eq!(results(gpu, &mut net, &batch), expected, "{config:?} {unroll:?}");
        shared += net.plan().scratch_bytes();
    }
    assert!(read(poison.output()).iter().all(|output| output.is_nan()), "there was poison");
    let most = poison.plan().scratch_bytes() + 40_000;
    assert!(workspace.bytes() <= most, "{} bytes, {most} expected at most", workspace.bytes());
    assert!(shared > 0, "some of it is used by others");

    let other = own(gpu);
    let refused =
        Gru::new(&other, GruConfig::new(2, 3), 1).expect("a layer").unroll_with(Unroll::inference(1, 1), &places);
    assert_error(refused, &Error::ForeignDevice { tensor: "workspace".into() });
}
