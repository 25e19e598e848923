//! Where gradients go: the norm of the gradient of the state over 200 steps back through time, of plain RNNs and of GRUs.
//!
//! ```sh
//! cargo run --release --example gradient_flow
//! ```
//!
//! A loss at the last step sends a gradient back. Through a plain RNN every step multiplies it by the same recurrent weights:
//! it vanishes where they are small and explodes where they are large (Hochreiter 1991; Bengio, Simard and Frasconi 1994).
//! Through a GRU it can take the path d_h' * z of the update gate, which multiplies it by nearly 1 where the gate is open. The
//! norms are made on the GPU by the backward pass itself ([`Unroll::gradient_norms`]). It prints them and draws them to an SVG
//! file, at first `target/gradient_flow.svg`.

use std::error::Error;
use std::process::ExitCode;

use plotters::prelude::*;
use wgpu_gru::{Cell, Config, Gpu, GruConfig, Recurrent, RnnConfig, Tensor, Uniform, Unroll, Weights};

const STEPS: usize = 200;
const BATCH: usize = 8;
const HIDDEN: usize = 32;

struct Curve {
    name: &'static str,
    color: RGBColor,
    /// The norm of d_h' after each step, that of the last step being 1.
    norms: Vec<f64>,
}

/// Random recurrent weights with entries of U(-1, 1) sqrt(3 / H) scale: the largest factor of a step is about `scale`.
fn recurrent_weights<C: Copy + Into<Cell>>(config: &Config<C>, scale: f32, update_bias: f32) -> Weights {
    let mut weights = Weights::random(config, 1);
    let cell = &mut weights.cells[0];
    cell.weight_hh = Uniform::new(2).vec(cell.weight_hh.len(), scale * (3.0 / HIDDEN as f32).sqrt());
    cell.bias_ih.fill(0.0);
    cell.bias_hh.fill(0.0);
    if cell.bias_ih.len() == 3 * HIDDEN {
        cell.bias_ih[HIDDEN..2 * HIDDEN].fill(update_bias);
    }
    weights
}

fn curve<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: Config<C>,
    (name, color): (&'static str, RGBColor),
    scale: f32,
    update_bias: f32,
) -> wgpu_gru::Result<Curve> {
    let weights = recurrent_weights(&config, scale, update_bias);
    let layer = Recurrent::with_weights(gpu, config, &weights)?;
    let mut net = layer.unroll(Unroll::training(STEPS, BATCH).gradient_norms(true))?;
    // Without an input the state stays at 0, where every activation is steepest: what is seen is the recurrent weights' doing.
    let x = Tensor::zeros(gpu, &[STEPS, BATCH, 1])?;
    net.forward(&x, None)?;
    let d_h_n = Tensor::from_slice(gpu, &[1, BATCH, HIDDEN], &Uniform::new(4).vec(BATCH * HIDDEN, 1.0))?;
    let gradients = net.backward(None, Some(&d_h_n))?;
    let norms = match &gradients.norms {
        Some(norms) => norms.read_blocking()?,
        None => Vec::new(),
    };
    let last = norms.last().copied().map_or(1.0, f64::from);
    Ok(Curve { name, color, norms: norms.into_iter().map(|norm| f64::from(norm) / last).collect() })
}

fn draw(path: &str, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (900, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Gradient of the state, going back in time", ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..STEPS as f64, (1e-12..1e12).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(232, 234, 238))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .x_desc("steps back from the loss")
        .y_desc("norm, that at the loss being 1")
        .x_label_formatter(&|back| format!("{back:.0}"))
        .y_label_formatter(&|norm| format!("{norm:.0e}"))
        .draw()?;
    for Curve { name, color, norms } in curves {
        let points = norms.iter().rev().enumerate().map(|(back, &norm)| (back as f64, norm.clamp(1e-12, 1e12)));
        let style = color.stroke_width(3);
        let line = chart.draw_series(LineSeries::new(points, style))?;
        line.label(*name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(232, 234, 238))
        .label_font(("sans-serif", 15))
        .draw()?;
    area.present()?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example reports")]
fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/gradient_flow.svg".into());
    let gpu = Gpu::new_blocking()?;
    println!("{}", gpu.describe());
    let rnn = || RnnConfig::new(1, HIDDEN);
    let gru = || GruConfig::new(1, HIDDEN);
    let curves = [
        curve(&gpu, rnn(), ("plain RNN, large recurrent weights: explodes", RGBColor(220, 38, 38)), 1.1, 0.0)?,
        curve(&gpu, gru(), ("GRU, update gate open (bias 5): survives", RGBColor(234, 88, 12)), 0.7, 5.0)?,
        curve(&gpu, gru(), ("GRU, update gate half open (bias 0)", RGBColor(15, 118, 110)), 0.7, 0.0)?,
        curve(&gpu, rnn(), ("plain RNN, small recurrent weights: vanishes", RGBColor(59, 130, 246)), 0.7, 0.0)?,
    ];
    println!("norm of the gradient of the state, that at the loss being 1:");
    println!("{:48}{:>10}{:>10}{:>10}{:>10}", "steps back", 10, 50, 100, STEPS - 1);
    for Curve { name, norms, .. } in &curves {
        let back = |steps: usize| norms[STEPS - 1 - steps];
        println!("{name:48}{:10.1e}{:10.1e}{:10.1e}{:10.1e}", back(10), back(50), back(100), back(STEPS - 1));
    }
    draw(&path, &curves)?;
    println!("plot: {path}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "an example reports")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
