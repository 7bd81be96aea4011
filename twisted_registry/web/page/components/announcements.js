// The live region and the messages.

import { announcer, messages } from "../announce.js";
import { html } from "../html.js";
import { useObservable } from "../observable.js";

export function Announcements() {
  useObservable(announcer);
  useObservable(messages);
  return html`
    <div class="unseen" role="status" aria-live="polite" data-role="news">${announcer.text}</div>
    <div class="messages" role="region" aria-label="Messages">
      <div role="status" aria-live="polite">
        ${messages.shown.map(
          ({ id, text, isError }) => html`
            <div key=${id} class=${isError ? "message error" : "message"}>
              <span>${text}</span>
              <button type="button" class="plain" aria-label="Close the message" onClick=${() => messages.close(id)}>
                ×
              </button>
            </div>
          `,
        )}
      </div>
    </div>
  `;
}
