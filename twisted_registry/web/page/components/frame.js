// The frame of each view: the bar at the top, with the connection, the theme and the sign-in.

import { call } from "../api.js";
import { events } from "../events.js";
import { html, useEffect, useState } from "../html.js";
import { onKeys } from "../keys.js";
import { useObservable } from "../observable.js";
import { router } from "../router.js";
import { session } from "../session.js";
import { Help } from "./help.js";
import { ThemeToggle } from "./theme_toggle.js";

const STATES = {
  live: ["Live", "What you see changes as it happens."],
  connecting: ["Connecting", "The page is connecting to the registry."],
  retrying: ["Reconnecting", ""],
  off: ["Not live", ""],
};

export function Frame({ children }) {
  useObservable(router);
  useObservable(session);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useEffect(
    () =>
      onKeys({
        "?": () => setHelpOpen(true),
        "/": () => document.querySelector("input[type=search]")?.focus(),
        m: () => router.go("#/models"),
        s: () => router.go("#/server"),
      }),
    [],
  );
  const place = router.parts[0] ?? "models";
  const link = (name, title) =>
    html`<a href=${`#/${name}`} aria-current=${place === name ? "page" : undefined}>${title}</a>`;
  // Not a link: it would change the address, which is the view.
  const skip = () => document.getElementById("content").focus();
  return html`
    <button type="button" class="skip" onClick=${skip}>Skip to the content</button>
    <header class="bar">
      <span class="brand"><span class="mark" aria-hidden="true"></span><span class="name">Model registry</span></span>
      <nav aria-label="Views">${link("models", "Models")}${link("server", "Server")}</nav>
      <div class="tools">
        <${Connection} />
        <${ThemeToggle} />
        <button type="button" class="plain" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)"
          onClick=${() => setHelpOpen(true)}>?</button>
        <${Identity} />
      </div>
    </header>
    <main id="content" tabindex="-1">${children}</main>
    ${isHelpOpen && html`<${Help} onClose=${() => setHelpOpen(false)} />`}
  `;
}

/** Show who is signed in. */
function Identity() {
  useObservable(session);
  const { token, isSignedIn, wasRefused, problem } = session;
  const [subject, setSubject] = useState("");
  useEffect(() => {
    setSubject("");
    if (isSignedIn) {
      const abort = new AbortController();
      const read = call("GetCaller", {}, { signal: abort.signal, isExtra: true });
      // Without an answer nothing is shown: other calls report what is wrong.
      read.then((caller) => setSubject(caller.subject ?? ""), () => {});
      return () => abort.abort();
    }
    return undefined;
  }, [token]);
  if (isSignedIn) {
    return html`
      ${subject && html`<span class="subject" title=${`You are ${subject}`}><bdi>${subject}</bdi></span>`}
      <button type="button" class="plain" onClick=${() => session.signOut()}>Sign out</button>
    `;
  }
  const isOffered = wasRefused && problem === null;
  return isOffered && html`<button type="button" class="plain" onClick=${() => session.offerSignIn()}>Sign in</button>`;
}

function Connection() {
  useObservable(events);
  const [text, explanation] = STATES[events.state];
  return html`
    <span class=${`connection ${events.state}`} role="status" title=${events.problem || explanation}>
      <span class="dot" aria-hidden="true"></span><span class="state">${text}</span>
    </span>
  `;
}
