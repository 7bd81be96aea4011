// The details of a version.

import { VersionActions } from "../actions/version_actions.js";
import { AnyText, Tier } from "../components/model_parts.js";
import { Definitions } from "../components/definitions.js";
import { Problem } from "../components/problem.js";
import { Age, Moment } from "../components/time.js";
import { exactSizeText, hexOf, metricText } from "../format.js";
import { html, useEffect, useRef } from "../html.js";
import { useObservable } from "../observable.js";
import { watchVersion } from "../registry.js";
import { modelAddress, router } from "../router.js";
import { useResource } from "../use_resource.js";

/** Show the details of a version, until the user closes them. */
export function VersionPanel({ modelId, number }) {
  const watched = useObservable(useResource(() => watchVersion(modelId, number), [modelId, number]));
  const heading = useRef(null);
  useEffect(() => {
    // The user has opened it from elsewhere on the page, and goes on here.
    if (document.activeElement !== document.body) {
      heading.current.focus({ preventScroll: true });
    }
  }, []);
  const close = () => router.go(modelAddress(modelId, 0, router.query));
  const press = (event) => event.key === "Escape" && close();
  const version = watched.value;
  return html`
    <section class="panel version" aria-labelledby="version" onKeyDown=${press}>
      <header>
        <h2 id="version" tabindex="-1" ref=${heading}>Version ${number}</h2>
        ${version && html`<${Tier} isArchived=${version.archived === true} />`}
        <button type="button" class="plain" aria-label="Close the details" onClick=${close}>×</button>
      </header>
      ${version?.isDeleted && html`<p class="notice" role="alert">This version is gone.</p>`}
      ${watched.error && html`<${Problem} error=${watched.error} onRetry=${() => watched.reload()} />`}
      ${version && html`<${Details} version=${version} />`}
      ${version && !version.isDeleted && html`<${VersionActions} ...${{ modelId, version }} />`}
    </section>
  `;
}

function Details({ version }) {
  return html`
    <${Definitions}
      entries=${[
        ["Created", html`<${Moment} time=${version.createTime} />, <${Age} time=${version.createTime} />`],
        ["Created by", version.createdBy && html`<${AnyText} text=${version.createdBy} />`],
        ["Size", exactSizeText(version.sizeBytes ?? 0)],
        ["SHA-256", html`<code class="hash">${hexOf(version.sha256)}</code>`],
        ["Aliases", version.aliases?.length ? version.aliases.join(", ") : null],
      ]}
    />
    <${Entries} title="Metrics" entries=${version.metrics} show=${metricText} />
    <${Entries} title="Labels" entries=${version.labels} />
    <${Entries} title="Metadata" entries=${version.metadata} />
  `;
}

function Entries({ title, entries = {}, show = (value) => html`<${AnyText} text=${value} />` }) {
  const sorted = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    sorted.length > 0 &&
    html`<h3>${title}</h3>
      <${Definitions} entries=${sorted.map(([key, value]) => [key, show(value)])} />`
  );
}
