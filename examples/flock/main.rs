//! A GPU app in miniature: thousands of agents follow a light that each of them sees for 3 of every 24 frames. Each has
//! a row of a GRU stream for a mind: a shader of the app writes what it feels, one of the app acts by the hidden state,
//! one draws it. The device, the encoder and the frame are the app's; nothing of a frame goes through the CPU.
//!
//! `cargo run --release --example flock`

mod app;
#[path = "../support/args.rs"]
mod args;
mod command_line;
mod device;
mod mind;
mod picture;
mod print;
#[path = "../support/progress.rs"]
mod progress;
mod school;
mod size;
mod training;
mod world;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wgpu_gru::{Gpu, Gru, GruConfig, StreamOptions, wgpu};

use app::App;
use args::Args;
use command_line::{Options, PROGRAM};
use picture::Canvas;
use print::Print;
use world::{HIDDEN, SENSES};

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let args = Options::read(args)?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let (_, gpu) = pollster::block_on(device::open(&instance, None))?;
    // What cannot be is said before the time that training takes.
    check(&gpu, &args)?;
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    println!("{}", gpu.describe());

    let [mind, rival] = [("with memory", false), ("without memory", true)].map(|(name, forgets)| {
        let begin = Instant::now();
        let bar = progress::bar("Training", args.steps).with_message(name);
        let trained = training::train(&gpu, args.steps, forgets, |step| {
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
    for (name, mind, forgets) in [("with memory", &mind, false), ("without memory", &rival, true)] {
        let score = training::score(&gpu, mind, forgets, args.agents.min(1024), 300)?;
        println!(
            "half of the agents {name} are within {score:.2} of their circles around the light (the picture is 2 high)"
        );
    }

    let app = App::new(&gpu, args.agents, &mind)?;
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let canvas = Canvas::new(&gpu, args.agents, format);
    let (sheet, print) = (canvas.sheet(&app, args.size)?, Print::new(&gpu, args.size, format));
    println!("{}", app.explain());
    let (before, begin) = (gpu.activity(), Instant::now());
    let (mut pictures, mut saving) = (0, Duration::ZERO);
    let bar = progress::bar("Frames", args.frames);
    for frame in 1..=args.frames {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        app.record_frame(&mut encoder)?;
        canvas.draw(&mut encoder, &sheet);
        let is_picture = frame % args.every == 0 || frame == args.frames;
        if is_picture {
            canvas.develop(&mut encoder, &sheet, print.view());
            print.fetch(&mut encoder);
        }
        gpu.queue().submit([encoder.finish()]);
        if is_picture {
            // So that what is timed next is writing the file.
            gpu.wait_blocking()?;
            let begin = Instant::now();
            print.save(&args.out.join(format!("{pictures:04}.png")))?;
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
