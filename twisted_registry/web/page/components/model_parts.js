// Parts of models and versions that several views show.

import { html } from "../html.js";
import { modelAddress } from "../router.js";

/** Show a text that may be anything: in its own direction, without effect on what is beside it. */
export function AnyText({ text }) {
  return html`<bdi title=${text}>${visible(text)}</bdi>`;
}

/** Show the aliases of a model, each with the version that it names. */
export function AliasList({ modelId, aliases = {} }) {
  const names = Object.keys(aliases).sort();
  return html`<ul class="aliases">
    ${names.map(
      (name) => html`<li key=${name}>
        <a class="alias" href=${modelAddress(modelId, aliases[name])}><bdi>${name}</bdi> <span>${aliases[name]}</span></a>
      </li>`,
    )}
  </ul>`;
}

/** Show where the data of a version is. */
export function Tier({ isArchived }) {
  return isArchived
    ? html`<span class="tier archived" title="Stored on the archive’s disk">archived</span>`
    : html`<span class="tier" title="In memory: it may be evicted, and is lost with the process">transient</span>`;
}

/**
 * Return a text whose control characters can be seen. Those that turn the direction of text around could make one id look
 * like another.
 */
function visible(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (found) => String.fromCharCode(0x2400 + found.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
