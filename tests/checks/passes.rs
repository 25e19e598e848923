//! Gradients of several backward passes in one step, against the twins of their sums; and a state that is saved and
//! goes on.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Accumulation, AdamOptions, SgdOptions};
use wgpu_gru::{Error, Gpu, Tolerance};

use super::steps::{Any, LENGTHS, Options, Run, adam_options, sgd_options};
use super::{Outcome, bits, ensure, equal, refused};
use crate::support::close;

checks![
    accumulated_against_the_twin,
    one_pass_is_a_plain_step,
    what_was_accumulated_is_used_up,
    a_nan_among_the_passes,
    nothing_to_accumulate_into,
    names_of_the_state,
    a_saved_state_goes_on,
];

/// The optimisers that take the mean and the sum of several passes.
fn accumulating() -> Vec<(Options, Accumulation)> {
    let of = |accumulation: Accumulation| {
        let (accumulate, max_norm) = (Some(accumulation), Some(8.0));
        let adam = AdamOptions { accumulate, max_norm, weight_decay: 0.25, ..adam_options() };
        let sgd = SgdOptions { accumulate, momentum: 0.5, dampening: 0.25, clip_value: Some(0.75), ..sgd_options() };
        [(Options::Adam(adam), accumulation), (Options::Sgd(sgd), accumulation)]
    };
    [of(Accumulation::Mean), of(Accumulation::Sum)].concat()
}

/// From one pass to four.
async fn accumulated_against_the_twin(gpu: &Gpu) -> Outcome {
    for (options, accumulation) in accumulating() {
        let mut run = Run::new(gpu, options, &LENGTHS, &[], 9)?;
        let mut uniform = SplitMix64::new(10);
        for step in 0..8 {
            let passes = 1 + step % 4;
            let mut sums: Vec<_> = LENGTHS.map(|len| vec![0.0; len]).to_vec();
            for _ in 0..passes {
                let fresh = run.draw(&mut uniform);
                run.accumulate(&fresh)?;
                for (sum, fresh) in sums.iter_mut().flatten().zip(fresh.iter().flatten()) {
                    *sum += f64::from(*fresh);
                }
            }
            if accumulation == Accumulation::Mean {
                sums.iter_mut().flatten().for_each(|sum| *sum /= passes as f64);
            }
            run.step()?;
            let norm = run.exact_step(&sums);
            let tolerance = Tolerance { abs: 0.0, rel: 2e-6 };
            close(&format!("norm of {passes} passes"), &run.any.norm().read().await?, &[norm], tolerance)?;
        }
        run.compare(Tolerance::through_time(1, 8)).await?;
    }
    Ok(())
}

/// The same with and without sums of one.
async fn one_pass_is_a_plain_step(gpu: &Gpu) -> Outcome {
    for (options, _) in accumulating() {
        let plain = match options {
            Options::Adam(options) => Options::Adam(AdamOptions { accumulate: None, ..options }),
            Options::Sgd(options) => Options::Sgd(SgdOptions { accumulate: None, ..options }),
        };
        // Of one workgroup, so that the norms are summed in the same order.
        let (with, without) = (Run::new(gpu, options, &[257], &[], 1)?, Run::new(gpu, plain, &[257], &[], 1)?);
        let mut uniform = SplitMix64::new(2);
        for _ in 0..5 {
            let fresh = with.draw(&mut uniform);
            with.accumulate(&fresh)?;
            with.step()?;
            without.write(&fresh)?;
            without.step()?;
        }
        equal(&bits(&with.parameters[0]).await?, &bits(&without.parameters[0]).await?, format_args!("{options:?}"))?;
    }
    Ok(())
}

/// A step without a pass since the last one changes nothing, be it the first one or not, and the next one is as if it
/// had not been.
async fn what_was_accumulated_is_used_up(gpu: &Gpu) -> Outcome {
    for (options, _) in accumulating() {
        let (run, expected) = (Run::new(gpu, options, &[300, 5], &[], 1)?, Run::new(gpu, options, &[300, 5], &[], 1)?);
        let mut uniform = SplitMix64::new(2);
        for _ in 0..3 {
            let before = run.bits().await?;
            run.write(&run.draw(&mut uniform))?;
            run.step()?;
            let after = run.bits().await?;
            // The scalars hold the same too.
            ensure(after == before, format_args!("a step of nothing, {options:?}"))?;
            close("steps left out", &[run.any.skipped().await?], &[0.0], Tolerance::EXACT)?;
            close("norm of nothing", &run.any.norm().read().await?, &[0.0], Tolerance::EXACT)?;
            let fresh = run.draw(&mut uniform);
            for run in [&run, &expected] {
                run.accumulate(&fresh)?;
                run.accumulate(&fresh)?;
                run.step()?;
            }
            ensure(run.bits().await? == expected.bits().await?, format_args!("the step after, {options:?}"))?;
        }
    }
    Ok(())
}

/// It leaves out the step of all of them, if that is wanted, and nothing of it stays.
async fn a_nan_among_the_passes(gpu: &Gpu) -> Outcome {
    for (options, _) in accumulating() {
        let options = match options {
            Options::Adam(options) => Options::Adam(AdamOptions { skip_nonfinite: true, ..options }),
            Options::Sgd(options) => Options::Sgd(SgdOptions { skip_nonfinite: true, ..options }),
        };
        let (run, expected) = (Run::new(gpu, options, &[300, 5], &[], 1)?, Run::new(gpu, options, &[300, 5], &[], 1)?);
        let mut uniform = SplitMix64::new(2);
        let mut left_out = 0.0;
        for (bad, tensor) in [(f32::NAN, 1), (f32::INFINITY, 0), (f32::NEG_INFINITY, 1)] {
            let mut fresh = run.draw(&mut uniform);
            run.accumulate(&fresh)?;
            fresh[tensor][3] = bad;
            run.accumulate(&fresh)?;
            fresh[tensor][3] = 1.0;
            run.accumulate(&fresh)?;
            let before = bits(&run.parameters[0]).await?;
            run.step()?;
            left_out += 1.0;
            close("steps left out", &[run.any.skipped().await?], &[left_out], Tolerance::EXACT)?;
            ensure(!run.any.norm().read().await?[0].is_finite(), "the norm says what it was")?;
            equal(&bits(&run.parameters[0]).await?, &before, format_args!("{bad} moves nothing"))?;
            for run in [&run, &expected] {
                run.accumulate(&fresh)?;
                run.step()?;
            }
            for (run, expected) in run.parameters.iter().zip(&expected.parameters) {
                equal(&bits(run).await?, &bits(expected).await?, format_args!("the step after {bad}, {options:?}"))?;
            }
        }
    }
    // Without that a NaN arrives.
    let options = AdamOptions { accumulate: Some(Accumulation::Mean), clip_value: Some(1.0), ..adam_options() };
    let run = Run::new(gpu, Options::Adam(options), &[3], &[], 1)?;
    for bad in [f32::NAN, 1.0] {
        run.accumulate(&[vec![1.0, bad, 1.0]])?;
    }
    run.step()?;
    let after = run.parameters[0].read().await?;
    ensure(after[0].is_finite() && after[1].is_nan() && after[2].is_finite(), format_args!("{after:?}"))
}

async fn nothing_to_accumulate_into(gpu: &Gpu) -> Outcome {
    for options in [Options::Adam(adam_options()), Options::Sgd(sgd_options())] {
        let run = Run::new(gpu, options, &[3], &[], 1)?;
        let before = gpu.activity();
        refused(gpu.submit(|encoder| run.any.encode_accumulate(encoder)), &Error::NoAccumulation)?;
        equal(&gpu.activity(), &before, "nothing is submitted")?;
    }
    Ok(())
}

/// What is saved of each optimiser.
async fn names_of_the_state(gpu: &Gpu) -> Outcome {
    let accumulate = Some(Accumulation::Sum);
    let (adam, sgd) = (adam_options(), sgd_options());
    for (options, kept) in [
        (Options::Adam(adam), &["exp_avg", "exp_avg_sq"][..]),
        (Options::Adam(AdamOptions { accumulate, ..adam }), &["exp_avg", "exp_avg_sq", "accumulated"]),
        (Options::Sgd(sgd), &[]),
        (Options::Sgd(SgdOptions { momentum: 0.5, ..sgd }), &["momentum_buffer"]),
        (Options::Sgd(SgdOptions { momentum: 0.5, accumulate, ..sgd }), &["momentum_buffer", "accumulated"]),
    ] {
        let run = Run::new(gpu, options, &[7, 3], &[], 1)?;
        let mut expected = vec![("scalars".to_owned(), vec![4]), ("skipped".to_owned(), vec![1])];
        for (index, len) in [7, 3].into_iter().enumerate() {
            expected.extend(kept.iter().map(|name| (format!("{index}.{name}"), vec![len])));
        }
        let named = run.any.named().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec()));
        equal(&named.collect::<Vec<_>>(), &expected, format_args!("{options:?}"))?;
    }
    Ok(())
}

/// A second optimiser with the state of the first one takes the same steps, to the last bit: after the first step,
/// after one that was left out, in the middle of what is accumulated.
async fn a_saved_state_goes_on(gpu: &Gpu) -> Outcome {
    let lengths = [300, 5];
    let momentum = SgdOptions { momentum: 0.75, dampening: 0.5, skip_nonfinite: true, ..sgd_options() };
    let more = [Options::Adam(AdamOptions { skip_nonfinite: true, ..adam_options() }), Options::Sgd(momentum)];
    for options in accumulating().into_iter().map(|(options, _)| options).chain(more) {
        for steps in [0, 1, 3] {
            let run = Run::new(gpu, options, &lengths, &[], 1)?;
            let accumulates = gpu.submit(|encoder| run.any.encode_accumulate(encoder)).is_ok();
            let mut uniform = SplitMix64::new(4);
            let mut advance = async |runs: &[&Run], bad: bool| -> Outcome {
                let mut fresh = runs[0].draw(&mut uniform);
                if bad {
                    fresh[0][1] = f32::NAN;
                }
                for run in runs {
                    if accumulates && !bad { run.accumulate(&fresh) } else { run.write(&fresh) }?;
                    run.step()?;
                }
                Ok(())
            };
            for step in 0..steps {
                advance(&[&run], step == 1).await?;
            }
            match &run.any {
                Any::Adam(adam) => adam.set_learning_rate(0.03)?,
                Any::Sgd(sgd) => sgd.set_learning_rate(0.03)?,
            }
            if accumulates {
                run.accumulate(&[vec![0.25; 300], vec![0.125; 5]])?;
            }
            let second = Run::new(gpu, options, &lengths, &[], 2)?;
            for (from, to) in run.parameters.iter().zip(&second.parameters) {
                to.write(&from.read().await?)?;
            }
            let (from, to) = (run.any.named(), second.any.named());
            equal(&from.len(), &to.len(), "as many tensors")?;
            for ((name, from), (other, to)) in from.into_iter().zip(to) {
                equal(&name, &other, "the same names")?;
                to.write(&from.read().await?)?;
            }
            for _ in 0..3 {
                advance(&[&run, &second], false).await?;
                let same = run.bits().await? == second.bits().await?;
                ensure(same, format_args!("after {steps} steps of {options:?}"))?;
            }
        }
    }
    Ok(())
}
