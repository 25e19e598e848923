// Runs the checks in headless Chromium: `node browser.mjs FOLDER NAME [ONLY]` imports FOLDER/NAME.js in an empty page and
// calls its `run(ONLY)`. Exit 0: all passed.
import { open } from "./chromium.mjs";
import { serve } from "./serve.mjs";

const [folder, name, only = ""] = process.argv.slice(2);
const SECONDS = Number(process.env.WGPU_GRU_WEB_SECONDS ?? 2400);

/** Ends everything with a message. */
function fail(message) {
  console.error(`FAIL browser: ${message}`);
  process.exit(1);
}

setTimeout(() => fail(`not over within ${SECONDS} s`), SECONDS * 1000).unref();
const { address } = await serve(folder);
const browser = await open().catch((error) => fail(error.message));
console.log(`browser: Chromium ${browser.version()}`);
const page = await browser.newPage();
page.on("console", (message) => console.log(message.text()));
page.on("pageerror", (error) => fail(error.stack ?? error.message));
page.on("crash", () => fail("the page crashed"));
// WebGPU is there only where the page comes from a server.
await page.route(`${address}/`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
await page.goto(`${address}/`);
const failed = await page.evaluate(
  async ([name, only]) => {
    if (!navigator.gpu) throw new Error("this browser has no navigator.gpu");
    const module = await import(`/${name}.js`);
    await module.default();
    return module.run(only, false, false);
  },
  [name, only],
).catch((error) => fail(error.message));
await browser.close();
process.exit(failed === 0 ? 0 : 1);
