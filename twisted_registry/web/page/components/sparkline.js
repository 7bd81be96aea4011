// A metric in a few pixels.

import { html } from "../html.js";

const WIDTH = 72;
const HEIGHT = 20;
const EDGE = 2;

/**
 * Show values as a line. Screen readers skip it: the last value stands beside it.
 *
 * @param numbers the versions that have the values, ascending.
 * @param values as many numbers.
 */
export function Sparkline({ numbers, values }) {
  const points = pointsOf(numbers, values);
  return html`
    <svg class="sparkline" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} width=${WIDTH} height=${HEIGHT} aria-hidden="true">
      ${points.length > 1
        ? html`<polyline points=${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")} />`
        : points.map(([x, y]) => html`<circle cx=${x} cy=${y} r="2" />`)}
    </svg>
  `;
}

function pointsOf(numbers, values) {
  const finite = numbers.map((number, index) => [number, values[index]]).filter(([, value]) => Number.isFinite(value));
  if (finite.length === 0) {
    return [];
  }
  const [first, last] = [finite[0][0], finite[finite.length - 1][0]];
  const low = finite.reduce((least, [, value]) => Math.min(least, value), Infinity);
  const high = finite.reduce((most, [, value]) => Math.max(most, value), -Infinity);
  const place = (value, from, to, length) =>
    EDGE + (to > from ? (value - from) / (to - from) : 0.5) * (length - 2 * EDGE);
  return finite.map(([number, value]) => [
    place(number, first, last, WIDTH),
    HEIGHT - place(value, low, high, HEIGHT),
  ]);
}
