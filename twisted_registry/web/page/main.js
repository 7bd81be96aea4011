// The page: its frame, and the view that its address names.

import { Announcements } from "./components/announcements.js";
import { Frame } from "./components/frame.js";
import { events } from "./events.js";
import { html, render, useEffect } from "./html.js";
import { useObservable } from "./observable.js";
import { router } from "./router.js";
import { session } from "./session.js";
import { ModelView } from "./views/model.js";
import { ModelsView } from "./views/models.js";
import { NotFound } from "./views/not_found.js";
import { ServerView } from "./views/server.js";
import { SignIn } from "./views/sign_in.js";

function View() {
  const { parts } = router;
  if (parts.length === 0 || (parts[0] === "models" && parts.length === 1)) {
    return html`<${ModelsView} />`;
  }
  if (parts[0] === "models" && (parts.length === 2 || (parts.length === 4 && parts[2] === "versions"))) {
    return html`<${ModelView} key=${parts[1]} modelId=${parts[1]} number=${Number(parts[3] ?? 0)} />`;
  }
  return parts[0] === "server" && parts.length === 1 ? html`<${ServerView} />` : html`<${NotFound} />`;
}

function Page() {
  useObservable(router);
  useObservable(session);
  const mustSignIn = session.problem !== null;
  useEffect(() => {
    if (mustSignIn) {
      events.reset();
    } else {
      events.start();
    }
  }, [mustSignIn, session.token]);
  return html`
    <${Frame}>${mustSignIn ? html`<${SignIn} />` : html`<${View} />`}<//>
    <${Announcements} />
  `;
}

events.watchVisibility();
events.watchNetwork();
events.start();
const root = document.getElementById("page");
root.replaceChildren();
render(html`<${Page} />`, root);
