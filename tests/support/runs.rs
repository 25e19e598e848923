//! Small models that PyTorch trained for 20 steps, with every loss: `tests/golden/train/runs.json`.

use serde::Deserialize;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{CellWeights, Config, GruConfig, RnnConfig, Weights};

use super::steps::{self, STEPS};
use super::train::{Kind, read};

/// An embedding where there is a vocabulary, a recurrent layer, a linear head, a loss and an optimiser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// T, B, inputs, hidden units, outputs of the head.
    pub(crate) sizes: [usize; 5],
    pub(crate) optimiser: steps::Kind,
    pub(crate) options: steps::Options,
    pub(crate) max_norm: Option<f32>,
    pub(crate) clip_value: Option<f32>,
    cell: CellName,
    pub(crate) batch_first: bool,
    /// Whether the head reads the last states, not the output of each step.
    pub(crate) of_last: bool,
    /// Rows of the embedding.
    pub(crate) vocabulary: Option<usize>,
    pub(crate) padding_idx: Option<usize>,
    counted: Counted,
    pub(crate) ignore_index: Option<i64>,
    /// Of the `SplitMix64` that all that goes in is drawn from.
    seed: u64,
    /// Of each step.
    pub(crate) losses: Vec<f64>,
    /// After the last step, one behind the other.
    parameters: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CellName {
    Gru,
    Rnn,
}

/// Which rows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counted {
    All,
    Mask,
    Weights,
    Lengths,
}

/// What goes into a run.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// In the order of [`Run::shapes`].
    pub(crate) parameters: Vec<Vec<f32>>,
    pub(crate) steps: Vec<Batch>,
}

/// What goes into a step.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Of the rows of the layer.
    pub(crate) lengths: Option<Vec<usize>>,
    /// Of a run without an embedding, `[T, B, I]` or batch-first.
    pub(crate) x: Vec<f32>,
    /// Of one with an embedding.
    pub(crate) indices: Vec<u32>,
    /// Of a loss without classes. NaN in a row that does not count.
    pub(crate) numbers: Vec<f32>,
    pub(crate) classes: Vec<u32>,
    /// Of the rows of the loss.
    pub(crate) weights: Option<Vec<f32>>,
}

/// Whole numbers below a bound, from a uniform number each.
fn below(uniform: &mut SplitMix64, count: usize, bound: usize) -> Vec<usize> {
    uniform.vec(count, 1.0).into_iter().map(|x| ((f64::from(x) + 1.0) / 2.0 * bound as f64) as usize).collect()
}

impl Run {
    pub(crate) fn config(&self) -> Config {
        let [_, _, inputs, hidden, _] = self.sizes;
        match self.cell {
            CellName::Gru => GruConfig::new(inputs, hidden).batch_first(self.batch_first).erased(),
            CellName::Rnn => RnnConfig::new(inputs, hidden).batch_first(self.batch_first).erased(),
        }
    }

    /// The two outer axes of what the layer reads.
    pub(crate) fn outer(&self) -> [usize; 2] {
        let [t, b, ..] = self.sizes;
        if self.batch_first { [b, t] } else { [t, b] }
    }

    /// Rows of the loss.
    pub(crate) fn rows(&self) -> usize {
        let [t, b, ..] = self.sizes;
        if self.of_last { b } else { t * b }
    }

    /// Whether rows of the batch have lengths of their own.
    pub(crate) fn has_lengths(&self) -> bool {
        self.counted == Counted::Lengths
    }

    /// Whether there are weights of the rows of the loss.
    pub(crate) fn has_weights(&self) -> bool {
        match self.counted {
            Counted::All => false,
            Counted::Mask | Counted::Weights => true,
            Counted::Lengths => !self.of_last,
        }
    }

    /// The class that does not count.
    pub(crate) fn ignored(&self) -> Option<u32> {
        self.ignore_index.map(|index| index as u32)
    }

    pub(crate) fn clip(&self) -> [Option<f32>; 2] {
        [self.max_norm, self.clip_value]
    }

    /// Names and shapes of the parameters: the table of the embedding if there is one, those of the layer, of the head.
    pub(crate) fn shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        let [_, _, inputs, hidden, outputs] = self.sizes;
        let table = self.vocabulary.map(|rows| ("embedding", vec![rows, inputs]));
        let layer = CellWeights::NAMES.into_iter().zip(CellWeights::shapes(&self.config(), 0));
        let head = [("head's weight", vec![outputs, hidden]), ("head's bias", vec![outputs])];
        table.into_iter().chain(layer).chain(head).collect()
    }

    /// Where the parameters of the layer begin.
    pub(crate) fn layer(&self) -> usize {
        usize::from(self.vocabulary.is_some())
    }

    /// The parameters after the last step.
    pub(crate) fn after(&self) -> Vec<Vec<f64>> {
        let mut rest = &self.parameters[..];
        let after = self.shapes().into_iter().map(|(_, shape)| {
            let (one, behind) = rest.split_at(shape.iter().product());
            rest = behind;
            one.to_vec()
        });
        let after = after.collect();
        assert!(rest.is_empty(), "{} has more parameters than it names", self.name);
        after
    }

    /// All that goes in, drawn as the script draws it.
    pub(crate) fn draw(&self) -> Given {
        let mut uniform = SplitMix64::new(self.seed);
        let bound = 1.0 / (self.sizes[3] as f32).sqrt();
        let draw = |(name, shape): (&str, Vec<usize>)| {
            uniform.vec(shape.iter().product(), if name == "embedding" { 1.0 } else { bound })
        };
        let mut parameters: Vec<_> = self.shapes().into_iter().map(draw).collect();
        if let Some(row) = self.padding_idx {
            parameters[0][row * self.sizes[2]..][..self.sizes[2]].fill(0.0);
        }
        Given { parameters, steps: (0..STEPS).map(|_| self.batch(&mut uniform)).collect() }
    }

    fn batch(&self, uniform: &mut SplitMix64) -> Batch {
        let [t, b, inputs, _, outputs] = self.sizes;
        let rows = self.rows();
        let words = |drawn: Vec<usize>| drawn.into_iter().map(|number| number as u32).collect::<Vec<_>>();
        let lengths = self.has_lengths().then(|| below(uniform, b, t).into_iter().map(|length| 1 + length).collect());
        let (x, indices) = match self.vocabulary {
            Some(words_of_it) => (vec![], words(below(uniform, t * b, words_of_it))),
            None => (uniform.vec(t * b * inputs, 1.0), vec![]),
        };
        let (mut numbers, mut classes) = (vec![], vec![]);
        match self.kind {
            Kind::MeanSquaredError => numbers = uniform.vec(rows * outputs, 1.0),
            Kind::BinaryCrossEntropy => {
                numbers = uniform.vec(rows * outputs, 1.0).into_iter().map(|y| f32::from(u8::from(y > 0.0))).collect();
            }
            Kind::CrossEntropy => classes = words(below(uniform, rows, outputs)),
        }
        let weights = self.weights(uniform, lengths.as_deref());
        for (row, _) in weights.iter().flatten().enumerate().filter(|&(_, &weight)| weight == 0.0) {
            numbers.iter_mut().skip(row * outputs).take(outputs).for_each(|number| *number = f32::NAN);
        }
        if self.ignore_index == Some(-100) {
            let drawn = uniform.vec(rows, 1.0);
            let ignored = drawn.into_iter().zip(&mut classes).skip(1).filter(|&(drawn, _)| drawn <= -0.5);
            ignored.for_each(|(_, class)| *class = -100_i64 as u32);
        }
        Batch { lengths, x, indices, numbers, classes, weights }
    }

    /// Of the rows of the loss. The first one always counts.
    fn weights(&self, uniform: &mut SplitMix64, lengths: Option<&[usize]>) -> Option<Vec<f32>> {
        let [t, b, ..] = self.sizes;
        let counts = |is_so| f32::from(u8::from(is_so));
        let mut drawn = |weight: fn(f32) -> f32| {
            let drawn = uniform.vec(self.rows(), 1.0);
            Some(drawn.into_iter().enumerate().map(|(row, x)| if row == 0 { 1.0 } else { weight(x) }).collect())
        };
        match self.counted {
            Counted::Mask => drawn(|x| f32::from(u8::from(x > -0.25))),
            Counted::Weights => drawn(|x| (2.0 * x).max(0.0)),
            Counted::Lengths if !self.of_last => {
                let place = |row| if self.batch_first { [row % t, row / t] } else { [row / b, row % b] };
                let steps = (0..self.rows()).map(place);
                lengths.map(|lengths| steps.map(|[step, row]| counts(step < lengths[row])).collect())
            }
            Counted::All | Counted::Lengths => None,
        }
    }
}

/// The layer's weights of arrays in PyTorch's order.
pub(crate) fn layer_weights(arrays: &[Vec<f32>]) -> Weights {
    let [weight_ih, weight_hh, bias_ih, bias_hh] = arrays else { panic!("{} arrays of a layer", arrays.len()) };
    let [weight_ih, weight_hh, bias_ih, bias_hh] = [weight_ih, weight_hh, bias_ih, bias_hh].map(Clone::clone);
    Weights { cells: vec![CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }] }
}

/// All runs.
pub(crate) fn load() -> Vec<Run> {
    read("runs.json", 15)
}
