//! A backward pass works on what its forward pass has read, or refuses.

use wgpu_gru::verify::Batch;
use wgpu_gru::{
    Activation, CellWeights, Config, Error, ExternalTensors, Gpu, GruConfig, Recurrent, Rnn, RnnConfig, Saved, Stream,
    StreamOptions, Tensor, Unroll, Unrolled, Weights, wgpu,
};

use crate::support::{assert_error, bits, encoder, own, read, tensor};

trials![
    state_carried_too_early,
    what_is_read_again,
    what_may_change,
    layers_on_each_other,
    one_buffer_of_two_tensors,
    rows_of_a_stream,
    an_encoder_that_is_dropped,
    a_pass_that_is_dropped,
    forward_from_its_own_states,
    lengths_are_whole_at_first,
];

fn changed(tensor: &'static str) -> Error {
    Error::ChangedSinceForward { tensor: tensor.into() }
}

/// A layer of one cell and a batch, forward.
fn cases() -> Vec<(Config, Unroll)> {
    let unroll = || Unroll::training(4, 3);
    vec![
        (GruConfig::new(2, 5).erased(), unroll()),
        // States of whole alignments: first and last ones are parts of them.
        (GruConfig::new(2, 64).erased(), Unroll::training(4, 8)),
        (GruConfig::new(2, 64).erased(), Unroll::training(4, 8).saved(Saved::Recompute)),
        (GruConfig::new(2, 5).batch_first(true).erased(), unroll().lengths(true)),
        (GruConfig::new(2, 5).num_layers(2).dropout(0.5).erased(), unroll()),
        (RnnConfig::new(2, 5).num_layers(2).erased(), unroll().wavefront(true)),
        (RnnConfig::new(2, 5).erased(), unroll().input_gradient(false)),
    ]
}

struct Pass {
    layer: Recurrent,
    net: Unrolled,
    batch: Batch,
    gradients: Vec<Vec<u32>>,
}

impl Pass {
    /// What a backward pass gives where nothing is changed.
    fn new(gpu: &Gpu, config: &Config, unroll: Unroll) -> Self {
        let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
        let net = layer.unroll(unroll).unwrap_or_else(|error| panic!("{config:?} {unroll:?}: {error}"));
        let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
        let mut pass = Self { layer, net, batch, gradients: Vec::new() };
        pass.forward(gpu);
        pass.backward(gpu).expect("nothing was changed");
        pass.gradients = pass.gradients();
        pass
    }

    fn forward(&mut self, gpu: &Gpu) {
        if self.net.config().dropout > 0.0 && self.net.config().num_layers > 1 {
            self.net.set_dropout_seed(7).expect("a seed");
        }
        let (x, h0) = (&self.batch.x, &self.batch.h0);
        let (x, h0) = (tensor(gpu, self.net.input().shape(), x), tensor(gpu, self.net.h0().shape(), h0));
        self.net.forward(&x, Some(&h0)).expect("a forward pass");
    }

    fn backward(&mut self, gpu: &Gpu) -> Result<(), Error> {
        let d_output = tensor(gpu, self.net.output().shape(), &self.batch.d_output);
        self.net.backward(Some(&d_output), None).map(drop)
    }

    fn gradients(&self) -> Vec<Vec<u32>> {
        let gradients = self.net.gradients().expect("training");
        gradients.parameters.tensors().chain(&gradients.input).chain([&gradients.h0]).map(bits).collect()
    }

    /// Whether a backward pass after a change is refused; if not, it gives the right numbers.
    fn is_refused(&mut self, gpu: &Gpu, what: &str, change: impl FnOnce(&Self)) -> bool {
        self.forward(gpu);
        change(self);
        let before = gpu.activity();
        match self.backward(gpu) {
            Ok(()) => {
                assert!(self.gradients() == self.gradients, "{what}: other gradients, {:?}", self.net.unroll());
                false
            }
            Err(Error::ChangedSinceForward { tensor }) => {
                assert!(!tensor.is_empty(), "which one");
                assert_eq!(gpu.activity().submissions, before.submissions, "{what}: nothing was submitted");
                // Recorded by hand it is the same.
                let refused = gpu.submit(|encoder| self.net.encode_backward(encoder));
                assert_error(refused, &Error::ChangedSinceForward { tensor });
                true
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// Issue C2: h0 = 3, W_hh = 0.5, d_W_hh = 3, or an error, never what the carried state would give.
fn state_carried_too_early(gpu: &Gpu) {
    // One unit of one row, where the first states are copied, and 64 units, where they are a part of the states.
    for units in [1, 64] {
        let config = RnnConfig::new(1, units).nonlinearity(Activation::Linear).bias(false);
        let mut weight_hh = vec![0.0; units * units];
        (0..units).for_each(|unit| weight_hh[unit * units + unit] = 0.5);
        let weights = CellWeights { weight_ih: vec![0.0; units], weight_hh, bias_ih: Vec::new(), bias_hh: Vec::new() };
        let layer = Rnn::with_weights(gpu, config, &Weights::from(weights)).expect("a layer");
        let mut net = layer.unroll(Unroll::training(1, 1)).expect("an unroll");
        let pass = |net: &mut Unrolled, carries: bool| {
            net.h0().write(&vec![3.0; units]).expect("h0");
            net.d_output().expect("training").write(&vec![1.0; units]).expect("d_output");
            gpu.submit(|encoder| {
                net.encode_forward(encoder)?;
                if carries {
                    net.encode_carry_state(encoder)?;
                }
                net.encode_backward(encoder)
            })
        };
        let is_three = |net: &Unrolled| {
            let d_weight = read(&net.gradients().expect("training").parameters.cells[0].weight_hh);
            assert!(d_weight.iter().all(|&value| value == 3.0), "{units} units: {d_weight:?}");
        };
        match pass(&mut net, true) {
            Ok(()) => is_three(&net),
            Err(error) => assert_error::<()>(Err(error), &changed("h0")),
        }
        pass(&mut net, false).expect("nothing was carried");
        is_three(&net);
        // The order that is meant, and the one without a backward pass.
        gpu.submit(|encoder| {
            for _ in 0..3 {
                net.encode_forward(encoder)?;
                net.encode_backward(encoder)?;
                net.encode_carry_state(encoder)?;
            }
            net.encode_forward(encoder)?;
            net.encode_carry_state(encoder)?;
            net.encode_forward(encoder)?;
            net.encode_backward(encoder)
        })
        .expect("a loop");
    }
}

/// Whatever is written between the passes: an error, or the right numbers.
fn what_is_read_again(gpu: &Gpu) {
    for (config, unroll) in cases() {
        let mut pass = Pass::new(gpu, &config, unroll);
        let fill = |tensor: &Tensor| tensor.write(&vec![100.0; tensor.len()]).expect("a write");
        let refused = pass.is_refused(gpu, "input", |pass| fill(pass.net.input()));
        assert_eq!(refused, !(config.batch_first || unroll.lengths), "{config:?}: a copy is read again");
        pass.is_refused(gpu, "h0", |pass| fill(pass.net.h0()));
        pass.is_refused(gpu, "output", |pass| fill(pass.net.output()));
        pass.is_refused(gpu, "a part of the output", |pass| fill(&pass.net.output().outer(1..2).expect("a part")));
        pass.is_refused(gpu, "h_n", |pass| fill(pass.net.h_n()));
        pass.is_refused(gpu, "a state", |pass| fill(pass.net.states(0).expect("a layer")));
        pass.is_refused(gpu, "a state that is cleared", |pass| {
            let clear = |encoder: &mut _| pass.net.output().reshape(&[pass.net.output().len()])?.encode_clear(encoder);
            gpu.submit(clear).expect("a submission");
        });
        if unroll.lengths {
            let shorter = vec![1; unroll.batch];
            let refused = pass.is_refused(gpu, "lengths", |pass| pass.net.set_lengths(&shorter).expect("lengths"));
            assert!(refused, "lengths are read again");
            pass.net.set_lengths(&vec![unroll.seq_len; unroll.batch]).expect("lengths");
        }
        if config.dropout > 0.0 {
            let refused = pass.is_refused(gpu, "the seed", |pass| pass.net.set_dropout_seed(8).expect("a seed"));
            assert!(refused, "masks are drawn again");
        }
        let weights = pollster::block_on(pass.layer.read_weights()).expect("weights");
        let restore = |pass: &Pass| pass.layer.set_weights(&weights).expect("weights");
        let names: Vec<String> = pass.layer.parameters().named(&config).map(|(name, _)| name).collect();
        for (index, name) in names.iter().enumerate() {
            let refused = pass.is_refused(gpu, name, |pass| {
                fill(pass.layer.parameters().tensors().nth(index).expect("a parameter"));
            });
            assert!(refused || !name.starts_with("weight_hh"), "{config:?}: {name} is read again");
            restore(&pass);
        }
        let swap = |pass: &Pass| {
            let other = Recurrent::new(gpu, config.clone(), 9).expect("a layer");
            let copy = |encoder: &mut _| pass.layer.parameters().encode_copy_from(encoder, other.parameters());
            gpu.submit(copy).expect("a submission");
        };
        assert!(pass.is_refused(gpu, "weights that are swapped", swap), "{config:?}");
        restore(&pass);
        assert!(!pass.is_refused(gpu, "nothing", |_| ()), "{config:?}");
    }
}

/// Gradients, and what only the forward pass reads.
fn what_may_change(gpu: &Gpu) {
    let layer = Recurrent::new(gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let h0 = Tensor::zeros(gpu, &[1, 3, 5]).expect("a tensor");
    let places = ExternalTensors { h0: Some(h0.clone()), ..ExternalTensors::default() };
    let mut net = layer.unroll_with(Unroll::training(4, 3), &places).expect("an unroll");
    let mut other = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        h0.encode_clear(encoder)?;
        net.d_output()?.encode_clear(encoder)?;
        net.d_h_n()?.encode_clear(encoder)?;
        // Another unroll of the same weights has its own states.
        other.encode_forward(encoder)?;
        net.gradients()?.h0.encode_clear(encoder)?;
        net.encode_backward(encoder)?;
        other.encode_backward(encoder)
    })
    .expect("nothing that is read again");
}

/// The output of one layer is the input of the next: a second pass of the first one changes it.
fn layers_on_each_other(gpu: &Gpu) {
    let below = Recurrent::new(gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let above = Recurrent::new(gpu, GruConfig::new(5, 4), 4).expect("a layer");
    let mut below = below.unroll(Unroll::training(4, 3)).expect("an unroll");
    let places = ExternalTensors { input: Some(below.output().clone()), ..ExternalTensors::default() };
    let mut above = above.unroll_with(Unroll::training(4, 3), &places).expect("an unroll");
    gpu.submit(|encoder| {
        for _ in 0..2 {
            below.encode_forward(encoder)?;
            above.encode_forward(encoder)?;
            above.encode_backward(encoder)?;
            below.encode_backward(encoder)?;
        }
        below.encode_forward(encoder)?;
        above.encode_forward(encoder)?;
        below.encode_forward(encoder)?;
        assert_error(above.encode_backward(encoder), &changed("input"));
        below.encode_backward(encoder)
    })
    .expect("a submission");
}

/// Writes to one part of a buffer are none to another part.
fn one_buffer_of_two_tensors(gpu: &Gpu) {
    let layer = Recurrent::new(gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let frames = Tensor::zeros(gpu, &[8, 3, 2]).expect("a tensor");
    let [now, next] = [0..4, 4..8].map(|range| frames.outer(range).expect("a part"));
    let places = ExternalTensors { input: Some(now.clone()), ..ExternalTensors::default() };
    let mut net = layer.unroll_with(Unroll::training(4, 3), &places).expect("an unroll");
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        next.encode_clear(encoder)?;
        net.encode_backward(encoder)?;
        net.encode_forward(encoder)?;
        frames.outer(3..5)?.encode_clear(encoder)?;
        assert_error(net.encode_backward(encoder), &changed("input"));
        Ok(())
    })
    .expect("a submission");
}

/// The state of a stream as the input of another layer: whatever the stream does with it is a write.
fn rows_of_a_stream(gpu: &Gpu) {
    let agents = Recurrent::new(gpu, GruConfig::new(2, 4).num_layers(2), 3).expect("a layer");
    let mut stream = agents.stream(StreamOptions::new(3)).expect("a stream");
    let snapshot = stream.snapshot().expect("a snapshot");
    let layer = Recurrent::new(gpu, GruConfig::new(4, 5), 3).expect("a layer");
    let places = ExternalTensors { input: Some(stream.state().clone()), ..ExternalTensors::default() };
    let mut net = layer.unroll_with(Unroll::training(2, 3), &places).expect("an unroll");
    type Change<'a> = (&'a str, bool, &'a dyn Fn(&mut Stream, &mut wgpu::CommandEncoder) -> Result<(), Error>);
    let changes: [Change<'_>; 7] = [
        ("a step", true, &|stream, encoder| stream.encode_step(encoder)),
        ("all rows begin anew", true, &|stream, encoder| stream.encode_reset(encoder)),
        ("a row begins anew", true, &|stream, encoder| stream.encode_reset_rows(encoder, &[1])),
        ("a row is copied", true, &|stream, encoder| stream.encode_copy_rows(encoder, &[(0, 2)])),
        ("all rows come back", true, &|stream, encoder| stream.encode_restore(encoder, &snapshot)),
        ("a row comes back", true, &|stream, encoder| stream.encode_restore_rows(encoder, &snapshot, &[(0, 1)])),
        ("they are saved", false, &|stream, encoder| stream.encode_save(encoder, &snapshot)),
    ];
    for (what, is_write, change) in changes {
        let mut commands = encoder(gpu);
        net.encode_forward(&mut commands).expect("a forward pass");
        change(&mut stream, &mut commands).expect(what);
        match net.encode_backward(&mut commands) {
            Ok(()) => assert!(!is_write, "{what}"),
            Err(error) if is_write => assert_error::<()>(Err(error), &changed("input")),
            Err(error) => panic!("{what}: {error}"),
        }
        gpu.queue().submit([commands.finish()]);
    }
}

/// Issue C5: a forward pass that never ran has saved nothing.
fn an_encoder_that_is_dropped(gpu: &Gpu) {
    let gpu = own(gpu);
    let layer = Recurrent::new(&gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    let refused = |net: &mut Unrolled| {
        assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
        assert_error(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::BackwardWithoutForward);
    };
    let mut dropped = encoder(&gpu);
    net.encode_forward(&mut dropped).expect("it is recorded");
    drop(dropped);
    refused(&mut net);
    // A command buffer that is dropped.
    let mut finished = encoder(&gpu);
    net.encode_forward(&mut finished).expect("it is recorded");
    drop(finished.finish());
    refused(&mut net);
    // The convenient form, whose recording fails behind the forward pass.
    let failed = gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        Err::<(), _>(Error::NotTraining)
    });
    assert_error(failed, &Error::NotTraining);
    refused(&mut net);
    // One that is submitted later, with others in between that are dropped after they were used up.
    let mut kept = encoder(&gpu);
    net.encode_forward(&mut kept).expect("it is recorded");
    let kept = kept.finish();
    gpu.queue().submit([kept]);
    gpu.wait_blocking().expect("the GPU is done");
    net.backward(None, None).expect("it has run");
    for _ in 0..3 {
        gpu.submit(|encoder| net.encode_forward(encoder)).expect("a submission");
        net.backward(None, None).expect("it runs, done or not");
    }
}

fn a_pass_that_is_dropped(gpu: &Gpu) {
    let layer = Recurrent::new(gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    for submits in [false, true] {
        let mut commands = encoder(gpu);
        let mut pass = commands.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        net.record_forward(&mut pass).expect("it is recorded");
        drop(pass);
        if submits {
            gpu.queue().submit([commands.finish()]);
            net.backward(None, None).expect("it runs");
        } else {
            drop(commands);
            assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
        }
    }
}

/// Issue F5: states of the layer itself are first states of its next pass, wherever they lie.
fn forward_from_its_own_states(gpu: &Gpu) {
    for (batch, hidden) in [(3, 5), (8, 8), (4, 16)] {
        for layers in [1, 2] {
            let config = GruConfig::new(2, hidden).num_layers(layers);
            let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
            let numbers = Batch::random(&config, 4, batch, 5);
            let x = tensor(gpu, &[4, batch, 2], &numbers.x);
            let [mut net, mut other] = [0, 1].map(|_| layer.unroll(Unroll::inference(4, batch)).expect("an unroll"));
            let out = net.forward(&x, None).expect("a forward pass");
            let copy = |source: &Tensor| tensor(gpu, source.shape(), &read(source));
            let h_n = copy(&out.h_n);
            let out = net.forward(&x, Some(&out.h_n)).expect("from its own last states");
            let expected = other.forward(&x, Some(&h_n)).expect("from a copy of them");
            assert_eq!(bits(&out.output), bits(&expected.output), "{batch} x {hidden}, {layers} layers");
            if layers == 1 {
                let own = out.output.outer(1..2).expect("after the second step");
                let taken = copy(&own);
                let out = net.forward(&x, Some(&own)).expect("from its own output");
                let expected = other.forward(&x, Some(&taken)).expect("from a copy of it");
                assert_eq!(bits(&out.output), bits(&expected.output), "{batch} x {hidden}");
            }
            // Two parts of one buffer of the app.
            let both = Tensor::zeros(gpu, &[2, layers, batch, hidden]).expect("a tensor");
            let part = |at: usize| both.outer(at..at + 1).and_then(|part| part.reshape(&[layers, batch, hidden]));
            let places = ExternalTensors { h0: part(0).ok(), h_n: part(1).ok(), ..ExternalTensors::default() };
            if hidden % 4 == 0 {
                let mut net = layer.unroll_with(Unroll::inference(4, batch), &places).expect("an unroll");
                let out = net.forward(&x, None).expect("a forward pass");
                assert_eq!(bits(&out.h_n), bits(&h_n), "the same pass");
                let out = net.forward(&x, Some(&out.h_n)).expect("from its own last states");
                let expected = other.forward(&x, Some(&h_n)).expect("from a copy of them");
                assert_eq!(bits(&out.output), bits(&expected.output), "{batch} x {hidden}, {layers} layers");
                gpu.submit(|encoder| net.encode_carry_state(encoder)).expect("a copy");
            }
        }
    }
}

/// Before lengths are set they are all T.
fn lengths_are_whole_at_first(gpu: &Gpu) {
    for direction in [wgpu_gru::Direction::Forward, wgpu_gru::Direction::Bidirectional] {
        let config = GruConfig::new(2, 5).direction(direction);
        let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
        let batch = Batch::random(&config, 4, 3, 5);
        let x = tensor(gpu, &[4, 3, 2], &batch.x);
        let results = |net: &mut Unrolled| {
            let out = net.forward(&x, None).expect("a forward pass");
            [bits(&out.output), bits(&out.h_n)]
        };
        let expected = results(&mut layer.unroll(Unroll::inference(4, 3)).expect("an unroll"));
        let mut net = layer.unroll(Unroll::inference(4, 3).lengths(true)).expect("an unroll");
        assert_eq!(results(&mut net), expected, "no length was set");
        net.set_lengths(&[4, 3, 4]).expect("lengths");
        assert_ne!(results(&mut net), expected, "one that is shorter");
    }
}
