// The list of shortcuts.

import { html, useState } from "../html.js";
import { SHORTCUTS, areShortcutsOn, setShortcuts } from "../keys.js";
import { Dialog } from "./dialog.js";

export function Help({ onClose }) {
  const [areOn, setOn] = useState(areShortcutsOn());
  const change = (event) => {
    setShortcuts(event.target.checked);
    setOn(event.target.checked);
  };
  return html`
    <${Dialog} title="Keyboard" onClose=${onClose}>
      <dl class="keys">
        ${SHORTCUTS.map(
          ([keys, text]) => html`
            <div key=${keys}>
              <dt>${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd> `)}</dt>
              <dd>${text}</dd>
            </div>
          `,
        )}
      </dl>
      <label class="check"><input type="checkbox" checked=${areOn} onChange=${change} /> Single keys are shortcuts</label>
    <//>
  `;
}
