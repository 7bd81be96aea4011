// The registry's events, as they happen: server-sent events, read by fetch, which can send a token.

import { ApiError, errorFrom, openEvents } from "./api.js";
import { Observable } from "./observable.js";
import { session } from "./session.js";

// The server sends something at least every 15 seconds.
const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 20_000;
// A browser has six connections to a host: tabs that nobody sees give theirs back, and cost the server nothing.
const HIDDEN_MS = 20_000;
// Lists do not wait longer than this for the stream that keeps them current.
const READY_MS = 700;

const KINDS = {
  versionCreated: "version_created",
  versionArchived: "version_archived",
  versionUpdated: "version_updated",
  versionDeleted: "version_deleted",
  versionEvicted: "version_evicted",
  aliasMoved: "alias_moved",
  modelCreated: "model_created",
  modelUpdated: "model_updated",
  modelDeleted: "model_deleted",
};

/**
 * The stream. `state` is "connecting", "live", "retrying" or "off"; `problem` is the text of the last error.
 */
class Events extends Observable {
  state = "off";
  problem = "";
  #cursor = "";
  #failures = 0;
  #handlers = new Set();
  #waiting = [];
  #abort = null;
  #timer = 0;
  #hiddenTimer = 0;

  /** Begin, and go on until `stop`. */
  start() {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      this.#become("connecting");
      this.#run(this.#abort.signal);
    }
  }

  /** End the stream. The next one goes on where this one ended. */
  stop() {
    this.#abort?.abort();
    this.#abort = null;
    clearTimeout(this.#timer);
    this.#become("off");
    this.#release();
  }

  /** End the stream, and forget where: another user may begin the next one. */
  reset() {
    this.stop();
    this.#cursor = "";
    this.problem = "";
  }

  /**
   * Call functions from now on. Returns a function that ends it.
   *
   * @param handler.event called with each event, whose `kind` and `content` name and describe what has happened.
   * @param handler.resync called if events were lost: what was loaded may be outdated.
   * @param handler.live called if the stream goes on and none were lost.
   */
  on(handler) {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Wait until events arrive, or for a moment if they do not: what is loaded after that stays current. */
  ready() {
    if (this.state === "live" || this.state === "off") {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      setTimeout(resolve, READY_MS);
    });
  }

  watchVisibility() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#hiddenTimer);
      if (!document.hidden) {
        if (session.problem === null) {
          this.start();
        }
      } else {
        this.#hiddenTimer = setTimeout(() => this.stop(), HIDDEN_MS);
      }
    });
  }

  /** Connect at once when the network is back: the old connection may not end for minutes. */
  watchNetwork() {
    addEventListener("online", () => {
      if (this.#abort !== null) {
        this.stop();
        this.start();
      }
    });
  }

  async #run(signal) {
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        if (!this.#survives(error)) {
          return;
        }
      }
      if (!signal.aborted) {
        await this.#pause(signal);
      }
    }
  }

  /** Return whether to try again after an error. */
  #survives(error) {
    if (error instanceof ApiError) {
      this.problem = error.message;
      if (error.isUnauthenticated && session.isSignedIn) {
        // The token was revoked, or has expired.
        session.requireSignIn(error.message);
      }
      if (error.isUnauthenticated || error.isDenied) {
        this.#abort = null;
        this.#become("off");
        this.#release();
        return false;
      }
      if (error.reason === "CURSOR_EXPIRED" || error.code === "invalid_argument") {
        this.#cursor = "";
        this.#failures = 0;
        return true;
      }
    } else {
      this.problem = "The connection was lost.";
    }
    return true;
  }

  async #pause(signal) {
    this.#become("retrying");
    this.#release();
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    await new Promise((resolve) => {
      // Random, so that many pages do not come back at the same moment.
      this.#timer = setTimeout(resolve, pause * (0.5 + Math.random() / 2));
      signal.addEventListener("abort", resolve, { once: true });
    });
  }

  async #read(signal) {
    const ending = new AbortController();
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => ending.abort(), SILENCE_MS);
    };
    heard();
    try {
      const response = await openEvents(this.#cursor, AbortSignal.any([signal, ending.signal]));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser((name, data) => this.#receive(name, data));
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        heard();
        parser.feed(part.value);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #receive(name, data) {
    const event = JSON.parse(data);
    if (name === "failed") {
      throw errorFrom(event);
    }
    if (event.started) {
      this.#begin();
    }
    this.#cursor = event.cursor ?? this.#cursor;
    const field = Object.keys(KINDS).find((each) => each in event);
    if (field) {
      const happened = { kind: KINDS[field], modelId: event.modelId ?? "", time: event.time, content: event[field] };
      for (const handler of [...this.#handlers]) {
        handler.event?.(happened);
      }
    }
  }

  #begin() {
    const mayHaveMissed = this.#cursor === "";
    this.#failures = 0;
    this.problem = "";
    this.#become("live");
    this.#release();
    for (const handler of [...this.#handlers]) {
      (mayHaveMissed ? handler.resync : handler.live)?.();
    }
  }

  #release() {
    for (const resolve of this.#waiting.splice(0)) {
      resolve();
    }
  }

  #become(state) {
    this.state = state;
    this.notify();
  }
}

/** The parser of a stream of server-sent events. */
class EventParser {
  #rest = "";
  #name = "";
  #data = [];

  /** @param dispatch called with the name and the data of each event. */
  constructor(dispatch) {
    this.dispatch = dispatch;
  }

  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) {
      this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
  }

  #take(line) {
    if (line === "") {
      if (this.#data.length > 0) {
        this.dispatch(this.#name, this.#data.join("\n"));
      }
      this.#name = "";
      this.#data = [];
    } else if (line.startsWith("data:")) {
      this.#data.push(line.slice(5).trimStart());
    } else if (line.startsWith("event:")) {
      this.#name = line.slice(6).trim();
    }
  }
}

export const events = new Events();
