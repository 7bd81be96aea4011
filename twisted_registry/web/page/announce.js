// News for screen readers, and messages for everybody.

import { Observable } from "./observable.js";

// A screen reader is not interrupted more often than this.
const QUIET_MS = 5_000;
const SAID_AT_ONCE = 3;
const SHOWN_MS = 6_000;

/** What the live region says. */
class Announcer extends Observable {
  text = "";
  #waiting = new Map();
  #timer = 0;

  /** Say something soon. A later text about the same subject replaces one that was not said yet. */
  say(text, subject = text) {
    this.#waiting.set(subject, text);
    if (!this.#timer) {
      this.#speak();
    }
  }

  #speak() {
    const texts = [...this.#waiting.values()];
    const rest = texts.length - SAID_AT_ONCE;
    this.text = texts.slice(0, SAID_AT_ONCE).join(". ") + (rest > 0 ? `. And ${rest} more changes` : "");
    this.#waiting.clear();
    this.notify();
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#waiting.size > 0) {
        this.#speak();
      }
    }, QUIET_MS);
  }
}

/** The messages in the corner. */
class Messages extends Observable {
  shown = [];
  #next = 1;

  /** Show a message. An error stays until it is closed. */
  show(text, { isError = false } = {}) {
    const message = { id: this.#next, text, isError };
    this.#next += 1;
    this.shown = [...this.shown, message].slice(-4);
    this.notify();
    if (!isError) {
      setTimeout(() => this.close(message.id), SHOWN_MS);
    }
  }

  close(id) {
    this.shown = this.shown.filter((message) => message.id !== id);
    this.notify();
  }
}

export const announcer = new Announcer();
export const messages = new Messages();
