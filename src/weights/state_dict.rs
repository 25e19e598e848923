//! Named arrays on the host: what PyTorch calls a state dict.

use std::collections::{BTreeMap, BTreeSet};

use super::{CellWeights, Weights, suffix_of};
use crate::config::{Cell, Config, Direction, GruConfig, RnnConfig};
use crate::error::{Error, Result, expect_len, expect_shape};

/// An array of f32 on the host, row-major.
///
/// ```
/// use wgpu_gru::Array;
/// let array = Array::new(&[2, 3], vec![0.0; 6])?;
/// assert!(Array::new(&[2, 3], vec![0.0; 5]).is_err());
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// An array of a shape.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where the shape holds another number of elements.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Result<Self> {
        expect_len("array", shape, values.len())?;
        Ok(Self { shape: shape.to_vec(), values })
    }

    /// One whose shape is known to be right.
    pub(crate) fn of(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, values }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// What a file has under a name.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Array(Array),
    /// Numbers of a type that f32 does not hold.
    Other {
        dtype: String,
    },
}

/// Named arrays on the host, as PyTorch's `state_dict()`, and text beside them.
///
/// It comes from a file (`StateDict::load`, with the feature `safetensors`), from [tensors on a GPU](Self::read), or is
/// [filled](Self::insert) from any other source. Layers are made from it by the prefix under which the model has them:
///
/// ```
/// use wgpu_gru::{Gru, GruConfig, StateDict, Weights};
/// # fn example(gpu: &wgpu_gru::Gpu, dict: &StateDict) -> wgpu_gru::Result<()> {
/// // Sizes, layers, directions and biases follow from the shapes of `encoder.weight_ih_l0` and so on; what a state dict
/// // does not say, such as `batch_first`, is set on the config.
/// let config = dict.gru_config("encoder.")?.batch_first(true);
/// let (gru, report) = Gru::from_state_dict(gpu, config, dict, "encoder.")?;
/// assert!(report.unused.is_empty(), "left in the file: {:?}", report.unused);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// What was found where a layer was made from a [`StateDict`].
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # let dict = wgpu_gru::StateDict::default();
/// let config = dict.gru_config("encoder.")?;
/// let (gru, report) = wgpu_gru::Gru::from_state_dict(gpu, config, &dict, "encoder.")?;
/// assert!(report.unused.is_empty(), "not read: {:?}", report.unused);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The names that were used.
    pub used: Vec<String>,
    /// The names under the same prefix that were not.
    pub unused: Vec<String>,
}

impl StateDict {
    /// One without any array.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array, in the place of one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.entries.insert(name.into(), Entry::Array(array));
    }

    /// Notes that the source has an array of a type that f32 does not hold: who asks for it gets [`Error::TensorType`],
    /// and not that there is none.
    pub fn insert_other(&mut self, name: impl Into<String>, dtype: impl Into<String>) {
        self.entries.insert(name.into(), Entry::Other { dtype: dtype.into() });
    }

    /// All names, in the order of their letters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is an array of this name, of whatever type.
    #[cfg(feature = "keras")]
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Checks that there is an array of this name, of whatever type; the error lists what is under a prefix.
    #[cfg(feature = "keras")]
    pub(crate) fn expect(&self, name: &str, prefix: &str) -> Result<()> {
        if self.contains(name) {
            return Ok(());
        }
        let from = self.entries.range(prefix.to_owned()..).map(|(name, _)| name);
        let found = from.take_while(|name| name.starts_with(prefix)).cloned().collect();
        Err(Error::MissingTensor { tensor: name.into(), found })
    }

    /// An array by its name.
    ///
    /// # Errors
    /// [`Error::MissingTensor`]; [`Error::TensorType`] for one of whole numbers, or of f64, which f32 does not hold.
    pub fn get(&self, name: &str) -> Result<&Array> {
        match self.entries.get(name) {
            Some(Entry::Array(array)) => Ok(array),
            Some(Entry::Other { dtype }) => Err(Error::TensorType { tensor: name.into(), dtype: dtype.clone() }),
            None => Err(Error::MissingTensor { tensor: name.into(), found: self.names().map(Into::into).collect() }),
        }
    }

    /// The numbers of an array that is to have a shape.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and [`Error::ShapeMismatch`].
    pub fn get_shaped(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let array = self.get(name)?;
        expect_shape(name.to_owned(), shape, &array.shape)?;
        Ok(&array.values)
    }

    /// Text that goes with the arrays, such as the number of the step or a seed.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The same, to be changed.
    pub fn metadata_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.metadata
    }

    /// The GRU whose arrays have PyTorch's names behind a prefix, such as `encoder.weight_ih_l0`: its sizes, layers,
    /// directions, and whether it has biases. The rest is as [`GruConfig::new`] has it.
    ///
    /// # Errors
    /// [`Error::MissingTensor`]; [`Error::ShapeMismatch`] where the shapes are no GRU's, as those of an LSTM;
    /// [`Error::UnexpectedTensor`] for one more array of a recurrent layer, such as that of a layer above one that is
    /// missing; those of [`Config::validate`].
    pub fn gru_config(&self, prefix: &str) -> Result<GruConfig> {
        self.config(prefix, GruConfig::new)
    }

    /// The same for a plain RNN. Whether it was made with tanh, as [`RnnConfig::new`] has it, or relu a state dict does
    /// not say.
    ///
    /// # Errors
    /// Those of [`gru_config`](Self::gru_config).
    pub fn rnn_config(&self, prefix: &str) -> Result<RnnConfig> {
        self.config(prefix, RnnConfig::new)
    }

    fn config<C: Copy + Into<Cell>>(&self, prefix: &str, new: impl Fn(usize, usize) -> Config<C>) -> Result<Config<C>> {
        let has = |name: &str| self.entries.contains_key(&format!("{prefix}{name}"));
        let has_direction =
            |suffix: &str| ["weight_ih", "weight_hh"].iter().any(|name| has(&format!("{name}_l0{suffix}")));
        let direction = match ["", "_reverse"].map(has_direction) {
            [true, true] => Direction::Bidirectional,
            [false, true] => Direction::Reverse,
            _ => Direction::Forward,
        };
        let suffix = if direction == Direction::Reverse { "_reverse" } else { "" };
        let matrix = |name: &str| -> Result<[usize; 2]> {
            let name = format!("{prefix}{name}_l0{suffix}");
            let shape = self.get(&name)?.shape();
            <[usize; 2]>::try_from(shape).map_err(|_| Error::ShapeMismatch {
                expected: vec![shape.first().copied().unwrap_or(1), 1],
                actual: shape.to_vec(),
                tensor: name.into(),
            })
        };
        let [[_, input_size], [_, hidden_size]] = [matrix("weight_ih")?, matrix("weight_hh")?];
        let num_layers = (1..).find(|layer| !has(&format!("weight_hh_l{layer}{suffix}"))).unwrap_or(1);
        let config = new(input_size, hidden_size)
            .num_layers(num_layers)
            .direction(direction)
            .bias(has(&format!("bias_ih_l0{suffix}")) || has(&format!("bias_hh_l0{suffix}")));
        config.validate()?;
        let (_, report) = self.cells(prefix, &config)?;
        match report.unused.into_iter().find(|name| is_recurrent(&name[prefix.len()..])) {
            None => Ok(config),
            Some(tensor) => Err(Error::UnexpectedTensor { tensor }),
        }
    }

    /// The weights of a layer whose arrays have PyTorch's names behind a prefix.
    ///
    /// # Errors
    /// Those of [`Config::validate`]; [`Error::MissingTensor`], [`Error::TensorType`], [`Error::ShapeMismatch`].
    pub fn weights<C: Copy + Into<Cell>>(&self, prefix: &str, config: &Config<C>) -> Result<Weights> {
        self.weights_with_report(prefix, config).map(|(weights, _)| weights)
    }

    /// The same, and what else there is under the prefix.
    pub(crate) fn weights_with_report<C: Copy + Into<Cell>>(
        &self,
        prefix: &str,
        config: &Config<C>,
    ) -> Result<(Weights, LoadReport)> {
        let (cells, report) = self.cells(prefix, config)?;
        let cells = cells.into_iter().map(|arrays| {
            let [weight_ih, weight_hh, bias_ih, bias_hh] = arrays.map(<[f32]>::to_vec);
            CellWeights { weight_ih, weight_hh, bias_ih, bias_hh }
        });
        Ok((Weights { cells: cells.collect() }, report))
    }

    /// The arrays of each cell of a layer, in the order of [`CellWeights::NAMES`], and what else there is under the
    /// prefix.
    fn cells<C: Copy + Into<Cell>>(&self, prefix: &str, config: &Config<C>) -> Result<(Vec<[&[f32]; 4]>, LoadReport)> {
        config.validate()?;
        let (mut cells, mut used) = (Vec::new(), Vec::new());
        for cell in 0..config.num_cells() {
            let mut arrays: [&[f32]; 4] = [&[]; 4];
            let shapes = CellWeights::shapes(config, cell / config.directions());
            for ((array, name), shape) in arrays.iter_mut().zip(CellWeights::NAMES).zip(shapes) {
                // A bias that is not there.
                if shape != [0] {
                    let name = format!("{prefix}{name}{}", suffix_of(config, cell));
                    *array = self.get_shaped(&name, &shape)?;
                    used.push(name);
                }
            }
            cells.push(arrays);
        }
        Ok((cells, self.report(prefix, used)))
    }

    /// What else there is under a prefix.
    pub(crate) fn report(&self, prefix: &str, used: Vec<String>) -> LoadReport {
        let known: BTreeSet<_> = used.iter().map(String::as_str).collect();
        let unused = self.names().filter(|name| name.starts_with(prefix) && !known.contains(name));
        LoadReport { unused: unused.map(Into::into).collect(), used }
    }

    /// Adds the weights of a layer with PyTorch's names behind a prefix.
    ///
    /// # Errors
    /// Those of [`Weights::validate`]; then nothing is added.
    pub fn insert_weights<C: Copy + Into<Cell>>(
        &mut self,
        prefix: &str,
        config: &Config<C>,
        weights: &Weights,
    ) -> Result<()> {
        weights.validate(config)?;
        for (index, cell) in weights.cells.iter().enumerate() {
            let shapes = CellWeights::shapes(config, index / config.directions());
            for ((name, array), shape) in CellWeights::NAMES.into_iter().zip(cell.arrays()).zip(shapes) {
                if !array.is_empty() {
                    let array = Array::of(shape, array.to_vec());
                    self.insert(format!("{prefix}{name}{}", suffix_of(config, index)), array);
                }
            }
        }
        Ok(())
    }

    /// Every array with its name, in the order of their letters; those that f32 does not hold are left out.
    pub fn arrays(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Array(array) => Some((name.as_str(), array)),
            Entry::Other { .. } => None,
        })
    }
}

/// Whether PyTorch gives this name to an array of a recurrent layer.
fn is_recurrent(name: &str) -> bool {
    let layer = ["weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l", "weight_hr_l"]
        .into_iter()
        .find_map(|begin| name.strip_prefix(begin));
    layer.is_some_and(|rest| {
        let number = rest.strip_suffix("_reverse").unwrap_or(rest);
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}
