//! The time to the first result.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use wgpu_gru::{Gpu, Gru, GruConfig, Result, Unroll, wgpu};

use crate::command_line::FIRST_RESULT;
use crate::support::is_quick;

const HEAD: &str = "
### time to the first result

From before the adapter is opened until the gradient of h0 is on the host, forward and backward at (100, 1, 64, 64); the driver's
own cache on disk is off. `stored`: with what a pipeline cache of an earlier process holds.

| | median ms | least to most |
|---|---|---|
";

/// Takes the time and prints it, with the cache in a file, if one is named.
#[expect(clippy::print_stdout, reason = "the bench reads it")]
pub(crate) fn child(file: Option<&Path>) -> Result<()> {
    let begin = Instant::now();
    let plain = Gpu::new_blocking()?;
    let (gpu, cache) = match file {
        None => (plain, None),
        Some(file) => with_cache(&plain, file)?,
    };
    let gru = Gru::new(&gpu, GruConfig::new(64, 64), 1)?;
    let mut net = gru.unroll(Unroll::training(100, 1))?;
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)
    })?;
    net.gradients()?.h0.read_blocking()?;
    println!("{}", begin.elapsed().as_secs_f64() * 1e3);
    if let (Some(file), Some(data)) = (file, cache.and_then(|cache| cache.get_data())) {
        // What cannot be stored is measured as if there were none.
        drop(std::fs::write(file, data));
    }
    Ok(())
}

/// The same adapter with a pipeline cache, where it has one.
fn with_cache(plain: &Gpu, file: &Path) -> Result<(Gpu, Option<wgpu::PipelineCache>)> {
    let backends = wgpu::Backends::from(plain.info().backend);
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    let same = |adapter: &wgpu::Adapter| {
        adapter.get_info().name == plain.info().name && adapter.features().contains(wgpu::Features::PIPELINE_CACHE)
    };
    let Some(adapter) = adapters.into_iter().find(same) else { return Ok((plain.clone(), None)) };
    let descriptor = wgpu::DeviceDescriptor {
        required_features: plain.device().features() | wgpu::Features::PIPELINE_CACHE,
        required_limits: plain.limits().clone(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let gpu = Gpu::from_device(device, queue);
    let data = std::fs::read(file).ok();
    #[expect(unsafe_code, reason = "the bench answers for the data")]
    // SAFETY: the file is what this function's cache gave in an earlier process, or is not there.
    let cache = unsafe {
        gpu.device().create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
            label: None,
            data: data.as_deref(),
            fallback: true,
        })
    };
    gpu.set_pipeline_cache(Some(cache.clone()))?;
    Ok((gpu, Some(cache)))
}

/// What some processes say, one after the other.
fn ask(file: Option<&Path>) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..if is_quick() { 1 } else { 5 } {
        let mut command = Command::new(std::env::current_exe().unwrap_or_default());
        command
            .arg(FIRST_RESULT)
            .arg(file.unwrap_or(Path::new("-")))
            .env("MESA_SHADER_CACHE_DISABLE", "true")
            .env("__GL_SHADER_DISK_CACHE", "0");
        let answer = command.output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
        times.extend(answer.and_then(|text| text.trim().parse::<f64>().ok()));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// The table.
pub(crate) fn table() -> String {
    let file = std::env::temp_dir().join(format!("wgpu-gru-pipelines-{}", std::process::id()));
    let plain = ask(None);
    // The first one fills it.
    drop(ask(Some(&file)));
    let stored = ask(Some(&file));
    drop(std::fs::remove_file(&file));
    let row = |name: &str, times: &[f64]| match times {
        [] => format!("| {name} | - | - |\n"),
        [least, .., most] => format!("| {name} | {:.0} | {least:.0} to {most:.0} |\n", times[times.len() / 2]),
        [only] => format!("| {name} | {only:.0} | |\n"),
    };
    format!("{HEAD}{}{}", row("nothing stored", &plain), row("stored", &stored))
}
