// Names with their values.

import { html } from "../html.js";

/** Show a list of names, each with a value. Values that are not there, undefined or null, are left out. */
export function Definitions({ entries }) {
  return html`<dl class="definitions">
    ${entries
      .filter(([, value]) => value !== undefined && value !== null)
      .map(
        ([name, value]) =>
          html`<div key=${name}>
            <dt><bdi>${name}</bdi></dt>
            <dd>${value}</dd>
          </div>`,
      )}
  </dl>`;
}
