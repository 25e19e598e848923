//! One error type for the whole crate.
//!
//! Every fallible function of the crate gives [`Error`]. Mistakes of the caller (a wrong shape, a size over a limit, a
//! NaN option) are found before anything is recorded, so that a failed call leaves buffers, encoders and the hidden
//! state as they were. Each variant holds what was expected and what came as typed fields, not as text.

use std::borrow::Cow;
use std::time::Duration;

/// What can go wrong.
///
/// ```
/// use wgpu_gru::{Error, GruConfig};
/// let error = GruConfig::new(8, 0).validate().expect_err("there is no layer without units");
/// assert!(matches!(error, Error::ZeroSize { .. }));
/// println!("{error}"); // what was expected, what came, and what to do
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter can be used: none is there, or none has the wanted name.
    #[error("no usable GPU adapter{}{}",
        wanted.as_ref().map(|name| format!(" with {name:?} in its name")).unwrap_or_default(), advice(found))]
    NoAdapter {
        /// The name that was asked for, if one was.
        wanted: Option<String>,
        /// The names of the adapters that were seen.
        found: Vec<String>,
    },

    /// None of the backends to look at is one that the crate has on this system.
    #[error("no backend to look for a GPU in: WGPU_BACKEND or GpuOptions::backends {}, and here the crate has {}",
        names(*wanted).map_or("names none".into(), |names| format!("names {names}")), names(*available).unwrap_or("none".into()))]
    NoBackend {
        /// What was asked for; empty where it was no backend at all.
        wanted: wgpu::Backends,
        /// The backends that there are.
        available: wgpu::Backends,
    },

    /// The adapter refused to open a device.
    #[error("the adapter refused to open a device: {0}")]
    RequestDevice(#[from] wgpu::RequestDeviceError),

    /// A tensor or slice has another shape than the call needs.
    #[error("{tensor} has shape {actual:?}, expected {expected:?}")]
    ShapeMismatch {
        /// Which tensor; of the parameters of a layer by PyTorch's name, such as `weight_hh_l1_reverse`.
        tensor: Cow<'static, str>,
        /// The shape that the call needs.
        expected: Vec<usize>,
        /// The shape that came.
        actual: Vec<usize>,
    },

    /// A state dict has no tensor of this name.
    #[error("there is no tensor {tensor}; there is {}", first_of(found))]
    MissingTensor {
        /// The name that was looked for.
        tensor: String,
        /// The names that there are.
        found: Vec<String>,
    },

    /// A state dict has one more tensor of a layer, which would be left out.
    #[error("{tensor} belongs to no layer: what comes before it is missing, or it is of another kind of layer")]
    UnexpectedTensor {
        /// Its name.
        tensor: String,
    },

    /// Two tensors that are to go into one state dict have the same name.
    #[error("two tensors are called {tensor}: give each layer a prefix of its own")]
    DuplicateTensor {
        /// Their name.
        tensor: String,
    },

    /// A tensor of a file holds numbers that f32 does not hold.
    #[error("{tensor} is of type {dtype}, expected F32, F16 or BF16: convert it where the file is made")]
    TensorType {
        /// Its name.
        tensor: String,
        /// The type, as the file calls it.
        dtype: String,
    },

    /// A model in a file has no layer of this name. One of ONNX may have none at all: some exporters write the steps of a
    /// layer by themselves, in a loop or one after the other.
    #[error("there is no layer {layer}; there is {}", first_of(found))]
    MissingLayer {
        /// The name that was looked for; of ONNX, that of a node.
        layer: String,
        /// The names that there are.
        found: Vec<String>,
    },

    /// A layer of a model in a file is one that this crate has not, or has something that none of this crate has.
    #[error("layer {layer}: {option} is {value}, expected {expected}")]
    UnsupportedLayer {
        /// Its name; of ONNX, that of a node.
        layer: String,
        /// Which option or input, by the file's name of it.
        option: Cow<'static, str>,
        /// What the file says.
        value: String,
        /// What can be had.
        expected: &'static str,
    },

    /// A tensor of a model of ONNX has its numbers in another file, which was not given.
    #[error(
        "the numbers of {tensor} lie in another file, {location:?}: load the model by its path, or insert that file"
    )]
    ExternalData {
        /// Its name.
        tensor: String,
        /// The file, as the model calls it.
        location: String,
    },

    /// A file is not what it should be.
    #[error("this is no {format} that can be read: {reason}")]
    InvalidFile {
        /// What it should be.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },

    /// A file could not be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// What kind of failure it was.
        kind: std::io::ErrorKind,
        /// What the system says.
        reason: String,
    },

    /// A size that must be at least 1 is 0.
    #[error("{what} is 0, expected at least 1")]
    ZeroSize {
        /// Which size.
        what: &'static str,
    },

    /// An option lies outside its range, or is NaN.
    #[error("{option} is {value}, expected {expected}")]
    InvalidOption {
        /// Which option.
        option: &'static str,
        /// The value that came.
        value: f64,
        /// The range that is allowed.
        expected: &'static str,
    },

    /// A length of a row is over the number of steps.
    #[error("the length of row {row} is {length}, expected at most seq_len, which is {seq_len}")]
    LengthExceeded {
        /// Which row.
        row: usize,
        /// Its length.
        length: usize,
        /// T.
        seq_len: usize,
    },

    /// One of the indices that are to be written, such as the class of a row, is none.
    #[error("{tensor}[{place}] is {index}, expected less than {len}")]
    IndexOutOfRange {
        /// Which tensor.
        tensor: &'static str,
        /// Which element of it, row-major.
        place: usize,
        /// What it is.
        index: usize,
        /// How many there are to index.
        len: usize,
    },

    /// Lengths were given to something that was unrolled without them.
    #[error("made without lengths: see Unroll::lengths")]
    NoLengths,

    /// Starts of episodes were given to something that was unrolled without them.
    #[error("made without starts of episodes: see Unroll::episode_starts")]
    NoEpisodeStarts,

    /// An option of training was asked for on something that is made for inference.
    #[error("{option} is an option of training, this is made for inference: see Unroll::training")]
    TrainingOption {
        /// Which option.
        option: &'static str,
    },

    /// A seed was given to something that has no dropout: one layer, a share of 0, or made for inference.
    #[error("made without dropout, so there is nothing to seed: see Config::dropout and Unroll::training")]
    NoDropout,

    /// Gradients were to be accumulated by an optimiser that was made without: see
    /// [`AdamOptions::accumulate`](crate::train::AdamOptions::accumulate).
    #[error("made without accumulated gradients: see AdamOptions::accumulate and SgdOptions::accumulate")]
    NoAccumulation,

    /// An activation whose output does not tell its derivative, where training is asked for.
    #[error("{option} is {activation:?}, whose output does not tell its derivative: it cannot be trained")]
    NoDerivative {
        /// Which option.
        option: &'static str,
        /// The activation.
        activation: crate::activation::Activation,
    },

    /// A size is over a limit of the device, or over one that every device has.
    #[error("{what} needs {required}, but {}{limit} is {available}{}", owner(limit), remedy(limit))]
    LimitExceeded {
        /// What needs it.
        what: &'static str,
        /// The limit: its name in [`wgpu::Limits`], or what else sets it.
        limit: &'static str,
        /// How much is needed.
        required: u64,
        /// How much there is.
        available: u64,
    },

    /// An option was asked for that this layer cannot have.
    #[error("{option} is not available: {because}")]
    OptionUnavailable {
        /// Which option.
        option: &'static str,
        /// Why not.
        because: &'static str,
    },

    /// A buffer of the app was made without a usage that the call needs.
    #[error("{tensor} was made with the buffer usages {actual:?}, and {required:?} is needed too")]
    BufferUsage {
        /// Which tensor.
        tensor: &'static str,
        /// What is missing.
        required: wgpu::BufferUsages,
        /// What the buffer was made with.
        actual: wgpu::BufferUsages,
    },

    /// A buffer of the app, or the slice of it that was given, does not hold the shape.
    #[error("{tensor}: the slice has {available} bytes, and the shape needs {required}")]
    BufferTooSmall {
        /// Which tensor.
        tensor: &'static str,
        /// The bytes of the shape.
        required: u64,
        /// The bytes that there are.
        available: u64,
    },

    /// A tensor begins where the device or the kernels cannot read it.
    #[error("{tensor} begins at byte offset {offset}, which is not a multiple of {alignment}")]
    Misaligned {
        /// Which tensor.
        tensor: Cow<'static, str>,
        /// Where it begins, in bytes.
        offset: u64,
        /// A multiple of how many bytes that must be.
        alignment: u64,
    },

    /// A stream has no such row.
    #[error("row {row} is out of range: the stream has {rows} rows")]
    NoSuchRow {
        /// The row.
        row: usize,
        /// How many there are.
        rows: usize,
    },

    /// A row of a stream is named twice where that is ambiguous.
    #[error("row {row} of the stream: {because}")]
    RowUnavailable {
        /// The row.
        row: usize,
        /// Why not.
        because: &'static str,
    },

    /// A tensor or buffer lives on another device than the object that it was given to. Tensors of two
    /// [`Gpu`](crate::Gpu)s that were made apart count as those of two devices, even where both wrap one.
    #[error("{tensor} belongs to another device, or was made with another Gpu of the same one: clone one Gpu")]
    ForeignDevice {
        /// Which tensor.
        tensor: Cow<'static, str>,
    },

    /// wgpu refused to work with an object of the app: a buffer that was destroyed or is mapped, a pipeline cache of
    /// another device, or what the app records itself in [`Gpu::submit`](crate::Gpu::submit). In a browser such an
    /// error goes to the handlers of the device instead.
    #[error("wgpu refused {what}: {reason}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// What wgpu says of it.
        reason: String,
    },

    /// Two tensors that must be different share memory.
    #[error("{first} and {second} share memory, expected two different buffers")]
    Aliased {
        /// The one tensor.
        first: &'static str,
        /// The other tensor.
        second: &'static str,
    },

    /// Backward was asked for on something that was made for inference.
    #[error("made for inference: a backward pass needs Unroll::training")]
    NotTraining,

    /// Backward was recorded without a forward before it: each backward uses up what one forward saved, and a forward
    /// whose encoder was dropped, so that it was never submitted, has saved nothing.
    #[error(
        "backward without a forward before it: each backward uses up what one forward saved, and a forward whose encoder \
         was dropped has saved nothing"
    )]
    BackwardWithoutForward,

    /// Something that a backward pass reads was written after the forward pass had been recorded: an input, a state, a
    /// weight, the lengths, the seed of dropout. Write it before the forward pass is recorded, or after the backward
    /// pass.
    #[error("{tensor} was written after the forward pass was recorded, and the backward pass needs it as it was")]
    ChangedSinceForward {
        /// What was written.
        tensor: Cow<'static, str>,
    },

    /// The device could not give the memory.
    #[error("out of memory: {what} of {bytes} bytes")]
    OutOfMemory {
        /// What was to be made.
        what: &'static str,
        /// Its size in bytes.
        bytes: u64,
    },

    /// A readback did not come back in time.
    #[error("the readback did not come back within {waited:?}")]
    ReadbackTimeout {
        /// How long it was waited for.
        waited: Duration,
    },

    /// A buffer could not be mapped for reading.
    #[error("the readback failed: {0}")]
    Readback(#[from] wgpu::BufferAsyncError),

    /// The device was lost or destroyed.
    #[error("the device was lost: {reason}")]
    DeviceLost {
        /// What the driver says.
        reason: String,
    },

    /// The device does not compute what the CPU oracle computes. See [`verify`](crate::verify()).
    #[error("verification failed: {0}")]
    OverBudget(Box<crate::report::Report>),
}

/// Some of many names.
fn first_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names.len() {
        0 => "none at all".into(),
        len if len <= SHOWN => names.join(", "),
        len => format!("{}, and {} more", names[..SHOWN].join(", "), len - SHOWN),
    }
}

/// What may help where no adapter can be used.
fn advice(found: &[String]) -> String {
    if cfg!(target_arch = "wasm32") {
        ": the browser has no WebGPU, or no GPU for it".into()
    } else if !found.is_empty() {
        format!("; adapters seen: {}", found.join(", "))
    } else if cfg!(target_os = "linux") {
        "; no adapter was seen: install the GPU's Vulkan driver, or where there is no GPU Mesa's lavapipe, package \
         mesa-vulkan-drivers"
            .into()
    } else {
        "; no adapter was seen".into()
    }
}

/// The backends as `WGPU_BACKEND` calls them, if there are any.
fn names(backends: wgpu::Backends) -> Option<String> {
    let names: Vec<_> = backends.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    if names.is_empty() { None } else { Some(names.join(", ")) }
}

/// [`std::result::Result`] with this crate's [`Error`].
///
/// ```
/// fn checked(config: &wgpu_gru::GruConfig) -> wgpu_gru::Result<()> {
///     config.validate()
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks that a size is at least 1.
pub(crate) fn at_least_one(what: &'static str, size: usize) -> Result<()> {
    if size == 0 { Err(Error::ZeroSize { what }) } else { Ok(()) }
}

/// Whose limit it is.
fn owner(limit: &str) -> &'static str {
    if is_of_device(limit) { "the device's " } else { "" }
}

/// What helps where a limit of the device is too small.
fn remedy(limit: &str) -> &'static str {
    if is_of_device(limit) {
        " (if the adapter offers more, open the device with that: see Config::required_limits)"
    } else {
        ""
    }
}

/// Whether it is the name of a field of [`wgpu::Limits`].
fn is_of_device(limit: &str) -> bool {
    limit.starts_with("max_") || limit.starts_with("min_")
}

/// Checks that a slice holds as many elements as a shape.
pub(crate) fn expect_len(tensor: impl Into<Cow<'static, str>>, expected: &[usize], actual: usize) -> Result<()> {
    let len = expected.iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
    if len == Some(actual) {
        Ok(())
    } else {
        Err(Error::ShapeMismatch { tensor: tensor.into(), expected: expected.to_vec(), actual: vec![actual] })
    }
}

/// Checks that no length of a row is over the number of steps.
pub(crate) fn expect_lengths(lengths: &[usize], seq_len: usize) -> Result<()> {
    match lengths.iter().position(|&length| length > seq_len) {
        Some(row) => Err(Error::LengthExceeded { row, length: lengths[row], seq_len }),
        None => Ok(()),
    }
}

/// Checks a shape.
pub(crate) fn expect_shape(tensor: impl Into<Cow<'static, str>>, expected: &[usize], actual: &[usize]) -> Result<()> {
    if expected == actual {
        Ok(())
    } else {
        Err(Error::ShapeMismatch { tensor: tensor.into(), expected: expected.to_vec(), actual: actual.to_vec() })
    }
}
