//! Cross-entropy of classes against its twin: few classes and many, few rows and many, logits of every size, what is not
//! finite, what is no class, and rows that do not count.

use wgpu_gru::reference::twins::cross_entropy::cross_entropy;
use wgpu_gru::reference::twins::sum_weights::weights;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Loss, LossOptions};
use wgpu_gru::{Error, Gpu, Tensor, Tolerance};

use super::{BRIEF, Outcome, bits, ensure, equal, record, refused, tensor, zeros};
use crate::support::{close, from_bits, kinds, shape, wide};

checks![
    against_the_twin,
    logits_of_every_size,
    logits_that_are_not_finite,
    a_mean_whose_sum_is_too_large,
    no_class,
    classes_from_the_host,
    rows_that_do_not_count,
    what_does_not_count_may_be_anything,
    nothing_counts,
    lengths_of_rows,
    at_an_offset,
    without_a_gradient,
];

/// What is lost in a power, whose argument is rounded and less than 88, and in the sum of all.
fn budget() -> Tolerance {
    Tolerance::ulps(100.0)
}

/// A class for each row, drawn.
fn classes_of(rows: usize, classes: usize, seed: u64) -> Vec<u32> {
    let drawn = SplitMix64::new(seed).vec(rows, 0.5);
    drawn.into_iter().map(|x| ((x + 0.5) * classes as f32) as u32 % classes as u32).collect()
}

/// One row after the other, and what is made of them: by a loss and by the twin.
struct Rows {
    classes: usize,
    logits: Vec<f32>,
    expected: Vec<u32>,
    mask: Option<Vec<f32>>,
    ignore_index: Option<u32>,
}

impl Rows {
    fn drawn([rows, classes]: [usize; 2], size: f32, seed: u64) -> Self {
        let logits = SplitMix64::new(seed).vec(rows * classes, size);
        Self { classes, logits, expected: classes_of(rows, classes, seed + 1), mask: None, ignore_index: None }
    }

    fn shape(&self) -> [usize; 2] {
        [self.expected.len(), self.classes]
    }

    fn options(&self) -> LossOptions {
        LossOptions { mask: self.mask.is_some(), ignore_index: self.ignore_index, ..LossOptions::default() }
    }

    /// Runs it once; gives the loss, and leaves the gradient.
    fn run(&self, logits: &Tensor, d_logits: Option<&Tensor>) -> wgpu_gru::Result<Tensor> {
        let loss = self.options().cross_entropy(logits, d_logits)?;
        loss.expected().write(&from_bits(&self.expected))?;
        self.mask.as_ref().map_or(Ok(()), |mask| loss.mask()?.write(mask))?;
        record(logits.gpu(), |encoder| loss.encode(encoder))?;
        Ok(loss.loss().clone())
    }

    /// Loss and gradient.
    async fn made(&self, gpu: &Gpu) -> wgpu_gru::Result<(f32, Vec<f32>)> {
        let logits = tensor(gpu, &self.shape(), &self.logits)?;
        let d_logits = tensor(gpu, &self.shape(), &vec![7.0; self.logits.len()])?;
        let loss = self.run(&logits, Some(&d_logits))?;
        Ok((loss.read().await?[0], d_logits.read().await?))
    }

    fn exact(&self) -> (f64, Vec<f64>) {
        let mask = self.mask.as_deref().map(wide);
        let ignored = self.ignore_index.map(|ignored| (&self.expected[..], ignored));
        let weights = weights(self.expected.len(), mask.as_deref(), ignored);
        let mut d = vec![0.0; self.logits.len()];
        (cross_entropy(self.classes, &wide(&self.logits), &self.expected, &weights, &mut d), d)
    }

    /// Holds the one against the other.
    async fn check(&self, gpu: &Gpu, name: &str) -> Outcome {
        let ((loss, d), (exact, exact_d)) = (self.made(gpu).await?, self.exact());
        let of_rows = Tolerance { abs: 0.0, rel: Tolerance::matmul(self.expected.len()).abs };
        close(&format!("loss of {name}"), &[loss], &[exact], budget().plus(of_rows))?;
        close(&format!("d_logits of {name}"), &d, &exact_d, budget())?;
        Ok(())
    }
}

/// One class and more than a workgroup has invocations; one row and more than a grid has.
async fn against_the_twin(gpu: &Gpu) -> Outcome {
    const MANY: [[usize; 2]; 4] = [[300_007, 2], [70_001, 40], [1100, 4097], [2, 50_000]];
    const FEW: [[usize; 2]; 9] =
        [[1, 1], [3, 1], [9, 2], [300, 16], [257, 17], [33, 33], [7, 100], [5, 1000], [3, 2049]];
    for size in FEW {
        for scale in [1.0, 12.0] {
            Rows::drawn(size, scale, 5).check(gpu, &format!("{size:?}, logits to {scale}")).await?;
        }
    }
    for size in MANY.into_iter().take(if BRIEF { 0 } else { MANY.len() }) {
        Rows::drawn(size, 12.0, 5).check(gpu, &format!("{size:?}")).await?;
    }
    Ok(())
}

/// Two and three classes a row, of all sizes, whichever is the largest: every digit of loss and gradient.
async fn logits_of_every_size(gpu: &Gpu) -> Outcome {
    let sizes = (-30..127).flat_map(|power| [1.0, 1.3, 1.7].map(|digits| digits * 2.0_f32.powi(power)));
    let sizes: Vec<f32> = sizes.chain([0.0, 17.5, 87.0, 88.5]).collect();
    let logits: Vec<f32> = sizes.iter().flat_map(|&x| [[x, 0.0, -x], [-x, 0.5, x / 3.0]]).flatten().collect();
    for t in 0..3 {
        let expected = vec![t; logits.len() / 3];
        let rows = Rows { classes: 3, logits: logits.clone(), expected, mask: None, ignore_index: None };
        let ((_, d), (_, exact)) = (rows.made(gpu).await?, rows.exact());
        close(&format!("d_logits of class {t}"), &d, &exact, budget())?;
    }
    // Each loss by itself.
    let few = [0.0, 1e-6, 0.3, 2.0, 9.0, 17.5, 40.0, 80.0, 87.0, 100.0, 1e10, 1.7e38];
    for (t, x) in few.into_iter().flat_map(|x| [(0, x), (1, x), (0, -x)]) {
        let rows = Rows { classes: 2, logits: vec![x, -x], expected: vec![t], mask: None, ignore_index: None };
        close(
            &format!("loss of class {t} of {x:e}, {:e}", -x),
            &[rows.made(gpu).await?.0],
            &[rows.exact().0],
            budget(),
        )?;
    }
    Ok(())
}

/// The twin says what becomes of a row with such a logit, of its class or of another one; the rows beside it stay.
async fn logits_that_are_not_finite(gpu: &Gpu) -> Outcome {
    for classes in [2, 33] {
        let plain = Rows::drawn([3, classes], 2.0, 9);
        let (_, without) = plain.made(gpu).await?;
        for value in [f32::NAN, -f32::NAN, f32::INFINITY, -f32::INFINITY] {
            for place in [0, classes - 1] {
                for t in [0, classes as u32 - 1] {
                    let mut rows = Rows::drawn([3, classes], 2.0, 9);
                    rows.logits[classes + place] = value;
                    rows.expected[1] = t;
                    let name = format!("{value} in class {place} of {classes}, class {t}");
                    let ((loss, d), (exact, exact_d)) = (rows.made(gpu).await?, rows.exact());
                    equal(&kinds(&[f64::from(loss)]), &kinds(&[exact]), format_args!("loss: {name}"))?;
                    equal(&kinds(&wide(&d)), &kinds(&exact_d), format_args!("d: {name}"))?;
                    let finite: Vec<_> = d.iter().zip(&exact_d).filter(|(d, _)| d.is_finite()).collect();
                    let (d_finite, exact_finite): (Vec<f32>, Vec<f64>) = finite.into_iter().unzip();
                    close(&name, &d_finite, &exact_finite, budget())?;
                    equal(&(&d[..classes], &d[2 * classes..]), &(&without[..classes], &without[2 * classes..]), &name)?;
                }
            }
        }
        // Nothing but -infinity.
        let mut rows = plain;
        rows.logits[..classes].fill(-f32::INFINITY);
        let (loss, d) = rows.made(gpu).await?;
        ensure(loss.is_nan() && d[..classes].iter().all(|d| d.is_nan()), "no class is possible")?;
        equal(&d[classes..], &without[classes..], "the other rows")?;
    }
    Ok(())
}

async fn a_mean_whose_sum_is_too_large(gpu: &Gpu) -> Outcome {
    for (count, classes) in [(2, 2), (300, 2), (300, 33)] {
        let logits: Vec<f32> =
            (0..count * classes).map(|at| if at % classes == 0 { 1.5e38 } else { -1.5e38 }).collect();
        let rows = Rows { classes, logits, expected: vec![1; count], mask: None, ignore_index: None };
        let (loss, _) = rows.made(gpu).await?;
        close(&format!("loss of {count}"), &[loss], &[3e38], Tolerance { abs: 0.0, rel: 1e-6 })?;
    }
    Ok(())
}

/// What a shader of the app might write.
async fn no_class(gpu: &Gpu) -> Outcome {
    for (classes, wrong) in [3, 33, 700].into_iter().flat_map(|n: u32| [n, n + 1, 1 << 31, u32::MAX].map(|w| (n, w))) {
        let classes = classes as usize;
        let plain = Rows::drawn([4, classes], 2.0, 3);
        let (_, without) = plain.made(gpu).await?;
        let mut rows = plain;
        rows.expected[2] = wrong;
        let (loss, d) = rows.made(gpu).await?;
        let (before, at, after) = (&d[..2 * classes], &d[2 * classes..3 * classes], &d[3 * classes..]);
        ensure(loss.is_nan() && at.iter().all(|d| d.is_nan()), format_args!("{wrong} of {classes}: {loss}, {at:?}"))?;
        equal(&(before, after), &(&without[..2 * classes], &without[3 * classes..]), "the other rows")?;
        // Where it does not count it is no matter.
        rows.mask = Some(vec![1.0, 1.0, 0.0, 1.0]);
        rows.check(gpu, "a mask over what is no class").await?;
    }
    Ok(())
}

async fn classes_from_the_host(gpu: &Gpu) -> Outcome {
    let (logits, d) = (zeros(gpu, &[2, 3, 5])?, zeros(gpu, &[2, 3, 5])?);
    let loss = Loss::cross_entropy(&logits, &d)?;
    equal(loss.expected().shape(), &[2, 3][..], "a class a row")?;
    loss.write_classes(&[0, 1, 2, 3, 4, 0])?;
    let out_of_range = |place, index| Error::IndexOutOfRange { tensor: "classes", place, index, len: 5 };
    refused(loss.write_classes(&[0, 1, 5, 3, 9, 0]), &out_of_range(2, 5))?;
    refused(loss.write_classes(&[0, 1, 2, 3, 4, usize::MAX]), &out_of_range(5, usize::MAX))?;
    refused(loss.write_classes(&[0; 5]), &shape("classes", &[2, 3], &[5]))?;
    equal(&bits(loss.expected()).await?, &[0, 1, 2, 3, 4, 0], "what was written before")?;
    let ignored = LossOptions { ignore_index: Some(u32::MAX), ..LossOptions::default() }.cross_entropy(&logits, &d)?;
    ignored.write_classes(&[0, 1, 2, u32::MAX as usize, 4, 0])?;
    equal(&bits(ignored.expected()).await?, &[0, 1, 2, u32::MAX, 4, 0], "and what is ignored")?;
    refused(ignored.write_classes(&[0, 1, 2, 7, 4, 0]), &out_of_range(3, 7))
}

/// By a mask, by weights, by a class that is none and by one that is, by both together.
async fn rows_that_do_not_count(gpu: &Gpu) -> Outcome {
    let [mask, none, both] = ["mask", "none", "both"];
    for size in [[5, 2], [300, 7], [41, 40], [9, 700], [5000, 3]] {
        for (what, ignore_index) in [(mask, None), (none, Some(u32::MAX)), (none, Some(1)), (both, Some(0))] {
            for is_weighted in [false, true] {
                let mut rows = Rows::drawn(size, 3.0, 7);
                rows.ignore_index = ignore_index;
                if ignore_index == Some(u32::MAX) {
                    rows.expected.iter_mut().step_by(3).for_each(|class| *class = u32::MAX);
                }
                if what != none {
                    let weight = |row: usize| if is_weighted { 0.25 + (row % 5) as f32 } else { 1.0 };
                    rows.mask = Some((0..size[0]).map(|row| if row % 4 == 1 { 0.0 } else { weight(row) }).collect());
                }
                let name = format!("{size:?}, {what}, ignored {ignore_index:?}, weighted: {is_weighted}");
                rows.check(gpu, &name).await?;
                // The zeros are zeros.
                let ((_, d), (_, exact)) = (rows.made(gpu).await?, rows.exact());
                let is_left_out = |(d, exact): (&f32, &f64)| *exact != 0.0 || *d == 0.0;
                ensure(d.iter().zip(&exact).all(is_left_out), format_args!("{name}: gradients that are not zero"))?;
            }
        }
    }
    Ok(())
}

/// A mask and the class to be ignored leave the same bits, whatever the rows hold that do not count.
async fn what_does_not_count_may_be_anything(gpu: &Gpu) -> Outcome {
    for classes in [3, 40] {
        let run = async |there: f32, by_mask: bool| -> Outcome<Vec<u32>> {
            let mut rows = Rows::drawn([6, classes], 2.0, 4);
            for row in [1, 4] {
                rows.logits[row * classes + row % classes] = there;
                rows.expected[row] = 90;
            }
            if by_mask {
                rows.mask = Some(vec![1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
            } else {
                rows.ignore_index = Some(90);
            }
            let (loss, d) = rows.made(gpu).await?;
            Ok([loss].into_iter().chain(d).map(f32::to_bits).collect())
        };
        let plain = run(0.0, true).await?;
        ensure(plain.iter().all(|&word| f32::from_bits(word).is_finite()), format_args!("{plain:?}"))?;
        for (any, by_mask) in
            [f32::NAN, f32::INFINITY, -f32::INFINITY, 3e38, 0.0].map(|x| [(x, true), (x, false)]).concat()
        {
            equal(&run(any, by_mask).await?, &plain, format_args!("{any}, by a mask: {by_mask}"))?;
        }
    }
    // A weight that is NaN is heard of.
    let mut rows = Rows::drawn([3, 4], 1.0, 4);
    rows.mask = Some(vec![1.0, f32::NAN, 1.0]);
    let (loss, d) = rows.made(gpu).await?;
    ensure(loss.is_nan() && d.iter().all(|d| d.is_nan()), format_args!("{loss} {d:?}"))
}

async fn nothing_counts(gpu: &Gpu) -> Outcome {
    for (size, by_mask) in [[1, 3], [5000, 2], [3, 300]].into_iter().flat_map(|size| [(size, true), (size, false)]) {
        let mut rows = Rows::drawn(size, 1.0, 2);
        if by_mask {
            rows.mask = Some(vec![0.0; size[0]]);
        } else {
            rows.expected.fill(1);
            rows.ignore_index = Some(1);
        }
        let (loss, d) = rows.made(gpu).await?;
        ensure(loss.is_nan(), format_args!("{size:?}: the mean of nothing is {loss}"))?;
        ensure(d.iter().all(|&d| d == 0.0), format_args!("{size:?}: gradients of nothing"))?;
    }
    Ok(())
}

/// T 3, B 2: the same as with the rows past their ends cut out.
async fn lengths_of_rows(gpu: &Gpu) -> Outcome {
    for batch_first in [false, true] {
        let rows = Rows::drawn([6, 4], 2.0, 8);
        let shape = if batch_first { [2, 3, 4] } else { [3, 2, 4] };
        let (logits, d) = (tensor(gpu, &shape, &rows.logits)?, zeros(gpu, &shape)?);
        let loss = LossOptions { mask: true, batch_first, ..LossOptions::default() }.cross_entropy(&logits, &d)?;
        loss.expected().write(&from_bits(&rows.expected))?;
        loss.set_lengths(&[1, 3])?;
        record(gpu, |encoder| loss.encode(encoder))?;
        let mask = if batch_first { [1.0, 0.0, 0.0, 1.0, 1.0, 1.0] } else { [1.0, 1.0, 0.0, 1.0, 0.0, 1.0] };
        let (exact, exact_d) = Rows { mask: Some(mask.to_vec()), ..rows }.exact();
        close("loss", &loss.loss().read().await?, &[exact], budget())?;
        close("d_logits", &d.read().await?, &exact_d, budget())?;
    }
    Ok(())
}

/// The same bits in the middle of larger tensors, and nothing written around; and the same bits again.
async fn at_an_offset(gpu: &Gpu) -> Outcome {
    for (size, [first, second]) in [([5, 3], [3, 70]), ([40, 40], [129, 1]), ([3, 300], [64, 67])] {
        let rows = Rows::drawn(size, 3.0, 6);
        let len = rows.logits.len();
        let (loss, d) = rows.made(gpu).await?;
        let around = |begin: usize, host: &[f32]| [&vec![77.0; begin], host, &[77.0; 5]].concat();
        let (whole, d_whole) = (around(first, &rows.logits), around(second, &vec![7.0; len]));
        let (whole, d_whole) = (tensor(gpu, &[whole.len()], &whole)?, tensor(gpu, &[d_whole.len()], &d_whole)?);
        let part = |of: &Tensor, begin: usize| of.outer(begin..begin + len)?.reshape(&size);
        let (logits, d_logits) = (part(&whole, first)?, part(&d_whole, second)?);
        let made = rows.run(&logits, Some(&d_logits))?.read().await?;
        equal(&made[0].to_bits(), &loss.to_bits(), format_args!("loss of {size:?}"))?;
        equal(&d_whole.read().await?, &around(second, &d), format_args!("d_logits of {size:?}"))?;
        equal(&rows.made(gpu).await?, &(loss, d), "once more")?;
    }
    Ok(())
}

async fn without_a_gradient(gpu: &Gpu) -> Outcome {
    for size in [[300, 5], [5, 300]] {
        let rows = Rows::drawn(size, 2.0, 1);
        let (loss, _) = rows.made(gpu).await?;
        let logits = tensor(gpu, &size, &rows.logits)?;
        equal(&rows.run(&logits, None)?.read().await?[0].to_bits(), &loss.to_bits(), format_args!("{size:?}"))?;
        equal(&logits.read().await?, &rows.logits, "logits stay")?;
    }
    Ok(())
}
