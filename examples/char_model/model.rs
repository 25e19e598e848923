//! The model: an embedding, a GRU, and a linear head on the characters of the alphabet.

use std::path::Path;

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Embedding, LearningRate, Linear, Loss, UnrolledEmbedding, UnrolledLinear};
use wgpu_gru::{ExternalTensors, Gpu, Gru, GruConfig, Result, StateDict, StreamOptions, Tensor, Unroll, Unrolled};

/// Characters that a training step looks at in each of the rows.
pub(crate) const SEQ_LEN: usize = 64;
/// Rows: so many places of the text are read at a time.
pub(crate) const BATCH: usize = 16;
const DIM: usize = 32;
const HIDDEN: usize = 128;
const RATE: f32 = 0.006;

pub(crate) struct Model {
    gpu: Gpu,
    embedding: Embedding,
    gru: Gru,
    linear: Linear,
}

impl Model {
    pub(crate) fn new(gpu: &Gpu, alphabet: usize, seed: u64) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            embedding: Embedding::new(gpu, alphabet, DIM, seed)?,
            gru: Gru::new(gpu, GruConfig::new(DIM, HIDDEN), seed.wrapping_add(1))?,
            linear: Linear::new(gpu, HIDDEN, alphabet, seed.wrapping_add(2))?,
        })
    }

    fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.embedding.named("embedding.").chain(self.gru.named("gru.")).chain(self.linear.named("head."))
    }

    /// Bits a character of a text: as many rows as in training read a part of it each, from a state of zeros. What is left
    /// of a part, less than a segment, is not read.
    pub(crate) fn bits(&self, text: &[usize]) -> Result<f64> {
        let words = self.embedding.unroll_inference(&Tensor::zeros(&self.gpu, &[SEQ_LEN, BATCH])?)?;
        let places = ExternalTensors { input: Some(words.output().clone()), ..ExternalTensors::default() };
        let mut net = self.gru.unroll_with(Unroll::inference(SEQ_LEN, BATCH), &places)?;
        let head = self.linear.unroll_inference(net.output())?;
        let loss = Loss::cross_entropy(head.output(), None)?;
        let (mut nats, segments) = (0.0, Segments::new(text));
        for segment in 0..segments.count() {
            let (input, expected) = segments.get(segment);
            words.write_indices(&input)?;
            loss.write_classes(&expected)?;
            self.gpu.submit(|encoder| {
                words.encode_forward(encoder);
                net.encode_forward(encoder)?;
                head.encode_forward(encoder);
                loss.encode(encoder);
                net.encode_carry_state(encoder)
            })?;
            nats += f64::from(loss.loss().read_blocking()?[0]);
        }
        Ok(nats / segments.count() as f64 / std::f64::consts::LN_2)
    }

    /// Goes on with a text, each character drawn from the softmax of its logits by a temperature: under 1 what is likely
    /// becomes likelier.
    pub(crate) fn write(&self, begin: &[usize], len: usize, temperature: f32, seed: u64) -> Result<Vec<usize>> {
        let word = self.embedding.unroll_inference(&Tensor::zeros(&self.gpu, &[1, 1])?)?;
        let places = ExternalTensors { input: Some(word.output().clone()), ..ExternalTensors::default() };
        let stream = self.gru.stream_with(StreamOptions::new(1), &places)?;
        let head = self.linear.unroll_inference(stream.output())?;
        let mut random = SplitMix64::new(seed);
        let mut text = begin.to_vec();
        for place in 0..begin.len() + len - 1 {
            word.write_indices(&[text[place]])?;
            self.gpu.submit(|encoder| {
                word.encode_forward(encoder);
                stream.encode_step(encoder)?;
                head.encode_forward(encoder);
                Ok(())
            })?;
            if place + 1 == text.len() {
                text.push(draw(&head.output().read_blocking()?, temperature, &mut random));
            }
        }
        Ok(text.split_off(begin.len()))
    }
}

/// A number drawn by its probability, softmax(logits / temperature).
fn draw(logits: &[f32], temperature: f32, random: &mut SplitMix64) -> usize {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| ((logit - highest) / temperature).exp()).collect();
    let mut left = (0.5 + 0.5 * random.next_f32()) * weights.iter().sum::<f32>();
    let drawn = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    drawn.unwrap_or(weights.len() - 1)
}

/// A text in as many parts as there are rows, each cut into segments, `[T, B]`.
struct Segments<'a> {
    text: &'a [usize],
    /// The characters of a part.
    len: usize,
}

impl<'a> Segments<'a> {
    fn new(text: &'a [usize]) -> Self {
        // What is expected comes one character later.
        Self { text, len: (text.len() - 1) / BATCH }
    }

    fn count(&self) -> usize {
        self.len / SEQ_LEN
    }

    /// The characters of a segment, and those that come after each.
    fn get(&self, segment: usize) -> (Vec<usize>, Vec<usize>) {
        let place = |index: usize| index % BATCH * self.len + segment * SEQ_LEN + index / BATCH;
        let of = |ahead: usize| (0..SEQ_LEN * BATCH).map(|index| self.text[place(index) + ahead]).collect();
        (of(0), of(1))
    }
}

/// What a training run needs besides the model.
pub(crate) struct Training<'a> {
    model: &'a Model,
    segments: Segments<'a>,
    words: UnrolledEmbedding,
    net: Unrolled,
    head: UnrolledLinear,
    loss: Loss,
    adam: Adam,
    rate: LearningRate,
    /// Steps that were taken.
    pub(crate) step: usize,
}

impl<'a> Training<'a> {
    pub(crate) fn new(model: &'a Model, text: &'a [usize], steps: usize) -> Result<Self> {
        let words = model.embedding.unroll(&Tensor::zeros(&model.gpu, &[SEQ_LEN, BATCH])?)?;
        let (input, d_input) = (Some(words.output().clone()), Some(words.d_output().clone()));
        let places = ExternalTensors { input, d_input, ..ExternalTensors::default() };
        let net = model.gru.unroll_with(Unroll::training(SEQ_LEN, BATCH), &places)?;
        let head = model.linear.unroll(net.output(), net.d_output()?)?;
        let loss = Loss::cross_entropy(head.output(), head.d_output())?;
        let options = AdamOptions { learning_rate: RATE, max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(words.pairs().into_iter().chain(net.pairs()?).chain(head.pairs()), &options)?;
        let rate = LearningRate::cosine(RATE, steps as u64, 0.05 * RATE)?.warm_up(10, 0.1)?;
        Ok(Self { model, segments: Segments::new(text), words, net, head, loss, adam, rate, step: 0 })
    }

    /// One step: the rows go on where they were, and begin again where the text ends.
    pub(crate) fn step(&mut self) -> Result<()> {
        let segment = self.step % self.segments.count();
        let (input, expected) = self.segments.get(segment);
        self.words.write_indices(&input)?;
        self.loss.write_classes(&expected)?;
        self.adam.set_learning_rate(self.rate.at(self.step as u64))?;
        let Self { words, net, head, loss, adam, .. } = self;
        self.model.gpu.submit(|encoder| {
            if segment == 0 {
                net.h0().encode_clear(encoder)?;
            }
            words.encode_forward(encoder);
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            words.encode_backward(encoder)?;
            adam.encode(encoder);
            net.encode_carry_state(encoder)
        })?;
        self.step += 1;
        Ok(())
    }

    /// The loss of the last step, bits a character.
    pub(crate) fn loss(&self) -> Result<f32> {
        Ok(self.loss.loss().read_blocking()?[0] / std::f32::consts::LN_2)
    }

    /// All that the run changes, the states of the rows among it.
    fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.model.named().chain(self.adam.named("adam.")).chain([("h0".to_owned(), self.net.h0())])
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut checkpoint = StateDict::read_blocking(self.named())?;
        checkpoint.metadata_mut().insert("step".into(), self.step.to_string());
        checkpoint.save(path)
    }

    /// Goes on where a checkpoint ends.
    pub(crate) fn resume(&mut self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let checkpoint = StateDict::load(path)?;
        let step = checkpoint.metadata().get("step").and_then(|step| step.parse().ok());
        let step = step.ok_or_else(|| format!("{} has no number of its step", path.display()))?;
        checkpoint.write(self.named())?;
        self.step = step;
        Ok(())
    }
}
