// Values that no event reports.

import { useEffect, useState } from "./html.js";

/**
 * Return a value that is read again and again while the page is visible, as { value, error, retry }.
 *
 * @param read returns a promise of the value; takes a signal that cancels it.
 * @param intervalMs the time between two reads, in milliseconds.
 * @param inputs if one of them changes, what is known is forgotten.
 */
export function usePolled(read, intervalMs, inputs = []) {
  const [state, setState] = useState({ value: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const step = async () => {
      if (!document.hidden) {
        try {
          const value = await read(abort.signal);
          setState({ value, error: null });
        } catch (error) {
          if (abort.signal.aborted) {
            return;
          }
          setState(({ value }) => ({ value, error }));
          if (error.isDenied || error.isUnauthenticated) {
            return;
          }
        }
      }
      timer = setTimeout(step, intervalMs);
    };
    step();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...inputs, round]);
  return { ...state, retry: () => setRound((count) => count + 1) };
}
