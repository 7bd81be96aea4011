// The view of all models.

import { announcer } from "../announce.js";
import { AliasList, AnyText } from "../components/model_parts.js";
import { ListNotice } from "../components/list_notice.js";
import { Problem } from "../components/problem.js";
import { MetricCell, MetricChoice } from "../components/metric_cell.js";
import { SearchBar } from "../components/search_bar.js";
import { Age } from "../components/time.js";
import { VirtualTable } from "../components/virtual_table.js";
import { events } from "../events.js";
import { countOf, countText, sizeText } from "../format.js";
import { html, useEffect, useMemo } from "../html.js";
import { useLatestVersion } from "../latest_versions.js";
import { useObservable } from "../observable.js";
import { ModelList } from "../registry.js";
import { modelAddress, router } from "../router.js";
import { useIsNarrow } from "../use_media.js";
import { useResource } from "../use_resource.js";

const ROW_HEIGHT = 34;
const NARROW_ROW_HEIGHT = 62;

export function ModelsView() {
  useObservable(router);
  const filter = router.query.get("filter") ?? "";
  const orderBy = router.query.get("order") ?? "";
  const list = useResource(() => new ModelList(filter, orderBy), [filter, orderBy]);
  useObservable(list);
  const isNarrow = useIsNarrow();
  const metric = router.query.get("metric") ?? "";
  const columns = useMemo(() => columnsFor(metric), [metric]);
  useEffect(() => {
    document.title = "Models · Model registry";
  }, []);
  useEffect(() => events.on({ event: announce }), []);
  const isWrong = list.error?.reason === "INVALID_FILTER";
  return html`
    <section class="view list">
      <header class="title">
        <h1>Models</h1>
        <span class="count">${list.total === null ? "" : countOf(list.total, "model")}</span>
        <${SearchBar}
          label="Filter of models"
          example='model_id = "team/*" AND version_count > 10'
          value=${filter}
          onChange=${(text) => router.setQuery({ filter: text })}
          error=${isWrong ? list.error : null}
        />
      </header>
      ${list.error && !isWrong && html`<${Problem} error=${list.error} onRetry=${() => list.reload()} />`}
      <${ListNotice} list=${list} />
      <${VirtualTable}
        label="Models"
        list=${list}
        columns=${columns}
        rowHeight=${isNarrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
        addressOf=${(model) => addressWith(model.modelId, metric)}
        orderBy=${orderBy || "model_id asc"}
        onOrder=${(order) => router.setQuery({ order: order === "model_id asc" ? "" : order })}
      />
      ${list.total === 0 && html`<${Empty} isFiltered=${filter !== ""} />`}
    </section>
  `;
}

function columnsFor(metric) {
  return [
    {
      key: "model",
      title: "Model",
      order: "model_id",
      cell: ({ modelId }) => html`<a href=${addressWith(modelId, metric)} tabindex="-1"><${AnyText} text=${modelId} /></a>`,
    },
    { key: "latest number", title: "Latest", order: "latest_number", cell: latestNumber },
    { key: "versions number", title: "Versions", order: "version_count", cell: versionCount },
    { key: "size number", title: "Size", cell: (model) => html`<${LatestSize} model=${model} />` },
    { key: "age", title: "Age", cell: (model) => html`<${LatestAge} model=${model} />` },
    {
      key: "chart",
      title: html`<${MetricChoice} value=${metric} onChange=${(name) => router.setQuery({ metric: name })} />`,
      cell: (model) => html`<${MetricCell} model=${model} metric=${metric} />`,
    },
    {
      key: "named",
      title: "Aliases",
      cell: ({ modelId, aliases }) => html`<${AliasList} modelId=${modelId} aliases=${aliases} />`,
    },
  ];
}

/** Return the address of a model, with the metric that is shown here. */
function addressWith(modelId, metric) {
  return modelAddress(modelId, 0, new URLSearchParams(metric ? { metric } : {}));
}

function latestNumber({ latestNumber: number = 0 }) {
  return number ? html`<span class="prefix">v</span>${number}` : "–";
}

function versionCount({ versionCount: count = 0, archivedCount = 0 }) {
  return html`<span title=${`${countText(archivedCount)} archived`}>${countText(count)}<span class="unit">${count === 1 ? " version" : " versions"}</span></span>`;
}

function LatestSize({ model }) {
  const version = useLatestVersion(model.modelId, Boolean(model.latestNumber));
  return version ? sizeText(version.sizeBytes ?? 0) : version === null ? "–" : "";
}

function LatestAge({ model }) {
  const version = useLatestVersion(model.modelId, Boolean(model.latestNumber));
  return version ? html`<${Age} time=${version.createTime} />` : version === null ? "–" : "";
}

function Empty({ isFiltered }) {
  return isFiltered
    ? html`<p class="empty">No model matches the filter.</p>`
    : html`<p class="empty">
        There are no models yet. <code>twisted-registry push --create MODEL FILE</code> creates a model with its first
        version.
      </p>`;
}

function announce({ kind, modelId, content }) {
  if (kind === "model_created") {
    announcer.say(`Model ${modelId} was created`);
  } else if (kind === "model_deleted") {
    announcer.say(`Model ${modelId} was deleted`);
  } else if (kind === "version_created") {
    announcer.say(`Version ${content.number} of ${modelId} was created`, `version of ${modelId}`);
  }
}
