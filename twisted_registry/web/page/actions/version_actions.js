// What can be done with a version: archive it, let an alias name it, delete it.

import { messages } from "../announce.js";
import { referenceTo } from "../api.js";
import { Confirmation } from "../components/dialog.js";
import { AnyText } from "../components/model_parts.js";
import { sizeText } from "../format.js";
import { html, useState } from "../html.js";
import { ActionButton, DialogHost, Refusals } from "./action_button.js";
import { SetAlias } from "./alias_dialogs.js";
import { Failure } from "./failure.js";
import { useOperation } from "./operation.js";
import { usePermissions } from "./permissions.js";

/** Show the buttons for a version. */
export function VersionActions({ modelId, version }) {
  const permissions = usePermissions(modelId);
  const { number, archived: isArchived = false, aliases = [] } = version;
  const names = aliases.map((alias) => `“${alias}”`).join(", ");
  const [open, setOpen] = useState("");
  const close = () => setOpen("");
  const archive = permissions.refusal("archive", "read");
  const setAlias = permissions.refusal("alias", "read");
  const named = aliases.length > 0 ? `It cannot be deleted while an alias names it: move or remove ${names} first.` : "";
  const remove = permissions.refusal("delete") || named;
  // In one sentence, because they are below all buttons.
  const all = permissions.refusal(...(isArchived ? [] : ["archive"]), "alias", "delete");
  return html`
    <div class="actions" role="group" aria-label=${`Actions for version ${number}`}>
      <${ActionButton}
        title="Archive"
        refusal=${isArchived ? "It is archived already." : archive}
        onOpen=${() => setOpen("archive")}
      />
      <${ActionButton} title="Set an alias" refusal=${setAlias} onOpen=${() => setOpen("alias")} />
      <${ActionButton} title="Delete" isDangerous refusal=${remove} onOpen=${() => setOpen("delete")} />
      <${Refusals} refusals=${[all, named]} />
    </div>
    <${DialogHost}>
      ${open === "archive" && html`<${Archive} ...${{ modelId, version }} onClose=${close} />`}
      ${open === "alias" && html`<${SetAlias} ...${{ modelId, number, isArchived }} onClose=${close} />`}
      ${open === "delete" && html`<${Delete} ...${{ modelId, version }} onClose=${close} />`}
    <//>
  `;
}

function Archive({ modelId, version: { number, sizeBytes = 0 }, onClose }) {
  const { isBusy, error, run } = useOperation();
  const confirm = async () => {
    if (await run("ArchiveVersion", { reference: referenceTo(modelId, number) })) {
      messages.show(`Version ${number} is archived.`);
      onClose();
    }
  };
  return html`
    <${Confirmation} title=${`Archive version ${number}?`} confirm="Archive" ...${{ isBusy, onClose }} onConfirm=${confirm}>
      <p>
        Version ${number} of <strong><${AnyText} text=${modelId} /></strong> (${sizeText(sizeBytes)}) is written to the
        archive. From then on it is not evicted, and survives restarts. Its number and its data stay the same.
      </p>
      <p>It stays in the archive until it is deleted or a retention policy removes it.</p>
      ${error && html`<${Failure} error=${error} />`}
    <//>
  `;
}

function Delete({ modelId, version: { number, sizeBytes = 0, archived: isArchived = false }, onClose }) {
  const { isBusy, error, run } = useOperation({ isDone: ({ reason }) => reason === "UNKNOWN_VERSION" });
  const confirm = async () => {
    if (await run("DeleteVersion", { reference: referenceTo(modelId, number) })) {
      messages.show(`Version ${number} was deleted.`);
      onClose();
    }
  };
  return html`
    <${Confirmation}
      title=${`Delete version ${number}?`}
      confirm="Delete for good"
      isDangerous
      ...${{ isBusy, onClose }}
      onConfirm=${confirm}
    >
      <p>
        Version ${number} of <strong><${AnyText} text=${modelId} /></strong> (${sizeText(sizeBytes)},
        ${isArchived ? " archived" : " in memory"}) is deleted with its data, labels and metrics.
      </p>
      <p><strong>This cannot be undone.</strong> No other version gets the number ${number}.</p>
      ${error && html`<${Failure} error=${error} />`}
    <//>
  `;
}
