//! A GPU app in miniature: thousands of agents follow a light that each of them sees for 3 of every 24 frames. Each has a row of
//! a GRU stream for a mind: a shader of the app writes what it feels, one of the app acts by the hidden state, one draws it. The
//! device, the encoder and the frame are the app's; nothing of a frame goes through the CPU.
//!
//! `cargo run --release --example flock`

mod app;
mod args;
mod mind;
mod picture;
mod school;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use wgpu_gru::{Gpu, GruConfig, wgpu};

use app::App;
use args::{Args, HELP};
use mind::Mind;
use picture::Canvas;

/// Seconds of a frame.
const DT: f32 = 1.0 / 30.0;
/// Of so many frames an agent's eyes are open in a few.
const PERIOD: usize = 24;
const OPEN: usize = 3;
/// What an agent feels: eyes open, where the light is then and how it moves, its own velocity, the circle it likes.
const SENSES: usize = 8;
/// Units of a mind.
const HIDDEN: usize = 24;

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program")]
fn main() -> ExitCode {
    let result = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => run(&args),
        Ok(None) => {
            println!("{HELP}");
            Ok(())
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // Before the time that training takes.
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let gpu = open()?;
    println!("{}", gpu.describe());

    let [mind, rival] = [("with memory", false), ("without memory", true)].map(|(name, forgets)| {
        let begin = Instant::now();
        let told = |step: usize| {
            if step.is_multiple_of(100) {
                println!("  {name}: step {step}");
            }
        };
        let trained = Mind::trained(&gpu, args.steps, forgets, told);
        if let Ok((_, loss)) = &trained {
            println!("trained {name}: error of the force {loss:.3}, {:.0} s", begin.elapsed().as_secs_f32());
        }
        trained
    });
    let (mind, rival) = (mind?.0, rival?.0);
    for (name, mind) in [("with memory", &mind), ("without memory", &rival)] {
        let score = App::new(&gpu, args.agents.min(1024), mind)?.score(300)?;
        println!(
            "half of the agents {name} are within {score:.2} of their circles around the light (the picture is 2 high)"
        );
    }

    let app = App::new(&gpu, args.agents, &mind)?;
    let canvas = Canvas::new(&gpu, &app, args.size);
    println!("{}", app.explain());
    let (before, begin) = (gpu.activity(), Instant::now());
    let mut pictures = 0;
    for frame in 1..=args.frames {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        app.record_frame(&mut encoder)?;
        canvas.draw(&mut encoder);
        let is_picture = frame % args.every == 0 || frame == args.frames;
        if is_picture {
            canvas.develop(&mut encoder);
        }
        gpu.queue().submit([encoder.finish()]);
        if is_picture {
            canvas.save(&args.out.join(format!("{pictures:04}.png")))?;
            pictures += 1;
        }
    }
    assert_eq!(gpu.activity(), before, "the crate has made nothing and submitted nothing");
    let each = begin.elapsed().as_secs_f64() / args.frames as f64;
    println!("{} frames of {} agents, {:.1} ms each with drawing", args.frames, args.agents, 1e3 * each);
    println!("{pictures} pictures in {}", args.out.display());
    Ok(())
}

/// The app's own device, with what the crate likes to have.
fn open() -> Result<Gpu, Box<dyn Error>> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let backends = wgpu::Backends::all();
    let adapter = pollster::block_on(async {
        match wgpu_gru::GpuOptions::from_env().adapter_name {
            None => instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.map_err(|e| e.to_string()),
            Some(name) => {
                let name = name.to_lowercase();
                let adapters = instance.enumerate_adapters(backends).await;
                let found = adapters.into_iter().find(|adapter| adapter.get_info().name.to_lowercase().contains(&name));
                found.ok_or_else(|| format!("no adapter has {name:?} in its name"))
            }
        }
    })?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("flock"),
        required_features: Gpu::recommended_features(adapter.features()),
        required_limits: Gpu::required_limits(&GruConfig::new(SENSES, HIDDEN), &adapter.limits())?,
        ..Default::default()
    }))?;
    Ok(Gpu::from_device(device, queue))
}
