// The theme: that of the system, unless the user has chosen the other one.

import { Observable } from "./observable.js";
import { writeSetting } from "./settings.js";

const system = matchMedia("(prefers-color-scheme: dark)");

class Theme extends Observable {
  constructor() {
    super();
    system.addEventListener("change", () => this.notify());
  }

  get isDark() {
    const { theme } = document.documentElement.dataset;
    return theme ? theme === "dark" : system.matches;
  }

  /** Change to the other theme. If that is the system's, follow the system from now on. */
  toggle() {
    const isDark = !this.isDark;
    const { dataset } = document.documentElement;
    if (isDark === system.matches) {
      delete dataset.theme;
      writeSetting("theme", null);
    } else {
      dataset.theme = isDark ? "dark" : "light";
      writeSetting("theme", dataset.theme);
    }
    this.notify();
  }
}

export const theme = new Theme();
