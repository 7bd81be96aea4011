// Dialogs: the rest of the page waits until one is closed.

import { html, useEffect, useRef } from "../html.js";

/**
 * Show a dialog while this is in the document.
 *
 * @param title its heading.
 * @param onClose called when the user closes it, also by Escape.
 */
export function Dialog({ title, onClose, children }) {
  const box = useRef(null);
  useEffect(() => {
    const dialog = box.current;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      // Where the user was before, unless that is gone by now.
      (opener?.isConnected ? opener : document.getElementById("content"))?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`
    <dialog ref=${box} aria-labelledby="dialog-title" onCancel=${cancel}>
      <header>
        <h2 id="dialog-title">${title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick=${onClose}>×</button>
      </header>
      ${children}
    </dialog>
  `;
}

/** Ask before something is done. `onConfirm` may return a promise; its error is shown in the dialog by the caller. */
export function Confirmation({ title, confirm, isDangerous = false, isBusy = false, onConfirm, onClose, children }) {
  const submit = (event) => {
    event.preventDefault();
    onConfirm();
  };
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <form onSubmit=${submit}>
        ${children}
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class=${isDangerous ? "danger" : "primary"} disabled=${isBusy}>${confirm}</button>
        </footer>
      </form>
    <//>
  `;
}
