//! The way in from JavaScript.

use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_gru::Gpu;

use crate::checks::{self, Check};
use crate::run::{Beyond, BrowserCheck, Run};
use crate::{device, kernels, shapes};

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

/// What only browsers have, before and after what they share with native tests; the last one asks what all others have
/// made.
const BEFORE: [(&str, &[(&str, BrowserCheck)]); 2] = [("device", device::CHECKS), ("shapes", shapes::CHECKS)];
const AFTER: [(&str, &[(&str, BrowserCheck)]); 1] = [(kernels::MODULE, kernels::CHECKS)];

/// A check of either sort.
#[derive(Clone, Copy)]
enum Body {
    Browser(BrowserCheck),
    Shared(Check),
}

/// All of them by name.
fn all() -> Vec<(String, Body)> {
    let browser = |&(module, checks): &(&'static str, &'static [(&'static str, BrowserCheck)])| {
        checks.iter().map(move |&(name, check)| (format!("{module}::{name}"), Body::Browser(check)))
    };
    let shared = checks::MODULES.iter().flat_map(|&(module, checks)| {
        checks.iter().map(move |&(name, check)| (format!("{module}::{name}"), Body::Shared(check)))
    });
    BEFORE.iter().flat_map(browser).chain(shared).chain(AFTER.iter().flat_map(browser)).collect()
}

/// Runs the checks whose names hold the text, a line each; gives how many failed. Of the device it is told what wgpu
/// does not know, as in [`Beyond`].
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
    for (name, body) in all().into_iter().filter(|(name, _)| wanted(name)) {
        let begin = now();
        let outcome = match body {
            Body::Browser(check) => run.check(check(&run)).await,
            Body::Shared(check) => run.check(check(run.gpu())).await,
        };
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
