// The plot of one of a model's metrics.

import { call } from "../api.js";
import { Plot } from "../components/plot.js";
import { Problem } from "../components/problem.js";
import { html, useEffect, useState } from "../html.js";
import { useLatestVersion } from "../latest_versions.js";
import { useObservable } from "../observable.js";
import { modelAddress, router } from "../router.js";
import { useSeries } from "../series.js";

const POINTS_MAX = 500;

const NAMES_MAX = 1000;

/** Show a metric of a model: the one that the address names, or the first. */
export function MetricPlot({ modelId }) {
  const known = useNames(modelId);
  const metric = useObservable(router).query.get("metric") || known[0];
  return (
    metric !== undefined &&
    html`<section class="panel" aria-labelledby="metric">
      <header>
        <h2 id="metric">Metric</h2>
        <select aria-labelledby="metric" value=${metric} onChange=${(event) => router.setQuery({ metric: event.target.value })}>
          ${[...new Set([metric, ...known])].map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
        </select>
      </header>
      <${Chart} key=${metric} modelId=${modelId} metric=${metric} />
    </section>`
  );
}

/** Return the names of all metrics of a model, those of its latest version first. */
function useNames(modelId) {
  const [listed, setListed] = useState([]);
  const latest = Object.keys(useLatestVersion(modelId)?.metrics ?? {}).sort();
  useEffect(() => {
    const abort = new AbortController();
    call("ListMetrics", { modelId, pageSize: NAMES_MAX }, { signal: abort.signal, isExtra: true }).then(
      ({ metrics = [] }) => setListed(metrics.map(({ name }) => name)),
      // The names of the latest version are enough.
      () => {},
    );
    return () => abort.abort();
  }, [modelId]);
  return [...new Set([...latest, ...listed])];
}

function Chart({ modelId, metric }) {
  const series = useSeries(modelId, metric, POINTS_MAX);
  if (series.error) {
    return html`<${Problem} error=${series.error} onRetry=${() => series.outdate()} />`;
  }
  const pick = (number) => router.go(modelAddress(modelId, number, router.query));
  return html`<${Plot} label=${metric} numbers=${series.numbers} values=${series.values} onPick=${pick} />`;
}
