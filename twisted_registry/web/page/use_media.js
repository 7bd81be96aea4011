// The width of the window, as the style sheet divides it.

import { useEffect, useState } from "./html.js";

const NARROW = matchMedia("(max-width: 640px)");

/** Return whether the window is narrow: tables then have rows of two lines. */
export function useIsNarrow() {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", change);
    return () => NARROW.removeEventListener("change", change);
  }, []);
  return isNarrow;
}
