// How much of something is used.

import { html } from "../html.js";

/**
 * Show an amount beside its limit.
 *
 * @param used the amount, @param most the limit: numbers, or decimal texts.
 * @param show returns an amount as text.
 * @param note a text in place of both amounts.
 */
export function Meter({ label, used, most, show, note = "" }) {
  const share = Number(most) > 0 ? Math.min(1, Number(used) / Number(most)) : 0;
  const text = Number(most) > 0 ? `${show(used)} of ${show(most)}` : show(used);
  return html`
    <div class="meter">
      <span>${label}</span>
      <span class="faint">${note ? `${text}, ${note}` : text}</span>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label=${`${label}: ${Math.round(share * 100)} %`}>
        <rect class="track" width="100" height="4" /><rect class="used" width=${share * 100} height="4" />
      </svg>
    </div>
  `;
}
