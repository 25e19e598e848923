//! Losses: means over all elements or rows, or over those that count, with their gradients.

use crate::error::{Error, Result, expect_len, expect_lengths, expect_shape};
use crate::gpu::{KernelSpec, Program, ProgramBuilder, Tensor};
use crate::kernels::{
    self, BCE, BCE_MASKED, CROSS_ENTROPY, CrossEntropyParams, LossParams, MSE, MSE_MASKED, MaskedLossParams,
    SUM_WEIGHTS, SumWeightsParams,
};
use crate::lower::{lower, reduction_workgroups};
use crate::plan::ops::{Matrix, Op, SumRows, Vector};
use crate::plan::tensors::Id;

const NO_CLASSES: &str = "only cross_entropy has classes";

/// The options of a [`Loss`]. By default every row counts.
///
/// ```no_run
/// # fn example(logits: &wgpu_gru::Tensor, d_logits: &wgpu_gru::Tensor) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::LossOptions;
/// // Logits [T, B, C], of rows of 5, 3 and 7 steps.
/// let loss = LossOptions { mask: true, ..LossOptions::default() }.cross_entropy(logits, d_logits)?;
/// loss.set_lengths(&[5, 3, 7])?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LossOptions {
    /// Whether there is a mask that says which rows count: see [`Loss::mask`].
    pub mask: bool,
    /// Of the [cross-entropy](Loss::cross_entropy): rows whose class is this do not count, whether it is a class or not.
    /// PyTorch's `ignore_index` of -100 is `u32::MAX - 99`.
    pub ignore_index: Option<u32>,
    /// Whether predictions are `[B, T, ..]`, not `[T, B, ..]`: [`Loss::set_lengths`] asks for it.
    pub batch_first: bool,
}

impl LossOptions {
    /// A [`Loss::mean_squared_error`] with these options.
    ///
    /// # Errors
    /// Those of [`Loss::mean_squared_error`], and [`Error::OptionUnavailable`] with `ignore_index`.
    pub fn mean_squared_error<'a>(
        self,
        prediction: &Tensor,
        d_prediction: impl Into<Option<&'a Tensor>>,
    ) -> Result<Loss> {
        let names = ["prediction", "d_prediction"];
        self.of_elements([&MSE, &MSE_MASKED], "mean squared error", names, prediction, d_prediction.into())
    }

    /// A [`Loss::binary_cross_entropy`] with these options.
    ///
    /// # Errors
    /// Those of [`Loss::binary_cross_entropy`], and [`Error::OptionUnavailable`] with `ignore_index`.
    pub fn binary_cross_entropy<'a>(self, logits: &Tensor, d_logits: impl Into<Option<&'a Tensor>>) -> Result<Loss> {
        let names = ["logits", "d_logits"];
        self.of_elements([&BCE, &BCE_MASKED], "binary cross-entropy", names, logits, d_logits.into())
    }

    /// A [`Loss::cross_entropy`] with these options.
    ///
    /// # Errors
    /// Those of [`Loss::cross_entropy`].
    pub fn cross_entropy<'a>(self, logits: &Tensor, d_logits: impl Into<Option<&'a Tensor>>) -> Result<Loss> {
        let d_logits = d_logits.into();
        check(["logits", "d_logits"], logits, d_logits, &[&CROSS_ENTROPY, &SUM_WEIGHTS])?;
        let (rows, classes) = rows_of(logits);
        let (len, limits) = (rows.iter().product::<usize>(), logits.gpu().limits());
        // So many lanes that each has some 16 classes.
        let lanes = classes.div_ceil(16).next_power_of_two().min(256) as u32;
        let most = limits.max_compute_workgroups_per_dimension.clamp(1, 1024);
        let workgroups = (len.div_ceil(256 / lanes as usize)).min(most as usize) as u32;
        let tensors = Tensors::new(logits, rows, rows, workgroups, self)?;
        let Tensors { expected, mask, .. } = &tensors;

        let gpu = logits.gpu();
        let mut builder = ProgramBuilder::new(gpu, "cross-entropy");
        tensors.sum_weights(&mut builder, self.ignore_index);
        let (prediction, prediction_offset) = logits.view();
        let (d_prediction, d_prediction_offset) = d_logits.unwrap_or(tensors.loss()).view();
        let params = CrossEntropyParams {
            rows: len as u32,
            classes: classes as u32,
            prediction_offset,
            d_prediction_offset,
            workgroups,
            ignored: self.ignore_index.unwrap_or_default(),
            inverse_rows: 1.0 / len as f32,
        };
        let storage = kernels::CrossEntropy {
            prediction,
            expected: expected.view().0,
            // Something must be bound; without a mask it is not read.
            mask: mask.as_ref().unwrap_or(expected).view().0,
            d_prediction,
            partial: tensors.partial().view().0,
        };
        let overrides = [
            ("LANES", f64::from(lanes)),
            ("HAS_GRADIENT", f64::from(d_logits.is_some())),
            ("HAS_MASK", f64::from(self.mask)),
            ("HAS_IGNORED", f64::from(self.ignore_index.is_some())),
        ];
        builder.once(gpu.kernel(&CROSS_ENTROPY, &overrides), &params, storage.storage(), [workgroups, 1, 1]);
        tensors.sum_losses(&mut builder);
        let program = builder.build()?;
        Ok(Loss { options: self, classes: Some(classes), d_prediction: d_logits.cloned(), program, tensors })
    }

    /// By a kernel of `shaders/shared/loss.wgsl`, without a mask or with one; `names` are those of the two tensors.
    fn of_elements(
        self,
        [plain, masked]: [&'static KernelSpec; 2],
        label: &'static str,
        names: [&'static str; 2],
        prediction: &Tensor,
        d: Option<&Tensor>,
    ) -> Result<Loss> {
        if self.ignore_index.is_some() {
            return Err(Error::OptionUnavailable { option: "ignore_index", because: NO_CLASSES });
        }
        let kernels = if self.mask { vec![masked, &SUM_WEIGHTS] } else { vec![plain] };
        check(names, prediction, d, &kernels)?;
        let (rows, columns) = rows_of(prediction);
        let (gpu, len) = (prediction.gpu(), prediction.len());
        let workgroups = reduction_workgroups(len);
        let tensors = Tensors::new(prediction, prediction.shape(), rows, workgroups, self)?;
        let Tensors { expected, mask, .. } = &tensors;

        let mut builder = ProgramBuilder::new(gpu, label);
        let (prediction, prediction_offset) = prediction.view();
        let (d_prediction, d_prediction_offset) = d.unwrap_or(tensors.loss()).view();
        let (expected, partial, len) = (expected.view().0, tensors.partial().view().0, len as u32);
        let has_gradient = [("HAS_GRADIENT", f64::from(d.is_some()))];
        if let Some(mask) = mask {
            tensors.sum_weights(&mut builder, None);
            let columns = columns as u32;
            let params = MaskedLossParams { len, prediction_offset, d_prediction_offset, workgroups, columns };
            let mask = mask.view().0;
            let storage = kernels::MaskedLoss { prediction, expected, d_prediction, partial, mask };
            builder.once(gpu.kernel(masked, &has_gradient), &params, storage.storage(), [workgroups, 1, 1]);
        } else {
            let inverse_len = 1.0 / len as f32;
            let params = LossParams { len, prediction_offset, d_prediction_offset, workgroups, inverse_len };
            let storage = kernels::Loss { prediction, expected, d_prediction, partial };
            builder.once(gpu.kernel(plain, &has_gradient), &params, storage.storage(), [workgroups, 1, 1]);
        }
        tensors.sum_losses(&mut builder);
        let program = builder.build()?;
        Ok(Loss { options: self, classes: None, d_prediction: d.cloned(), program, tensors })
    }
}

/// What is to be small: a mean over all elements or rows, and its gradient, which it writes for the backward pass of what
/// made the prediction. Without a tensor for that (`None`) the loss alone is computed, say of a head for inference.
///
/// # Rows that do not count
/// A prediction is `[.., F]`: rows of F numbers. With [`LossOptions::mask`] each row has a weight, which is 0 where it
/// does not count, such as padding, and 1 where it does. Then the mean is over the elements, or for cross-entropy the
/// rows, that count. A row that does not count has no part in the loss and a gradient of exactly 0, even where its
/// prediction is NaN or what is expected of it is. How many count is found on the GPU each time; if there are none, the
/// loss is NaN, as that of PyTorch is, and all gradients are 0.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::train::Linear;
/// # let features = wgpu_gru::Tensor::zeros(gpu, &[20, 32])?;
/// # let head = Linear::new(gpu, 32, 10, 1)?.unroll(&features, None)?;
/// use wgpu_gru::train::Loss;
/// let loss = Loss::cross_entropy(head.output(), head.d_output())?;
/// loss.write_classes(&[3; 20])?;
/// gpu.submit(|encoder| Ok(loss.encode(encoder)))?;
/// println!("{}", loss.loss().read_blocking()?[0]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Loss {
    tensors: Tensors,
    options: LossOptions,
    /// C, of a cross-entropy.
    classes: Option<usize>,
    d_prediction: Option<Tensor>,
    program: Program,
}

impl Loss {
    /// The mean over all elements of (prediction - expected)^2, as
    /// [`nn.MSELoss`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html). Its gradient goes to
    /// `d_prediction`, a tensor of the same shape in another buffer.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn mean_squared_error<'a>(prediction: &Tensor, d_prediction: impl Into<Option<&'a Tensor>>) -> Result<Self> {
        LossOptions::default().mean_squared_error(prediction, d_prediction)
    }

    /// The mean over all elements of the cross-entropy of two classes, as
    /// [`nn.BCEWithLogitsLoss`](https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html). The
    /// prediction is a logit x, that is ln(s / (1 - s)) of the probability s = 1 / (1 + e^-x) of the first class; what is
    /// expected is a label y, 1 for that class and 0 for the other one, or any other number:
    ///
    /// ```text
    /// loss = mean of -(y ln s + (1 - y) ln(1 - s))          d_x = (s - y) / len
    /// ```
    ///
    /// It needs no sigmoid behind the head, and is accurate for every finite logit: for labels of 0 and 1 the loss of a
    /// logit and its gradient are right to 6 units in the last place, down to 2^-126, where s - 1 itself is 0 from x = 17
    /// on. While labels are in \[0, 1\] nothing overflows, nor does the sum of many.
    ///
    /// NaN in a logit or in a label gives a loss of NaN, and a gradient of NaN in that place. The gradient of an infinite
    /// logit is finite; its loss is infinite, but NaN if the label is wholly on its side, as 0 times infinity is.
    ///
    /// # Errors
    /// Those of [`Loss::mean_squared_error`].
    pub fn binary_cross_entropy<'a>(logits: &Tensor, d_logits: impl Into<Option<&'a Tensor>>) -> Result<Self> {
        LossOptions::default().binary_cross_entropy(logits, d_logits)
    }

    /// The mean over all rows of the cross-entropy of C classes, as
    /// [`nn.CrossEntropyLoss`](https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html) of class
    /// indices. A prediction `[.., C]` has the logits x of a row, that is its probabilities p = softmax(x) up to a factor;
    /// what is [expected](Self::expected), `[..]`, is the class t of each row, a whole number below C:
    ///
    /// ```text
    /// loss = mean of -ln p_t          d_x_j = (p_j - (1 if j = t, else 0)) / rows
    /// ```
    ///
    /// It needs no softmax behind the head. Logits may be of any size, and classes many: the loss of a row and each of its
    /// gradients are right to 100 units in the last place, down to 2^-126, for C up to 100,000. Classes lie in the last
    /// axis, as a [`Linear`](super::Linear) leaves them, where PyTorch has them in the second.
    ///
    /// A number that is no class, as a shader of the app may write it, gives a loss of NaN and NaN gradients in its row,
    /// unless it is [`LossOptions::ignore_index`]. So does a row with a logit that is NaN or infinity. A logit of
    /// -infinity is a class that cannot be: its gradient is 0, and the loss infinite if the row is of that class.
    ///
    /// # Errors
    /// Those of [`Loss::mean_squared_error`].
    pub fn cross_entropy<'a>(logits: &Tensor, d_logits: impl Into<Option<&'a Tensor>>) -> Result<Self> {
        LossOptions::default().cross_entropy(logits, d_logits)
    }

    /// What is expected, to be written: in the shape of the prediction; for a cross-entropy of shape `[..]` the class of
    /// each row, by [`write_classes`](Self::write_classes) or by a shader as `array<u32>`. Initially zeros.
    #[must_use]
    pub fn expected(&self) -> &Tensor {
        &self.tensors.expected
    }

    /// Writes the class of each row. They arrive before the next submission's commands run. What is to be ignored has
    /// [`LossOptions::ignore_index`].
    ///
    /// # Errors
    /// [`Error::OptionUnavailable`] for a loss without classes, [`Error::ShapeMismatch`], [`Error::IndexOutOfRange`] for
    /// what is no class; then nothing is written.
    pub fn write_classes(&self, classes: &[usize]) -> Result<()> {
        let option = "write_classes";
        let len = self.classes.ok_or(Error::OptionUnavailable { option, because: NO_CLASSES })?;
        self.tensors.expected.write_indices("classes", classes, len, self.options.ignore_index)
    }

    /// The weight of each row, `[..]` for a prediction `[.., F]`, to be written by the app or by its shaders; initially
    /// ones. A row of 0 does not count. Other numbers than 0 and 1 make a weighted mean: each loss times its weight,
    /// divided by the sum of the weights (for a mean over elements, of the weights of all elements). They should be at
    /// least 0, and their sum an f32; a weight of NaN makes everything NaN that counts.
    ///
    /// # Errors
    /// [`Error::OptionUnavailable`] without [`LossOptions::mask`].
    pub fn mask(&self) -> Result<&Tensor> {
        let because = "the loss was made without: see LossOptions::mask";
        self.tensors.mask.as_ref().ok_or(Error::OptionUnavailable { option: "mask", because })
    }

    /// Writes the mask of predictions `[T, B, ..]`, or `[B, T, ..]` with [`LossOptions::batch_first`]: of each of the B
    /// rows of a batch so many steps count. It arrives before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::OptionUnavailable`] without a mask or where there is no axis of steps, [`Error::ShapeMismatch`] for
    /// another number of lengths than B, [`Error::LengthExceeded`]; then nothing is written.
    pub fn set_lengths(&self, lengths: &[usize]) -> Result<()> {
        let mask = self.mask()?;
        let &[first, second, ref rest @ ..] = mask.shape() else {
            let because = "a prediction that has lengths is [T, B, .., F], or [B, T, .., F]";
            return Err(Error::OptionUnavailable { option: "set_lengths", because });
        };
        let [seq_len, batch] = if self.options.batch_first { [second, first] } else { [first, second] };
        expect_len("lengths", &[batch], lengths.len())?;
        expect_lengths(lengths, seq_len)?;
        let inner = rest.iter().product::<usize>();
        let weight = |place: usize| {
            let (step, row) = if self.options.batch_first {
                (place % seq_len, place / seq_len)
            } else {
                (place / batch, place % batch)
            };
            f32::from(u8::from(step < lengths[row]))
        };
        mask.write(&(0..mask.len()).map(|element| weight(element / inner)).collect::<Vec<_>>())
    }

    /// The loss, `[1]`. How many digits it keeps: [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn loss(&self) -> &Tensor {
        self.tensors.loss()
    }

    /// Records the loss and the gradient of the prediction.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        for tensor in [self.tensors.loss()].into_iter().chain(&self.d_prediction) {
            tensor.mark_written();
        }
    }
}

/// The shape of the rows of a prediction, and how many numbers a row has.
fn rows_of(prediction: &Tensor) -> (&[usize], usize) {
    prediction.shape().split_last().map_or((&[], 1), |(&columns, rows)| (rows, columns))
}

/// Checks a prediction and its gradient, and that the device has the kernels.
fn check(
    [first, second]: [&'static str; 2],
    prediction: &Tensor,
    d_prediction: Option<&Tensor>,
    kernels: &[&'static KernelSpec],
) -> Result<()> {
    if let Some(d_prediction) = d_prediction {
        expect_shape(second, prediction.shape(), d_prediction.shape())?;
        prediction.expect_same_device(second, d_prediction)?;
        if prediction.buffer() == d_prediction.buffer() {
            return Err(Error::Aliased { first, second });
        }
    }
    prediction.gpu().check_kernels(kernels)
}

/// What every loss has.
#[derive(Debug)]
struct Tensors {
    expected: Tensor,
    mask: Option<Tensor>,
    /// [`LOSS`]; [`PARTIAL`], the sums of the workgroups and behind them the sum of the weights; [`WEIGHTS`], the sums
    /// of the weights of some rows each. Without weights neither of these is there.
    sums: Vec<Tensor>,
    rows: usize,
}

const LOSS: Id = Id(0);
const PARTIAL: Id = Id(1);
const WEIGHTS: Id = Id(2);

impl Tensors {
    fn new(
        prediction: &Tensor,
        expected: &[usize],
        rows: &[usize],
        workgroups: u32,
        options: LossOptions,
    ) -> Result<Self> {
        let (gpu, len) = (prediction.gpu(), rows.iter().product());
        let is_weighted = options.mask || options.ignore_index.is_some();
        let named = |name, len| Tensor::named(gpu, name, &[len], None);
        let ones = || Tensor::named(gpu, "mask", rows, Some(&vec![1.0; len]));
        let partial = workgroups as usize + usize::from(is_weighted);
        let mut sums = vec![named("loss", 1)?, named("partial losses", partial)?];
        if is_weighted {
            sums.push(named("partial weights", reduction_workgroups(len) as usize)?);
        }
        let expected = Tensor::named(gpu, "expected", expected, None)?;
        Ok(Self { expected, mask: options.mask.then(ones).transpose()?, sums, rows: len })
    }

    fn loss(&self) -> &Tensor {
        &self.sums[LOSS.index()]
    }

    fn partial(&self) -> &Tensor {
        &self.sums[PARTIAL.index()]
    }

    /// How many sums of workgroups there are, and so where that of the weights lies.
    fn parts(&self) -> usize {
        self.partial().len() - usize::from(self.sums.len() > WEIGHTS.index())
    }

    /// The sum of all weights, if there are any.
    fn sum_weights<'a>(&'a self, builder: &mut ProgramBuilder<'a>, ignore_index: Option<u32>) {
        let Some(weights) = self.sums.get(WEIGHTS.index()) else { return };
        let workgroups = weights.len() as u32;
        let ignored = ignore_index.unwrap_or_default();
        let params = SumWeightsParams { rows: self.rows as u32, workgroups, ignored };
        let storage = kernels::SumWeights {
            expected: self.expected.view().0,
            // Something must be bound; without a mask it is not read.
            mask: self.mask.as_ref().unwrap_or(&self.expected).view().0,
            partial: weights.view().0,
        };
        let overrides =
            [("HAS_MASK", f64::from(self.mask.is_some())), ("HAS_IGNORED", f64::from(ignore_index.is_some()))];
        let kernel = builder.gpu().kernel(&SUM_WEIGHTS, &overrides);
        builder.once(kernel, &params, storage.storage(), [workgroups, 1, 1]);
        self.sum(builder, WEIGHTS, weights.len(), Vector { tensor: PARTIAL, begin: self.parts() });
    }

    /// The sum of what the workgroups leave.
    fn sum_losses<'a>(&'a self, builder: &mut ProgramBuilder<'a>) {
        self.sum(builder, PARTIAL, self.parts(), Vector { tensor: LOSS, begin: 0 });
    }

    fn sum<'a>(&'a self, builder: &mut ProgramBuilder<'a>, parts: Id, rows: usize, total: Vector) {
        let input = Matrix::rows_of(parts, 0, rows, 1);
        let sum = SumRows { input, size: [rows, 1], total, accumulate: false, root: false };
        lower(builder, &self.sums, &Op::SumRows(sum));
    }
}
