//! The loop: events of the window, and a frame 30 times a second.

use std::error::Error;
use std::time::{Duration, Instant};

use wgpu_gru::wgpu;
use winit::application::ApplicationHandler;
use winit::event::{ElementState, MouseButton, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow};
use winit::keyboard::{Key, NamedKey};
use winit::window::WindowId;

use crate::Options;
use crate::scene::Scene;
use crate::screen::Screen;
use crate::world::DT;

pub(crate) const KEYS: &str = "\
In the window: drag with the mouse to lead the light. M: memory off and on. L: learning off and on. R: start over, untrained.
Escape: end. WGPU_ADAPTER_NAME and WGPU_BACKEND choose the adapter.";

/// What is there once there is a window.
struct Running {
    screen: Screen,
    scene: Scene,
    frames: u64,
    begin: Instant,
    /// When the title was written, and which frame that was.
    titled: (Instant, u64),
}

pub(crate) struct Show {
    options: Options,
    running: Option<Running>,
    /// When the next frame is due.
    next: Instant,
    failed: Option<Box<dyn Error>>,
}

impl Show {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, running: None, next: Instant::now(), failed: None }
    }

    /// What is to be said at the end.
    pub(crate) fn end(self) -> Result<(), Box<dyn Error>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some(Running { mut scene, frames, begin, .. }) = self.running else { return Ok(()) };
        let loss = scene.live.loss()?;
        let each = 1e3 * begin.elapsed().as_secs_f64() / frames.max(1) as f64;
        println!("{frames} frames of {} agents, {each:.1} ms each; {}", self.options.agents, lessons(&scene, loss));
        Ok(())
    }

    /// Ends the loop if something failed.
    fn expect(&mut self, event_loop: &ActiveEventLoop, done: Result<(), Box<dyn Error>>) {
        if let Err(error) = done {
            self.failed = Some(error);
            event_loop.exit();
        }
    }
}

impl Running {
    fn open(event_loop: &ActiveEventLoop, options: &Options) -> Result<Self, Box<dyn Error>> {
        let screen = Screen::open(event_loop, options.size)?;
        let scene = Scene::new(&screen.gpu, options.agents, screen.size(), screen.format())?;
        println!("{}\n{}", screen.gpu.describe(), scene.live.app.explain());
        let now = Instant::now();
        Ok(Self { screen, scene, frames: 0, begin: now, titled: (now, 0) })
    }

    /// One frame, if the window takes one.
    fn draw(&mut self, every: u64) -> Result<(), Box<dyn Error>> {
        let Some(frame) = self.screen.frame()? else { return Ok(()) };
        let view = frame.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let gpu = &self.screen.gpu;
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.scene.record(&mut encoder, &view, self.frames.is_multiple_of(every))?;
        gpu.queue().submit([encoder.finish()]);
        self.screen.window.pre_present_notify();
        gpu.queue().present(frame);
        self.frames += 1;
        self.tell()
    }

    /// The title, twice a second.
    fn tell(&mut self) -> Result<(), Box<dyn Error>> {
        let (before, frame) = self.titled;
        let seconds = before.elapsed().as_secs_f64();
        if seconds >= 0.5 {
            let rate = (self.frames - frame) as f64 / seconds;
            let loss = self.scene.live.loss()?;
            let memory = if self.scene.remembers() { "memory" } else { "NO memory" };
            let lessons = lessons(&self.scene, loss);
            let title =
                format!("flock: {memory} (M), {lessons} (L), {rate:.0} frames/s | drag the light, R: start over");
            self.screen.window.set_title(&title);
            self.titled = (Instant::now(), self.frames);
        }
        Ok(())
    }

    fn press(&mut self, key: &Key) -> Result<(), Box<dyn Error>> {
        if let Key::Character(text) = key {
            match text.to_lowercase().as_str() {
                "m" => self.scene.switch_memory(),
                "l" => self.scene.learns = !self.scene.learns,
                "r" => self.scene.start_over()?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl ApplicationHandler for Show {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.running.is_none() {
            let opened = Running::open(event_loop, &self.options).map(|running| self.running = Some(running));
            self.expect(event_loop, opened);
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(running) = &mut self.running else { return };
        let done = match event {
            WindowEvent::CloseRequested => {
                event_loop.exit();
                Ok(())
            }
            WindowEvent::Resized(_) => {
                running.screen.resize();
                running.scene.resize(running.screen.size()).map_err(Into::into)
            }
            WindowEvent::CursorMoved { position, .. } => {
                running.scene.point([position.x, position.y]);
                Ok(())
            }
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => {
                running.scene.hold(state == ElementState::Pressed);
                Ok(())
            }
            WindowEvent::KeyboardInput { event, .. } if event.state == ElementState::Pressed && !event.repeat => {
                if event.logical_key == Key::Named(NamedKey::Escape) {
                    event_loop.exit();
                }
                running.press(&event.logical_key)
            }
            WindowEvent::RedrawRequested => {
                let drawn = running.draw(self.options.every);
                if drawn.is_ok() && self.options.frames == Some(running.frames) {
                    event_loop.exit();
                    match &self.options.screenshot {
                        Some(path) => running.scene.save(path).map_err(Into::into),
                        None => Ok(()),
                    }
                } else {
                    drawn
                }
            }
            _ => Ok(()),
        };
        self.expect(event_loop, done);
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let Some(running) = &self.running else { return };
        let now = Instant::now();
        if now >= self.next {
            running.screen.window.request_redraw();
            // A device that is slower than that draws as often as it can.
            self.next = (self.next + Duration::from_secs_f32(DT)).max(now);
        }
        event_loop.set_control_flow(ControlFlow::WaitUntil(self.next));
    }
}

/// What is to be said of learning.
fn lessons(scene: &Scene, loss: Option<f32>) -> String {
    let loss = loss.map_or(String::new(), |loss| format!("error {loss:.3} after "));
    let pause = if scene.learns { "" } else { ", learning stopped" };
    format!("{loss}{} lessons{pause}", scene.live.taken())
}
