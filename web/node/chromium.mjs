// Opens headless Chromium with WebGPU: on the GPU of the machine, or else on SwiftShader, which it brings with it.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-unsafe-webgpu",
];

/** The browser that `WGPU_GRU_CHROMIUM` names, or the first of the known names that is installed. */
function executable() {
  if (process.env.WGPU_GRU_CHROMIUM) return process.env.WGPU_GRU_CHROMIUM;
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // not there
      }
    }
  }
  throw new Error("no chromium is installed: .ci/setup-web does that; WGPU_GRU_CHROMIUM names one that lies elsewhere");
}

/** A headless browser. `flags`: more of Chromium's own, such as --enable-features=.. */
export async function open(flags = []) {
  return chromium.launch({ executablePath: executable(), args: [...FLAGS, ...flags] });
}
