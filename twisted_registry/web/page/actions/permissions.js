// What the user may do with a model. The server decides; this only says so before the user tries.

import { call } from "../api.js";
import { events } from "../events.js";
import { Observable, useObservable } from "../observable.js";
import { session } from "../session.js";
import { useResource } from "../use_resource.js";

/** The permissions of the user for a model. */
class Permissions extends Observable {
  // Undefined until they are known; null if the server cannot say, and then nothing is disabled.
  #actions = undefined;
  #abort = new AbortController();
  #leave;

  constructor(modelId) {
    super();
    this.modelId = modelId;
    this.#leave = events.on({ resync: () => this.#read(), live: () => this.#actions === undefined && this.#read() });
    this.#read();
  }

  close() {
    this.#abort.abort();
    this.#leave();
  }

  async #read() {
    const { signal } = this.#abort;
    try {
      const { actions = [] } = await call("GetCaller", { modelId: this.modelId }, { signal });
      this.#actions = new Set(actions);
    } catch (error) {
      if (signal.aborted || error.code === "unreachable") {
        return;
      }
      this.#actions = null;
    }
    this.notify();
  }

  /** Return why the user may not do something that needs permissions; empty if nothing is known against it. */
  refusal(...needed) {
    if (this.#actions === undefined) {
      return "Your permissions are not known yet.";
    }
    const missing = this.#actions === null ? [] : needed.filter((action) => !this.#actions.has(action));
    if (missing.length === 0) {
      return "";
    }
    const named = new Intl.ListFormat("en").format(missing.map((action) => `“${action}”`));
    const noun = missing.length === 1 ? "permission" : "permissions";
    return `You lack the ${noun} ${named} for this model. An administrator can grant what you need.`;
  }
}

// Those that are shown now: several parts of a view ask for the same.
const shared = new Map();

function acquire(modelId, token) {
  const key = JSON.stringify([modelId, token]);
  const entry = shared.get(key) ?? { permissions: new Permissions(modelId), users: 0 };
  shared.set(key, entry);
  entry.users += 1;
  return {
    permissions: entry.permissions,
    close() {
      entry.users -= 1;
      if (entry.users === 0) {
        shared.delete(key);
        entry.permissions.close();
      }
    },
  };
}

/** Return the permissions of the user for a model. */
export function usePermissions(modelId) {
  useObservable(session);
  const { token } = session;
  const { permissions } = useResource(() => acquire(modelId, token), [modelId, token]);
  return useObservable(permissions);
}
