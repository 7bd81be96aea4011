// Times: how long ago, with the exact time on demand.

import { serverNow, ticks } from "../clock.js";
import { ageText, localTime, utcTime } from "../format.js";
import { html, useEffect, useState } from "../html.js";

/** Show how long ago a time was. It is shown again when that text changes. */
export function Age({ time }) {
  const parsed = Date.parse(time);
  const [text, setText] = useState(() => ageText(parsed, serverNow()));
  useEffect(() => {
    const show = () => setText(ageText(parsed, serverNow()));
    show();
    return ticks.subscribe(show);
  }, [parsed]);
  return html`<time dateTime=${time} title=${`${localTime(parsed)} (${utcTime(parsed)})`}>${text}</time>`;
}

/** Show a time in the user's zone, and in UTC as its title. */
export function Moment({ time }) {
  const parsed = Date.parse(time);
  return html`<time dateTime=${time} title=${utcTime(parsed)}>${localTime(parsed)}</time>`;
}
