//! The model of g2p_en: a GRU reads a word letter by letter, and its last state is the first one of another GRU, which
//! says the word phoneme by phoneme. What it says is what it reads next.
//!
//! ```text
//!   letters [T, B]                          picked [1, B], the start token at first <-----------.
//!      | embedding                             | embedding                                      |
//!      v                                       v                                                |
//!   encoder, T steps, with lengths          decoder, one step of a Stream                       |
//!      |                                       ^ |                                              |
//!      '----------> state [1, B, 256] <--------' | linear head                                  |
//!                                                v                                              |
//!                                             logits [1, B, 74] -> argmax, a shader ------------'
//! ```

use wgpu_gru::train::{Embedding, EmbeddingInference, Linear, LinearInference};
use wgpu_gru::{ExternalTensors, Gpu, Gru, Result, StateDict, Stream, StreamOptions, Tensor, Unroll, Unrolled};

use super::argmax::Argmax;
use super::symbols::{END, START, letters};

/// So many words are said at a time, or fewer.
const MAX_BATCH: usize = 256;

/// The weights on the GPU.
#[derive(Debug)]
pub(crate) struct Model {
    gpu: Gpu,
    letters: Embedding,
    encoder: Gru,
    phonemes: Embedding,
    decoder: Gru,
    head: Linear,
}

impl Model {
    /// All sizes follow from the shapes of the arrays.
    pub(crate) fn new(gpu: &Gpu, dict: &StateDict) -> Result<Self> {
        let gru = |prefix| Gru::from_state_dict(gpu, dict.gru_config(prefix)?, dict, prefix).map(|(gru, _)| gru);
        let table = |prefix| Embedding::from_state_dict(gpu, dict, prefix).map(|(table, _)| table);
        Ok(Self {
            gpu: gpu.clone(),
            letters: table("letters.")?,
            encoder: gru("encoder.")?,
            phonemes: table("phonemes.")?,
            decoder: gru("decoder.")?,
            head: Linear::from_state_dict(gpu, dict, "head.")?.0,
        })
    }

    /// Of each word the numbers of its phonemes, up to `steps` of them, a batch of words at a time.
    pub(crate) fn pronounce(&self, words: &[impl AsRef<str>], steps: usize) -> Result<Vec<Vec<usize>>> {
        let words: Vec<Vec<usize>> = words.iter().map(|word| letters(word.as_ref())).collect();
        let seq_len = words.iter().map(Vec::len).max().unwrap_or(1);
        let mut speaker = self.speaker(seq_len, words.len().clamp(1, MAX_BATCH), steps)?;
        let mut said = Vec::new();
        for batch in words.chunks(MAX_BATCH) {
            said.extend(speaker.say(batch)?);
        }
        Ok(said)
    }

    /// Room for a batch of words of up to `seq_len` letters, the end of the word among them, of each of which `steps`
    /// phonemes are said. Everything is made here, once.
    fn speaker(&self, seq_len: usize, batch: usize, steps: usize) -> Result<Speaker> {
        let gpu = &self.gpu;
        // The encoder leaves its state where the decoder has its own.
        let state = Tensor::zeros(gpu, &[1, batch, self.encoder.config().hidden_size])?;

        let letters = self.letters.unroll_inference(&Tensor::zeros(gpu, &[seq_len, batch])?)?;
        let places = ExternalTensors {
            input: Some(letters.output().clone()),
            h_n: Some(state.clone()),
            ..ExternalTensors::default()
        };
        let encoder = self.encoder.unroll_with(Unroll::inference(seq_len, batch).lengths(true), &places)?;

        let picked = Tensor::zeros(gpu, &[1, batch])?;
        let phoneme = self.phonemes.unroll_inference(&picked)?;
        let places =
            ExternalTensors { input: Some(phoneme.output().clone()), h0: Some(state), ..ExternalTensors::default() };
        let decoder = self.decoder.stream_with(StreamOptions::new(batch), &places)?;
        let head = self.head.unroll_inference(decoder.output())?;
        let argmax = Argmax::new(head.output(), &picked)?;
        let said = Tensor::zeros(gpu, &[steps, batch])?;
        Ok(Speaker { gpu: gpu.clone(), letters, encoder, phoneme, decoder, head, argmax, picked, said })
    }
}

/// The model, laid out for a batch of words.
#[derive(Debug)]
struct Speaker {
    gpu: Gpu,
    letters: EmbeddingInference,
    encoder: Unrolled,
    phoneme: EmbeddingInference,
    decoder: Stream,
    head: LinearInference,
    argmax: Argmax,
    /// `[1, B]`: the last phoneme of each word.
    picked: Tensor,
    /// `[steps, B]`: all of them.
    said: Tensor,
}

impl Speaker {
    /// Says words, given as the numbers of their letters, of which there are as many as rows or fewer.
    ///
    /// One submission, and one wait at its end: between the steps the CPU is not asked.
    fn say(&mut self, words: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        self.write(words)?;
        let steps = self.said.shape()[0];
        let Self { letters, encoder, phoneme, decoder, head, argmax, picked, said, .. } = self;
        self.gpu.submit(|commands| {
            letters.encode_forward(commands);
            encoder.encode_forward(commands)?;
            for step in 0..steps {
                phoneme.encode_forward(commands);
                decoder.encode_step(commands)?;
                head.encode_forward(commands);
                argmax.encode(commands);
                said.outer(step..step + 1)?.encode_copy_from(commands, picked)?;
            }
            Ok(())
        })?;
        // The shader wrote whole numbers, which a tensor hands out as the f32 of the same bits.
        let said: Vec<usize> = self.said.read_blocking()?.iter().map(|number| number.to_bits() as usize).collect();
        let batch = self.picked.len();
        // A row whose word has ended went on with the others: that is left out.
        let row =
            |row: usize| (0..steps).map(|step| said[step * batch + row]).take_while(|&number| number != END).collect();
        Ok((0..words.len()).map(row).collect())
    }

    /// The letters of all words, `[T, B]`, how many each has, and the start token. A row without a word has length 0.
    fn write(&self, words: &[Vec<usize>]) -> Result<()> {
        let [seq_len, batch] = [self.letters.output().shape()[0], self.picked.len()];
        let mut numbers = vec![0; seq_len * batch];
        let mut lengths = vec![0; batch];
        for (row, word) in words.iter().enumerate() {
            lengths[row] = word.len();
            for (step, &letter) in word.iter().enumerate() {
                numbers[step * batch + row] = letter;
            }
        }
        self.letters.write_indices(&numbers)?;
        self.encoder.set_lengths(&lengths)?;
        self.phoneme.write_indices(&vec![START; batch])
    }
}
