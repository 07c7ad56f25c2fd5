// Menus: a button opens one, arrows walk it, Escape or a click elsewhere closes it and gives the focus back.
import { announce, button, make } from "./dom";
import { icon, type IconName } from "./icons";

const SAID = 2_000;

interface Shown {
  label: string;
  icon?: IconName;
  note?: string;
}

/** What a choice can do with the menu it stands in. */
export interface OpenMenu {
  close(): void;
  /** Say at the choice itself, for a moment, what came of it. */
  say(words: string): void;
}

export interface Choice extends Shown {
  /** Words that take a moment, such as how long something would take. */
  detail?: () => Promise<string>;
  /** Given: one of several that exclude each other. */
  checked?: boolean;
  disabled?: boolean;
  /** The menu stays open when this is chosen. */
  stays?: boolean;
  act: (menu: OpenMenu) => void;
}

/** Leads to another tab, or to a file that is saved. */
export interface Link extends Shown {
  address: string;
  file?: boolean;
}

/** Cannot be chosen, and says why where somebody looks for it; keys reach it, so that it is heard too. */
export interface Unusable extends Shown {
  reason: string;
}

/** A heading is a string. */
export type Entry = Choice | Link | Unusable | string;

type Entries = () => Entry[] | Promise<Entry[]>;

/** Make a button open a menu, whose entries are asked for each time; what failed of them can be tried again. */
export function attachMenu(opener: HTMLElement, label: string, entries: Entries): void {
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => {
    if (opener.getAttribute("aria-expanded") === "true") return;
    openMenu(opener, label, entries);
  });
}

function openMenu(opener: HTMLElement, label: string, entries: Entries): void {
  const menu = make("div", "menu");
  menu.popover = "auto";
  menu.role = "menu";
  menu.setAttribute("aria-label", label);
  const show = (now: Entry[]) => {
    draw(menu, now);
    if (!menu.matches(":popover-open")) return;
    place(menu, opener);
    focusFirst(menu);
  };
  const ask = () => {
    const answer = entries();
    if (Array.isArray(answer)) {
      show(answer);
      return;
    }
    show([{ label: "Asking the server…", icon: "jobs", reason: "" }]);
    answer.then(show, (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      show([
        { label: "This did not work", icon: "warning", reason },
        { label: "Try again", icon: "retry", stays: true, act: ask },
      ]);
      if (menu.isConnected) announce(`This did not work: ${reason}`);
    });
  };
  menu.addEventListener("keydown", walk);
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    opener.setAttribute("aria-expanded", String(open));
    if (open) focusFirst(menu);
    else menu.remove();
  });
  document.body.append(menu);
  ask();
  menu.showPopover();
  place(menu, opener);
}

function draw(menu: HTMLElement, entries: Entry[]): void {
  menu.replaceChildren();
  let group: HTMLElement = menu;
  for (const entry of entries) {
    if (typeof entry === "string") {
      group = make("div", "part", make("span", "heading", entry));
      group.role = "group";
      group.setAttribute("aria-label", entry);
      group.firstElementChild?.setAttribute("aria-hidden", "true");
      menu.append(group);
    } else group.append(item(entry, () => { menu.hidePopover(); }));
  }
}

/** Put a popover under its opener, or above where there is no room, and wholly on screen. */
export function place(popover: HTMLElement, opener: HTMLElement): void {
  const at = opener.getBoundingClientRect();
  // Where it was placed before, it may have had less room.
  popover.style.left = "0";
  const { offsetWidth: width, offsetHeight: height } = popover;
  const below = at.bottom + 4;
  const top = below + height <= innerHeight - 8 ? below : Math.max(at.top - height - 4, 8);
  const wanted = at.left + width <= innerWidth - 8 ? at.left : at.right - width;
  const left = Math.max(Math.min(wanted, innerWidth - width - 8), 8);
  popover.style.top = `${top}px`;
  popover.style.left = `${left}px`;
}

function item(entry: Exclude<Entry, string>, close: () => void): HTMLElement {
  const { label, icon: picture, note } = entry;
  const checked = "act" in entry ? entry.checked : undefined;
  const sign = make("span", "sign", ...(checked ? [icon("check")] : picture ? [icon(picture)] : []));
  const words = make("span", "label", label, ...(note ? [" ", make("small", "", note)] : []));
  const element = "address" in entry
    ? link(entry, close)
    : "act" in entry ? choice(entry, sign, words, close) : make("button", "");
  element.role = checked === undefined ? "menuitem" : "menuitemradio";
  element.tabIndex = -1;
  element.append(sign, words);
  if (checked !== undefined) element.setAttribute("aria-checked", String(checked));
  if (("act" in entry && entry.disabled) || "reason" in entry) element.setAttribute("aria-disabled", "true");
  if ("reason" in entry) {
    element.classList.add("unusable");
    if (entry.reason) words.append(" ", make("span", "reason", entry.reason));
  }
  return element;
}

function link({ address, file }: Link, close: () => void): HTMLElement {
  const element = make("a", "");
  element.href = address;
  // Files too: where another server has them, the browser may show what it was to save.
  element.target = "_blank";
  element.rel = "noopener";
  if (file) element.download = "";
  element.addEventListener("click", close);
  return element;
}

function choice(entry: Choice, sign: HTMLElement, words: HTMLElement, close: () => void): HTMLElement {
  const { detail, disabled, stays, act } = entry;
  if (detail) {
    const later = make("small", "", "…");
    words.append(" ", later);
    detail().then((said) => { later.textContent = said; }, () => { later.remove(); });
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const usual = [[...sign.childNodes], [...words.childNodes]] as const;
  const say = (said: string) => {
    clearTimeout(timer);
    // Shorter words do not make the menu narrower.
    words.style.minWidth = `${words.offsetWidth}px`;
    sign.replaceChildren(icon("check"));
    words.replaceChildren(entry.label, " ", make("small", "said", said));
    announce(`${entry.label}: ${said}`);
    timer = setTimeout(() => {
      sign.replaceChildren(...usual[0]);
      words.replaceChildren(...usual[1]);
      announce("");
    }, SAID);
  };
  return button("", () => {
    if (disabled) return;
    if (!stays) close();
    act({ close, say });
  });
}

function reachable(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>("[role^=menuitem]:not([aria-disabled]), .unusable")];
}

/** Focus the first entry that can be chosen, else the first that says why it cannot. */
function focusFirst(menu: HTMLElement): void {
  const items = reachable(menu);
  (items.find((one) => one.ariaDisabled === null) ?? items[0])?.focus();
}

function walk(event: KeyboardEvent): void {
  const menu = event.currentTarget as HTMLElement;
  const items = reachable(menu);
  const at = items.indexOf(document.activeElement as HTMLElement);
  const next = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (next !== undefined) items[next]?.focus();
  else if (event.key === "Tab") menu.hidePopover();
  // A link heeds only Enter by itself.
  const follows = event.key === " " && items[at] instanceof HTMLAnchorElement;
  if (follows) items[at]?.click();
  if (next !== undefined || follows) event.preventDefault();
  // What walks a menu does not move the view beneath it.
  event.stopPropagation();
}
