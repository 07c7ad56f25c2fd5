// Buttons, keys, and the line that says how far the predictions are.
import type { Page, Progress } from "./api";
import { foldWords } from "./axis";
import type { Browser } from "./browser";
import { byId, make } from "./dom";
import type { Search } from "./search";

const PAN = 0.25;

/** Say how far the background work is. */
export function tellProgress(now: Progress): void {
  const line = byId("progress");
  line.dataset.state = now.state;
  const words = {
    looking: "looking for sequence in the genome",
    computing: `computing ${now.done + 1} of ${now.total} windows`,
    ready: now.total ? `all ${now.total} windows predicted` : "",
    failed: `${now.failed} windows failed: ${now.message}`,
  }[now.state];
  const bar = document.createElement("progress");
  bar.max = Math.max(now.total, 1);
  bar.value = now.done;
  bar.setAttribute("aria-label", "windows predicted");
  bar.hidden = now.state !== "computing";
  line.replaceChildren(words, bar);
}

/** Add a button for each place worth a look, which says whether the model saw it in training. */
export function addLoci(page: Page, browser: Browser): void {
  for (const locus of page.loci) {
    const fold = foldWords(locus, page.folds);
    const button = make("button", "", locus.name, make("small", "", fold.words));
    button.dataset.kind = fold.kind;
    button.title = `${locus.note}\n${locus.region}`.trim();
    button.addEventListener("click", () => {
      browser.goTo(locus);
      byId("plot").focus({ preventScroll: true });
    });
    byId("loci").append(make("li", "", button));
  }
}

/** Make the move and zoom buttons, their keys and the link button work. */
export function addButtons(browser: Browser, search: Search): void {
  const actions: [id: string, keys: string[], act: () => void][] = [
    ["left", ["ArrowLeft"], () => { browser.pan(-PAN); }],
    ["right", ["ArrowRight"], () => { browser.pan(PAN); }],
    ["in", ["+", "="], () => { browser.zoom(0.5); }],
    ["out", ["-", "_"], () => { browser.zoom(2); }],
  ];
  for (const [id, , act] of actions) byId(id).addEventListener("click", act);
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
    const action = actions.find(([, keys]) => keys.includes(event.key));
    if (action) action[2]();
    else if (event.key === "/") search.focus();
    else return;
    event.preventDefault();
  });
  const share = byId("share");
  share.addEventListener("click", () => {
    navigator.clipboard.writeText(location.href).then(
      () => { share.textContent = "Copied"; },
      () => { share.textContent = "Copy it from the address bar"; },
    ).finally(() => setTimeout(() => { share.textContent = "Copy link"; }, 2_000));
  });
}

