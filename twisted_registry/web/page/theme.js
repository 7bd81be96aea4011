// The theme, set before anything is painted: a classic script, because modules run later.
"use strict";

(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("twisted-registry.theme");
  } catch {
    // Storage is blocked: the system's theme is used.
  }
  if (chosen === "dark" || chosen === "light") {
    document.documentElement.dataset.theme = chosen;
  }
})();
