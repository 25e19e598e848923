//! Named arrays and tensors on a GPU: reading, writing, and layers made from them.

use std::collections::BTreeSet;

use crate::config::{Cell, Config};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor};
use crate::layer::Recurrent;
use crate::weights::{Array, LoadReport, StateDict};

impl StateDict {
    /// Reads tensors from a GPU under their names, all as they are when this is first polled and with one wait
    /// ([`Tensor::read_all`]): what an app awaits here stalls no frame.
    ///
    /// A checkpoint of a training run is all that the run changes:
    ///
    /// ```no_run
    /// # use wgpu_gru::{Gru, StateDict, Unrolled, train::{Adam, Linear}};
    /// # async fn example(gru: Gru, head: Linear, adam: Adam, net: Unrolled, step: u64) -> wgpu_gru::Result<()> {
    /// let tensors = || gru.named("rnn.").chain(head.named("head.")).chain(adam.named("adam."));
    /// let mut checkpoint = StateDict::read(tensors()).await?;
    /// checkpoint.metadata_mut().insert("step".into(), step.to_string());
    /// let dropout = net.dropout_state().await?; // where the layer has dropout: two numbers for the metadata
    /// // checkpoint.save("run.safetensors")?
    ///
    /// // Another day: what was made in the same way goes on to the same bits.
    /// checkpoint.write(tensors())?;
    /// net.set_dropout_state(dropout)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] before anything is read; those of [`Tensor::read_all`].
    pub async fn read(tensors: impl IntoIterator<Item = (String, &Tensor)>) -> Result<Self> {
        let (names, tensors) = named(tensors)?;
        Ok(Self::of(names, &tensors, Tensor::read_all(&tensors).await?))
    }

    /// [`StateDict::read`], blocking this thread.
    ///
    /// # Errors
    /// Those of [`StateDict::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_blocking<'a>(tensors: impl IntoIterator<Item = (String, &'a Tensor)>) -> Result<Self> {
        let (names, tensors) = named(tensors)?;
        Ok(Self::of(names, &tensors, Tensor::read_all_blocking(&tensors)?))
    }

    fn of(names: Vec<String>, tensors: &[&Tensor], hosts: Vec<Vec<f32>>) -> Self {
        let mut dict = Self::new();
        for ((name, tensor), values) in names.into_iter().zip(tensors).zip(hosts) {
            dict.insert(name, Array::of(tensor.shape().to_vec(), values));
        }
        dict
    }

    /// Writes the arrays into tensors of the same names and shapes, before the next submission's commands run: the way
    /// back of [`read`](Self::read). The report tells which names no tensor has.
    ///
    /// # Errors
    /// Those of [`StateDict::get_shaped`] and [`Error::BufferUsage`], all before any tensor is
    /// written; those of [`Tensor::write`].
    pub fn write<'a>(&self, tensors: impl IntoIterator<Item = (String, &'a Tensor)>) -> Result<LoadReport> {
        let tensors: Vec<_> = tensors.into_iter().collect();
        let arrays = tensors.iter().map(|(name, tensor)| {
            tensor.expect_usage("tensor to write", wgpu::BufferUsages::COPY_DST)?;
            self.get_shaped(name, tensor.shape())
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        for ((_, tensor), array) in tensors.iter().zip(arrays) {
            tensor.write(array)?;
        }
        Ok(self.report("", tensors.into_iter().map(|(name, _)| name).collect()))
    }
}

/// Names and tensors apart; no name twice, since one of the two would be lost.
fn named<'a>(tensors: impl IntoIterator<Item = (String, &'a Tensor)>) -> Result<(Vec<String>, Vec<&'a Tensor>)> {
    let (names, tensors): (Vec<String>, _) = tensors.into_iter().unzip();
    let mut known = BTreeSet::new();
    match names.iter().find(|name| !known.insert(name.as_str())) {
        Some(tensor) => Err(Error::DuplicateTensor { tensor: tensor.clone() }),
        None => Ok((names, tensors)),
    }
}

impl<C: Copy + Into<Cell>> Recurrent<C> {
    /// A layer whose weights have PyTorch's names behind a prefix, such as `encoder.weight_ih_l0`, and a report of what
    /// was used. [`StateDict::gru_config`] and [`StateDict::rnn_config`] tell what layer that is.
    ///
    /// # Errors
    /// Those of [`StateDict::weights`] and [`Recurrent::with_weights`].
    pub fn from_state_dict(gpu: &Gpu, config: Config<C>, dict: &StateDict, prefix: &str) -> Result<(Self, LoadReport)> {
        let (weights, report) = dict.weights_with_report(prefix, &config)?;
        Ok((Self::with_weights(gpu, config, &weights)?, report))
    }

    /// All weights and biases with PyTorch's names behind a prefix, for [`StateDict::read`] and [`StateDict::write`].
    pub fn named(&self, prefix: &str) -> impl Iterator<Item = (String, &Tensor)> {
        self.parameters.named(&self.config).map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    }
}
