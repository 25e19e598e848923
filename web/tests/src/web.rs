//! The way in from JavaScript.

use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_gru::Gpu;

use crate::run::{Beyond, Check, Run};
use crate::{device, kernels, options, products, shapes, stream, train};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn log(text: &str);
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
    /// Milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// In this order; the last one asks what the others have made.
const CHECKS: [&[Check]; 7] = [
    device::CHECKS,
    products::CHECKS,
    shapes::CHECKS,
    options::CHECKS,
    stream::CHECKS,
    train::CHECKS,
    kernels::CHECKS,
];

/// Runs the checks whose names hold the text, a line each; gives how many failed. Of the device it is told what wgpu does
/// not know, as in [`Beyond`].
#[wasm_bindgen]
pub async fn run(only: String, subgroups: bool) -> u32 {
    std::panic::set_hook(Box::new(|info| error(&info.to_string())));
    let gpu = match Gpu::new().await {
        Ok(gpu) => gpu,
        Err(error) => {
            log(&format!("FAIL adapter: {error}"));
            return 1;
        }
    };
    log(&format!("adapter: {}", gpu.describe()));
    let run = Run::new(gpu, Beyond { subgroups });
    let (mut passed, mut failed) = (0, 0);
    // What was made is told of a whole run only.
    let wanted = |name: &str| only.is_empty() || (name.contains(&only) && !name.starts_with(kernels::MODULE));
    for &check in CHECKS.into_iter().flatten().filter(|(name, _)| wanted(name)) {
        let (name, begin) = (check.0, now());
        let outcome = run.check(check).await;
        let seconds = (now() - begin) / 1e3;
        match outcome {
            Ok(said) => {
                passed += 1;
                log(&format!("ok   {name} ({seconds:.1} s) {said}"));
            }
            Err(why) => {
                failed += 1;
                log(&format!("FAIL {name} ({seconds:.1} s) {why}"));
            }
        }
    }
    log(&format!("{passed} passed, {failed} failed"));
    // Nothing that was run is no success.
    if passed == 0 { failed.max(1) } else { failed }
}
