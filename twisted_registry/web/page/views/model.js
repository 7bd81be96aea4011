// The view of a model: its versions, and what is known about them.

import { AliasHistory } from "../actions/alias_history.js";
import { ModelActions } from "../actions/model_actions.js";
import { announcer } from "../announce.js";
import { AliasList, AnyText } from "../components/model_parts.js";
import { Definitions } from "../components/definitions.js";
import { Problem } from "../components/problem.js";
import { events } from "../events.js";
import { countOf, countText } from "../format.js";
import { html, useEffect } from "../html.js";
import { useObservable } from "../observable.js";
import { watchModel } from "../registry.js";
import { useResource } from "../use_resource.js";
import { Followers } from "./followers.js";
import { MetricPlot } from "./metric_plot.js";
import { VersionPanel } from "./version.js";
import { VersionTable } from "./versions.js";

/**
 * Show a model.
 *
 * @param number the version whose details are open; 0 for none.
 */
export function ModelView({ modelId, number }) {
  const model = useObservable(useResource(() => watchModel(modelId), [modelId]));
  useEffect(() => {
    document.title = `${modelId} · Model registry`;
  }, [modelId]);
  useEffect(() => events.on({ event: (event) => event.modelId === modelId && announce(event) }), [modelId]);
  if (model.error && model.value === null) {
    return html`<section class="view">
      <${Title} modelId=${modelId} />
      <${Problem} error=${model.error} onRetry=${() => model.reload()} />
    </section>`;
  }
  const isDeleted = model.value?.isDeleted === true;
  return html`
    <section class="view model">
      <${Title} modelId=${modelId} model=${model.value} />
      ${isDeleted && html`<p class="notice" role="alert">This model was deleted.</p>`}
      <div class="columns">
        <div class="main">
          <${VersionTable} modelId=${modelId} selected=${number} total=${model.value?.versionCount} />
        </div>
        <div class="side">
          ${number > 0 && html`<${VersionPanel} key=${number} modelId=${modelId} number=${number} />`}
          ${model.value?.latestNumber > 0 && !isDeleted && html`<${MetricPlot} modelId=${modelId} />`}
          ${!isDeleted && html`<${Followers} modelId=${modelId} />`}
          <${Metadata} metadata=${model.value?.metadata} />
          <${AliasHistory} modelId=${modelId} />
          ${!isDeleted && html`<${ModelActions} modelId=${modelId} />`}
        </div>
      </div>
    </section>
  `;
}

function Title({ modelId, model = null }) {
  const { latestNumber = 0, versionCount = 0, archivedCount = 0, aliases = {} } = model ?? {};
  return html`
    <header class="title">
      <nav aria-label="Path"><a href="#/models">Models</a> <span aria-hidden="true">/</span></nav>
      <h1><${AnyText} text=${modelId} /></h1>
      ${model &&
      html`<span class="count">
        ${latestNumber ? `latest v${latestNumber} · ` : ""}${countOf(versionCount, "version")} · ${countText(archivedCount)} archived
      </span>`}
      ${Object.keys(aliases).length > 0 && html`<${AliasList} modelId=${modelId} aliases=${aliases} />`}
    </header>
  `;
}

function Metadata({ metadata = {} }) {
  const entries = Object.entries(metadata).sort();
  return (
    entries.length > 0 &&
    html`<section class="panel" aria-labelledby="metadata">
      <h2 id="metadata">Metadata of the model</h2>
      <${Definitions} entries=${entries.map(([key, value]) => [key, html`<${AnyText} text=${value} />`])} />
    </section>`
  );
}

function announce({ kind, content }) {
  if (kind === "version_created") {
    announcer.say(`Version ${content.number} was created`, "version");
  } else if (kind === "alias_moved") {
    const { alias, toNumber = 0 } = content;
    announcer.say(toNumber ? `Alias ${alias} now names version ${toNumber}` : `Alias ${alias} was removed`, alias);
  } else if (kind === "model_deleted") {
    announcer.say("The model was deleted");
  }
}
