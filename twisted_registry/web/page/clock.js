// The registry's clock, as far as its replies show it: ages are right on a machine whose clock is wrong.

import { Observable } from "./observable.js";

// Replies carry whole seconds, and take some time to arrive.
const TOLERATED_MS = 3_000;

let offsetMs = 0;

/** Take the time of a reply, from its header Date. */
export function noteServerTime(date) {
  const time = Date.parse(date ?? "");
  if (!Number.isNaN(time)) {
    const difference = time - Date.now();
    offsetMs = Math.abs(difference) > TOLERATED_MS ? difference : 0;
  }
}

/** Return the registry's time, in milliseconds since the Unix epoch. */
export function serverNow() {
  return Date.now() + offsetMs;
}

/** A clock that changes each second. */
export const ticks = new Observable();

setInterval(() => {
  if (!document.hidden) {
    ticks.notify();
  }
}, 1000);
