// The button that changes the theme.

import { html } from "../html.js";
import { useObservable } from "../observable.js";
import { theme } from "../theme_choice.js";

export function ThemeToggle() {
  const { isDark } = useObservable(theme);
  return html`
    <button
      type="button"
      class="plain"
      aria-pressed=${isDark}
      aria-label="Dark theme"
      title=${isDark ? "Use the light theme" : "Use the dark theme"}
      onClick=${() => theme.toggle()}
    >
      <span aria-hidden="true">${isDark ? "☾" : "☀"}</span>
    </button>
  `;
}
