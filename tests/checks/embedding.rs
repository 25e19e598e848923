//! Embeddings against their twins: small tables with many places a row and large ones with few, indices that are no row,
//! a row of padding; and a net with one at its begin and a cross-entropy at its end.

use wgpu_gru::reference::twins::embedding::embedding;
use wgpu_gru::reference::twins::embedding_backward::embedding_backward;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Embedding, Linear, LossOptions};
use wgpu_gru::{Error, ExternalTensors, Gpu, Gru, GruConfig, Tensor, Tolerance, Unroll};

use super::{BRIEF, Outcome, bits, ensure, equal, refused, tensor, zeros};
use crate::support::{close, from_bits, shape, to_bits, wide};

checks![
    against_the_twins,
    all_places_of_one_row,
    no_row,
    a_row_of_padding,
    indices_from_the_host,
    indices_at_an_offset,
    backward_needs_the_forward_pass,
    inference_equals_training,
    numbers_of_a_new_table,
    words_are_learned,
];

/// Indices below a number, drawn.
fn indices_below(rows: usize, len: usize, seed: u64) -> Vec<u32> {
    let drawn = SplitMix64::new(seed).vec(len, 0.5);
    drawn.into_iter().map(|x| ((x + 0.5) * rows as f32) as u32 % rows as u32).collect()
}

/// Output and gradient of the table; the gradient was something else before.
fn run(gpu: &Gpu, table: &Embedding, input: &Tensor, d_output: &[f32]) -> wgpu_gru::Result<[Tensor; 2]> {
    let layer = table.unroll(input)?;
    let [d_weight] = layer.gradients();
    d_weight.write(&vec![f32::NAN; d_weight.len()])?;
    layer.d_output().write(d_output)?;
    gpu.submit(|encoder| {
        layer.encode_forward(encoder);
        layer.encode_backward(encoder)
    })?;
    Ok([layer.output().clone(), d_weight.clone()])
}

/// The indices as a tensor.
fn words(gpu: &Gpu, indices: &[u32]) -> wgpu_gru::Result<Tensor> {
    tensor(gpu, &[indices.len()], &from_bits(indices))
}

/// Holds a table of drawn numbers to the twins, and gives its gradient.
async fn check(gpu: &Gpu, size: [usize; 2], indices: &[u32], padding: Option<usize>) -> Outcome<Vec<f32>> {
    let [rows, dim] = size;
    let mut uniform = SplitMix64::new((rows + dim) as u64);
    let (mut weight, d_output) = (uniform.vec(rows * dim, 1.0), uniform.vec(indices.len() * dim, 1.0));
    let mut table = Embedding::with_weights(gpu, size, &weight)?;
    if let Some(padding) = padding {
        table = table.padding_idx(padding)?;
        weight[padding * dim..][..dim].fill(0.0);
    }
    let [output, d_weight] = run(gpu, &table, &words(gpu, indices)?, &d_output)?;
    let name = format!("[{rows}, {dim}], {} indices, padding {padding:?}", indices.len());
    let mut expected = vec![0.0_f32; output.len()];
    embedding(size, &weight, indices, &mut expected);
    let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
    ensure(output.read().await?.iter().zip(&expected).all(same), format_args!("output of {name}"))?;
    let mut exact = vec![0.0; rows * dim];
    embedding_backward(size, indices, padding, &wide(&d_output), &mut exact);
    let made = d_weight.read().await?;
    close(&format!("d_weight of {name}"), &made, &exact, Tolerance::matmul(indices.len()))?;
    let unnamed = |row: usize| padding == Some(row) || !indices.contains(&(row as u32));
    let is_zero = |row: usize| made[row * dim..][..dim].iter().all(|&d| d == 0.0);
    for row in (0..rows).step_by(rows.div_ceil(100)) {
        ensure(!unnamed(row) || is_zero(row), format_args!("d_weight of row {row}, {name}"))?;
    }
    Ok(made)
}

/// Lengths beside powers of two, which the sort goes by; dimensions beside the lanes of a workgroup.
async fn against_the_twins(gpu: &Gpu) -> Outcome {
    const FEW: [[usize; 3]; 10] = [
        [1, 1, 1],
        [2, 1, 2],
        [5, 3, 2],
        [4, 31, 3],
        [7, 33, 257],
        [300, 64, 1009],
        [30, 8, 4096],
        [30, 8, 4097],
        [3, 65, 700],
        [1000, 5, 30],
    ];
    // More places than a grid has invocations; more rows than an axis of it has workgroups.
    const MANY: [[usize; 3]; 3] = [[30, 1, 300_007], [50_000, 3, 1000], [70_001, 1, 300]];
    for [rows, dim, len] in FEW.into_iter().chain(MANY).take(if BRIEF { FEW.len() } else { usize::MAX }) {
        let indices = indices_below(rows, len, 3);
        let made = check(gpu, [rows, dim], &indices, None).await?;
        if len < 5000 {
            equal(&to_bits(&check(gpu, [rows, dim], &indices, None).await?), &to_bits(&made), "the same bits again")?;
        }
    }
    // In order and in the opposite one.
    for len in [64, 65, 1000] {
        check(gpu, [len, 2], &(0..len as u32).collect::<Vec<_>>(), None).await?;
        check(gpu, [len, 2], &(0..len as u32).rev().collect::<Vec<_>>(), None).await?;
    }
    Ok(())
}

/// A long sum of one sign keeps its digits.
async fn all_places_of_one_row(gpu: &Gpu) -> Outcome {
    for len in [100, 300_007] {
        let table = Embedding::new(gpu, 3, 2, 1)?;
        let [_, d_weight] = run(gpu, &table, &words(gpu, &vec![1; len])?, &vec![0.7; len * 2])?;
        let exact = f64::from(0.7_f32) * len as f64;
        close(
            "d_weight",
            &d_weight.read().await?,
            &[0.0, 0.0, exact, exact, 0.0, 0.0],
            Tolerance { abs: 0.0, rel: 1e-5 },
        )?;
    }
    Ok(())
}

/// What a shader of the app might write: NaN, and no gradient.
async fn no_row(gpu: &Gpu) -> Outcome {
    let indices = [2, 3, 0, u32::MAX, 1 << 31, 2, 4, 0x7fff_ffff];
    check(gpu, [3, 5], &indices, None).await?;
    let table = Embedding::new(gpu, 3, 2, 1)?;
    let [output, _] = run(gpu, &table, &words(gpu, &indices)?, &[f32::NAN; 16])?;
    let is_row = |index: u32| index < 3;
    let output = output.read().await?;
    for (place, (&index, pair)) in indices.iter().zip(output.chunks(2)).enumerate() {
        ensure(pair.iter().all(|value| value.is_nan() != is_row(index)), format_args!("place {place}: {pair:?}"))?;
    }
    // Nothing but such.
    check(gpu, [3, 2], &[3; 40], None).await?;
    Ok(())
}

async fn a_row_of_padding(gpu: &Gpu) -> Outcome {
    for padding in [0, 3, 6] {
        check(gpu, [7, 3], &indices_below(7, 200, 5), Some(padding)).await?;
    }
    // Zero whatever comes from above.
    let table = Embedding::new(gpu, 3, 2, 1)?.padding_idx(1)?;
    let [output, d_weight] = run(gpu, &table, &words(gpu, &[1, 0, 1])?, &[f32::NAN, f32::NAN, 1.0, 2.0, 3.0, 4.0])?;
    equal(&d_weight.read().await?, &[1.0, 2.0, 0.0, 0.0, 0.0, 0.0], "d_weight")?;
    equal(&output.read().await?[..2], &[0.0, 0.0], "the row becomes zeros")?;
    let error = Error::IndexOutOfRange { tensor: "padding_idx", place: 0, index: 3, len: 3 };
    refused(table.padding_idx(3), &error)
}

async fn indices_from_the_host(gpu: &Gpu) -> Outcome {
    let input = zeros(gpu, &[2, 3])?;
    let table = Embedding::new(gpu, 4, 5, 1)?;
    let (layer, inference) = (table.unroll(&input)?, table.unroll_inference(&input)?);
    equal(layer.output().shape(), &[2, 3, 5][..], "a row a place")?;
    layer.write_indices(&[0, 1, 2, 3, 3, 0])?;
    let out_of_range = |place, index| Error::IndexOutOfRange { tensor: "indices", place, index, len: 4 };
    refused(layer.write_indices(&[0, 1, 4, 3, 3, 9]), &out_of_range(2, 4))?;
    refused(inference.write_indices(&[0, 1, 2, 3, 3, usize::MAX]), &out_of_range(5, usize::MAX))?;
    refused(layer.write_indices(&[0; 5]), &shape("indices", &[2, 3], &[5]))?;
    equal(&bits(&input).await?, &[0, 1, 2, 3, 3, 0], "what was written before")
}

async fn indices_at_an_offset(gpu: &Gpu) -> Outcome {
    let indices = indices_below(6, 50, 2);
    let d_output = SplitMix64::new(1).vec(50 * 3, 1.0);
    let table = Embedding::new(gpu, 6, 3, 1)?;
    let alone = run(gpu, &table, &words(gpu, &indices)?, &d_output)?;
    for begin in [1, 64, 67, 129] {
        let whole = words(gpu, &[&vec![9; begin], &indices[..], &[9; 3]].concat())?;
        let made = run(gpu, &table, &whole.outer(begin..begin + 50)?, &d_output)?;
        for (made, alone) in made.iter().zip(&alone) {
            equal(&bits(made).await?, &bits(alone).await?, format_args!("from {begin} on"))?;
        }
    }
    Ok(())
}

async fn backward_needs_the_forward_pass(gpu: &Gpu) -> Outcome {
    let input = zeros(gpu, &[3])?;
    let table = Embedding::new(gpu, 4, 2, 1)?;
    let layer = table.unroll(&input)?;
    let backward = || gpu.submit(|encoder| layer.encode_backward(encoder));
    refused(backward(), &Error::BackwardWithoutForward)?;
    let forward = || super::record(gpu, |encoder| layer.encode_forward(encoder));
    forward()?;
    // What is not read again may change.
    let [weight] = table.parameters();
    weight.write(&vec![1.0; weight.len()])?;
    backward()?;
    backward()?;
    layer.write_indices(&[1, 2, 3])?;
    refused(backward(), &Error::ChangedSinceForward { tensor: "input".into() })?;
    forward()?;
    backward()?;
    Ok(())
}

async fn inference_equals_training(gpu: &Gpu) -> Outcome {
    let table = Embedding::new(gpu, 9, 7, 3)?;
    let input = words(gpu, &indices_below(9, 500, 4))?;
    let (training, inference) = (table.unroll(&input)?, table.unroll_inference(&input)?);
    super::record(gpu, |encoder| {
        training.encode_forward(encoder);
        inference.encode_forward(encoder);
    })?;
    equal(&bits(training.output()).await?, &bits(inference.output()).await?, "the same output")
}

/// N(0, 1), from a seed.
async fn numbers_of_a_new_table(gpu: &Gpu) -> Outcome {
    let [table, same, other] = [5, 5, 6].map(|seed| Embedding::new(gpu, 100, 30, seed));
    let (weight, same, other) = (table?.parameters()[0].read().await?, same?, other?);
    equal(&same.parameters()[0].read().await?, &weight, "from the same seed")?;
    ensure(other.parameters()[0].read().await? != weight, "from another one")?;
    let mean = weight.iter().sum::<f32>() / 3000.0;
    let variance = weight.iter().map(|z| z * z).sum::<f32>() / 3000.0;
    ensure(mean.abs() < 0.08 && (variance - 1.0).abs() < 0.1, format_args!("mean {mean}, variance {variance}"))
}

/// A word is to be told one step after it was read, in rows of several lengths: embedding, GRU, head and cross-entropy
/// learn it together.
async fn words_are_learned(gpu: &Gpu) -> Outcome {
    let [t, b, words, dim, hidden] = [6, 16, 5, 4, 12];
    let table = Embedding::new(gpu, words, dim, 1)?;
    let gru = Gru::new(gpu, GruConfig::new(dim, hidden), 2)?;
    let linear = Linear::new(gpu, hidden, words, 3)?;
    let first = table.unroll(&zeros(gpu, &[t, b])?)?;
    let (input, d_input) = (Some(first.output().clone()), Some(first.d_output().clone()));
    let places = ExternalTensors { input, d_input, ..ExternalTensors::default() };
    let mut net = gru.unroll_with(Unroll::training(t, b).lengths(true), &places)?;
    let head = linear.unroll(net.output(), net.d_output()?)?;
    let ignore_index = Some(u32::MAX);
    let options = LossOptions { mask: true, ignore_index, ..LossOptions::default() };
    let loss = options.cross_entropy(head.output(), head.d_output())?;
    let gradients = net.gradients()?.parameters.clone();
    let mut pairs: Vec<_> = gru.parameters().tensors().zip(gradients.tensors()).collect();
    pairs.extend(linear.parameters().into_iter().zip(head.gradients()));
    pairs.extend(table.parameters().into_iter().zip(first.gradients()));
    let adam = Adam::new(&pairs, &AdamOptions { learning_rate: 0.02, ..AdamOptions::default() })?;
    let mut losses = Vec::new();
    for step in 0..150 {
        let read: Vec<usize> = indices_below(words, t * b, step).into_iter().map(|word| word as usize).collect();
        // Nothing is to be told in the first step.
        let told: Vec<_> = [&vec![u32::MAX as usize; b], &read[..(t - 1) * b]].concat();
        let lengths: Vec<_> = (0..b).map(|row| 2 + (row + step as usize) % (t - 1)).collect();
        first.write_indices(&read)?;
        loss.write_classes(&told)?;
        loss.set_lengths(&lengths)?;
        net.set_lengths(&lengths)?;
        gpu.submit(|encoder| {
            first.encode_forward(encoder);
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            first.encode_backward(encoder)?;
            adam.encode(encoder);
            Ok(())
        })?;
        if !(5..145).contains(&step) {
            losses.push(loss.loss().read().await?[0]);
        }
    }
    // At first as good as a guess, ln 5 = 1.6.
    let [begin, end] = [0, 5].map(|from| losses[from..from + 5].iter().sum::<f32>() / 5.0);
    ensure(begin > 1.3 && end < 0.1, format_args!("loss {begin} at first, {end} at last"))
}
