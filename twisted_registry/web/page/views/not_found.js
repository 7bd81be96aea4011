// The view for an address that leads nowhere.

import { html } from "../html.js";

export function NotFound() {
  return html`
    <section class="view">
      <h1>There is no such view</h1>
      <p>The address may be incomplete. <a href="#/models">Go to the models.</a></p>
    </section>
  `;
}
