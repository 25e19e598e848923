//! The way in from JavaScript.

use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_gru::{Gpu, GruConfig, verify};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn log(text: &str);
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Runs every check whose name holds the text; gives how many failed.
#[wasm_bindgen]
pub async fn run(_only: String) -> u32 {
    std::panic::set_hook(Box::new(|info| error(&info.to_string())));
    let gpu = match Gpu::new().await {
        Ok(gpu) => gpu,
        Err(error) => {
            log(&format!("FAIL adapter: {error}"));
            return 1;
        }
    };
    log(&format!("adapter: {}", gpu.describe()));
    match verify(&gpu, &GruConfig::new(28, 64), 20, 8, 1).await {
        Ok(report) => {
            log(&format!("ok   verify\n{report}"));
            0
        }
        Err(error) => {
            log(&format!("FAIL verify: {error}"));
            1
        }
    }
}
