// Menus: a button opens one, arrows walk it, Escape or a click elsewhere closes it and gives the focus back.
import { button, make } from "./dom";
import { icon, type IconName } from "./icons";

export interface Choice {
  label: string;
  icon?: IconName;
  note?: string;
  /** Words that take a moment, such as how long something would take. */
  detail?: () => Promise<string>;
  /** Given: one of several that exclude each other. */
  checked?: boolean;
  disabled?: boolean;
  act: () => void;
}

/** A heading is a string. */
export type Entry = Choice | string;

/** Make a button open a menu, whose entries are asked for each time. */
export function attachMenu(opener: HTMLElement, label: string, entries: () => Entry[]): void {
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => {
    if (opener.getAttribute("aria-expanded") === "true") return;
    openMenu(opener, label, entries());
  });
}

function openMenu(opener: HTMLElement, label: string, entries: Entry[]): void {
  const menu = make("div", "menu");
  menu.popover = "auto";
  menu.role = "menu";
  menu.setAttribute("aria-label", label);
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
  const items = [...menu.querySelectorAll<HTMLElement>("[role^=menuitem]:not([aria-disabled])")];
  menu.addEventListener("keydown", (event) => {
    walk(event, items);
  });
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    opener.setAttribute("aria-expanded", String(open));
    if (open) items[0]?.focus();
    else menu.remove();
  });
  document.body.append(menu);
  menu.showPopover();
  place(menu, opener);
}

/** Put a popover under its opener, or above where there is no room, and wholly on screen. */
export function place(popover: HTMLElement, opener: HTMLElement): void {
  const at = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = popover;
  const below = at.bottom + 4;
  const top = below + height <= innerHeight - 8 ? below : Math.max(at.top - height - 4, 8);
  const wanted = at.left + width <= innerWidth - 8 ? at.left : at.right - width;
  const left = Math.max(Math.min(wanted, innerWidth - width - 8), 8);
  popover.style.top = `${top}px`;
  popover.style.left = `${left}px`;
}

function item({ label, icon: picture, note, detail, checked, disabled, act }: Choice, close: () => void): HTMLElement {
  const parts = [
    make("span", "sign", ...(checked ? [icon("check")] : picture ? [icon(picture)] : [])),
    make("span", "label", label, ...(note ? [" ", make("small", "", note)] : [])),
  ];
  const element = button("", () => {
    if (disabled) return;
    close();
    act();
  }, ...parts);
  if (detail) {
    const words = make("small", "", "…");
    parts[1]?.append(" ", words);
    detail().then((said) => { words.textContent = said; }, () => { words.remove(); });
  }
  element.role = checked === undefined ? "menuitem" : "menuitemradio";
  element.tabIndex = -1;
  if (checked !== undefined) element.setAttribute("aria-checked", String(checked));
  if (disabled) element.setAttribute("aria-disabled", "true");
  return element;
}

function walk(event: KeyboardEvent, items: HTMLElement[]): void {
  const at = items.indexOf(document.activeElement as HTMLElement);
  const next = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (next !== undefined) items[next]?.focus();
  else if (event.key === "Tab") (event.currentTarget as HTMLElement).hidePopover();
  if (next !== undefined) event.preventDefault();
  // What walks a menu does not move the view beneath it.
  event.stopPropagation();
}
