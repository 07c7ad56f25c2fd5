// Questions and messages in the browser's own modal dialog, which keeps the focus inside and gives it back.
import { button, make } from "./dom";

/** Ask; true when the person agrees. */
export function ask(title: string, words: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    const agree = button("primary", () => { close(true); }, yes);
    const dialog = open(title, words, [button("", () => { close(false); }, "Cancel"), agree]);
    const close = (answer: boolean) => { dialog.close(answer ? "yes" : ""); };
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    agree.focus();
  });
}

export function tell(title: string, words: string): Promise<void> {
  return new Promise((resolve) => {
    const dialog = open(title, words, [button("primary", () => { dialog.close(); }, "Close")]);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}

/** Show text to be copied by hand: it is selected. */
export function tellText(title: string, words: string, text: string): void {
  const box = make("textarea", "", text);
  box.readOnly = true;
  // Its lines are longer than the dialog is wide.
  box.rows = Math.min(2 * text.split("\n").length, 12);
  box.setAttribute("aria-label", title);
  const dialog = open(title, words, [button("primary", () => { dialog.close(); }, "Close")], box);
  dialog.addEventListener("close", () => { dialog.remove(); });
  box.select();
}

/** Show what went wrong with something that a person asked for. */
export function tellFault(title: string, error: unknown): void {
  void tell(title, error instanceof Error ? error.message : String(error));
}

function open(title: string, words: string, buttons: HTMLElement[], ...body: HTMLElement[]): HTMLDialogElement {
  const heading = make("h2", "", title);
  heading.id = `dialog-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const dialog = make("dialog", "", heading, make("p", "", words), ...body, make("div", "buttons", ...buttons));
  dialog.setAttribute("aria-labelledby", heading.id);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
