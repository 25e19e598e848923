//! Rows that are over, and those whose state an episode cuts off, take no part in the products over all steps, whatever
//! they hold: against the twin, to which they are zero.

use wgpu_gru::harness::{self, Placed};
use wgpu_gru::reference::twins::matmul::{MatmulParams, matmul_without};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Rnn, RnnConfig, Tensor, Tolerance, Unroll, Weights};

use super::matmul::{operands, texts};
use super::{Outcome, ensure, flat, run};
use crate::support::{close, from_bits, wide};

checks![sums_over_rows, episodes, rows_of_the_result, an_example, long_sums];

async fn check(gpu: &Gpu, params: &MatmulParams, lengths: &[usize], first: [usize; 2]) -> Outcome {
    check_starts(gpu, params, lengths, None, first).await
}

/// A product whose lines are rows of a batch, step by step; what is out holds NaN or infinity in both operands. With
/// `starts` an episode begins at every third place, in reverse if that is true.
async fn check_starts(
    gpu: &Gpu,
    params: &MatmulParams,
    lengths: &[usize],
    starts: Option<bool>,
    first: [usize; 2],
) -> Outcome {
    let &MatmulParams { m, n, k, transpose_a, .. } = params;
    let batch = lengths.len();
    let begins = |step: usize, row: usize| (step * batch + row) % 3 == 1;
    let is_out = |line: usize| {
        let line = first[1] + line;
        let (step, row) = (first[0] + line / batch, line % batch);
        let is_cut = |reverse: bool| {
            let start = step + usize::from(reverse);
            start < lengths[row] && begins(start, row)
        };
        step >= lengths[row] || starts.is_some_and(is_cut)
    };
    let steps = first[0] + k.max(m) / batch + 3;
    let of_starts = (0..steps).flat_map(|step| (0..batch).map(move |row| u32::from(begins(step, row))));
    let words: Vec<u32> = lengths.iter().map(|&length| length as u32).chain(of_starts).collect();
    for kernel in texts(gpu) {
        let mut uniform = SplitMix64::new((m * n * k) as u64);
        let mut a = operands(kernel, uniform.vec(m * k, 1.0));
        let mut b = operands(kernel, uniform.vec(k * n, 1.0 / (k as f32).sqrt()));
        let c = if params.accumulate { uniform.vec(m * n, 1.0) } else { vec![f32::NAN; m * n] };
        let bad = [f32::NAN, f32::INFINITY, 0.0];
        if transpose_a {
            for line in (0..k).filter(|&line| is_out(line)) {
                a[line * m..][..m].fill(bad[line % 3]);
                for column in 0..n {
                    b[if params.transpose_b { column * k + line } else { line * n + column }] = bad[(line + 1) % 3];
                }
            }
        } else {
            for line in (0..m).filter(|&line| is_out(line)) {
                a[line * k..][..k].fill(bad[line % 3]);
            }
        }
        let mut exact = wide(&c);
        matmul_without(params, &wide(&a), &wide(&b), is_out, &mut exact);
        let tensors = [(&a, if transpose_a { m } else { k }), (&b, if params.transpose_b { k } else { n }), (&c, n)];
        let [a, b, c] = tensors.map(|(host, _)| flat(gpu, host));
        let [a, b, c] = [a?, b?, c?];
        let placed = [(&a, tensors[0].1), (&b, tensors[1].1), (&c, n)];
        let placed = placed.map(|(tensor, stride)| Placed::whole(tensor, stride));
        let on_gpu = flat(gpu, &from_bits(&words))?;
        run(gpu, &harness::matmul_of_rows(kernel, params, placed, (&on_gpu, batch), starts, first)?)?;
        let name = format!("{kernel:?} {params:?} {lengths:?} {starts:?} from {first:?}");
        close(&name, &c.read().await?, &exact, Tolerance::matmul(k))?;
    }
    Ok(())
}

/// Of a chunk from its first step on; with rows that are none; by fours and one by one.
pub(crate) async fn sums_over_rows(gpu: &Gpu) -> Outcome {
    let lengths = [3, 0, 9, 1, 5];
    for (m, n, steps, first, transpose_b) in [(4, 8, 4, 0, false), (5, 3, 7, 2, false), (36, 35, 16, 1, true)] {
        let k = steps * lengths.len();
        let params = MatmulParams { m, n, k, transpose_a: true, transpose_b, accumulate: transpose_b };
        check(gpu, &params, &lengths, [first, 0]).await?;
    }
    let params = MatmulParams { m: 5, n: 3, k: 9, transpose_a: true, transpose_b: false, accumulate: false };
    check(gpu, &params, &lengths, [1, 3]).await?;
    Ok(())
}

/// The same where episodes begin inside of the rows, as either direction sees them.
pub(crate) async fn episodes(gpu: &Gpu) -> Outcome {
    let lengths = [3, 0, 9, 1, 5];
    for reverse in [false, true] {
        for (m, n, steps, first, transpose_b) in [(4, 8, 4, 0, false), (5, 3, 7, 2, false), (36, 35, 16, 1, true)] {
            let k = steps * lengths.len();
            let params = MatmulParams { m, n, k, transpose_a: true, transpose_b, accumulate: transpose_b };
            check_starts(gpu, &params, &lengths, Some(reverse), [first, 0]).await?;
        }
        let params = MatmulParams { m: 5, n: 3, k: 9, transpose_a: true, transpose_b: false, accumulate: false };
        check_starts(gpu, &params, &lengths, Some(reverse), [1, 3]).await?;
    }
    Ok(())
}

pub(crate) async fn rows_of_the_result(gpu: &Gpu) -> Outcome {
    let lengths = [3, 0, 4, 1, 5];
    for (n, k, steps, first, transpose_b) in [(36, 12, 13, 1, true), (33, 35, 7, 2, false)] {
        let m = steps * lengths.len();
        let params = MatmulParams { m, n, k, transpose_a: false, transpose_b, accumulate: n == 36 };
        check(gpu, &params, &lengths, [first, 0]).await?;
    }
    Ok(())
}

/// Where a sum has parts, and where it is several dispatches that begin in the middle of a step.
pub(crate) async fn long_sums(gpu: &Gpu) -> Outcome {
    let lengths: Vec<usize> = (0..700).map(|row| row * 5 % 13).collect();
    let params = MatmulParams { m: 4, n: 4, k: 12 * 700, transpose_a: true, transpose_b: false, accumulate: false };
    check(gpu, &params, &lengths, [0, 0]).await?;
    Ok(())
}

/// T 2, B 2, H 1: the second row takes no step, and its first state is no number.
pub(crate) async fn an_example(gpu: &Gpu) -> Outcome {
    let config = RnnConfig::new(1, 1);
    let layer = Rnn::with_weights(gpu, config.clone(), &Weights::random(&config, 1))?;
    let mut net = layer.unroll(Unroll::training(2, 2).lengths(true))?;
    net.set_lengths(&[2, 0])?;
    let like = |of: &Tensor, host: &[f32]| Tensor::from_slice(gpu, of.shape(), host);
    let (x, h0) = (like(net.input(), &[0.5; 4])?, like(net.h0(), &[0.1, f32::NAN])?);
    let d_output = like(net.output(), &[1.0; 4])?;
    net.forward(&x, Some(&h0))?;
    ensure(net.h_n().read().await?[1].is_nan(), "it is kept")?;
    let gradients = net.backward(Some(&d_output), None)?;
    for (name, gradient) in gradients.parameters.named(&config) {
        let gradient = gradient.read().await?;
        ensure(gradient[0].is_finite() && gradient[0] != 0.0, format_args!("{name} is {gradient:?}"))?;
    }
    Ok(())
}
