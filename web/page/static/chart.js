// Lines on a canvas, with axes as plain as they can be.

/** A colour of the style sheet by its name. */
const colour = (canvas, name) => getComputedStyle(canvas).getPropertyValue(`--${name}`);

/** Round steps, of which about `count` fit into a span. */
function step(span, count) {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

/**
 * Draws lines: `{ x: [from, to], y: [from, to], lines: [{ colour, width, points: [[x, y], …] }], mark, ticks }`. Where `mark` is
 * given, a vertical line stands there; about `ticks` numbers stand below. Points that are not finite leave a gap.
 */
export function draw(canvas, { x: [left, right], y: [bottom, top], lines, mark, ticks = 8 }) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const [from, low] = [42, height - 22];
  const across = (x) => from + ((x - left) / (right - left)) * (width - from - 14);
  const up = (y) => low - ((y - bottom) / (top - bottom)) * (low - 8);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colour(canvas, "quiet");
  context.strokeStyle = colour(canvas, "line");
  context.lineWidth = 1;
  const stroke = (points) => {
    context.beginPath();
    let is_down = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(y)) is_down = false;
      else if (is_down) context.lineTo(across(x), up(y));
      else context.moveTo(across(x), up(y)), (is_down = true);
    }
    context.stroke();
  };
  const each = (from, to, by, visit) => {
    for (let index = Math.ceil(from / by); index * by <= to * (1 + 1e-9); index++) visit(Number((index * by).toPrecision(6)));
  };
  context.textAlign = "right";
  context.textBaseline = "middle";
  each(bottom, top, step(top - bottom, height / 45), (y) => {
    stroke([[left, y], [right, y]]);
    context.fillText(String(y), from - 6, up(y));
  });
  context.textAlign = "center";
  context.textBaseline = "top";
  each(left, right, step(right - left, Math.min(ticks, width / 70)), (x) => context.fillText(String(x), across(x), low + 6));
  if (mark !== undefined) {
    context.strokeStyle = colour(canvas, "quiet");
    context.setLineDash([3, 4]);
    stroke([[mark, bottom], [mark, top]]);
    context.setLineDash([]);
  }
  context.save();
  context.beginPath();
  context.rect(from, 0, width - from, low + 1);
  context.clip();
  context.lineJoin = "round";
  for (const line of lines) {
    context.strokeStyle = colour(canvas, line.colour);
    context.lineWidth = line.width ?? 1.5;
    stroke(line.points);
  }
  context.restore();
}
