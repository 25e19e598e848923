//! The window, and the surface on which its frames appear.

use std::error::Error;
use std::sync::Arc;

use wgpu_gru::{Gpu, wgpu};
use winit::dpi::PhysicalSize;
use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

use crate::device;

/// A window of the app, the device that draws on it, and the surface between them.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) window: Arc<Window>,
    pub(crate) gpu: Gpu,
    instance: wgpu::Instance,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
}

impl Screen {
    pub(crate) fn open(event_loop: &ActiveEventLoop, [width, height]: [u32; 2]) -> Result<Self, Box<dyn Error>> {
        let attributes = Window::default_attributes().with_title("flock");
        let window = event_loop.create_window(attributes.with_inner_size(PhysicalSize::new(width, height)))?;
        let window = Arc::new(window);
        let display = Box::new(event_loop.owned_display_handle());
        let descriptor = wgpu::InstanceDescriptor::new_with_display_handle_from_env(display);
        let instance = wgpu::Instance::new(descriptor);
        let cannot = |error| format!("no driver can draw on the window: {error}");
        let surface = instance.create_surface(window.clone()).map_err(cannot)?;
        let (adapter, gpu) = pollster::block_on(device::open(&instance, Some(&surface)))?;
        let mut config = surface
            .get_default_config(&adapter, width, height)
            .ok_or("the adapter cannot draw on this window; WGPU_ADAPTER_NAME chooses another")?;
        // The shader writes what is to be seen, so nothing may encode it again.
        config.format = config.format.remove_srgb_suffix();
        if !surface.get_capabilities(&adapter).formats.contains(&config.format) {
            return Err(format!("the window has no format {:?}", config.format).into());
        }
        let mut screen = Self { window, gpu, instance, surface, config };
        screen.resize();
        Ok(screen)
    }

    pub(crate) fn format(&self) -> wgpu::TextureFormat {
        self.config.format
    }

    pub(crate) fn size(&self) -> [u32; 2] {
        [self.config.width, self.config.height]
    }

    /// Follows the window's size. A window of no size, as one that is minimised, keeps its surface.
    pub(crate) fn resize(&mut self) {
        let PhysicalSize { width, height } = self.window.inner_size();
        let most = self.gpu.limits().max_texture_dimension_2d;
        if width > 0 && height > 0 {
            (self.config.width, self.config.height) = (width.min(most), height.min(most));
        }
        self.surface.configure(self.gpu.device(), &self.config);
    }

    /// The texture of the next frame. `None`: not now; the next time may be better.
    pub(crate) fn frame(&mut self) -> Result<Option<wgpu::SurfaceTexture>, Box<dyn Error>> {
        use wgpu::CurrentSurfaceTexture::{Lost, Occluded, Outdated, Suboptimal, Success, Timeout, Validation};
        match self.surface.get_current_texture() {
            // A window that has changed says so by an event of its own.
            Success(frame) | Suboptimal(frame) => return Ok(Some(frame)),
            Timeout | Occluded => {}
            Outdated => self.resize(),
            Lost => {
                self.surface = self.instance.create_surface(self.window.clone())?;
                self.resize();
            }
            Validation => return Err("the window's surface was refused".into()),
        }
        Ok(None)
    }
}
