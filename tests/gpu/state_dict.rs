//! Layers from files that PyTorch wrote, its numbers forward and backward, and many tensors read at a time.

use wgpu_gru::train::{Adam, AdamOptions, Embedding, Linear, Loss, UnrolledEmbedding, UnrolledLinear};
use wgpu_gru::{
    Array, Error, ExternalTensors, Gpu, Gru, GruConfig, Rnn, StateDict, Tensor, Tolerance, Unroll, Unrolled, Weights,
};

use crate::support::{assert_close, assert_error, bits, open, own, read, record, shape, tensor, zeros};

trials![
    a_model_of_pytorch,
    written_and_read,
    a_run_goes_on_from_a_checkpoint,
    nothing_is_written_where_one_does_not_fit,
    many_in_one_wait,
    more_than_a_buffer_holds,
];

/// `classes` of the file, which are whole numbers of 64 bits.
const CLASSES: [usize; 18] = [4, 0, 0, 4, 1, 1, 5, 1, 6, 4, 1, 6, 3, 0, 0, 3, 5, 5];

fn golden(bytes: &[u8]) -> StateDict {
    StateDict::from_safetensors(bytes).expect("a file that PyTorch wrote")
}

/// The model of `tests/golden/generate_state_dict.py`: what PyTorch makes of it in f64, and the gradient of every weight.
fn a_model_of_pytorch(gpu: &Gpu) {
    let model = golden(include_bytes!("../golden/state_dict/model.safetensors"));
    let numbers = golden(include_bytes!("../golden/state_dict/numbers.safetensors"));
    let array = |name: &str| numbers.get(name).unwrap_or_else(|error| panic!("{error}"));

    let config = model.gru_config("encoder.").expect("a GRU").batch_first(true);
    let (gru, report) = Gru::from_state_dict(gpu, config, &model, "encoder.").expect("a layer");
    assert_eq!((report.used.len(), report.unused.len()), (16, 0), "the encoder");
    let config = model.rnn_config("rnn.").expect("an RNN").batch_first(true).nonlinearity(wgpu_gru::Activation::Relu);
    let (rnn, report) = Rnn::from_state_dict(gpu, config, &model, "rnn.").expect("a layer");
    assert_eq!(report.used, ["rnn.weight_ih_l0", "rnn.weight_hh_l0"], "no biases");
    let (linear, report) = Linear::from_state_dict(gpu, &model, "head.").expect("a head");
    assert_eq!((report.used.len(), report.unused.len()), (2, 0), "the head");

    let (embedding, report) = Embedding::from_state_dict(gpu, &model, "embedding.").expect("a table");
    assert_eq!((report.used.len(), report.unused.len()), (1, 0), "the table");

    let embedded = array("embedded");
    let [batch, seq_len, _] = *embedded.shape() else { panic!("{:?}", embedded.shape()) };
    let words = embedding.unroll(&zeros(gpu, &[batch, seq_len])).expect("an unroll");
    let (input, d_input) = (Some(words.output().clone()), Some(words.d_output().clone()));
    let places = ExternalTensors { input, d_input, ..ExternalTensors::default() };
    let mut encoder = gru.unroll_with(Unroll::training(seq_len, batch), &places).expect("an unroll");
    let mut upper = rnn.unroll(Unroll::training(seq_len, batch)).expect("an unroll");
    let head = linear.unroll(upper.output(), upper.d_output().expect("a gradient")).expect("a head");
    words.write_indices(&CLASSES).expect("classes");
    head.d_output().write(array("d_output").values()).expect("a write");
    record(gpu, |commands| {
        words.encode_forward(commands);
        encoder.encode_forward(commands).expect("forward");
        upper.input().encode_copy_from(commands, encoder.output()).expect("a copy");
        upper.encode_forward(commands).expect("forward");
        head.encode_forward(commands);
        head.encode_backward(commands).expect("backward");
        upper.encode_backward(commands).expect("backward");
        let d_input = upper.gradients().expect("gradients").input.clone().expect("d_input");
        encoder.d_output().expect("a gradient").encode_copy_from(commands, &d_input).expect("a copy");
        encoder.encode_backward(commands).expect("backward");
        words.encode_backward(commands).expect("backward");
    });

    // Two layers up and down, a third, and a head: 6 steps of 5 units, and sums over 18 rows.
    let tolerance = Tolerance::through_time(18, 4 * seq_len);
    let [d_encoder, d_upper] = [&encoder, &upper].map(|net| net.gradients().expect("gradients"));
    let mut made: Vec<(String, &Tensor)> = vec![("output".into(), head.output())];
    made.extend(d_encoder.parameters.named(gru.config()).map(|(name, d)| (format!("d_encoder.{name}"), d)));
    made.extend(d_upper.parameters.named(rnn.config()).map(|(name, d)| (format!("d_rnn.{name}"), d)));
    made.extend([("embedded".into(), words.output()), ("d_embedding.weight".into(), words.gradients()[0])]);
    made.extend(["d_head.weight", "d_head.bias"].map(String::from).into_iter().zip(head.gradients()));
    assert_eq!(made.len(), 1 + 16 + 2 + 2 + 2, "every parameter");
    for (name, tensor) in made {
        let expected = array(&name);
        assert_eq!(tensor.shape(), expected.shape(), "{name}");
        assert_close(&name, &read(tensor), expected.values(), tolerance);
        let largest = expected.values().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!(f64::from(largest) > 100.0 * tolerance.abs, "{name}: numbers to compare with, up to {largest}");
    }
}

/// What is read, saved, loaded and written is the same to the bit, by one call for a whole model.
fn written_and_read(gpu: &Gpu) {
    let config = GruConfig::new(3, 5).num_layers(2);
    let model =
        |seed| (Gru::new(gpu, config.clone(), seed).expect("a layer"), Linear::new(gpu, 5, 2, seed).expect("a head"));
    let ((gru, head), (other_gru, other_head)) = (model(1), model(2));
    let before = StateDict::read_blocking(gru.named("gru.").chain(head.named("head."))).expect("a state dict");
    assert_eq!(before.names().count(), 8 + 2, "of two layers and a head");
    assert_eq!(before.weights("gru.", gru.config()).expect("weights"), Weights::random(&config, 1), "on the host");

    let file = golden(&before.to_safetensors().expect("a file"));
    assert_eq!(file, before, "through a file");
    let report = file.write(other_gru.named("gru.").chain(other_head.named("head."))).expect("written");
    assert_eq!((report.used.len(), report.unused.len()), (10, 0), "all of them");
    assert_eq!(
        pollster::block_on(StateDict::read(other_gru.named("gru.").chain(other_head.named("head.")))).expect("read"),
        before,
        "written"
    );
    assert_eq!(other_gru.read_weights_blocking().expect("weights"), Weights::random(&config, 1), "on the host");

    let report = file.write(other_head.named("head.")).expect("written");
    assert_eq!(
        (report.used, report.unused.len()),
        (vec!["head.weight".into(), "head.bias".into()], 8),
        "the head alone"
    );
    assert_eq!(StateDict::read_blocking([]).expect("nothing"), StateDict::new(), "of no tensor");
}

/// A model of classes that is trained: embedding, two layers with dropout between them, head, loss, and AdamW.
struct Training {
    embedding: Embedding,
    gru: Gru,
    linear: Linear,
    words: UnrolledEmbedding,
    net: Unrolled,
    head: UnrolledLinear,
    loss: Loss,
    adam: Adam,
}

impl Training {
    const SHAPE: [usize; 2] = [4, 3];

    fn new(gpu: &Gpu, seed: u64) -> wgpu_gru::Result<Self> {
        let [seq_len, batch] = Self::SHAPE;
        let embedding = Embedding::new(gpu, 7, 5, seed)?;
        let gru = Gru::new(gpu, GruConfig::new(5, 6).num_layers(2).dropout(0.5), seed)?;
        let linear = Linear::new(gpu, 6, 7, seed)?;
        let words = embedding.unroll(&zeros(gpu, &Self::SHAPE))?;
        let (input, d_input) = (Some(words.output().clone()), Some(words.d_output().clone()));
        let places = ExternalTensors { input, d_input, ..ExternalTensors::default() };
        let net = gru.unroll_with(Unroll::training(seq_len, batch), &places)?;
        net.set_dropout_seed(seed as u32)?;
        let head = linear.unroll(net.output(), net.d_output()?)?;
        let loss = Loss::cross_entropy(head.output(), head.d_output())?;
        let options =
            AdamOptions { learning_rate: 0.01, weight_decay: 0.1, max_norm: Some(0.5), ..AdamOptions::default() };
        let adam = Adam::new(net.pairs()?.chain(head.pairs()).chain(words.pairs()), &options)?;
        Ok(Self { embedding, gru, linear, words, net, head, loss, adam })
    }

    fn step(&mut self, gpu: &Gpu, step: usize) {
        let classes: Vec<usize> = (0..12).map(|place| (place * step + place / 5) % 7).collect();
        self.words.write_indices(&classes).expect("indices");
        self.loss.write_classes(&classes).expect("classes");
        gpu.submit(|encoder| {
            self.words.encode_forward(encoder);
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            self.loss.encode(encoder);
            self.head.encode_backward(encoder)?;
            self.net.encode_backward(encoder)?;
            self.words.encode_backward(encoder)?;
            self.adam.encode(encoder);
            Ok(())
        })
        .expect("a step");
    }

    fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let model = self.embedding.named("embedding.").chain(self.gru.named("gru.")).chain(self.linear.named("head."));
        model.chain(self.adam.named("adam."))
    }
}

/// A run that ends after any step and goes on in another process, from the bytes of a file, makes the bits of one that
/// never ended: weights, moments, masks of dropout.
fn a_run_goes_on_from_a_checkpoint(gpu: &Gpu) {
    const STEPS: usize = 6;
    let mut whole = Training::new(gpu, 1).expect("a model");
    let mut files = Vec::new();
    for step in 0..STEPS {
        let mut checkpoint = StateDict::read_blocking(whole.named()).expect("a checkpoint");
        let dropout = whole.net.dropout_state_blocking().expect("dropout");
        assert_eq!(dropout, [1, step as u32], "the seed, and as many passes as steps");
        checkpoint
            .metadata_mut()
            .extend([("step".into(), step.to_string()), ("dropout".into(), format!("{dropout:?}"))]);
        files.push(checkpoint.to_safetensors().expect("a file"));
        whole.step(gpu, step);
    }
    let end = StateDict::read_blocking(whole.named()).expect("the end");
    let loss = bits(whole.loss.loss());
    for (step, file) in files.iter().enumerate() {
        let checkpoint = golden(file);
        assert_eq!(checkpoint.metadata()["step"], step.to_string(), "its step");
        let mut other = Training::new(gpu, 2).expect("a model");
        let report = checkpoint.write(other.named()).expect("a whole checkpoint");
        assert_eq!(report.unused, Vec::<String>::new(), "nothing is left");
        let dropout: [u32; 2] = serde_json::from_str(&checkpoint.metadata()["dropout"]).expect("two numbers");
        other.net.set_dropout_state(dropout).expect("dropout");
        (step..STEPS).for_each(|step| other.step(gpu, step));
        assert_eq!(StateDict::read_blocking(other.named()).expect("the end"), end, "from step {step}");
        assert_eq!(bits(other.loss.loss()), loss, "from step {step}");
    }
}

fn nothing_is_written_where_one_does_not_fit(gpu: &Gpu) {
    let head = Linear::new(gpu, 5, 2, 1).expect("a head");
    let before: Vec<_> = head.parameters().into_iter().map(bits).collect();
    let mut dict = StateDict::new();
    dict.insert("weight", Array::new(&[2, 5], vec![7.0; 10]).expect("an array"));
    let found = vec!["weight".to_owned()];
    let twice = StateDict::read_blocking(head.named("").chain(head.named("")));
    assert_error(twice, &Error::DuplicateTensor { tensor: "weight".into() });
    assert_error(dict.write(head.named("")), &Error::MissingTensor { tensor: "bias".into(), found });
    let (without_bias, report) = Linear::from_state_dict(gpu, &dict, "").expect("a head without a bias");
    let names: Vec<_> = without_bias.named("head.").map(|(name, _)| name).collect();
    assert_eq!(names, ["head.weight"], "what it has");
    assert_eq!((report.used, report.unused), (vec!["weight".to_owned()], vec![]), "the report");
    dict.insert("bias", Array::new(&[1, 2], vec![7.0; 2]).expect("an array"));
    assert_error(dict.write(head.named("")), &shape("bias", &[2], &[1, 2]));
    assert_eq!(head.parameters().into_iter().map(bits).collect::<Vec<_>>(), before, "nothing was written");
    assert_error(Linear::from_state_dict(gpu, &dict, "").map(|_| ()), &shape("bias", &[2], &[1, 2]));
    dict.insert("weight", Array::new(&[10], vec![7.0; 10]).expect("an array"));
    assert_error(Linear::from_state_dict(gpu, &dict, "").map(|_| ()), &shape("weight", &[10, 1], &[10]));
}

/// Every tensor as it is when it is asked for, in the order in which it was asked for, and the same one twice.
fn many_in_one_wait(gpu: &Gpu) {
    let hosts: Vec<Vec<f32>> = (1..40).map(|len| (0..len * 7).map(|i| (len * 1000 + i) as f32).collect()).collect();
    let tensors: Vec<_> = hosts.iter().map(|host| tensor(gpu, &[host.len()], host)).collect();
    let mut asked: Vec<_> = tensors.iter().rev().collect();
    asked.push(&tensors[3]);
    let expected: Vec<_> = hosts.iter().rev().chain([&hosts[3]]).cloned().collect();
    assert_eq!(Tensor::read_all_blocking(&asked).expect("read"), expected, "in this order");
    let under_way = Tensor::read_all(&asked);
    assert_eq!(pollster::block_on(under_way).expect("read"), expected, "in this order");
    let part = tensors[5].outer(3..9).expect("a part");
    assert_eq!(
        Tensor::read_all_blocking(&[&part, &tensors[0]]).expect("read"),
        [hosts[5][3..9].to_vec(), hosts[0].clone()],
        "a part"
    );
    assert_eq!(Tensor::read_all_blocking(&[]).expect("nothing"), Vec::<Vec<f32>>::new(), "of no tensor");

    let foreign = zeros(&own(gpu), &[1]);
    assert_error(
        Tensor::read_all_blocking(&[&tensors[0], &foreign]),
        &Error::ForeignDevice { tensor: "tensor to read".into() },
    );
}

/// On a device with small buffers several of them are mapped, in one wait all the same.
fn more_than_a_buffer_holds(gpu: &Gpu) {
    let mut limits = gpu.device().limits();
    (limits.max_buffer_size, limits.max_storage_buffer_binding_size) = (4096, 4096);
    let small = open(gpu, limits);
    let hosts: Vec<Vec<f32>> =
        [1024, 1, 1023, 2, 1024, 500, 500, 500].map(|len| (0..len).map(|i| (len + i) as f32).collect()).to_vec();
    let tensors: Vec<_> = hosts.iter().map(|host| tensor(&small, &[host.len()], host)).collect();
    let asked: Vec<_> = tensors.iter().collect();
    for _ in 0..3 {
        assert_eq!(Tensor::read_all_blocking(&asked).expect("read"), hosts, "all of them");
        assert_eq!(pollster::block_on(Tensor::read_all(&asked)).expect("read"), hosts, "all of them");
    }
}
