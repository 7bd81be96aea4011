// The search: a filter in the registry's own language.

import { sentence } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";

// A filter is sent when the user stops typing.
const PAUSE_MS = 350;

/**
 * Show the search.
 *
 * @param label its name.
 * @param example a filter that shows what can be typed.
 * @param value the present filter.
 * @param onChange called with another filter.
 * @param error the error of the present filter, or null.
 */
export function SearchBar({ label, example, value, onChange, error = null }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = (filter) => {
    clearTimeout(timer.current);
    if (filter !== value) {
      onChange(filter);
    }
  };
  const type = (event) => {
    const filter = event.target.value;
    setText(filter);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => apply(filter.trim()), PAUSE_MS);
  };
  const press = (event) => {
    if (event.key === "Enter") {
      apply(text.trim());
    } else if (event.key === "Escape") {
      event.target.blur();
    }
  };
  return html`
    <div class="search" role="search">
      <input
        type="search"
        aria-label=${label}
        aria-invalid=${error !== null}
        aria-describedby=${error ? "search-error" : undefined}
        placeholder=${example}
        value=${text}
        spellcheck="false"
        autocomplete="off"
        autocapitalize="off"
        onInput=${type}
        onKeyDown=${press}
      />
      <kbd aria-hidden="true">/</kbd>
      ${error && html`<p id="search-error" class="wrong" role="alert">${sentence(error.message)}</p>`}
    </div>
  `;
}
