// Values that views follow. Changes are shown together, at the next frame: a burst of events is one repaint.

import { useEffect, useState } from "./html.js";

const changed = new Set();

function flush() {
  const observables = [...changed];
  changed.clear();
  for (const listener of new Set(observables.flatMap((each) => [...each.listeners]))) {
    listener();
  }
}

export class Observable {
  listeners = new Set();

  /** Call a function after each change. Returns a function that ends it. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Report a change. */
  notify() {
    if (changed.size === 0) {
      requestAnimationFrame(flush);
    }
    changed.add(this);
  }
}

/** Show a component again after each change of an observable. Returns the observable. */
export function useObservable(observable) {
  const [, show] = useState(0);
  useEffect(() => {
    // A change between the first paint and now would be lost.
    show((count) => count + 1);
    return observable.subscribe(() => show((count) => count + 1));
  }, [observable]);
  return observable;
}
