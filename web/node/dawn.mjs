// Runs the checks in node under Dawn, Chrome's implementation of WebGPU, on the Vulkan adapter of this machine:
// `node dawn.mjs FOLDER NAME [ONLY]` imports FOLDER/NAME.js and calls its `run(ONLY)`. Exit 0: all passed.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { create, globals } from "webgpu";

const [folder, name, only = ""] = process.argv.slice(2);
const SECONDS = Number(process.env.WGPU_GRU_WEB_SECONDS ?? 2400);

/** Ends everything with a message. */
function fail(message) {
  console.error(`FAIL dawn: ${message}`);
  process.exit(1);
}

setTimeout(() => fail(`not over within ${SECONDS} s`), SECONDS * 1000).unref();
process.on("uncaughtException", (error) => fail(error.stack ?? error));
process.on("unhandledRejection", (error) => fail(error?.stack ?? error));

// What wgpu looks for: the classes of WebGPU, a global object that says it is a window, and its navigator.
Object.assign(globalThis, globals);
globalThis.Window = globalThis.constructor;
const gpu = create([]);
Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });

// What wgpu 30 can have of a device of its own and asks of no browser, so that Tint's numbers of those kernels are held as well:
// subgroups of 8, whose `enable subgroups;` is an error to wgpu's own compiler.
const { features, info } = (await gpu.requestAdapter()) ?? fail("no adapter: .ci/setup installs one");
const subgroups = features.has("subgroups") && info.subgroupMinSize === 8 && info.subgroupMaxSize === 8;
if (subgroups) {
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = function (descriptor = {}) {
    return requestDevice.call(this, { ...descriptor, requiredFeatures: [...(descriptor.requiredFeatures ?? []), "subgroups"] });
  };
}
const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function (descriptor) {
  let { code } = descriptor;
  if (subgroups && /subgroup[A-Z_]/.test(code)) code = `enable subgroups;\n${code}`;
  return createShaderModule.call(this, { ...descriptor, code });
};

const module = await import(pathToFileURL(resolve(folder, `${name}.js`)));
await module.default({ module_or_path: await readFile(join(folder, `${name}_bg.wasm`)) });
const failed = await module.run(only, subgroups);
process.exit(failed === 0 ? 0 : 1);
