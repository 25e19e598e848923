//! Layers out of what Keras 3 saves.
//!
//! [`Model::load`] reads a `.keras` file: the layers of a Sequential or Functional model, of models in it as well, and
//! their arrays. Each recurrent layer becomes a ready one, with everything that its own options say:
//!
//! ```no_run
//! # #[cfg(not(target_arch = "wasm32"))]
//! # fn load(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
//! let model = wgpu_gru::keras::Model::load("model.keras")?;
//! println!("{model}"); // a line a layer: what it is here, what is left out, or why it is not read
//! let (table, _) = model.embedding(gpu, "embedding")?;
//! let (gru, report) = model.gru(gpu, &["gru"])?; // or several on top of each other as one: &["gru", "gru_1"]
//! let (head, _) = model.linear(gpu, "dense")?;
//! # Ok(()) }
//! ```
//!
//! | Keras | here |
//! |---|---|
//! | `GRU`, `SimpleRNN`, `RNN` of their cells | [`Gru`](crate::Gru), [`Rnn`](crate::Rnn), batch-first |
//! | `Bidirectional`, `merge_mode="concat"` | [`Direction::Bidirectional`](crate::Direction::Bidirectional) |
//! | `go_backwards` | [`Direction::Reverse`](crate::Direction::Reverse) with [`Config::reversed_output`](crate::Config::reversed_output): the steps in the order in which they are taken |
//! | `reset_after`, `use_bias` | [`Reset`](crate::Reset), `Config::bias` |
//! | `activation`, `recurrent_activation`: sigmoid, tanh, relu, hard_sigmoid, leaky_relu, elu, softsign, softplus, linear, and the layers `ReLU`, `LeakyReLU`, `ELU` | [`Activation`](crate::Activation) |
//! | `return_sequences=False` | take `h_n`: [`Layer::return_sequences`] |
//! | `Dense`, `Embedding` | [`train::Linear`](crate::train::Linear), [`train::Embedding`](crate::train::Embedding) |
//! | `stateful`, `dropout` inside a cell, `mask_zero`, the activation of a `Dense` | left out, as [`Layer::ignored`] says |
//! | `LSTM`, `TimeDistributed`, other merge modes and activations, all other layers | [`Kind::Unsupported`], with the reason |
//!
//! How the layers of a Functional model are connected is not read.
//!
//! A mask of Keras's, such as `Embedding(mask_zero=True)` or `Masking` make one of padding behind each row, corresponds
//! to [lengths](crate::Unroll::lengths): a row keeps its state past its end, and reads from its last step where it
//! goes backwards. Past the end the outputs are 0, as with `zero_output_for_mask=True` and in a `Bidirectional`;
//! otherwise Keras repeats the output of the step before there. A mask with gaps has no counterpart.
//!
//! Without a `.keras` file, arrays come from a `.weights.h5` ([`StateDict::from_keras`]) or from an `.npz`
//! ([`StateDict::from_npz`]); [`gru_config`] takes sizes, biases and `reset_after` from their shapes, and [`weights`]
//! their numbers. Of HDF5 that is read which Keras writes (h5py's `libver="earliest"`, not compressed): by a reader of
//! the crate's own, for which a damaged or hostile file is an error, in time and memory that the size of the file
//! bounds. Older `.h5` files of whole models have the same form: their arrays are read, not their layers.

mod cells;
mod fields;
mod hdf5;
mod layer;
mod layers;
mod options;
mod pick;
mod recurrent;

use std::fmt;

use serde_json::Value;

pub use cells::{CellNames, gru_config, rnn_config, weights};
pub use layer::{Ignored, Kind, Layer};

use crate::error::{Error, Result};
use crate::weights::StateDict;
use crate::weights::archive::Archive;

const FORMAT: &str = "file of Keras";
/// The members of a `.keras`.
const WEIGHTS: &str = "model.weights.h5";
const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
/// Text of a config at most, since a parsed one takes up to 80 times as much: some thousands of layers.
const MAX_TEXT: usize = 1 << 22;

/// A model that Keras saved as a `.keras` file: its layers and their arrays.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// let model = wgpu_gru::keras::Model::load("model.keras")?;
/// println!("{model}"); // a line a layer
/// let (gru, report) = model.gru(gpu, &["gru"])?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    keras_version: String,
    layers: Vec<Layer>,
    dict: StateDict,
}

impl Model {
    /// Out of the bytes of a `.keras` file of Keras 3. Layers that are not here do no harm: they are listed with the
    /// reason.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] for what is damaged, is no such file, was written by another version of Keras, or holds a
    /// model that is neither Sequential nor Functional (whose arrays [`StateDict::from_keras`] reads).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut archive = Archive::open(bytes, FORMAT)?;
        let metadata = json(&mut archive, METADATA)?;
        let keras_version = metadata.get("keras_version").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        // Keras 2 names its arrays in another way and has another hard sigmoid.
        if !keras_version.starts_with("3.") {
            let version: String = keras_version.chars().take(40).collect();
            return Err(invalid(format!("version {version} of Keras wrote it, expected 3: load and save it there")));
        }
        let config = json(&mut archive, CONFIG)?;
        let dict = arrays(&mut archive)?;
        let layers = layers::layers(&config, &dict).map_err(|reason| invalid(format!("{CONFIG}: {reason}")))?;
        Ok(Self { keras_version, layers, dict })
    }

    /// Reads a `.keras` file: [`Model::from_bytes`].
    ///
    /// # Errors
    /// [`Error::File`], [`Error::InvalidFile`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::from_bytes(&crate::weights::file::read(path.as_ref())?)
    }

    /// The version of Keras that wrote it.
    #[must_use]
    pub fn keras_version(&self) -> &str {
        &self.keras_version
    }

    /// All layers, in the order of the model.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// A layer by its name.
    ///
    /// # Errors
    /// [`Error::MissingLayer`].
    pub fn layer(&self, name: &str) -> Result<&Layer> {
        self.layers.iter().find(|layer| layer.name == name).ok_or_else(|| Error::MissingLayer {
            layer: name.into(),
            found: self.layers.iter().map(|layer| layer.name.clone()).collect(),
        })
    }

    /// All arrays by Keras's paths, such as `layers/gru/cell/vars/0`.
    #[must_use]
    pub fn state_dict(&self) -> &StateDict {
        &self.dict
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.layers.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl StateDict {
    /// The arrays of what Keras saved, out of the bytes of a `.keras`, a `.weights.h5` or an `.h5`, by Keras's paths,
    /// such as `layers/gru/cell/vars/0`: float32, float16 and bfloat16. Arrays of other types are listed, and are an
    /// error for who asks for one. See [`keras`](crate::keras).
    ///
    /// # Errors
    /// [`Error::InvalidFile`].
    pub fn from_keras(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(hdf5::SIGNATURE) {
            return hdf5::read(bytes);
        }
        arrays(&mut Archive::open(bytes, FORMAT)?)
    }

    /// Reads such a file: [`StateDict::from_keras`].
    ///
    /// # Errors
    /// [`Error::File`], [`Error::InvalidFile`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_keras(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::from_keras(&crate::weights::file::read(path.as_ref())?)
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidFile { format: FORMAT, reason }
}

fn arrays(archive: &mut Archive<'_>) -> Result<StateDict> {
    hdf5::read(&archive.read(WEIGHTS)?)
}

fn json(archive: &mut Archive<'_>, name: &str) -> Result<Value> {
    let text = archive.read(name)?;
    if text.len() > MAX_TEXT {
        return Err(invalid(format!("{name} has {} bytes, expected at most {MAX_TEXT}", text.len())));
    }
    serde_json::from_slice(&text).map_err(|error| invalid(format!("{name}: {error}")))
}
