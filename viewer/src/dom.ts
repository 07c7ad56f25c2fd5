// Small helpers for the page's elements.

/** Return the element of that id; the page is ours, so a missing one is a mistake in its HTML. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element;
}

/** Make an element with a class and children. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  tag: Name,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Make a button that does something. */
export function button(className: string, act: (event: MouseEvent) => void, ...children: (Node | string)[]) {
  const element = make("button", className, ...children);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

/** Make a button of one icon, whose words are its name and its title. */
export function iconButton(words: string, picture: Node, act: (event: MouseEvent) => void): HTMLButtonElement {
  const element = button("plain", act, picture);
  element.title = words;
  element.setAttribute("aria-label", words);
  return element;
}

/** Make an SVG element. */
export function svg(tag: string, attributes: Record<string, string | number>, ...children: Node[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Set an element's text, and hide the element when there is none. */
export function say(element: HTMLElement, words: string): void {
  if (element.textContent !== words) element.textContent = words;
  element.hidden = !words;
}

/** Tell those who hear the page and do not see it, once. */
export function announce(words: string): void {
  const live = byId("live");
  if (live.textContent !== words) live.textContent = words;
}

/** Let the browser save a file. */
export function save(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = make("a", "");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => { URL.revokeObjectURL(address); }, 10_000);
}

/** Read JSON that an earlier visit kept; null when there is none or it is not readable. */
export function kept(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** Keep JSON for the next visit; false where the browser does not let us. */
export function keep(key: string, value: unknown): boolean {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    // A private window may have no storage; the page works without.
    return false;
  }
}
