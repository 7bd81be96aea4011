// What can be done with a model: delete it.

import { messages } from "../announce.js";
import { call } from "../api.js";
import { Confirmation } from "../components/dialog.js";
import { AnyText } from "../components/model_parts.js";
import { countOf, countText } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { router } from "../router.js";
import { ActionButton, DialogHost, Refusals } from "./action_button.js";
import { Failure } from "./failure.js";
import { useOperation } from "./operation.js";
import { usePermissions } from "./permissions.js";

/** Show the buttons for a model. */
export function ModelActions({ modelId }) {
  const [isOpen, setOpen] = useState(false);
  const refusal = usePermissions(modelId).refusal("delete");
  return html`
    <div class="actions" role="group" aria-label="Actions for the model">
      <${ActionButton}
        title="Delete the model"
        isDangerous
        refusal=${refusal}
        onOpen=${() => setOpen(true)}
      />
      <${Refusals} refusals=${[refusal]} />
    </div>
    <${DialogHost}>${isOpen && html`<${DeleteModel} modelId=${modelId} onClose=${() => setOpen(false)} />`}<//>
  `;
}

function DeleteModel({ modelId, onClose }) {
  const [typed, setTyped] = useState("");
  const [model, setModel] = useState(null);
  const { isBusy, error, run } = useOperation({ isDone: ({ reason }) => reason === "UNKNOWN_MODEL" });
  useEffect(() => {
    call("GetModel", { modelId }).then(setModel, () => {});
  }, [modelId]);
  const isSame = typed === modelId;
  const confirm = async () => {
    if (isSame && (await run("DeleteModel", { modelId }))) {
      messages.show(`Model ${modelId} was deleted.`);
      router.go("#/models");
    }
  };
  return html`
    <${Confirmation}
      title="Delete the model?"
      confirm="Delete the model for good"
      isDangerous
      isBusy=${isBusy || !isSame}
      onConfirm=${confirm}
      onClose=${onClose}
    >
      <p>
        <strong><${AnyText} text=${modelId} /></strong> is deleted with ${model ? contentOf(model) : "all its versions"}, the
        history of its aliases, and its retention policy.
      </p>
      <p><strong>This cannot be undone.</strong> Those who follow the model are disconnected.</p>
      <label for="typed-id">Type the id of the model to confirm</label>
      <input
        id="typed-id"
        value=${typed}
        autofocus
        autocomplete="off"
        autocapitalize="off"
        spellcheck="false"
        onInput=${(event) => setTyped(event.target.value)}
      />
      ${error && html`<${Failure} error=${error} />`}
    <//>
  `;
}

function contentOf({ versionCount = 0, archivedCount = 0, aliases = {} }) {
  const names = Object.keys(aliases).length;
  const versions = `${countOf(versionCount, "version")} (${countText(archivedCount)} archived)`;
  return names ? `${versions}, ${countOf(names, "alias", "aliases")}` : versions;
}
