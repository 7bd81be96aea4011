// The lists and values of the registry that views show, kept current by its events.

import { call, referenceTo } from "./api.js";
import { events } from "./events.js";
import { Observable } from "./observable.js";
import { RemoteList } from "./remote_list.js";

/** Return the order of two texts as the server has it: by code points. */
export function compareTexts(left, right) {
  const [a, b] = [Array.from(left), Array.from(right)];
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const difference = a[index].codePointAt(0) - b[index].codePointAt(0);
    if (difference !== 0) {
      return difference;
    }
  }
  return a.length - b.length;
}

async function pageOf(method, field, request, { skip, size, mustCount, signal }) {
  await events.ready();
  const isCounted = mustCount || request.filter === "";
  const page = { pageSize: size, skip, showTotalSize: isCounted };
  const reply = await call(method, { ...request, ...page }, { signal });
  return { items: reply[field] ?? [], total: isCounted ? (reply.totalSize ?? 0) : null };
}

/** Return the handlers that load something again if events were lost, or once the registry can be reached again. */
function reloading(loaded) {
  return { resync: () => loaded.reload(), live: () => loaded.error && loaded.reload() };
}

/** Return a model after an event about it; the same one if nothing in it has changed. */
export function modelAfter(model, { kind, content, time }) {
  switch (kind) {
    case "version_created": {
      const { number, archived = false, aliases = [] } = content;
      if (number <= (model.latestNumber ?? 0)) {
        return model;
      }
      return {
        ...model,
        latestNumber: number,
        versionCount: (model.versionCount ?? 0) + 1,
        archivedCount: (model.archivedCount ?? 0) + (archived ? 1 : 0),
        aliases: { ...model.aliases, ...Object.fromEntries(aliases.map((alias) => [alias, number])) },
        changedAt: Date.now(),
      };
    }
    case "version_archived":
      return { ...model, archivedCount: (model.archivedCount ?? 0) + 1 };
    case "version_evicted":
      return { ...model, versionCount: Math.max(0, (model.versionCount ?? 0) - 1) };
    case "alias_moved": {
      const aliases = { ...model.aliases };
      delete aliases[content.alias];
      if (content.toNumber) {
        aliases[content.alias] = content.toNumber;
      }
      return { ...model, aliases };
    }
    case "model_updated":
      return { ...model, metadata: content.metadata ?? {}, etag: content.etag };
    default:
      return model;
  }
}

/** Return whether only the server knows a model after an event. */
function isUncertain({ kind, content }) {
  return kind === "version_deleted" || (kind === "version_evicted" && content.wasLatest === true);
}

const REREAD_MS = 500;

/** A list of models: all, or those that a filter selects. */
export class ModelList extends RemoteList {
  #rereading = new Map();
  #leave;

  constructor(filter = "", orderBy = "") {
    super({
      fetchPage: (page) => pageOf("ListModels", "models", { filter, orderBy }, page),
      keyOf: (model) => model.modelId,
      compare: filter || orderBy ? null : (a, b) => compareTexts(a.modelId, b.modelId),
    });
    this.#leave = events.on({ event: (event) => this.#apply(event), ...reloading(this) });
  }

  close() {
    super.close();
    this.#leave();
    for (const timer of this.#rereading.values()) {
      clearTimeout(timer);
    }
  }

  #apply(event) {
    const { kind, modelId, content } = event;
    if (kind === "model_created") {
      this.insert({ ...content, modelId, changedAt: Date.now() });
    } else if (kind === "model_deleted") {
      this.remove({ modelId });
    } else if (isUncertain(event)) {
      this.#rereadSoon(modelId);
    } else {
      this.update(modelId, (model) => modelAfter(model, event));
    }
  }

  #rereadSoon(modelId) {
    if (!this.#rereading.has(modelId) && this.find(modelId)) {
      const reread = async () => {
        this.#rereading.delete(modelId);
        const model = await call("GetModel", { modelId }).catch(() => null);
        if (model) {
          this.update(modelId, () => model);
        }
      };
      this.#rereading.set(modelId, setTimeout(reread, REREAD_MS));
    }
  }
}

/** A model's versions, the newest first; or those that a filter selects, in any order. */
export class VersionList extends RemoteList {
  #leave;

  constructor(modelId, filter = "", orderBy = "") {
    super({
      fetchPage: (page) =>
        pageOf("ListVersions", "versions", { modelId, filter, orderBy: orderBy || "number desc" }, page),
      keyOf: (version) => version.number,
      compare: filter || orderBy ? null : (a, b) => b.number - a.number,
    });
    this.modelId = modelId;
    this.#leave = events.on({ event: (event) => this.#apply(event), ...reloading(this) });
  }

  close() {
    super.close();
    this.#leave();
  }

  #apply({ kind, modelId, content }) {
    if (modelId !== this.modelId) {
      return;
    }
    if (kind === "version_created") {
      this.insert({ ...content, changedAt: Date.now() });
    } else if (kind === "version_archived" || kind === "version_updated") {
      this.update(content.number, (version) => ({ ...content, aliases: version.aliases, changedAt: Date.now() }));
    } else if (kind === "version_deleted" || kind === "version_evicted") {
      this.remove({ number: content.number });
    } else if (kind === "alias_moved") {
      this.#moveAlias(content);
    } else if (kind === "model_created") {
      // The versions that are held are those of a model that was deleted.
      this.clear();
    }
  }

  #moveAlias({ alias, fromNumber = 0, toNumber = 0 }) {
    this.update(fromNumber, (version) => ({
      ...version,
      aliases: (version.aliases ?? []).filter((each) => each !== alias),
    }));
    this.update(toNumber, (version) => ({
      ...version,
      aliases: [...new Set([...(version.aliases ?? []), alias])].sort(),
      changedAt: Date.now(),
    }));
  }
}

/** A value of one call, kept current by events. `value` is null until it is there; `error` is the last error. */
export class Watched extends Observable {
  value = null;
  error = null;
  #abort = new AbortController();
  #timer = 0;
  #leave;

  /**
   * @param read returns a promise of the value; takes a signal that cancels it.
   * @param after takes the value and an event; returns the value after it, or undefined if it must be read again.
   */
  constructor(read, after) {
    super();
    this.read = read;
    this.#leave = events.on({
      event: (event) => {
        if (this.value !== null) {
          this.#take(after(this.value, event));
        }
      },
      ...reloading(this),
    });
    this.reload();
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#leave();
  }

  async reload() {
    const { signal } = this.#abort;
    await events.ready();
    try {
      const value = await this.read(signal);
      this.value = value;
      this.error = null;
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      const isGone = error.code === "not_found" && this.value !== null;
      // It went while no events arrived, with a restart of the registry, say.
      this.value = isGone ? { ...this.value, isDeleted: true } : this.value;
      this.error = isGone ? null : error;
    }
    this.notify();
  }

  /** Read it again soon: once for all events until then. */
  reloadSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.reload(), REREAD_MS);
  }

  #take(value) {
    if (value === undefined) {
      this.reloadSoon();
    } else if (value !== this.value) {
      this.value = value;
      this.notify();
    }
  }
}

/** Return a model that is kept current. Its value has `isDeleted` once it is gone. */
export function watchModel(modelId) {
  return new Watched(
    (signal) => call("GetModel", { modelId }, { signal }),
    (model, event) => {
      if (event.modelId !== modelId) {
        return model;
      }
      if (event.kind === "model_deleted") {
        return { ...model, isDeleted: true };
      }
      if (event.kind === "model_created") {
        return undefined;
      }
      return isUncertain(event) ? undefined : modelAfter(model, event);
    },
  );
}

/** Return a version that is kept current. Its value has `isDeleted` once it is gone. */
export function watchVersion(modelId, number) {
  return new Watched(
    (signal) => call("GetVersion", { reference: referenceTo(modelId, number) }, { signal }),
    (version, { kind, modelId: about, content }) => {
      if (about !== modelId) {
        return version;
      }
      if (kind === "alias_moved" && (content.fromNumber === number || content.toNumber === number)) {
        return undefined;
      }
      if (kind === "model_deleted") {
        return { ...version, isDeleted: true };
      }
      if (content.number !== number) {
        return version;
      }
      if (kind === "version_created" && version.isDeleted) {
        return content;
      }
      if (kind === "version_deleted" || kind === "version_evicted") {
        return { ...version, isDeleted: true };
      }
      return kind === "version_archived" || kind === "version_updated"
        ? { ...content, aliases: version.aliases }
        : version;
    },
  );
}
