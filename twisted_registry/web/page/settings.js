// What the user has chosen on this page. It is kept in this browser, if that permits it.

const PREFIX = "twisted-registry.";

/** Return a setting; the default if there is none. */
export function readSetting(name, otherwise = "") {
  try {
    return localStorage.getItem(PREFIX + name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep a setting; null removes it. */
export function writeSetting(name, value) {
  try {
    if (value === null) {
      localStorage.removeItem(PREFIX + name);
    } else {
      localStorage.setItem(PREFIX + name, value);
    }
  } catch {
    // Storage is blocked or full: the setting lasts until the page is closed.
  }
}
