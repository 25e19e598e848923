//! PyTorch's losses and embeddings: `tests/golden/train`. Its training runs: `runs`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::bce::bce;
use wgpu_gru::reference::twins::cross_entropy::cross_entropy;
use wgpu_gru::reference::twins::mse::mse;
use wgpu_gru::reference::twins::sum_weights::weights;
use wgpu_gru::train::{Loss, LossOptions};
use wgpu_gru::{Tensor, Tolerance};

use super::numbers::largest;

/// A loss.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossCase {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) weights: Option<Vec<f32>>,
    pub(crate) ignore_index: Option<i64>,
    /// f32 numbers.
    #[serde(deserialize_with = "narrow_numbers")]
    pub(crate) prediction: Vec<f64>,
    /// f32 numbers, or classes.
    #[serde(deserialize_with = "narrow_numbers")]
    pub(crate) expected: Vec<f64>,
    #[serde(deserialize_with = "number")]
    pub(crate) loss: f64,
    #[serde(deserialize_with = "numbers")]
    pub(crate) d_prediction: Vec<f64>,
}

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    MeanSquaredError,
    BinaryCrossEntropy,
    CrossEntropy,
}

/// What is expected of a loss, and which rows count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a, R> {
    /// Unless it is of classes.
    pub(crate) numbers: &'a [R],
    pub(crate) classes: &'a [u32],
    pub(crate) ignored: Option<u32>,
    pub(crate) weights: Option<&'a [R]>,
}

impl Kind {
    /// The loss by its twin, of rows of so many numbers; writes the gradient.
    pub(crate) fn by_twin<R: Real>(self, columns: usize, prediction: &[R], wanted: Wanted<'_, R>, d: &mut [R]) -> R {
        let Wanted { numbers, classes, ignored, weights: of_rows } = wanted;
        match self {
            Self::MeanSquaredError => mse(prediction, numbers, of_rows, d),
            Self::BinaryCrossEntropy => bce(prediction, numbers, of_rows, d),
            Self::CrossEntropy => {
                let of_rows = weights(prediction.len() / columns, of_rows, ignored.map(|ignored| (classes, ignored)));
                cross_entropy(columns, prediction, classes, &of_rows, d)
            }
        }
    }

    /// The loss on a GPU.
    pub(crate) fn make(self, options: LossOptions, prediction: &Tensor, d: &Tensor) -> wgpu_gru::Result<Loss> {
        match self {
            Self::MeanSquaredError => options.mean_squared_error(prediction, d),
            Self::BinaryCrossEntropy => options.binary_cross_entropy(prediction, d),
            Self::CrossEntropy => options.cross_entropy(prediction, d),
        }
    }
}

/// Of a loss of some rows and of its gradient: a few units of the largest number.
pub(crate) fn near<R: Copy + Into<f64>>(expected: &[R]) -> Tolerance {
    Tolerance::pointwise().scaled(4.0 * largest(expected))
}

impl LossCase {
    /// The prediction.
    pub(crate) fn prediction(&self) -> Vec<f32> {
        self.prediction.iter().map(|&value| value as f32).collect()
    }

    /// What is expected as numbers.
    pub(crate) fn expected(&self) -> Vec<f32> {
        self.expected.iter().map(|&value| value as f32).collect()
    }

    /// The classes of the rows as words; PyTorch's -100 is 2^32 - 100.
    pub(crate) fn classes(&self) -> Vec<u32> {
        self.expected.iter().map(|&class| class as i64 as u32).collect()
    }

    /// The class that does not count.
    pub(crate) fn ignored(&self) -> Option<u32> {
        self.ignore_index.map(|index| index as u32)
    }
}

/// An embedding.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingCase {
    pub(crate) name: String,
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) padding_idx: Option<usize>,
    pub(crate) indices: Vec<u32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) d_output: Vec<f32>,
    pub(crate) output: Vec<f64>,
    pub(crate) d_weight: Vec<f64>,
}

#[derive(Deserialize)]
struct File<Case> {
    #[expect(dead_code, reason = "who made it")]
    source: String,
    cases: Vec<Case>,
}

/// All losses.
pub(crate) fn losses() -> Vec<LossCase> {
    read("losses.json", 28)
}

/// All embeddings.
pub(crate) fn embeddings() -> Vec<EmbeddingCase> {
    read("embeddings.json", 5)
}

/// The cases of a file, of which there are so many.
pub(super) fn read<Case: for<'a> Deserialize<'a>>(file: &str, count: usize) -> Vec<Case> {
    let path = Path::new("tests/golden/train").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file.cases.len(), count, "cases in {}", path.display());
    file.cases
}

/// JSON has no numbers but finite ones: the others are strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(String),
}

impl Number {
    fn value(self) -> f64 {
        match self {
            Self::Finite(value) => value,
            Self::Other(text) => text.parse().unwrap_or_else(|error| panic!("{text}: {error}")),
        }
    }
}

fn number<'a, D: Deserializer<'a>>(from: D) -> Result<f64, D::Error> {
    Number::deserialize(from).map(Number::value)
}

fn numbers<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<f64>, D::Error> {
    Ok(Vec::<Number>::deserialize(from)?.into_iter().map(Number::value).collect())
}

fn narrow_numbers<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<f64>, D::Error> {
    Ok(numbers(from)?.into_iter().map(|value| f64::from(value as f32)).collect())
}
