// Shortcuts of single keys.

import { readSetting, writeSetting } from "./settings.js";

const SETTING = "shortcuts";

/** The shortcuts, as the help shows them. */
export const SHORTCUTS = [
  ["/", "go to the search"],
  ["m", "go to the models"],
  ["s", "go to the server"],
  ["↑ ↓ PgUp PgDn Home End", "move in a table"],
  ["Enter", "open the row"],
  ["Esc", "close, or leave the search"],
  ["?", "this list"],
];

/** Return whether shortcuts of single keys are on. They can be turned off: speech input may type such keys. */
export function areShortcutsOn() {
  return readSetting(SETTING, "on") === "on";
}

export function setShortcuts(areOn) {
  writeSetting(SETTING, areOn ? null : "off");
}

/** Call functions by keys, but not while the user types text. Returns a function that ends it. */
export function onKeys(actions) {
  const press = (event) => {
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    const isTyping = event.target.closest?.("input, textarea, select, dialog");
    if (action && !isTyping && !event.altKey && !event.ctrlKey && !event.metaKey && areShortcutsOn()) {
      event.preventDefault();
      action();
    }
  };
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}
