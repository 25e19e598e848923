//! A GPU app in miniature: thousands of agents follow a light that each of them sees for 3 of every 24 frames. Each has
//! a row of a GRU stream for a mind: a shader of the app writes what it feels, one of the app acts by the hidden state,
//! one draws it. The device, the encoder and the frame are the app's; nothing of a frame goes through the CPU.
//!
//! `cargo run --release --example flock`

mod app;
#[path = "../support/args.rs"]
mod args;
mod command_line;
mod mind;
mod picture;
#[path = "../support/progress.rs"]
mod progress;
mod school;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wgpu_gru::{Gpu, Gru, GruConfig, StreamOptions, wgpu};

use app::App;
use args::Args;
use command_line::{Options, PROGRAM};
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

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let args = Options::read(args)?;
    let gpu = open()?;
    // What cannot be is said before the time that training takes.
    check(&gpu, &args)?;
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    println!("{}", gpu.describe());

    let [mind, rival] = [("with memory", false), ("without memory", true)].map(|(name, forgets)| {
        let begin = Instant::now();
        let bar = progress::bar("Training", args.steps).with_message(name);
        let trained = Mind::trained(&gpu, args.steps, forgets, |step| {
            bar.set_position(step as u64);
            if bar.is_hidden() && step.is_multiple_of(100) {
                println!("  {name}: step {step}");
            }
        });
        bar.finish_and_clear();
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
    let canvas = Canvas::new(&gpu, &app, args.size)?;
    println!("{}", app.explain());
    let (before, begin) = (gpu.activity(), Instant::now());
    let (mut pictures, mut saving) = (0, Duration::ZERO);
    let bar = progress::bar("Frames", args.frames);
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
            // So that what is timed next is writing the file.
            gpu.wait_blocking()?;
            let begin = Instant::now();
            canvas.save(&args.out.join(format!("{pictures:04}.png")))?;
            saving += begin.elapsed();
            pictures += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    assert_eq!(gpu.activity(), before, "the crate has made nothing and submitted nothing");
    let each = (begin.elapsed() - saving).as_secs_f64() / args.frames as f64;
    println!("{} frames of {} agents, {:.1} ms each with drawing", args.frames, args.agents, 1e3 * each);
    println!("{pictures} pictures in {}, written in {:.1} s", args.out.display(), saving.as_secs_f64());
    Ok(())
}

/// Whether the device can have so many agents and so large a picture.
fn check(gpu: &Gpu, args: &Options) -> Result<(), Box<dyn Error>> {
    let most = gpu.limits().max_texture_dimension_2d;
    let [width, height] = args.size;
    if width.max(height) > most {
        return Err(format!("a picture of {width}x{height} is too large: the device has sides up to {most}").into());
    }
    let gru = Gru::new(gpu, GruConfig::new(SENSES, HIDDEN), 1)?;
    gru.stream(StreamOptions::new(args.agents).gather(true))?;
    Ok(())
}

/// The app's own device, with what the crate likes to have.
fn open() -> Result<Gpu, Box<dyn Error>> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let backends = wgpu::Backends::all();
    let adapter = pollster::block_on(async {
        match wgpu_gru::GpuOptions::from_env().adapter_name {
            None => instance
                .request_adapter(&wgpu::RequestAdapterOptions::default())
                .await
                .map_err(|error| format!("{error}; WGPU_BACKEND chooses what is requested")),
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
        required_limits: GruConfig::new(SENSES, HIDDEN).required_limits(&adapter.limits())?,
        ..Default::default()
    }))?;
    Ok(Gpu::from_device(device, queue))
}
