// A metric of a model in a row: its course, and its last value.

import { metricText } from "../format.js";
import { html } from "../html.js";
import { useLatestVersion, useMetricNames } from "../latest_versions.js";
import { useSeries } from "../series.js";
import { Sparkline } from "./sparkline.js";

const POINTS_MAX = 48;

/** Show a metric of a model. Without a name it is the first one that the latest version has. */
export function MetricCell({ model, metric }) {
  const version = useLatestVersion(model.modelId, Boolean(model.latestNumber));
  const name = metric || Object.keys(version?.metrics ?? {}).sort()[0];
  return version && name ? html`<${Course} modelId=${model.modelId} version=${version} name=${name} />` : null;
}

function Course({ modelId, version, name }) {
  const { numbers, values } = useSeries(modelId, name, POINTS_MAX);
  // A metric may have any name, such as "constructor", which every object has.
  const last = Object.hasOwn(version.metrics ?? {}, name) ? version.metrics[name] : values[values.length - 1];
  return (
    last !== undefined &&
    html`<${Sparkline} numbers=${numbers} values=${values} />
      <span class="last" title=${name}><span class="unseen">${name} </span>${metricText(last)}</span>`
  );
}

/** Show the choice of the metric, among those of the models that are visible. */
export function MetricChoice({ value, onChange }) {
  const names = useMetricNames();
  const shown = value && !names.includes(value) ? [value, ...names] : names;
  return html`
    <select aria-label="Metric" value=${value} onChange=${(event) => onChange(event.target.value)}>
      <option value="">Metric</option>
      ${shown.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select>
  `;
}
