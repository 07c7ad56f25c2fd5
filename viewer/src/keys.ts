// Keys and buttons that move the view, and the dialog that lists them.
import type { Browser } from "./browser";
import { copy } from "./clipboard";
import { byId, keep, kept } from "./dom";

const PAN = 0.25;
const OFF = "tracks.keysOff";

interface Action {
  button?: string;
  keys: string[];
  act: () => void;
}

/** Make the buttons and keys work. */
export function addKeys(browser: Browser, search: { focus(): void }, openTracks: () => void): void {
  const help = byId("help-dialog") as HTMLDialogElement;
  const actions: Action[] = [
    { button: "left", keys: ["ArrowLeft"], act: () => { browser.pan(-PAN); } },
    { button: "right", keys: ["ArrowRight"], act: () => { browser.pan(PAN); } },
    { button: "in", keys: ["+", "=", "ArrowUp"], act: () => { browser.zoom(0.5); } },
    { button: "out", keys: ["-", "_", "ArrowDown"], act: () => { browser.zoom(2); } },
    { button: "whole", keys: ["Home"], act: () => { browser.whole(); } },
    { button: "help", keys: ["?"], act: () => { help.showModal(); } },
    { keys: ["PageUp"], act: () => { browser.pan(-1); } },
    { keys: ["PageDown"], act: () => { browser.pan(1); } },
    { keys: ["/"], act: () => { search.focus(); } },
    { keys: ["t"], act: openTracks },
    { keys: ["b"], act: () => { byId("places-panel").showPopover(); } },
  ];
  for (const { button, act } of actions) if (button) byId(button).addEventListener("click", act);
  byId("back").addEventListener("click", () => { history.back(); });
  byId("forward").addEventListener("click", () => { history.forward(); });

  // Keys of one letter come in the way of those who speak to their computer, so they can be switched off.
  const off = byId("keys-off") as HTMLInputElement;
  off.checked = kept(OFF) === true;
  off.addEventListener("change", () => { keep(OFF, off.checked); });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target as HTMLElement;
    if (at.closest("input, textarea, select, dialog, [popover]")) return;
    const onPlot = byId("plot").contains(at);
    if (off.checked && event.key.length === 1 && !onPlot) return;
    // Elsewhere arrows scroll the page, as everywhere, once it is longer than the window.
    const scrolls = ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key) && !onPlot;
    const action = scrolls ? undefined : actions.find(({ keys }) => keys.includes(event.key));
    if (!action) return;
    action.act();
    event.preventDefault();
  });
}

/** Make the button copy the whole address of the view. */
export function addLinkButton(address: () => string): void {
  const share = byId("share");
  const words = byId("share-words");
  const usual = words.textContent;
  share.addEventListener("click", () => {
    const link = new URL(address(), location.href).href;
    void copy(link).then((copied) => {
      words.textContent = copied ? "Copied" : "Copy it from the address bar";
      setTimeout(() => { words.textContent = usual; }, 2_000);
    });
  });
}
