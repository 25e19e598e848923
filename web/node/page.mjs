// Visits the page in headless Chromium as somebody would: `node page.mjs FOLDER [STEPS [SCREENSHOT.png]]` trains it for some
// steps at least, follows some months, starts over; and visits it with a browser that has no WebGPU. Exit 0: all as it should be.
import { open } from "./chromium.mjs";
import { serve } from "./serve.mjs";

const [folder, steps = "80", screenshot] = process.argv.slice(2);
const SECONDS = Number(process.env.WGPU_GRU_WEB_SECONDS ?? 2400);

/** Ends everything with a message. */
function fail(message) {
  console.error(`FAIL page: ${message}`);
  process.exit(1);
}

function ensure(is_so, message) {
  if (!is_so) fail(message);
}

setTimeout(() => fail(`not over within ${SECONDS} s`), SECONDS * 1000).unref();
process.on("unhandledRejection", (error) => fail(error?.stack ?? error));
const { address } = await serve(folder);
const browser = await open();
const size = { width: 900, height: 1560 };

/** A fresh visit; whatever it complains of is a failure, but what is expected. */
async function visit(prepare = () => {}, expected = undefined) {
  const page = await browser.newPage({ viewport: size });
  page.setDefaultTimeout(SECONDS * 1000);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected?.test(message.text())) fail(`the console says: ${message.text()}`);
  });
  page.on("pageerror", (error) => fail(error.stack ?? error.message));
  page.on("crash", () => fail("it crashed"));
  page.on("request", (request) => ensure(request.url().startsWith(address) || request.url().startsWith("data:"), `it asks for ${request.url()}`));
  await page.addInitScript(prepare);
  await page.goto(`${address}/`);
  await page.waitForFunction(() => document.body.dataset.state !== "loading");
  return page;
}

const state = (page) => page.evaluate(() => document.body.dataset.state);
const text = (page, id) => page.locator(`#${id}`).innerText();
/** How many pixels of a canvas have a colour of the network's lines: more red than anything else. */
const drawn = (page, id) =>
  page.evaluate((id) => {
    const canvas = document.getElementById(id);
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += data[at + 3] > 100 && data[at] > data[at + 2] + 80;
    return count;
  }, id);
/** Until it has done what was asked for. */
const rest = (page) => page.waitForFunction(() => document.body.ariaBusy === "false");
const progress = async (page) => {
  const [, step, total, loss] = (await text(page, "progress")).match(/step (\d+) of (\d+)(?: · loss ([\d.]+))?/) ?? [];
  return { step: Number(step), total: Number(total), loss: Number(loss) };
};

/** Words, and nothing to press. */
async function says(page, wanted, words) {
  const [is, said] = [await state(page), await text(page, "problem")];
  ensure(is === wanted && words.test(said), `expected ${wanted} and ${words}, but the page is ${is} and says: ${said}`);
  for (const id of ["train", "forget", "play", "rewind"]) ensure(await page.locator(`#${id}`).isDisabled(), `#${id} can be pressed on a page that is ${is}`);
  await page.close();
}

const no_webgpu = () => Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
await says(await visit(no_webgpu), "no-webgpu", /has no WebGPU/);
// A browser that has it, but no GPU that it lets pages use.
const no_adapter = () => (GPU.prototype.requestAdapter = async () => null);
await says(await visit(no_adapter, /no usable GPU adapter/), "failed", /no usable GPU adapter: the browser/);

const page = await visit();
ensure((await state(page)) === "ready", `the page is ${await state(page)}: ${await text(page, "problem")}`);
console.log(await text(page, "adapter"));
ensure((await progress(page)).step === 0, "it is trained before anybody asked");
ensure((await drawn(page, "forecast")) === 0, "a forecast is drawn before there is one");

await page.click("#train");
await page.waitForFunction(() => /loss/.test(document.getElementById("progress").textContent));
const first = await progress(page);
const wanted = Math.min(Number(steps), first.total);
await page.waitForFunction((wanted) => Number(document.getElementById("progress").textContent.match(/step (\d+)/)?.[1]) >= wanted, wanted);
if (wanted < first.total) await page.click("#train");
await rest(page);
const last = await progress(page);
console.log(`loss ${first.loss} after step ${first.step}, ${last.loss} after step ${last.step}; ${(await text(page, "progress")).split(" · ").at(-1)}`);
ensure(last.loss < 0.8 * first.loss, "the loss has not fallen");
const [persistence, linear, network] = await Promise.all(["persistence", "linear", "network"].map(async (id) => Number(await text(page, id))));
console.log(`errors a year ahead: ${persistence} as it is now, ${linear} the linear model, ${network} the network`);
ensure(network < persistence, "the network is no better than saying that all stays as it is");
for (const id of ["loss", "forecast"]) ensure((await drawn(page, id)) > 300, `#${id} shows ${await drawn(page, id)} points of a line`);

await page.click("#play");
await page.waitForFunction(() => / 197[0-9]:/.test(document.getElementById("month").textContent));
await page.click("#play");
await rest(page);
console.log(await text(page, "month"));
ensure((await drawn(page, "stream")) > 50, "#stream shows nothing");
if (screenshot) await page.screenshot({ path: screenshot });

await page.click("#rewind");
await page.waitForFunction(() => /December 1964/.test(document.getElementById("month").textContent));
await page.click("#forget");
await page.waitForFunction(() => /^step 0 /.test(document.getElementById("progress").textContent));
ensure((await drawn(page, "forecast")) === 0, "the forecast is still there");
await browser.close();
console.log("the page does what it says");
process.exit(0);
