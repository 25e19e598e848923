//! Where numbers stop being finite: the place that the twin finds, in tensors and in all that a layer leaves.

use wgpu_gru::reference::twins::find_non_finite::find_non_finite;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, FiniteCheck, NonFinite};
use wgpu_gru::{Config, Direction, Error, Gpu, GruConfig, Recurrent, RnnConfig, Unroll, Unrolled, Weights};

use super::{Outcome, ensure, equal, flat, record, refused, zeros};
use crate::support::own_device;

checks![against_the_twin, where_it_began, in_gradients, nothing_to_be_found, what_it_refuses];

/// What a check says now.
async fn said(gpu: &Gpu, check: &FiniteCheck) -> Outcome<Vec<NonFinite>> {
    record(gpu, |encoder| check.encode(encoder))?;
    Ok(check.read().await?)
}

/// Sizes around a workgroup and around all of them; none, one and several numbers, at the ends and between.
async fn against_the_twin(gpu: &Gpu) -> Outcome {
    let shapes: [&[usize]; 6] = [&[1], &[7, 5], &[256], &[3, 2, 43], &[4097], &[70_001]];
    let mut random = SplitMix64::new(3);
    for shape in shapes {
        let len = shape.iter().product::<usize>();
        let places: [&[usize]; 5] = [&[], &[0], &[len - 1], &[len / 2, len - 1], &[len / 3, len / 2]];
        for (places, bad) in places.into_iter().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, f32::NAN]) {
            let mut host = random.vec(len, 1.0);
            // Large, small and minus zero are numbers.
            host[0] = f32::MAX;
            host[len - 1] = -0.0;
            for &place in places {
                host[place] = bad;
            }
            // What lies behind it does not count.
            let whole = flat(gpu, &[&host[..], &[f32::NAN]].concat())?;
            let tensor = whole.outer(0..len)?.reshape(shape)?;
            let check = FiniteCheck::new([("it".to_owned(), &tensor)])?;
            // The second time nothing of the first is left.
            for _ in 0..2 {
                let found = said(gpu, &check).await?;
                let places = found
                    .iter()
                    .map(|found| found.place.iter().zip(shape).fold(0, |place, (index, size)| place * size + index));
                let expected = find_non_finite(&host, [len, 1, 1], false);
                equal(
                    &places.collect::<Vec<_>>(),
                    &expected.into_iter().collect::<Vec<_>>(),
                    format_args!("{shape:?}"),
                )?;
            }
            tensor.write(&vec![0.5; len])?;
            ensure(said(gpu, &check).await?.is_empty(), "all are finite again")?;
        }
    }
    Ok(())
}

fn layers() -> [Config; 5] {
    let gru = GruConfig::new(3, 5);
    [
        gru.erased(),
        gru.clone().num_layers(3).batch_first(true).erased(),
        gru.clone().direction(Direction::Reverse).num_layers(2).erased(),
        gru.num_layers(2).direction(Direction::Bidirectional).erased(),
        RnnConfig::new(3, 33).num_layers(2).batch_first(true).direction(Direction::Bidirectional).erased(),
    ]
}

const STEPS: usize = 6;
const ROWS: usize = 4;

/// A layer after a forward and a backward pass over a batch, and its check.
fn run(gpu: &Gpu, config: &Config, batch: &Batch) -> Outcome<(Unrolled, FiniteCheck)> {
    let layer = Recurrent::with_weights(gpu, config.clone(), &Weights::random(config, 1))?;
    let mut net = layer.unroll(Unroll::training(STEPS, ROWS).lengths(batch.lengths.is_some()))?;
    net.input().write(&batch.x)?;
    net.h0().write(&batch.h0)?;
    net.d_output()?.write(&batch.d_output)?;
    net.d_h_n()?.write(&batch.d_h_n)?;
    if let Some(lengths) = &batch.lengths {
        net.set_lengths(lengths)?;
    }
    let check = net.finite_check()?;
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)?;
        check.encode(encoder);
        Ok(())
    })?;
    Ok((net, check))
}

/// A NaN in the input at a step: that place is told first, then of every layer and direction the first step that it took
/// afterwards, which the twin finds in the states themselves.
async fn where_it_began(gpu: &Gpu) -> Outcome {
    for config in layers() {
        for (step, row) in [(0, 0), (3, 2), (STEPS - 1, ROWS - 1)] {
            let mut batch = Batch::random(&config, STEPS, ROWS, 2);
            let place = if config.batch_first { row * STEPS + step } else { step * ROWS + row };
            batch.x[place * 3 + 1] = f32::NAN;
            let (net, check) = run(gpu, &config, &batch)?;
            let found = check.read().await?;
            let name = format!("{config:?}, step {step}, row {row}");
            let input = found.iter().find(|found| found.tensor == "input").ok_or_else(|| name.clone())?;
            equal(&(input.step, &input.place[..]), &(Some(step), &[row, 1][..]), &name)?;
            if config.direction != Direction::Bidirectional {
                equal(&found[0].tensor, &"input".to_owned(), &name)?;
            }
            let hidden = config.hidden_size;
            for layer in 0..config.num_layers {
                let states = net.states(layer).ok_or("a layer")?.outer(1..STEPS + 1)?.read().await?;
                let of_direction: Vec<(String, bool)> = match config.direction {
                    Direction::Bidirectional => {
                        vec![
                            (format!("state of layer {layer}, forward"), false),
                            (format!("state of layer {layer}, reverse"), true),
                        ]
                    }
                    direction => vec![(format!("state of layer {layer}"), direction == Direction::Reverse)],
                };
                let width = hidden * of_direction.len();
                for (direction, (tensor, reversed)) in of_direction.into_iter().enumerate() {
                    let columns: Vec<f32> = states
                        .chunks(width)
                        .flat_map(|row| &row[direction * hidden..(direction + 1) * hidden])
                        .copied()
                        .collect();
                    let place = find_non_finite(&columns, [STEPS, ROWS, hidden], reversed).ok_or("it goes on")?;
                    let taken = place / (ROWS * hidden);
                    let step = if reversed { STEPS - 1 - taken } else { taken };
                    let place = vec![place / hidden % ROWS, place % hidden];
                    let told =
                        found.iter().find(|found| found.tensor == tensor).map(|found| (found.step, &found.place));
                    equal(&told, &Some((Some(step), &place)), format_args!("{name}: {tensor}"))?;
                }
            }
        }
    }
    Ok(())
}

/// A NaN of a weight, and one of a gradient: what was given is told before what came of it.
async fn in_gradients(gpu: &Gpu) -> Outcome {
    let config = GruConfig::new(3, 5).num_layers(2).erased();
    let mut batch = Batch::random(&config, STEPS, ROWS, 2);
    batch.d_output[(2 * ROWS + 1) * 5 + 4] = f32::INFINITY;
    let (net, check) = run(gpu, &config, &batch)?;
    let found = check.read().await?;
    let first = found.first().ok_or("a number that is not finite")?;
    equal(&first.to_string(), "d_output is not finite at step 2, row 1, number 4", "the gradient of the output")?;
    let others: Vec<&str> = found[1..].iter().map(|found| found.tensor.as_str()).collect();
    ensure(others.iter().all(|name| name.starts_with("d_")), format_args!("{others:?}"))?;
    ensure(others.contains(&"d_weight_hh_l0"), format_args!("{others:?}"))?;

    let weight = &net.pairs()?.next().ok_or("a parameter")?.0.clone();
    let mut host = weight.read().await?;
    host[7] = f32::NAN;
    weight.write(&host)?;
    let found = said(gpu, &check).await?;
    let first = found.first().ok_or("a number that is not finite")?;
    equal(&first.to_string(), "weight_ih_l0 is not finite at [2, 1]", "the weight")
}

/// In what lies past the end of a row, and anywhere in a healthy pass.
async fn nothing_to_be_found(gpu: &Gpu) -> Outcome {
    for config in layers() {
        let mut batch = Batch::random(&config, STEPS, ROWS, 2);
        let (_, check) = run(gpu, &config, &batch)?;
        equal(&check.read().await?, &Vec::<NonFinite>::new(), format_args!("{config:?}"))?;
        let lengths = vec![6, 2, 0, 5];
        let width = config.output_size();
        for (row, &length) in lengths.iter().enumerate() {
            for step in length..STEPS {
                let place = if config.batch_first { row * STEPS + step } else { step * ROWS + row };
                batch.x[place * 3..(place + 1) * 3].fill(f32::NAN);
                batch.d_output[place * width..(place + 1) * width].fill(f32::NAN);
            }
        }
        batch.lengths = Some(lengths);
        let (_, check) = run(gpu, &config, &batch)?;
        equal(&check.read().await?, &Vec::<NonFinite>::new(), format_args!("padding of {config:?}"))?;
    }
    Ok(())
}

async fn what_it_refuses(gpu: &Gpu) -> Outcome {
    refused(FiniteCheck::new([]), &Error::ZeroSize { what: "tensors to be checked" })?;
    let [own, foreign] = [zeros(gpu, &[2])?, zeros(&own_device(gpu).await?, &[2])?];
    let tensors = [("a".to_owned(), &own), ("b".to_owned(), &foreign)];
    refused(FiniteCheck::new(tensors), &Error::ForeignDevice { tensor: "a tensor to be checked".into() })
}
