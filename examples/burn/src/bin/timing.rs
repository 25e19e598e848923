//! burn's GRU and this one in turns on the same device, and what the copies of this one take by themselves.
//!
//! `cargo run --release --bin timing -- [ROUNDS]`. README.md has the table.

use std::error::Error;
use std::time::{Duration, Instant};

use burn::nn::{self, GruConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_bridge::Gru;
use wgpu_gru::{Gpu, Tensor as GpuTensor, Unroll};

/// T, B, I, H
const SIZES: [[usize; 4]; 3] = [[100, 1, 64, 64], [64, 32, 128, 128], [128, 32, 256, 256]];

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse())?;
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let gpu = Gpu::from_device(setup.device, setup.queue);
    println!("{}; medians of {rounds} rounds, ms\n", gpu.describe());
    println!("| T, B, I, H | pass | burn | this one | ratio | copies | nothing | laid out anew |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in SIZES {
        for training in [false, true] {
            let device = if training { device.clone().autodiff() } else { device.clone() };
            let [burn, ours] = rivals(size, training, rounds, &device, &gpu)?;
            let [copies, nothing, anew] = apart(size, training, rounds, &gpu)?;
            let pass = if training { "training" } else { "forward" };
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "| {size:?} | {pass} | {:.1} | {:.2} | {:.1} | {:.3} | {:.3} | {:.2} |",
                ms(burn),
                ms(ours),
                ms(burn) / ms(ours),
                ms(copies),
                ms(nothing),
                ms(anew)
            );
        }
    }
    Ok(())
}

/// A pass of each, from tensors of burn's to a result on the host.
fn rivals(
    [steps, rows, inputs, units]: [usize; 4],
    training: bool,
    rounds: usize,
    device: &Device,
    gpu: &Gpu,
) -> Result<[Duration; 2], Box<dyn Error>> {
    let burn = GruConfig::new(inputs, units, true).init(device);
    let ours = Gru::from_burn(gpu, &burn)?;
    let random = |width| Tensor::<3>::random([rows, steps, width], Distribution::Uniform(-1.0, 1.0), device);
    let (x, d_output) = (random(inputs), random(units));
    let last = |output: Tensor<3>| output.slice([0..rows, steps - 1..steps]).into_data();
    let loss = |output: Tensor<3>| (output * d_output.clone()).sum().backward();
    let mut run_burn = || -> Result<(), Box<dyn Error>> {
        let output = burn.forward(x.clone(), None);
        if training {
            let made = loss(output);
            let gates = [&burn.reset_gate, &burn.update_gate, &burn.new_gate];
            let linears = gates.into_iter().flat_map(|gate| [&gate.input_transform, &gate.hidden_transform]);
            let gradients: Vec<_> = linears.map(|linear| of_linear(linear, &made)).collect();
            drop(gradients.last().and_then(|(_, bias)| bias.clone()).map(Tensor::into_data));
            device.sync()?;
        } else {
            drop(last(output));
        }
        Ok(())
    };
    let mut run_ours = || -> Result<(), Box<dyn Error>> {
        let output = ours.forward(x.clone(), None);
        if training {
            let made = loss(output);
            let weights = [&ours.weight_ih, &ours.weight_hh].map(|weight| weight.val().grad(&made));
            let biases = [&ours.bias_ih, &ours.bias_hh].map(|bias| bias.as_ref()?.val().grad(&made));
            drop(biases[1].clone().map(Tensor::into_data));
            device.sync()?;
            drop((weights, biases));
        } else {
            drop(last(output));
        }
        Ok(())
    };
    // The first ones compile, and burn tries which kernels are fastest.
    for _ in 0..2 {
        run_burn()?;
        run_ours()?;
    }
    medians(rounds, [&mut run_burn, &mut run_ours])
}

fn of_linear(linear: &nn::Linear, made: &burn::tensor::Gradients) -> (Option<Tensor<2>>, Option<Tensor<1>>) {
    (linear.weight.val().grad(made), linear.bias.as_ref().and_then(|bias| bias.val().grad(made)))
}

/// The copies of a pass by themselves: x, state and parameters in, the output out; for training also the gradient of
/// the output in, and those of state and parameters out. Then an empty submission, which has the same wait. Then to lay
/// a layer out again, which would bind the buffers of each pass in place of copies.
fn apart(
    [steps, rows, inputs, units]: [usize; 4],
    training: bool,
    rounds: usize,
    gpu: &Gpu,
) -> Result<[Duration; 3], Box<dyn Error>> {
    let (x, output, state) = (steps * rows * inputs, steps * rows * units, rows * units);
    let parameters = [3 * units * inputs, 3 * units * units, 3 * units, 3 * units];
    let mut lengths: Vec<usize> = [x, output, state].into_iter().chain(parameters).collect();
    if training {
        lengths.extend([output, state].into_iter().chain(parameters));
    }
    let pair = |&length: &usize| Ok([GpuTensor::zeros(gpu, &[length])?, GpuTensor::zeros(gpu, &[length])?]);
    let pairs = lengths.iter().map(pair).collect::<wgpu_gru::Result<Vec<_>>>()?;
    let mut copy = || -> Result<(), Box<dyn Error>> {
        gpu.submit(|encoder| pairs.iter().try_for_each(|[from, to]| to.encode_copy_from(encoder, from)))?;
        Ok(gpu.wait_blocking()?)
    };
    let mut nothing = || -> Result<(), Box<dyn Error>> {
        gpu.submit(|_| Ok(()))?;
        Ok(gpu.wait_blocking()?)
    };
    let layer = wgpu_gru::Gru::new(gpu, wgpu_gru::GruConfig::new(inputs, units).batch_first(true), 0)?;
    let unroll =
        if training { Unroll::training(steps, rows).input_gradient(false) } else { Unroll::inference(steps, rows) };
    let mut anew = || -> Result<(), Box<dyn Error>> {
        drop(layer.unroll(unroll)?);
        Ok(())
    };
    copy()?;
    anew()?;
    medians(rounds, [&mut copy, &mut nothing, &mut anew])
}

type Run<'a> = &'a mut dyn FnMut() -> Result<(), Box<dyn Error>>;

/// Of so many rounds, in each of which all run once.
fn medians<const N: usize>(rounds: usize, mut rivals: [Run<'_>; N]) -> Result<[Duration; N], Box<dyn Error>> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds.max(1) {
        for (run, times) in rivals.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run()?;
            times.push(start.elapsed());
        }
    }
    Ok(times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    }))
}
