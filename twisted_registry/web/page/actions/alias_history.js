// The history of a model's aliases: every move, the newest first, with the way back.

import { call } from "../api.js";
import { AnyText } from "../components/model_parts.js";
import { Problem } from "../components/problem.js";
import { Age } from "../components/time.js";
import { events } from "../events.js";
import { html, useState } from "../html.js";
import { Observable, useObservable } from "../observable.js";
import { modelAddress } from "../router.js";
import { useResource } from "../use_resource.js";
import { ActionButton, DialogHost, Refusals } from "./action_button.js";
import { RollBack } from "./alias_dialogs.js";
import { usePermissions } from "./permissions.js";

const PAGE_SIZE = 20;

/** The moves that are shown. `moves` is null until the first are there. */
class History extends Observable {
  moves = null;
  error = null;
  nextToken = "";
  #abort = new AbortController();
  #leave;

  constructor(modelId) {
    super();
    this.modelId = modelId;
    this.#leave = events.on({
      event: ({ kind, modelId: about, content }) => {
        if (about === modelId && kind === "alias_moved") {
          this.#add([content]);
        } else if (about === modelId && kind === "model_created") {
          this.moves = [];
          this.notify();
        }
      },
      resync: () => this.reload(),
      live: () => this.error && this.reload(),
    });
    this.reload();
  }

  close() {
    this.#abort.abort();
    this.#leave();
  }

  async reload() {
    await events.ready();
    await this.#read("");
  }

  async more() {
    await this.#read(this.nextToken);
  }

  async #read(pageToken) {
    const { signal } = this.#abort;
    try {
      const fields = { modelId: this.modelId, pageSize: PAGE_SIZE, pageToken };
      const reply = await call("ListAliasEvents", fields, { signal });
      this.nextToken = reply.nextPageToken ?? "";
      this.error = null;
      if (pageToken === "") {
        this.moves = [];
      }
      this.#add(reply.events ?? []);
    } catch (error) {
      if (!signal.aborted) {
        this.error = error;
        this.notify();
      }
    }
  }

  #add(moves) {
    const bySequence = new Map((this.moves ?? []).map((move) => [move.sequence, move]));
    for (const move of moves) {
      bySequence.set(move.sequence, move);
    }
    // Sequences are 64-bit numbers, so JSON has them as text.
    this.moves = [...bySequence.values()].sort((a, b) => Number(BigInt(b.sequence) - BigInt(a.sequence)));
    this.notify();
  }
}

/** Show the history of a model's aliases. */
export function AliasHistory({ modelId }) {
  const history = useObservable(useResource(() => new History(modelId), [modelId]));
  const refusal = usePermissions(modelId).refusal("alias", "read");
  // Here, because the move that is rolled back is no longer the newest one then.
  const [rolledBack, setRolledBack] = useState(null);
  const moves = history.moves ?? [];
  if (moves.length === 0 && !history.error) {
    return null;
  }
  const newest = new Set([...new Map(moves.map((move) => [move.alias, move]).reverse()).values()]);
  return html`
    <section class="panel" aria-labelledby="history">
      <h2 id="history">History of aliases</h2>
      ${history.error && html`<${Problem} error=${history.error} onRetry=${() => history.reload()} />`}
      <ol class="history">
        ${moves.map(
          (move) => html`<${Move}
            key=${move.sequence}
            isNewest=${newest.has(move)}
            onRollBack=${() => setRolledBack(move)}
            ...${{ modelId, move, refusal }}
          />`,
        )}
      </ol>
      ${history.nextToken && html`<button type="button" onClick=${() => history.more()}>Show older moves</button>`}
      <${Refusals} refusals=${[refusal]} />
      <${DialogHost}>
        ${rolledBack && html`<${RollBack} ...${{ modelId }} last=${rolledBack} onClose=${() => setRolledBack(null)} />`}
      <//>
    </section>
  `;
}

function Move({ modelId, move, isNewest, refusal, onRollBack }) {
  const { alias, fromNumber = 0, toNumber = 0, moveTime, actor = "", reason = "" } = move;
  const version = (number) =>
    number ? html`<a href=${modelAddress(modelId, number)}>version ${number}</a>` : html`<span class="faint">none</span>`;
  return html`
    <li>
      <p>
        <span class="alias"><bdi>${alias}</bdi></span> ${version(fromNumber)} <span aria-hidden="true">→</span>
        <span class="unseen">to</span> ${version(toNumber)}
      </p>
      <p class="faint">
        <${Age} time=${moveTime} />${actor && html`${" by "}<${AnyText} text=${actor} />`}${reason &&
        html`: <${AnyText} text=${reason} />`}
      </p>
      ${isNewest &&
      fromNumber > 0 &&
      html`<${ActionButton}
        title=${toNumber ? `Roll ${alias} back to ${fromNumber}` : `Restore ${alias} at ${fromNumber}`}
        refusal=${refusal}
        onOpen=${onRollBack}
      />`}
    </li>
  `;
}
