//! Losses over all elements against their twins: with all rows and with a mask, of logits of every size and of what is
//! not finite.

use wgpu_gru::reference::twins::bce::bce;
use wgpu_gru::reference::twins::mse::mse;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Loss, LossOptions};
use wgpu_gru::{Gpu, Tensor, Tolerance};

use super::train::LENGTHS;
use super::{Outcome, bits, ensure, equal, flat, record, tensor, zeros};
use crate::support::{close, wide};

checks![
    losses_against_their_twins,
    logits_of_every_size,
    logits_that_are_not_finite,
    a_mean_whose_sum_is_too_large,
    masked,
    what_does_not_count_may_be_anything,
    nothing_counts,
    lengths,
    without_a_gradient,
];

/// The mean of a prediction, of what is expected and the weights of rows; writes the gradient.
type Twin<R> = fn(&[R], &[R], Option<&[R]>, &mut [R]) -> R;

/// A loss over all elements: its twin in f64 and in f32, and itself.
pub(crate) struct OfElements {
    pub(crate) name: &'static str,
    pub(crate) exact: Twin<f64>,
    narrow: Twin<f32>,
    make: for<'a> fn(LossOptions, &Tensor, Option<&'a Tensor>) -> wgpu_gru::Result<Loss>,
}

impl OfElements {
    /// Runs it once on a prediction, its gradient and what is expected, zeros if nothing is said; gives the loss.
    pub(crate) fn once(
        &self,
        prediction: &Tensor,
        d_prediction: &Tensor,
        expected: Option<&[f32]>,
    ) -> wgpu_gru::Result<Tensor> {
        self.masked(prediction, d_prediction, expected, None)
    }

    /// The same with the weights of rows.
    pub(crate) fn masked(
        &self,
        prediction: &Tensor,
        d_prediction: &Tensor,
        expected: Option<&[f32]>,
        weights: Option<&[f32]>,
    ) -> wgpu_gru::Result<Tensor> {
        let options = LossOptions { mask: weights.is_some(), ..LossOptions::default() };
        let loss = (self.make)(options, prediction, Some(d_prediction))?;
        expected.map_or(Ok(()), |expected| loss.expected().write(expected))?;
        weights.map_or(Ok(()), |weights| loss.mask()?.write(weights))?;
        record(prediction.gpu(), |encoder| loss.encode(encoder))?;
        Ok(loss.loss().clone())
    }
}

pub(crate) const SQUARED_ERROR: OfElements = OfElements {
    name: "mean_squared_error",
    exact: mse,
    narrow: mse,
    make: |options, prediction, d| options.mean_squared_error(prediction, d),
};

const CROSS_ENTROPY: OfElements = OfElements {
    name: "binary_cross_entropy",
    exact: bce,
    narrow: bce,
    make: |options, logits, d| options.binary_cross_entropy(logits, d),
};

/// Every loss over all elements.
pub(crate) const LOSSES: [OfElements; 2] = [SQUARED_ERROR, CROSS_ENTROPY];

async fn losses_against_their_twins(gpu: &Gpu) -> Outcome {
    for (loss, len) in LOSSES.iter().flat_map(|loss| LENGTHS.map(|len| (loss, len))) {
        let mut uniform = SplitMix64::new(len as u64);
        let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
        let mut exact_d = vec![0.0; len];
        let exact = (loss.exact)(&wide(&prediction), &wide(&expected), None, &mut exact_d);
        let mut narrow_d = vec![0.0_f32; len];
        (loss.narrow)(&prediction, &expected, None, &mut narrow_d);

        let (prediction, d_prediction) = (tensor(gpu, &[len], &prediction)?, zeros(gpu, &[len])?);
        let actual = loss.once(&prediction, &d_prediction, Some(&expected))?.read().await?;
        let name = |what| format!("{what} of {}, {len} elements", loss.name);
        // A mean of terms of about 1: each is divided by len, so the sum is of about 1.
        close(&name("loss"), &actual, &[exact], Tolerance::matmul(len))?;
        let tolerance = Tolerance::pointwise().scaled(1.0 / len as f64);
        let actual = d_prediction.read().await?;
        close(&name("d_prediction against f64"), &actual, &exact_d, tolerance)?;
        close(&name("d_prediction against f32"), &actual, &narrow_d, tolerance.plus(tolerance))?;
    }
    Ok(())
}

/// The cross-entropy of each logit by itself and its slope: with a label of 0 or 1 every digit, as the documentation
/// says, with others those of 1, or of the logit.
async fn logits_of_every_size(gpu: &Gpu) -> Outcome {
    let powers = (-30..128).flat_map(|power| [1.0, 1.3, 1.7].map(|digits| digits * 2.0_f32.powi(power)));
    let sizes: Vec<f32> = powers.chain([0.0, f32::MAX]).collect();
    let few = [0.0, 1e-6, 0.3, 2.0, 9.0, 17.5, 40.0, 80.0, 87.0, 100.0, 1e10, f32::MAX];
    for label in [0.0, 1.0, 0.3, 0.999_999] {
        let is_class = label == 0.0 || label == 1.0;
        let of = |scale| if is_class { Tolerance::ulps(6.0) } else { Tolerance::pointwise().scaled(scale) };
        let logits: Vec<f32> = sizes.iter().flat_map(|&size| [size, -size]).collect();
        let (len, labels) = (logits.len(), vec![label; logits.len()]);
        let mut exact_d = vec![0.0; len];
        bce(&wide(&logits), &wide(&labels), None, &mut exact_d);
        let (logits, d_logits) = (flat(gpu, &logits)?, zeros(gpu, &[len])?);
        CROSS_ENTROPY.once(&logits, &d_logits, Some(&labels))?;
        let what = format!("d_logits with a label of {label}");
        // 1 / len and the product with it are rounded as well.
        let tolerance = of(1.0 / len as f64).plus(Tolerance { abs: 0.0, rel: 2.0 * Tolerance::UNIT_ROUNDOFF });
        close(&what, &d_logits.read().await?, &exact_d, tolerance)?;

        let (logit, d_logit) = (zeros(gpu, &[1])?, zeros(gpu, &[1])?);
        for x in few.into_iter().flat_map(|size| [size, -size]) {
            logit.write(&[x])?;
            let actual = CROSS_ENTROPY.once(&logit, &d_logit, Some(&[label]))?.read().await?;
            let exact = bce(&[f64::from(x)], &[f64::from(label)], None, &mut [0.0]);
            close(&format!("loss of {x:e} with a label of {label}"), &actual, &[exact], of(1.0))?;
        }
    }
    Ok(())
}

/// Wherever a logit or a label is no number or infinite, the twin says what becomes of it; the pair beside it is as it
/// was.
async fn logits_that_are_not_finite(gpu: &Gpu) -> Outcome {
    let (none, infinite) = (f32::NAN, f32::INFINITY);
    let logits = [none, infinite, -infinite].into_iter().flat_map(|x| [0.0, 1.0, 0.25, 2.0, none].map(|y| [x, y]));
    for [x, y] in logits.chain([[3.0, none], [-3.0, none]]) {
        let (logits, labels) = ([0.5, x], [1.0, y]);
        let mut exact = [0.0; 2];
        let exact_loss = bce(&wide(&logits), &wide(&labels), None, &mut exact);
        let (logits, d_logits) = (flat(gpu, &logits)?, zeros(gpu, &[2])?);
        let loss = CROSS_ENTROPY.once(&logits, &d_logits, Some(&labels))?.read().await?;
        let actual = [loss, d_logits.read().await?].concat();
        for (name, (&actual, exact)) in
            ["loss", "d of the other one", "d"].into_iter().zip(actual.iter().zip([exact_loss, exact[0], exact[1]]))
        {
            let is_so =
                if exact.is_nan() { actual.is_nan() } else { Tolerance::pointwise().accepts(actual.into(), exact) };
            ensure(is_so, format_args!("{name} of {x} with a label of {y}: {actual}, expected {exact}"))?;
        }
    }
    Ok(())
}

/// The mean of losses of 3e38 is 3e38.
async fn a_mean_whose_sum_is_too_large(gpu: &Gpu) -> Outcome {
    for len in [2, 257, 300_007] {
        let (logits, labels): (Vec<_>, Vec<_>) = (0..len).map(|i| [(3e38, 0.0), (-3e38, 1.0)][i % 2]).unzip();
        let (logits, d_logits) = (flat(gpu, &logits)?, zeros(gpu, &[len])?);
        let loss = CROSS_ENTROPY.once(&logits, &d_logits, Some(&labels))?.read().await?;
        close(&format!("loss of {len}"), &loss, &[f64::from(3e38_f32)], Tolerance { abs: 0.0, rel: 1e-6 })?;
    }
    Ok(())
}

/// Rows of one number and of several, of a mask and of weights.
async fn masked(gpu: &Gpu) -> Outcome {
    for (loss, [rows, columns]) in
        LOSSES.iter().flat_map(|loss| [[1, 1], [5, 3], [257, 1], [9001, 7]].map(|n| (loss, n)))
    {
        for is_weighted in [false, true] {
            let mut uniform = SplitMix64::new((rows + columns) as u64);
            let len = rows * columns;
            let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
            let weights: Vec<f32> = uniform
                .vec(rows, 1.0)
                .into_iter()
                .enumerate()
                .map(|(row, drawn)| match (row > 0 && drawn < 0.0, is_weighted) {
                    (true, _) => [0.0, -0.0][row % 2],
                    (false, false) => 1.0,
                    (false, true) => drawn.abs() + 0.1,
                })
                .collect();
            let mut exact_d = vec![0.0; len];
            let exact = (loss.exact)(&wide(&prediction), &wide(&expected), Some(&wide(&weights)), &mut exact_d);
            let prediction = tensor(gpu, &[rows, columns], &prediction)?;
            let d_prediction = tensor(gpu, &[rows, columns], &vec![9.0; len])?;
            let made = loss.masked(&prediction, &d_prediction, Some(&expected), Some(&weights))?;
            let name = |what| format!("{what} of {}, [{rows}, {columns}], weighted: {is_weighted}", loss.name);
            let counted = weights.iter().filter(|&&weight| weight != 0.0).count() * columns;
            close(&name("loss"), &made.read().await?, &[exact], Tolerance::matmul(len))?;
            let tolerance = Tolerance::pointwise().scaled(3.0 / counted as f64);
            let actual = d_prediction.read().await?;
            close(&name("d_prediction"), &actual, &exact_d, tolerance)?;
            for (index, d) in actual.iter().enumerate() {
                ensure(weights[index / columns] != 0.0 || *d == 0.0, format_args!("{}[{index}] is {d}", name("d")))?;
            }
        }
    }
    Ok(())
}

/// A prediction or an expectation that is not finite, in rows that do not count: the same bits as with zeros there.
async fn what_does_not_count_may_be_anything(gpu: &Gpu) -> Outcome {
    for loss in LOSSES {
        let weights = [1.0, 0.0, 1.0, 0.0];
        let run = async |there: f32, expected: f32| -> Outcome<Vec<u32>> {
            let prediction = tensor(gpu, &[4, 2], &[0.5, -1.0, there, 0.0, 2.0, 0.25, 1.0, there])?;
            let d_prediction = zeros(gpu, &[4, 2])?;
            let expected = [1.0, 0.0, 0.5, expected, 1.0, 1.0, expected, 0.0];
            let made = loss.masked(&prediction, &d_prediction, Some(&expected), Some(&weights))?;
            Ok([bits(&made).await?, bits(&d_prediction).await?].concat())
        };
        let plain = run(0.0, 0.0).await?;
        ensure(plain.iter().all(|&word| !f32::from_bits(word).is_nan()), format_args!("{}: {plain:?}", loss.name))?;
        for any in [f32::NAN, f32::INFINITY, -f32::INFINITY, 3e38] {
            equal(&run(any, 0.0).await?, &plain, format_args!("{} with a prediction of {any}", loss.name))?;
            equal(&run(0.0, any).await?, &plain, format_args!("{} where {any} is expected", loss.name))?;
        }
        // A weight of NaN is heard of in all that counts.
        let (prediction, d) = (tensor(gpu, &[2, 1], &[1.0, 2.0])?, zeros(gpu, &[2, 1])?);
        let made = loss.masked(&prediction, &d, None, Some(&[f32::NAN, 1.0]))?;
        let all = [made.read().await?, d.read().await?].concat();
        ensure(all.iter().all(|value| value.is_nan()), format_args!("{}: {all:?}", loss.name))?;
    }
    Ok(())
}

/// The mean of nothing is NaN, and its gradient zero, as PyTorch has it.
async fn nothing_counts(gpu: &Gpu) -> Outcome {
    for (loss, rows) in LOSSES.iter().flat_map(|loss| [(loss, 1), (loss, 5000)]) {
        let prediction = tensor(gpu, &[rows, 2], &vec![1.0; 2 * rows])?;
        let d = tensor(gpu, &[rows, 2], &vec![f32::NAN; 2 * rows])?;
        let made = loss.masked(&prediction, &d, None, Some(&vec![0.0; rows]))?.read().await?[0];
        ensure(made.is_nan(), format_args!("{} of nothing is {made}", loss.name))?;
        ensure(d.read().await?.iter().all(|&d| d == 0.0), format_args!("{}: gradients", loss.name))?;
    }
    Ok(())
}

/// Of T 4, B 3 in both orders, and with an axis behind them.
async fn lengths(gpu: &Gpu) -> Outcome {
    let lengths = [2, 4, 0];
    for (shape, batch_first) in
        [(&[4, 3, 2][..], false), (&[3, 4, 2], true), (&[4, 3, 2, 5], false), (&[3, 4, 2, 5], true)]
    {
        let (prediction, d) = (zeros(gpu, shape)?, zeros(gpu, shape)?);
        let options = LossOptions { mask: true, batch_first, ..LossOptions::default() };
        let loss = options.mean_squared_error(&prediction, &d)?;
        let (rows, _) = (loss.mask()?.shape().to_vec(), ());
        equal(&rows[..], &shape[..shape.len() - 1], "a weight a row")?;
        equal(&loss.mask()?.read().await?, &vec![1.0; rows.iter().product()], "ones at first")?;
        loss.set_lengths(&lengths)?;
        let inner: usize = rows[2..].iter().product();
        let counts = |[step, row]: [usize; 2]| vec![f32::from(u8::from(step < lengths[row])); inner];
        let places = |outer: usize, other: usize| (0..outer).flat_map(move |a| (0..other).map(move |b| [a, b]));
        let expected: Vec<f32> = if batch_first {
            places(3, 4).flat_map(|[row, step]| counts([step, row])).collect()
        } else {
            places(4, 3).flat_map(counts).collect()
        };
        equal(&loss.mask()?.read().await?, &expected, format_args!("{shape:?}"))?;
    }
    Ok(())
}

/// The same loss where no gradient is wanted.
async fn without_a_gradient(gpu: &Gpu) -> Outcome {
    for (loss, mask) in LOSSES.iter().flat_map(|loss| [(loss, false), (loss, true)]) {
        let mut uniform = SplitMix64::new(8);
        let (prediction, d) = (tensor(gpu, &[300, 3], &uniform.vec(900, 1.0))?, zeros(gpu, &[300, 3])?);
        let expected = uniform.vec(900, 1.0);
        let options = LossOptions { mask, ..LossOptions::default() };
        let [with, without] = [Some(&d), None].map(|d| (loss.make)(options, &prediction, d));
        let mut made = Vec::new();
        for loss in [with?, without?] {
            loss.expected().write(&expected)?;
            record(gpu, |encoder| loss.encode(encoder))?;
            made.push(bits(loss.loss()).await?);
        }
        equal(&made[0], &made[1], format_args!("{}, masked: {mask}", loss.name))?;
    }
    Ok(())
}
