// The error of a call, and what can be done about it.

import { sentence } from "../format.js";
import { html } from "../html.js";
import { session } from "../session.js";

const HEADINGS = {
  not_found: "There is no such thing",
  permission_denied: "Not permitted",
  unauthenticated: "Please sign in",
  resource_exhausted: "Too much at once",
  invalid_argument: "This cannot be read",
  unreachable: "No connection",
};

/** Show an error. `onRetry` is called by a button; there is none without it. */
export function Problem({ error, onRetry = null, heading = "" }) {
  const title = heading || HEADINGS[error.code] || "This did not work";
  return html`
    <div class="problem" role="alert">
      <strong>${title}</strong>
      <p>${sentence(error.message)}</p>
      ${error.requestId && html`<p class="faint">The server’s log has it as request <code>${error.requestId}</code>.</p>`}
      ${error.isUnauthenticated &&
      html`<button type="button" onClick=${() => session.offerSignIn()}>Sign in</button>`}
      ${onRetry &&
      !error.isUnauthenticated && html`<button type="button" onClick=${onRetry}>Try again</button>`}
    </div>
  `;
}
