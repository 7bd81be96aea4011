// A change that the user has confirmed: it is made once, also if its answer is lost.

import { call } from "../api.js";
import { useRef, useState } from "../html.js";

/** Return a random UUID. Browsers have one of their own only where the page came by HTTPS or from this machine. */
function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Return the state of a change: `isBusy`, the `error` of the last try, and `run`.
 *
 * `run(method, fields)` makes the call, and returns its reply; undefined if it failed.
 *
 * @param options.hasRequestId whether the call takes the id of a request. The same fields are sent with the same id, so
 *   that the server recognizes a call whose answer was lost.
 * @param options.isDone returns whether an error means that an earlier try, whose answer was lost, has made the change.
 */
export function useOperation({ hasRequestId = false, isDone = () => false } = {}) {
  const [state, setState] = useState({ isBusy: false, error: null });
  const ids = useRef(new Map());
  const isUncertain = useRef(false);
  const isBusy = useRef(false);

  const withId = (fields) => {
    const key = JSON.stringify(fields);
    if (!ids.current.has(key)) {
      ids.current.set(key, randomUuid());
    }
    return { ...fields, requestId: ids.current.get(key) };
  };

  const run = async (method, fields) => {
    if (isBusy.current) {
      return undefined;
    }
    isBusy.current = true;
    setState({ isBusy: true, error: null });
    try {
      const reply = await call(method, hasRequestId ? withId(fields) : fields);
      setState({ isBusy: false, error: null });
      return reply;
    } catch (error) {
      if (isUncertain.current && isDone(error)) {
        setState({ isBusy: false, error: null });
        return {};
      }
      isUncertain.current ||= hasUnknownOutcome(error);
      setState({ isBusy: false, error });
      return undefined;
    } finally {
      isBusy.current = false;
    }
  };
  return { ...state, run };
}

/** Return whether a call that failed may have made its change. */
export function hasUnknownOutcome(error) {
  return ["unreachable", "deadline_exceeded", "unavailable", "canceled", "unknown"].includes(error.code);
}
