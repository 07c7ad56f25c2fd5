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

/** Show what went wrong with something that a person asked for. */
export function tellFault(title: string, error: unknown): void {
  void tell(title, error instanceof Error ? error.message : String(error));
}

function open(title: string, words: string, buttons: HTMLElement[]): HTMLDialogElement {
  const heading = make("h2", "", title);
  heading.id = `dialog-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const dialog = make("dialog", "", heading, make("p", "", words), make("div", "buttons", ...buttons));
  dialog.setAttribute("aria-labelledby", heading.id);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
