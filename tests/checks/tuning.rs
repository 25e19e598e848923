//! Time loops that were measured to be best: each that may be found makes right numbers, a text is what it was made of, and
//! what does not fit is refused.

use std::collections::HashSet;

use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Cell, Direction, Error, Gpu, Gru, GruConfig, Recurrent, Reset, Rnn, RnnConfig, Schedule, Tuning, Unroll,
};

use super::{BRIEF, Outcome, bits, check, ensure, equal, refused, tensor};

checks![candidates, measured, none_to_choose, misfits];

/// Each, or one of so many, but one exchange at most, which takes long on a software rasteriser: those have a module of their
/// own.
async fn every_candidate<C>(gpu: &Gpu, layer: &Recurrent<C>, unroll: Unroll, of: usize) -> Outcome
where
    C: Copy + Into<Cell>,
{
    let tunings = layer.tunings(unroll)?;
    let mut seen = HashSet::new();
    let (exchanges, others): (Vec<Tuning>, Vec<_>) =
        tunings.iter().partition(|tuning| tuning.to_string().contains("exchange"));
    for tuning in others.into_iter().step_by(of).chain(exchanges.into_iter().take(usize::from(of == 1))) {
        let net = check(gpu, layer.config(), unroll.tuning(tuning)).await?;
        equal(&tuning.to_string().parse::<Tuning>()?, &tuning, "as text")?;
        // In the plan's own words: they are different.
        ensure(seen.insert(net.explain()), format_args!("{tuning} twice\n{}", net.explain()))?;
    }
    let first = layer.unroll(unroll.tuning(tunings[0]))?;
    let planned = layer.unroll(unroll)?;
    equal(first.plan().time_loop(), planned.plan().time_loop(), "the plan's own choice is the first")?;
    for schedule in [Schedule::Step, Schedule::Rows] {
        let named = layer.tunings(unroll.schedule(schedule))?;
        ensure(!named.is_empty(), format_args!("{schedule:?}"))?;
        for tuning in named {
            equal(&layer.unroll(unroll.tuning(tuning))?.plan().schedule(), &schedule, tuning)?;
            ensure(tunings.contains(&tuning), tuning)?;
        }
    }
    Ok(())
}

/// Cuts of every schedule against the oracle.
async fn candidates(gpu: &Gpu) -> Outcome {
    let unroll = Unroll::training(4, 5);
    let of_gpu = unroll.adapter_class(DeviceType::DiscreteGpu);
    // In browsers, where each pipeline takes its time, some of them.
    let [many, some] = if BRIEF { [4, 7] } else { [1, 3] };
    let gru = Gru::new(gpu, GruConfig::new(4, 8), 1)?;
    every_candidate(gpu, &gru, of_gpu.gradient_norms(true), many).await?;
    every_candidate(gpu, &gru, unroll.adapter_class(DeviceType::Cpu), many).await?;
    let before = Gru::new(gpu, GruConfig::new(4, 7).reset(Reset::Before), 1)?;
    every_candidate(gpu, &before, of_gpu, some).await?;
    let rnn = Rnn::new(gpu, RnnConfig::new(4, 8).direction(Direction::Bidirectional), 1)?;
    every_candidate(gpu, &rnn, of_gpu, some).await
}

/// What was found is made of them, and makes the same bits whenever it is used.
async fn measured(gpu: &Gpu) -> Outcome {
    let gru = Gru::new(gpu, GruConfig::new(3, 16), 1)?;
    for unroll in [Unroll::training(12, 3), Unroll::inference(12, 3)] {
        let tuning = gru.tune(unroll).await?;
        let kept = tuning.to_string();
        // The schedule and the cut forward of one candidate, the cut backward of another one, perhaps.
        let texts: Vec<String> = gru.tunings(unroll)?.iter().map(Tuning::to_string).collect();
        let [forward, backward] = [0, 1].map(|pass| {
            let part = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
            let of = |text: &str| (part(text)[0].clone(), part(text)[1 + pass].clone());
            texts.iter().any(|text| of(text) == of(&kept))
        });
        ensure(forward && backward, tuning)?;
        let mut of_runs = Vec::new();
        for _ in 0..2 {
            let mut net = gru.unroll(unroll.tuning(kept.parse()?))?;
            let x: Vec<f32> = (0..net.input().len()).map(|i| (i as f32).sin()).collect();
            let out = net.forward(&tensor(gpu, net.input().shape(), &x)?, None)?;
            of_runs.push(bits(&out.output).await?);
        }
        equal(&of_runs[0], &of_runs[1], tuning)?;
    }
    Ok(())
}

/// One step, one row.
async fn none_to_choose(gpu: &Gpu) -> Outcome {
    let gru = Gru::new(gpu, GruConfig::new(3, 5), 1)?;
    let unroll = Unroll::inference(1, 1).adapter_class(DeviceType::Cpu);
    let before = gpu.activity();
    let tuning = gru.tune(unroll).await?;
    equal(&gpu.activity().submissions, &before.submissions, "nothing to measure")?;
    equal(&vec![tuning], &gru.tunings(unroll)?, "that of the plan")
}

fn refusal(because: &'static str) -> Error {
    Error::OptionUnavailable { option: "tuning", because }
}

/// A text that nobody has written, and what was found for something else.
async fn misfits(gpu: &Gpu) -> Outcome {
    let whole = "wgpu-gru tuning 1: rows, 2 1 1 1 0 0, 4 2 1 4 0 0";
    ensure(whole.parse::<Tuning>().is_ok(), whole)?;
    let cut = (0..whole.len()).filter(|&end| whole[..end].parse::<Tuning>().is_ok());
    ensure(cut.count() == 0, "a text that was cut off")?;
    for (from, to) in
        [("1:", "2:"), ("rows", "columns"), ("2 1 1", "2 -1 1"), ("4 2", "4294967296 2"), ("0 0", "0 0 0")]
    {
        refused(whole.replace(from, to).parse::<Tuning>(), &refusal("the text is none of a Tuning of this version"))?;
    }
    let gru = Gru::new(gpu, GruConfig::new(3, 8), 1)?;
    let unroll = Unroll::training(4, 5).adapter_class(DeviceType::DiscreteGpu);
    let misfit = |unroll: Unroll, tuning: Tuning| {
        let because = "it is of another layer, device, unroll or version: tune again";
        refused(gru.unroll(unroll.tuning(tuning)), &refusal(because))
    };
    for cut in ["2 1 1 1 0 0", "0 0 0 0 0 0", "4294967295 1 1 1 0 0", "1 1 4294967295 4294967295 0 0"] {
        for schedule in ["step", "rows", "exchange"] {
            let strange = format!("wgpu-gru tuning 1: {schedule}, {cut}, 4294967295 1 2 3 4 5");
            misfit(unroll, strange.parse()?)?;
        }
    }
    let of = |unroll: Unroll| gru.tunings(unroll).map(|all| all[0]);
    misfit(unroll, of(unroll.adapter_class(DeviceType::Cpu))?)?;
    let [step, rows] = [Schedule::Step, Schedule::Rows].map(|schedule| of(unroll.schedule(schedule)));
    let (step, rows) = (step?, rows?);
    // Another one was asked for by name.
    misfit(unroll.schedule(Schedule::Step), rows)?;
    misfit(unroll.schedule(Schedule::Rows), step)?;
    // No loop over one step.
    misfit(Unroll::training(1, 5).adapter_class(DeviceType::DiscreteGpu), rows)
}
