// The latest version of each model that is visible: its size, its age and its metrics.

import { call, referenceTo } from "./api.js";
import { events } from "./events.js";
import { useEffect } from "./html.js";
import { Observable, useObservable } from "./observable.js";
import { WorkQueue } from "./work_queue.js";

const KEPT_MAX = 500;
const NAMES_MAX = 200;

class LatestVersion extends Observable {
  // Undefined until it is known; null if there is none.
  version = undefined;
  isAsked = false;
  // Counts how often what is known became outdated.
  age = 0;

  outdate() {
    this.isAsked = false;
    this.age += 1;
    this.notify();
  }
}

class LatestVersions extends Observable {
  metricNames = [];
  #models = new Map();
  #queue = new WorkQueue(4);

  constructor() {
    super();
    events.on({
      event: (event) => this.#apply(event),
      resync: () => this.#outdate(() => true),
      live: () => this.#outdate((latest) => !latest.isAsked),
    });
  }

  /** Return the observable latest version of a model. */
  of(modelId) {
    let found = this.#models.get(modelId);
    if (found) {
      // The last ones that were used are kept.
      this.#models.delete(modelId);
    } else {
      found = new LatestVersion();
    }
    this.#models.set(modelId, found);
    if (this.#models.size > KEPT_MAX) {
      this.#models.delete(this.#models.keys().next().value);
    }
    return found;
  }

  /** Read the latest version of a model, if it is not known yet. Returns a function that gives that up. */
  ask(modelId) {
    const latest = this.of(modelId);
    if (latest.isAsked) {
      return () => {};
    }
    latest.isAsked = true;
    const { age } = latest;
    return this.#queue.add(
      async (signal) => {
        const version = await call("GetVersion", { reference: referenceTo(modelId, "latest") }, { signal });
        // An event may have been faster.
        if (!latest.version || latest.version.number <= version.number) {
          this.#take(latest, version);
        }
      },
      (error) => {
        if (error === null) {
          // Another view may have begun to wait for it; unless it was outdated, and is asked for again already.
          if (latest.age === age) {
            latest.outdate();
          }
        } else if (error.code === "not_found") {
          latest.version = null;
          latest.notify();
        } else {
          latest.isAsked = false;
        }
      },
    );
  }

  #apply({ kind, modelId, content }) {
    const latest = this.#models.get(modelId);
    if (!latest) {
      return;
    }
    const number = latest.version?.number ?? 0;
    if (kind === "version_created" && content.number > number) {
      latest.isAsked = true;
      this.#take(latest, content);
    } else if ((kind === "version_updated" || kind === "version_archived") && content.number === number) {
      this.#take(latest, content);
    } else if (kind === "model_deleted") {
      latest.version = null;
      latest.isAsked = true;
      latest.notify();
    } else if ((kind === "version_deleted" || kind === "version_evicted") && content.number === number) {
      latest.version = undefined;
      latest.outdate();
    }
  }

  #take(latest, version) {
    latest.version = version;
    latest.notify();
    const isNew = (name) => !this.metricNames.includes(name);
    const added = Object.keys(version.metrics ?? {}).filter(isNew);
    if (added.length > 0 && this.metricNames.length < NAMES_MAX) {
      this.metricNames = [...this.metricNames, ...added].sort();
      this.notify();
    }
  }

  #outdate(isMeant) {
    [...this.#models.values()].filter(isMeant).forEach((latest) => latest.outdate());
  }
}

export const latestVersions = new LatestVersions();

/** Return the latest version of a model: undefined until it is known, null if there is none. */
export function useLatestVersion(modelId, hasVersions = true) {
  const latest = useObservable(latestVersions.of(modelId));
  useEffect(() => (hasVersions ? latestVersions.ask(modelId) : undefined), [latest, hasVersions, latest.age]);
  return hasVersions ? latest.version : null;
}

/** Return the names of metrics that the models have which were shown so far. */
export function useMetricNames() {
  return useObservable(latestVersions).metricNames;
}
