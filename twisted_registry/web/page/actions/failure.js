// The error of a change, and what the user can do.

import { Problem } from "../components/problem.js";
import { html } from "../html.js";
import { hasUnknownOutcome } from "./operation.js";

const HEADINGS = {
  permission_denied: "You may not do this",
  not_found: "It is not there any more",
  aborted: "It has changed meanwhile",
  failed_precondition: "Something else has to be done first",
  resource_exhausted: "The registry has no room for this now",
};

/** Show why a change failed. */
export function Failure({ error, advice = "" }) {
  if (hasUnknownOutcome(error)) {
    return html`
      <div class="problem" role="alert">
        <strong>No answer</strong>
        <p>${error.message}</p>
        <p>The change may have been made. Confirm again to find out: it is not made twice.</p>
      </div>
    `;
  }
  return html`
    <${Problem} error=${error} heading=${HEADINGS[error.code] ?? ""} />
    ${advice && html`<p>${advice}</p>`}
  `;
}
