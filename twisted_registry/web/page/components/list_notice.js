// The notice that a filtered or ordered list has changed on the server.

import { countOf } from "../format.js";
import { html } from "../html.js";
import { useObservable } from "../observable.js";

export function ListNotice({ list }) {
  useObservable(list);
  return (
    list.unseen > 0 &&
    html`<p class="notice">
      ${countOf(list.unseen, "change")} may belong to this list.
      <button type="button" class="plain link" onClick=${() => list.reload()}>Load it again</button>
    </p>`
  );
}
