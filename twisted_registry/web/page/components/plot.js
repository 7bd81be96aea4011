// The plot of a metric over the versions of a model, by uPlot, which is loaded when the first plot is shown.

import { metricText } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useObservable } from "../observable.js";
import { theme } from "../theme_choice.js";

const HEIGHT = 210;

let library = null;

function loadLibrary() {
  library ??= import("../vendor/uplot/uPlot.esm.js").then((module) => module.default);
  return library;
}

/**
 * Show a series.
 *
 * @param label the name of the metric.
 * @param numbers the versions, ascending.
 * @param values the value of each; not finite ones are gaps.
 * @param onPick called with the number of a version that the user clicks.
 */
export function Plot({ label, numbers, values, onPick }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [Library, setLibrary] = useState(null);
  const { isDark } = useObservable(theme);
  useEffect(() => {
    // A function would be called by setLibrary.
    loadLibrary().then((found) => setLibrary(() => found), () => setLibrary(false));
  }, []);

  useEffect(() => {
    if (!Library) {
      return undefined;
    }
    const drawn = new Library(optionsFor(label, box.current), dataOf(numbers, values), box.current);
    plot.current = drawn;
    const click = () => drawn.cursor.idx !== null && onPick(drawn.data[0][drawn.cursor.idx]);
    drawn.over.addEventListener("click", click);
    const sizes = new ResizeObserver(() => drawn.setSize({ width: widthOf(box.current), height: HEIGHT }));
    sizes.observe(box.current);
    return () => {
      sizes.disconnect();
      plot.current = null;
      drawn.destroy();
    };
  }, [Library, label, isDark]);

  useEffect(() => plot.current?.setData(dataOf(numbers, values)), [numbers, values]);

  return html`
    <div class="plot" role="img" aria-label=${summaryOf(label, numbers, values)} ref=${box}>
      ${Library === false && html`<p class="faint">The registry was updated: load the page again to see the plot.</p>`}
    </div>
  `;
}

function widthOf(box) {
  return Math.max(160, box.clientWidth);
}

function dataOf(numbers, values) {
  return [numbers, values.map((value) => (Number.isFinite(value) ? value : null))];
}

function summaryOf(label, numbers, values) {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) {
    return `${label}: no values`;
  }
  const low = finite.reduce((a, b) => Math.min(a, b));
  const high = finite.reduce((a, b) => Math.max(a, b));
  const last = finite[finite.length - 1];
  return (
    `${label} of versions ${numbers[0]} to ${numbers[numbers.length - 1]}: ` +
    `from ${metricText(low)} to ${metricText(high)}, the last is ${metricText(last)}`
  );
}

function optionsFor(label, box) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: color("--faint"), font, grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  const whole = (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? String(mark) : ""));
  return {
    width: widthOf(box),
    height: HEIGHT,
    // On the right, half of the longest version number: labels are centered on their marks.
    padding: [8, 20, 0, 0],
    scales: { x: { time: false } },
    axes: [
      { ...axis, values: whole, size: 28 },
      { ...axis, values: (_, marks) => marks.map(metricText), size: 52 },
    ],
    series: [
      { label: "Version", value: (_, number) => (number === null ? "–" : String(number)) },
      {
        label,
        stroke: color("--accent"),
        width: 1.5,
        points: { size: 4 },
        value: (_, value) => (value === null ? "–" : metricText(value)),
      },
    ],
    cursor: { drag: { x: true, y: false }, points: { size: 7 } },
    legend: { live: true },
  };
}
