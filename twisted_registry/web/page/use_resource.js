// Things that a view opens and closes, such as lists.

import { useEffect, useMemo } from "./html.js";

/** Return what a function makes, made anew if one of the inputs changes. Its `close` is called when it is not needed. */
export function useResource(make, inputs) {
  const resource = useMemo(make, inputs);
  useEffect(() => () => resource.close(), [resource]);
  return resource;
}
