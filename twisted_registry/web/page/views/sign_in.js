// The form for the user's token.

import { call } from "../api.js";
import { sentence } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useObservable } from "../observable.js";
import { session } from "../session.js";

export function SignIn() {
  useObservable(session);
  const input = useRef(null);
  const [problem, setProblem] = useState(session.problem);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => input.current.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const token = input.current.value.trim();
    if (!token) {
      setProblem("Enter a token.");
      return;
    }
    setBusy(true);
    try {
      await call("GetCaller", {}, { token, isExtra: true });
      session.signIn(token);
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
      input.current.select();
    }
  };
  return html`
    <section class="view sign-in">
      <form onSubmit=${submit}>
        <h1>Sign in</h1>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          ref=${input}
          autocomplete="off"
          spellcheck="false"
          aria-invalid=${Boolean(problem)}
          aria-describedby=${problem ? "token-help token-problem" : "token-help"}
        />
        ${problem && html`<p id="token-problem" class="wrong" role="alert">${sentence(problem)}</p>`}
        <p id="token-help" class="faint">
          The one that you use for <code>twisted-registry login</code>. It stays in this tab until you sign out or close it.
        </p>
        <button type="submit" class="primary" disabled=${isBusy}>Sign in</button>
        ${session.isVoluntary && html`<button type="button" onClick=${() => session.cancelSignIn()}>Go on without</button>`}
      </form>
    </section>
  `;
}
