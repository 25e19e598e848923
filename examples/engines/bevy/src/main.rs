//! A GRU inside Bevy, without a window: some frames, then the states of all agents are compared with those of the same
//! stream, run by hand.
//!
//! `cargo run --release -p in-bevy`, in `examples/engines`

#[path = "../../../support/args.rs"]
mod args;
#[path = "../../../guide/bevy.rs"]
mod minds;

use std::error::Error;
use std::process::ExitCode;

use bevy::app::PluginsState;
use bevy::prelude::*;
use bevy::render::RenderApp;
use bevy::tasks::tick_global_task_pools_on_main_thread;
use wgpu_gru::{StreamOptions, Tensor};

use args::{Args, Program, WORD, Word};
use minds::{AGENTS, Minds, MindsPlugin, Walk};

const PROGRAM: Program = Program {
    about: "\
A GRU inside Bevy, without a window: agents walk, each as its row of a stream says, which lives in Bevy's render world. In the end
their states are compared with those of the same stream, run by hand.",
    start: "cargo run --release -p in-bevy --",
    words: &[Word {
        name: "--frames",
        value: "N",
        help: "Frames",
        default: "100",
        range: Some(1..=1_000_000_000),
        ..WORD
    }],
    notes: "WGPU_ADAPTER_NAME and WGPU_BACKEND choose the adapter.",
};

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let frames: usize = args.get("--frames")?;
    let mut app = App::new();
    app.add_plugins((DefaultPlugins, MindsPlugin));
    // As Bevy's own runners do, but for so many frames.
    while app.plugins_state() == PluginsState::Adding {
        tick_global_task_pools_on_main_thread();
    }
    app.finish();
    app.cleanup();
    for _ in 0..frames {
        app.update();
    }
    let render_app = app.get_sub_app(RenderApp).ok_or("Bevy found no GPU")?;
    let minds = render_app.world().get_resource::<Minds>().ok_or("Bevy set nothing up")?;
    let (states, angles) = look(minds, &minds.stream, &minds.walk)?;

    let stream = minds.gru.stream(StreamOptions::new(AGENTS))?;
    let walk = Walk::new(minds.gru.gpu(), &stream)?;
    for _ in 0..frames {
        minds.gru.gpu().submit(|encoder| {
            stream.encode_step(encoder)?;
            walk.record(encoder);
            Ok(())
        })?;
    }
    let (expected_states, expected_angles) = look(minds, &stream, &walk)?;
    if states != expected_states || angles != expected_angles {
        return Err(format!("after {frames} frames Bevy's agents are not where they are by hand").into());
    }
    if states.iter().all(|&state| state == 0.0) {
        return Err("the stream has taken no step".into());
    }
    println!("{}", minds.gru.gpu().describe());
    println!(
        "{frames} frames of {AGENTS} agents in Bevy: states and places are to the bit those of the stream by hand"
    );
    Ok(())
}

/// The states of all agents, and where they are.
fn look(minds: &Minds, stream: &wgpu_gru::Stream, walk: &Walk) -> wgpu_gru::Result<(Vec<f32>, Vec<f32>)> {
    let angles = Tensor::from_buffer(minds.gru.gpu(), walk.angles.slice(..), &[AGENTS])?;
    Ok((stream.state().read_blocking()?, angles.read_blocking()?))
}
