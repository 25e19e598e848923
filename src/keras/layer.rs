//! What a layer of a model is here.

use std::fmt;

use super::cells::CellNames;
use crate::config::{GruConfig, RnnConfig};
use crate::error::Error;

/// A layer of a model of Keras's.
///
/// ```no_run
/// # fn example() -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::keras::Model::load("model.keras")?;
/// for layer in model.layers() {
///     println!("{} is a {} and lies in {}", layer.name, layer.class, layer.path);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layer {
    /// Its name, such as `gru_1`; that of a model in a model comes first: `encoder/gru_1`.
    pub name: String,
    /// Its class, such as `GRU`.
    pub class: String,
    /// Where its arrays are among [those of the model](super::Model::state_dict), such as `layers/gru_1/`.
    pub path: String,
    /// What it is here.
    pub kind: Kind,
    /// Of a recurrent layer, whether what follows it reads every step (`output`), or the last states alone (`h_n`).
    pub return_sequences: bool,
    /// What Keras does besides and the layer here does not.
    pub ignored: Vec<Ignored>,
    pub(super) cells: Vec<CellNames>,
}

/// What a layer is here.
///
/// ```no_run
/// # fn example() -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::keras::Model::load("model.keras")?;
/// use wgpu_gru::keras::Kind;
/// if let Kind::Gru(config) = &model.layer("gru")?.kind {
///     println!("a GRU of {} units", config.hidden_size);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Kind {
    /// `GRU`, `RNN` of a `GRUCell`, and `Bidirectional` of these: [`Model::gru`](super::Model::gru).
    Gru(GruConfig),
    /// `SimpleRNN` and so on: [`Model::rnn`](super::Model::rnn).
    Rnn(RnnConfig),
    /// `Dense`: [`Model::linear`](super::Model::linear).
    Linear {
        /// The features that it reads.
        in_features: usize,
        /// The features that it writes.
        out_features: usize,
        /// Whether it has a bias.
        bias: bool,
    },
    /// `Embedding`: [`Model::embedding`](super::Model::embedding).
    Embedding {
        /// The indices that there are.
        num_embeddings: usize,
        /// The length of a vector.
        embedding_dim: usize,
    },
    /// None that is here, and why.
    Unsupported(Error),
}

/// An option of a layer that is left out, and why.
///
/// ```no_run
/// # fn example() -> wgpu_gru::Result<()> {
/// # let model = wgpu_gru::keras::Model::load("model.keras")?;
/// for ignored in &model.layer("gru")?.ignored {
///     println!("{} = {} is left out: {}", ignored.option, ignored.value, ignored.because);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Keras's name of it.
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// Why the layer is the same without it, or what is left to the app.
    pub because: &'static str,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, class, kind, .. } = self;
        write!(f, "{name} ({class}): ")?;
        match kind {
            Kind::Gru(config) => write!(f, "GRU, {} to {}", config.input_size, config.output_size())?,
            Kind::Rnn(config) => write!(f, "plain RNN, {} to {}", config.input_size, config.output_size())?,
            Kind::Linear { in_features, out_features, .. } => write!(f, "linear, {in_features} to {out_features}")?,
            Kind::Embedding { num_embeddings, embedding_dim } => {
                write!(f, "embedding, {num_embeddings} vectors of {embedding_dim}")?;
            }
            Kind::Unsupported(error) => write!(f, "not read: {error}")?,
        }
        for Ignored { option, value, because } in &self.ignored {
            write!(f, "; {option} {value} is left out: {because}")?;
        }
        Ok(())
    }
}

impl Layer {
    pub(super) fn ignore(&mut self, option: &'static str, value: &str, because: &'static str) {
        self.ignored.push(Ignored { option, value: value.into(), because });
    }
}
