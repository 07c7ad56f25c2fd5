// A small menu beside the pointer, for pages in which HiGlass shows none of its own (`editable: false`).
import type { MenuItem } from "./types";

const STYLE = `
.tracks-menu { position: fixed; z-index: 10000; min-width: 180px; max-width: 380px; margin: 0; padding: 4px; border: 1px solid #c9ccd1;
  border-radius: 6px; background: #fff; color: #1f2328; box-shadow: 0 6px 24px rgb(0 0 0 / .18); font: 13px/1.35 system-ui, sans-serif; }
.tracks-menu[data-theme=dark] { background: #1d2128; color: #e3e6ea; border-color: #454c56; }
.tracks-menu h3 { margin: 2px 8px 4px; font-size: 12px; font-weight: 600; opacity: .75; }
.tracks-menu button { display: block; width: 100%; padding: 5px 8px; border: 0; border-radius: 4px; background: none; color: inherit;
  font: inherit; text-align: left; cursor: pointer; }
.tracks-menu button:hover, .tracks-menu button:focus { background: rgb(90 130 190 / .22); outline: none; }
.tracks-menu button:focus-visible { outline: 2px solid #3b7dd8; outline-offset: -2px; }
.tracks-menu small { display: block; opacity: .75; }`;

let close: (() => void) | undefined;
let styled = false;

/** Show a menu at a place of the window, and call `act` with the entry that is chosen. */
export function openMenu(
  title: string,
  items: MenuItem[],
  [x, y]: [number, number],
  theme: string,
  act: (item: MenuItem) => void,
): void {
  close?.();
  if (!items.length) return;
  addStyle();
  const before = document.activeElement;
  const menu = document.createElement("div");
  menu.className = "tracks-menu";
  menu.dataset.theme = theme;
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", title);
  const head = document.createElement("h3");
  head.textContent = title;
  menu.append(head, ...items.map((item) => entry(item, act)));
  document.body.append(menu);
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(Math.min(x, innerWidth - width - 4), 4)}px`;
  menu.style.top = `${Math.max(Math.min(y, innerHeight - height - 4), 4)}px`;

  const buttons = [...menu.querySelectorAll("button")];
  const away = (event: Event) => {
    // When the window loses the focus, that is the target, which is no node.
    if (!(event.target instanceof Node && menu.contains(event.target))) close?.();
  };
  const keys = (event: KeyboardEvent) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") close?.();
    else if (next !== undefined) buttons.at(next % buttons.length)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  close = () => {
    close = undefined;
    menu.remove();
    for (const kind of ["pointerdown", "wheel"]) document.removeEventListener(kind, away, true);
    removeEventListener("blur", away);
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  menu.addEventListener("keydown", keys);
  menu.addEventListener("contextmenu", (event) => { event.preventDefault(); });
  for (const kind of ["pointerdown", "wheel"]) document.addEventListener(kind, away, true);
  addEventListener("blur", away);
  buttons[0]?.focus({ preventScroll: true });
}

function entry(item: MenuItem, act: (item: MenuItem) => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("role", "menuitem");
  button.textContent = item.label;
  if (item.detail) {
    const detail = document.createElement("small");
    detail.textContent = "\u2026";
    button.append(detail);
    item.detail().then(
      (words) => { detail.textContent = words; },
      () => { detail.remove(); },
    );
  }
  button.addEventListener("click", () => {
    close?.();
    act(item);
  });
  return button;
}

/** Do what an entry says, and tell what goes wrong. */
export function run(item: MenuItem, told: (error: unknown) => void): void {
  Promise.resolve()
    .then(() => item.run())
    .catch(told);
}

function addStyle(): void {
  if (styled) return;
  styled = true;
  // A sheet made here is allowed by content policies that forbid style attributes.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets.push(sheet);
}
