// Buttons of actions, which open a dialog.

import { html, useState } from "../html.js";

let lastId = 0;

/**
 * Show a button that opens a dialog. If there is a reason against the action, the button says so and does nothing; it can
 * be reached all the same, so that everybody can read the reason.
 *
 * @param refusal why the action is not possible; empty if it is.
 * @param onOpen called when the user presses it.
 */
export function ActionButton({ title, refusal = "", isDangerous = false, onOpen }) {
  const [id] = useState(() => `refusal-${(lastId += 1)}`);
  return html`
    <button
      type="button"
      class=${isDangerous ? "dangerous" : ""}
      aria-disabled=${refusal ? "true" : undefined}
      aria-describedby=${refusal ? id : undefined}
      title=${refusal || undefined}
      onClick=${() => !refusal && onOpen()}
    >
      ${title}…
    </button>
    ${refusal && html`<span class="unseen" id=${id}>${refusal}</span>`}
  `;
}

/** Show a dialog. The keys that are pressed in it are not those of what is around it. */
export function DialogHost({ children }) {
  return html`<div onKeyDown=${(event) => event.stopPropagation()}>${children}</div>`;
}

/** Show why some actions are not possible, each reason once. */
export function Refusals({ refusals }) {
  const reasons = [...new Set(refusals.filter(Boolean))];
  return reasons.map((reason) => html`<p key=${reason} class="faint refusal">${reason}</p>`);
}
