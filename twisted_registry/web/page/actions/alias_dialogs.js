// The dialogs that move an alias.

import { messages } from "../announce.js";
import { call, referenceTo } from "../api.js";
import { Confirmation } from "../components/dialog.js";
import { AnyText } from "../components/model_parts.js";
import { html, useEffect, useState } from "../html.js";
import { Failure } from "./failure.js";
import { useOperation } from "./operation.js";

// As the server has it.
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,127}$/;
const RESERVED = /^(latest|v[0-9]+)$/;

/** Let an alias that the user names point at a version. */
export function SetAlias({ modelId, number, isArchived, onClose }) {
  const [alias, setAlias] = useState("");
  const [reason, setReason] = useState("");
  const [present, setPresent] = usePresentAliases(modelId);
  const move = useMove({ modelId, setPresent, onClose });
  const problem = nameProblem(alias);
  const before = present?.[alias] ?? 0;
  const isThere = !problem && before === number;
  const confirm = () => present !== null && !problem && !isThere && move.run({ alias, number, before, reason });
  return html`
    <${Confirmation}
      title=${`Set an alias to version ${number}`}
      confirm=${before && !problem ? "Move the alias" : "Set the alias"}
      isBusy=${move.isBusy || present === null || Boolean(problem) || isThere}
      onConfirm=${confirm}
      onClose=${onClose}
    >
      <label for="alias-name">Alias</label>
      <input
        id="alias-name"
        list="alias-names"
        value=${alias}
        autofocus
        autocomplete="off"
        spellcheck="false"
        aria-describedby="alias-effect"
        aria-invalid=${Boolean(alias && problem)}
        onInput=${(event) => setAlias(event.target.value)}
      />
      <datalist id="alias-names">
        ${Object.keys(present ?? {}).map((name) => html`<option key=${name} value=${name}></option>`)}
      </datalist>
      <${Reason} value=${reason} onChange=${setReason} />
      <div id="alias-effect" role="status">
        ${alias && problem
          ? html`<p class="wrong">${problem}</p>`
          : alias && html`<${Effect} ...${{ alias, before, number, isArchived }} />`}
      </div>
      <${MoveFailure} error=${move.error} alias=${alias} />
    <//>
  `;
}

/** Move an alias back to the version that it named before its last move. */
export function RollBack({ modelId, last, onClose }) {
  const [before, setBefore] = useState(last.toNumber ?? 0);
  const [reason, setReason] = useState(
    last.toNumber ? `rollback from version ${last.toNumber}` : "restored",
  );
  const { alias, fromNumber: number } = last;
  const move = useMove({ modelId, setPresent: (aliases) => setBefore(Object.hasOwn(aliases, alias) ? aliases[alias] : 0), onClose });
  return html`
    <${Confirmation}
      title=${`Roll “${alias}” back?`}
      confirm=${before ? "Roll back" : "Restore"}
      isBusy=${move.isBusy || before === number}
      onConfirm=${() => move.run({ alias, number, before, reason })}
      onClose=${onClose}
    >
      <${Effect} ...${{ alias, before, number }} isArchived isRestored />
      <${Reason} value=${reason} onChange=${setReason} />
      <${MoveFailure} error=${move.error} alias=${alias} />
    <//>
  `;
}

/** Say exactly what a move does. */
function Effect({ alias, before, number, isArchived, isRestored = false }) {
  const name = html`<strong><bdi>${alias}</bdi></strong>`;
  if (before === number) {
    return html`<p>${name} names version ${number} already.</p>`;
  }
  return html`
    <p>
      ${before
        ? html`${name} moves from version ${before} to version ${number}.`
        : html`${name} ${isRestored ? "exists again" : "is a new alias"}: it names version ${number}.`}
      ${" "}Those who follow the alias get version ${number} at once.
      ${!isArchived && html`${" "}The version is archived first.`}
    </p>
    <p class="faint">The move is part of the history, and a roll back undoes it. If somebody moves the alias before you confirm,
      nothing happens.</p>
  `;
}

function Reason({ value, onChange }) {
  return html`
    <label for="alias-reason">Reason, for the history (optional)</label>
    <input
      id="alias-reason"
      value=${value}
      maxlength="250"
      autocomplete="off"
      onInput=${(event) => onChange(event.target.value)}
    />
  `;
}

function MoveFailure({ error, alias }) {
  if (error === null) {
    return null;
  }
  if (error.reason !== "ALIAS_MOVED") {
    return html`<${Failure} error=${error} />`;
  }
  const present = Number(error.facts.present_number ?? 0);
  return html`
    <div class="problem" role="alert">
      <strong>The alias has moved meanwhile</strong>
      <p>
        <bdi>${alias}</bdi> ${present ? `names version ${present} by now` : "was removed meanwhile"}, so nothing was moved.
        Read again what your move would do, then confirm it or cancel.
      </p>
    </div>
  `;
}

/** Return the state of a move, with `run`, which makes it if the alias still names what the user was shown. */
function useMove({ modelId, setPresent, onClose }) {
  const { isBusy, error, run } = useOperation({ hasRequestId: true });
  const move = async ({ alias, number, before, reason }) => {
    const reference = referenceTo(modelId, number);
    const reply = await run("SetAlias", { reference, alias, expectedNumber: before, reason });
    if (reply) {
      messages.show(`“${alias}” names version ${number}.`);
      onClose();
    }
  };
  useEffect(() => {
    if (error?.reason === "ALIAS_MOVED") {
      readAliases(modelId).then((aliases) => aliases && setPresent(aliases));
    }
  }, [error]);
  return { isBusy, error, run: move };
}

/** Return the aliases of a model as they were when the dialog was opened, and a function that replaces them. */
function usePresentAliases(modelId) {
  const [present, setPresent] = useState(null);
  useEffect(() => {
    // If they cannot be read, the server still compares: every alias is taken for a new one.
    readAliases(modelId).then((aliases) => setPresent(aliases ?? {}));
  }, [modelId]);
  return [present, setPresent];
}

async function readAliases(modelId) {
  const model = await call("GetModel", { modelId }).catch(() => null);
  return model && (model.aliases ?? {});
}

function nameProblem(alias) {
  if (RESERVED.test(alias)) {
    return "“latest”, and “v” with digits, are reserved.";
  }
  return NAME.test(alias) ? "" : "An alias is a letter, then letters, digits, “_” and “-”: 128 characters at most.";
}
