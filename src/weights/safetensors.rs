//! Files of safetensors (<https://github.com/huggingface/safetensors>), read and written.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::state_dict::{Array, StateDict};
use crate::error::{Error, Result};
use crate::f16::from_f16;

const FORMAT: &str = "file of safetensors";

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn invalid(error: safetensors::SafeTensorError) -> Error {
    Error::InvalidFile { format: FORMAT, reason: error.to_string() }
}

impl StateDict {
    /// Out of the bytes of a file of safetensors: tensors of F32, F16 and BF16 (which f32 holds exactly), and the text
    /// of `__metadata__`. Tensors of other types are listed, and are an error for who asks for one. What is made takes
    /// at most twice the bytes of the file.
    ///
    /// # Errors
    /// [`Error::InvalidFile`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(invalid)?;
        let mut dict = Self::new();
        if let Some(metadata) = header.metadata() {
            dict.metadata_mut().extend(metadata.iter().map(|(key, text)| (key.clone(), text.clone())));
        }
        for (name, view) in SafeTensors::deserialize(bytes).map_err(invalid)?.iter() {
            let words = || view.data().chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => {
                    let fours = view.data().chunks_exact(4);
                    fours.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
                }
                Dtype::F16 => words().map(from_f16).collect(),
                Dtype::BF16 => words().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
                other => {
                    dict.insert_other(name, format!("{other:?}"));
                    continue;
                }
            };
            dict.insert(name, Array::new(view.shape(), values)?);
        }
        Ok(dict)
    }

    /// The bytes of a file of safetensors: every array as F32, bit by bit, with the metadata. What came from a file and is of another type is left out.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] for what the format cannot hold, such as names of more than 100 MB.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let arrays: Vec<_> = self
            .arrays()
            .map(|(name, array)| {
                let bytes: Vec<u8> = array.values().iter().flat_map(|value| value.to_le_bytes()).collect();
                (name, array.shape().to_vec(), bytes)
            })
            .collect();
        let views =
            arrays.iter().map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(invalid)?;
        let metadata = (!self.metadata().is_empty()).then(|| self.metadata().clone().into_iter().collect());
        serialize(views, metadata).map_err(invalid)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod file {
    use std::path::Path;

    use super::{Result, StateDict};
    use crate::weights::file::{read, save};

    impl StateDict {
        /// Reads a file of safetensors: [`StateDict::from_safetensors`].
        ///
        /// # Errors
        /// [`Error::File`](crate::Error::File), [`Error::InvalidFile`](crate::Error::InvalidFile).
        pub fn load(path: impl AsRef<Path>) -> Result<Self> {
            Self::from_safetensors(&read(path.as_ref())?)
        }

        /// Writes a file of safetensors: [`StateDict::to_safetensors`]. It is written beside its place under another
        /// name, brought to the disk, and then put in the place of the file that was there, so that whatever happens
        /// meanwhile there is the old file or the new one, whole.
        ///
        /// # Errors
        /// [`Error::File`](crate::Error::File), [`Error::InvalidFile`](crate::Error::InvalidFile); then the file that was
        /// there is as it was.
        pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
            save(path.as_ref(), &self.to_safetensors()?)
        }
    }
}
