// The address of a view: the part after the #, so that the server sees none of it, and a proxy needs no rules.

import { Observable } from "./observable.js";

/**
 * The present route.
 *
 * `parts` are the decoded parts of the path, such as ["models", "team/walker", "versions", "3"]; an id is one part,
 * whatever characters it has. `query` has what is after a "?".
 */
class Router extends Observable {
  constructor() {
    super();
    this.#read();
    window.addEventListener("hashchange", () => {
      this.#read();
      this.notify();
    });
  }

  /** Go to an address, such as one of `modelAddress`. */
  go(address) {
    location.hash = address.slice(1);
  }

  /** Change the query of the present address, without a new entry in the history. */
  setQuery(values) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(values)) {
      if (value) {
        query.set(name, value);
      } else {
        query.delete(name);
      }
    }
    history.replaceState(null, "", addressOf(this.parts, query));
    this.#read();
    this.notify();
  }

  #read() {
    const [path, query = ""] = location.hash.slice(1).split("?", 2);
    try {
      this.parts = path.split("/").filter(Boolean).map(decodeURIComponent);
    } catch {
      this.parts = ["unknown"];
    }
    this.query = new URLSearchParams(query);
  }
}

/** Return the address of a view. */
export function addressOf(parts, query = new URLSearchParams()) {
  const path = parts.map(encodeURIComponent).join("/");
  return `#/${path}${query.size > 0 ? `?${query}` : ""}`;
}

/** Return the address of a model, or of one of its versions. */
export function modelAddress(modelId, number = 0, query = undefined) {
  return addressOf(["models", modelId, ...(number ? ["versions", String(number)] : [])], query);
}

export const router = new Router();
