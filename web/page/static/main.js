// The page: buttons, and one loop that does what they ask for. The model is in WebAssembly, its work on the GPU.
import { draw } from "./chart.js";
import init, { Sunspots } from "./page.js";

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const $ = (id) => document.getElementById(id);
const buttons = ["train", "forget", "play", "rewind"].map($);

/** Says what is wrong, in words, and stops everything. */
function problem(state, text) {
  document.body.dataset.state = state;
  $("problem").textContent = text;
  $("problem").hidden = false;
  for (const button of buttons) button.disabled = true;
}

let sunspots;
let training = false;
let playing = false;
let asked = new Set();
const shown = { losses: [], forecast: [], ahead: [], pace: undefined };

const year = (month) => sunspots.first_year() + month / 12;
const points = (values, first) => Array.from(values, (value, index) => [year(first + index), value]);
let counts;

function draw_loss() {
  const [total] = sunspots.steps();
  const most = Math.max(0.1, ...shown.losses.map(([, loss]) => loss));
  const lines = [{ colour: "said", width: 2, points: shown.losses }];
  draw($("loss"), { x: [0, total], y: [0, most * 1.05], lines, ticks: 6 });
}

function draw_forecast() {
  const begin = sunspots.held_out();
  const before = begin - 120;
  const lines = [
    { colour: "counted", points: points(counts.slice(before), before) },
    { colour: "said", width: 2, points: points(shown.forecast, begin) },
  ];
  draw($("forecast"), { x: [year(before), year(counts.length)], y: [0, 260], lines, mark: year(begin) });
}

function draw_stream() {
  const now = sunspots.now();
  const [from, to] = [now - 132, now + 30];
  const lines = [
    { colour: "to-come", points: points(counts.slice(now - 1, to), now - 1) },
    { colour: "counted", points: points(counts.slice(from, now), from) },
    { colour: "said", width: 2.5, points: points(shown.ahead, now) },
  ];
  draw($("stream"), { x: [year(from), year(to)], y: [0, 260], lines, mark: year(now - 1) });
}

function tell() {
  const [total, done] = sunspots.steps();
  const loss = shown.losses.at(-1);
  const parts = [`step ${done} of ${total}`];
  if (loss) parts.push(`loss ${loss[1].toFixed(3)}`);
  if (shown.pace) parts.push(`${shown.pace.toFixed(shown.pace < 10 ? 1 : 0)} ms a step`);
  $("progress").textContent = parts.join(" · ");
  $("train").textContent = done === total ? "Trained" : training ? "Pause" : "Train";
  $("train").disabled = done === total;
  const [persistence, linear, network] = sunspots.errors();
  for (const [id, error] of Object.entries({ persistence, linear, network })) $(id).textContent = error?.toFixed(1) ?? "–";
  const now = sunspots.now();
  const at_end = now >= counts.length;
  $("play").textContent = at_end ? "Ended" : playing ? "Pause" : "Play";
  $("play").disabled = at_end;
  const last = now - 1;
  const name = `${MONTHS[last % 12]} ${Math.floor(year(last))}`;
  const expects = shown.ahead.length ? `; in a year it expects ${Math.round(shown.ahead[11])}` : "";
  $("month").textContent = `${name}: ${Math.round(counts[last])} counted${expects}`;
}

function draw_all() {
  draw_loss();
  draw_forecast();
  draw_stream();
  tell();
}

/** As many steps as fit into a tenth of a second, and a forecast now and then. */
async function train() {
  const steps = Math.max(1, Math.min(10, Math.floor(100 / (shown.pace ?? 100))));
  const begin = performance.now();
  const loss = await sunspots.train(steps);
  const pace = (performance.now() - begin) / steps;
  // The first steps wait for pipelines.
  shown.pace = shown.losses.length < 3 ? pace : 0.9 * shown.pace + 0.1 * pace;
  const [total, done] = sunspots.steps();
  shown.losses.push([done, loss]);
  if (done === total) training = false;
  if (performance.now() - forecast_at > 10 * forecast_takes) await forecast();
}

/** Takes as long as some steps: a tenth of the time at most goes into it. And when training stops there is one more. */
let [forecast_at, forecast_takes, forecast_of] = [-Infinity, 0, 0];
async function forecast() {
  const begin = performance.now();
  shown.forecast = await sunspots.forecast();
  forecast_of = sunspots.steps()[1];
  forecast_at = performance.now();
  forecast_takes = forecast_at - begin;
}

async function follow() {
  const ahead = await sunspots.next_month();
  if (ahead) shown.ahead = ahead;
  playing &&= sunspots.now() < counts.length;
}

function rewind() {
  sunspots.follow();
  shown.ahead = [];
}

function forget() {
  sunspots.forget();
  Object.assign(shown, { losses: [], forecast: [], ahead: [], pace: undefined });
  training = false;
  [forecast_at, forecast_takes, forecast_of] = [-Infinity, 0, 0];
}

/** One thing after the other: the model does not do two at a time. */
async function loop() {
  for (;;) {
    const is_stale = forecast_of !== sunspots.steps()[1];
    const busy = training || playing || is_stale || asked.size > 0;
    document.body.ariaBusy = busy;
    if (busy) {
      const now = asked;
      asked = new Set();
      if (now.has("forget")) forget();
      if (now.has("rewind")) rewind();
      if (training) await train();
      else if (is_stale) await forecast();
      if (playing) await follow();
      draw_all();
    }
    // A page that nobody sees gets no frames, and rests.
    await new Promise(requestAnimationFrame);
  }
}

async function main() {
  if (!navigator.gpu) {
    const secure = globalThis.isSecureContext ? "" : " (The page was not loaded by https or from this machine, and only then a browser offers it.)";
    problem("no-webgpu", `This browser has no WebGPU, so the page cannot reach the GPU. Current versions of Chrome, Edge, Safari and, on some systems, Firefox have it.${secure}`);
    $("adapter").textContent = "";
    return;
  }
  await init();
  sunspots = await Sunspots.open();
  counts = sunspots.counts();
  $("adapter").textContent = `Runs on: ${sunspots.adapter()}`;
  // The model may be at work: what the page shows follows when it is not.
  $("train").onclick = () => ((training = !training), asked.add("draw"));
  $("play").onclick = () => ((playing = !playing), asked.add("draw"));
  $("forget").onclick = () => asked.add("forget");
  $("rewind").onclick = () => asked.add("rewind");
  for (const button of buttons) button.disabled = false;
  addEventListener("resize", () => asked.add("draw"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => asked.add("draw"));
  draw_all();
  document.body.dataset.state = "ready";
  await loop();
}

main().catch((error) => {
  console.error(error);
  problem("failed", `It does not work here: ${error.message ?? error}`);
});
