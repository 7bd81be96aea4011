// The table of a model's versions.

import { ListNotice } from "../components/list_notice.js";
import { AnyText, Tier } from "../components/model_parts.js";
import { Problem } from "../components/problem.js";
import { SearchBar } from "../components/search_bar.js";
import { Age } from "../components/time.js";
import { VirtualTable } from "../components/virtual_table.js";
import { countOf, metricText, sizeText } from "../format.js";
import { html, useMemo } from "../html.js";
import { useObservable } from "../observable.js";
import { VersionList } from "../registry.js";
import { modelAddress, router } from "../router.js";
import { useIsNarrow } from "../use_media.js";
import { useResource } from "../use_resource.js";

const ROW_HEIGHT = 34;
const NARROW_ROW_HEIGHT = 62;
const METRICS_SHOWN = 3;

/**
 * Show the versions of a model, which the address may filter and order.
 *
 * @param selected the number of the version whose details are open.
 */
export function VersionTable({ modelId, selected }) {
  useObservable(router);
  const filter = router.query.get("filter") ?? "";
  const orderBy = router.query.get("order") ?? "";
  const list = useResource(() => new VersionList(modelId, filter, orderBy), [modelId, filter, orderBy]);
  useObservable(list);
  const isNarrow = useIsNarrow();
  const columns = useColumns(modelId, list);
  const isWrong = list.error?.reason === "INVALID_FILTER";
  return html`
    <section class="list" aria-labelledby="versions">
      <header class="title">
        <h2 id="versions">Versions</h2>
        <span class="count">
          ${list.total !== null && (filter ? `${countOf(list.total, "version")} found` : countOf(list.total, "version"))}
        </span>
        <${SearchBar}
          label="Filter of versions"
          example="archived AND metrics.return > 200"
          value=${filter}
          onChange=${(text) => router.setQuery({ filter: text })}
          error=${isWrong ? list.error : null}
        />
      </header>
      ${list.error && !isWrong && html`<${Problem} error=${list.error} onRetry=${() => list.reload()} />`}
      <${ListNotice} list=${list} />
      <${VirtualTable}
        label="Versions"
        list=${list}
        columns=${columns}
        rowHeight=${isNarrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
        addressOf=${(version) => modelAddress(modelId, version.number, router.query)}
        selected=${selected}
        orderBy=${orderBy || "number desc"}
        onOrder=${(order) => router.setQuery({ order: order === "number desc" ? "" : order })}
      />
      ${list.total === 0 &&
      html`<p class="empty">${filter ? "No version matches the filter." : "This model has no versions yet."}</p>`}
    </section>
  `;
}

/** Return the columns: the usual ones, and the metrics of the versions that are held. */
function useColumns(modelId, list) {
  const names = list
    .held()
    .flatMap(({ metrics = {} }) => Object.keys(metrics))
    .reduce((counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1), new Map());
  const shown = [...names.keys()].sort((a, b) => names.get(b) - names.get(a) || (a < b ? -1 : 1)).slice(0, METRICS_SHOWN);
  return useMemo(() => columnsFor(modelId, shown), [modelId, shown.join("\n")]);
}

function columnsFor(modelId, metrics) {
  return [
    {
      key: "version number",
      title: "Version",
      order: "number",
      cell: ({ number }) =>
        html`<a href=${modelAddress(modelId, number, router.query)} tabindex="-1"><span class="prefix">v</span>${number}</a>`,
    },
    { key: "age", title: "Age", order: "created", cell: ({ createTime }) => html`<${Age} time=${createTime} />` },
    { key: "size number", title: "Size", order: "size_bytes", cell: ({ sizeBytes = 0 }) => sizeText(sizeBytes) },
    { key: "where", title: "Stored", order: "archived", cell: ({ archived = false }) => html`<${Tier} isArchived=${archived} />` },
    ...metrics.map((name) => ({
      key: "metric number",
      title: html`<bdi title=${name}>${name}</bdi>`,
      order: `metrics.${quoted(name)}`,
      cell: ({ metrics: values = {} }) =>
        Object.hasOwn(values, name) && html`<span class="unit"><bdi>${name}</bdi> </span>${metricText(values[name])}`,
    })),
    {
      key: "named",
      title: "Aliases",
      cell: ({ aliases = [] }) =>
        html`<ul class="aliases">${aliases.map((alias) => html`<li key=${alias}><span class="alias"><bdi>${alias}</bdi></span></li>`)}</ul>`,
    },
  ];
}

/** Return a key as filters and orders have it. */
function quoted(key) {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? key : `"${key.replace(/["\\]/g, "\\$&")}"`;
}
