// The drawer of all tracks: show, hide, reorder, colour, height, form, scale and head, for each and for all.
import type { Page } from "./api";
import { button, byId, iconButton, make } from "./dom";
import { colorOf, panelOf } from "./figure";
import { icon } from "./icons";
import { rowName } from "./rows";
import {
  HIGHEST,
  LOWEST,
  moved,
  reset,
  withRow,
  withRows,
  type Mark,
  type Row,
  type ScaleKind,
  type Show,
  type Store,
} from "./state";

export const SHOW_WORDS: Record<Show, string> = {
  both: "Observed and predicted",
  observed: "Observed",
  predicted: "Predicted",
  difference: "Difference",
};
export const MARK_WORDS: Record<Mark, string> = { line: "Line", bar: "Bars", heatmap: "Heatmap" };
const SHORT_SHOW_WORDS = { ...SHOW_WORDS, both: "Both" };
const SCALE_WORDS: Record<ScaleKind, string> = {
  own: "Own range",
  fixed: "From … to …",
  auto: "What is in view",
  shared: "Shared by unit",
};

type Change = (change: Partial<Omit<Row, "uid">>) => void;

export class TrackList {
  private readonly drawer = byId("tracks-drawer");
  private readonly opener = byId("tracks");
  private readonly list = make("ol", "track-list");
  private readonly all = make("div", "settings all");
  private opened = new Set<string>();
  private drawn = "";

  constructor(
    private readonly page: Page,
    private readonly store: Store,
    private readonly resized: () => void,
  ) {
    const close = iconButton("Close", icon("close"), () => { this.toggle(false); });
    const defaults = () => { store.update((state) => reset(state, page)); };
    const restore = button("", defaults, icon("retry"), "Reset to defaults");
    this.drawer.append(
      make("header", "", make("h2", "", "Tracks"), restore, close),
      this.all,
      this.list,
    );
    this.opener.addEventListener("click", () => { this.toggle(this.drawer.hidden !== false); });
    this.drawer.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.toggle(false);
    });
    store.onChange(({ rows }, before) => { if (rows !== before.rows) this.draw(); });
  }

  /** Open the drawer, with a row's settings shown. */
  open(uid?: string): void {
    if (uid !== undefined) this.opened.add(uid);
    this.toggle(true, uid);
  }

  private toggle(open: boolean, uid?: string): void {
    this.drawer.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("drawer-open", open);
    this.drawn = "";
    this.draw();
    this.resized();
    if (!open) this.opener.focus();
    else if (uid === undefined) this.drawer.querySelector<HTMLElement>("select, input")?.focus();
    else this.item(uid)?.querySelector<HTMLElement>("button.name")?.focus();
  }

  private draw(): void {
    if (this.drawer.hidden) return;
    const { rows } = this.store.state;
    const now = JSON.stringify([rows, [...this.opened]]);
    if (now === this.drawn) return;
    this.drawn = now;
    // What has the focus keeps it, though all is made anew.
    const active = document.activeElement;
    const where = active?.closest<HTMLElement>("[data-item]")?.dataset.item;
    const field = active instanceof HTMLElement && this.drawer.contains(active) ? active.dataset.field : undefined;
    this.drawAll(rows);
    this.list.replaceChildren(...rows.map((row, index) => this.rowItem(row, index, rows.length)));
    if (!field) return;
    const scope = where === undefined ? this.all : this.item(where);
    scope?.querySelector<HTMLElement>(`[data-field="${field}"]`)?.focus();
  }

  private item(uid: string): HTMLElement | null {
    return this.list.querySelector(`[data-item="${CSS.escape(uid)}"]`);
  }

  private drawAll(rows: readonly Row[]): void {
    const panels = new Set(this.page.panels.map(({ uid }) => uid));
    const signals = rows.filter(({ uid }) => panels.has(uid));
    const change: Change = (values) => { this.store.update((state) => withRows(state, panels, values)); };
    const common = <Key extends keyof Row>(key: Key): Row[Key] | undefined => {
      const values = new Set(signals.map((row) => row[key]));
      return values.size === 1 ? signals[0]?.[key] : undefined;
    };
    const heads = this.page.model.heads.map(({ name }) => name);
    this.all.replaceChildren(
      make("h3", "", "All signal tracks"),
      select("Show", "show", SHORT_SHOW_WORDS, common("show"), (show) => { change({ show }); }),
      select("Draw as", "mark", MARK_WORDS, common("mark"), (mark) => { change({ mark }); }),
      select("Y axis", "scale", withoutFixed(), common("scale"), (scale) => { change({ scale }); }),
      checkbox("Logarithmic", "log", common("log") ?? false, (log) => { change({ log }); }),
      ...(heads.length > 1 ? [headSelect(heads, common("head"), (head) => { change({ head }); })] : []),
    );
  }

  private rowItem(row: Row, index: number, count: number): HTMLElement {
    const { uid } = row;
    const name = rowName(this.page, uid);
    const change: Change = (values) => { this.store.update((state) => withRow(state, uid, values)); };
    const grip = make("span", "grip", icon("grip"));
    grip.title = "Drag to another place";
    const eye = iconButton(row.hidden ? `Show ${name}` : `Hide ${name}`, icon(row.hidden ? "hidden" : "eye"), () => {
      change({ hidden: !row.hidden });
    });
    eye.dataset.field = "eye";
    eye.setAttribute("aria-pressed", String(!row.hidden));
    eye.setAttribute("aria-label", `Show ${name}`);
    const move = (words: string, picture: "up" | "down", by: number) => {
      const mover = iconButton(`Move ${name} ${words}`, icon(picture), () => {
        this.store.update((state) => moved(state, uid, index + by));
      });
      mover.dataset.field = picture;
      mover.disabled = index + by < 0 || index + by >= count;
      return mover;
    };
    const open = this.opened.has(uid);
    const title = button("plain name", () => {
      if (open) this.opened.delete(uid);
      else this.opened.add(uid);
      this.draw();
    }, this.swatch(row), make("span", "", name));
    title.dataset.field = "name";
    title.setAttribute("aria-expanded", String(open));
    const line = make("div", "line", grip, title, move("up", "up", -1), move("down", "down", 1), eye);
    const item = make("li", row.hidden ? "off" : "", line, ...(open ? [this.settings(row, change)] : []));
    item.dataset.item = uid;
    grip.addEventListener("pointerdown", (event) => { this.drag(event, uid, item); });
    return item;
  }

  private swatch(row: Row): HTMLElement {
    const dot = make("span", "swatch");
    dot.style.background = colorOf(this.page, row);
    return dot;
  }

  private settings(row: Row, change: Change): HTMLElement {
    const panel = panelOf(this.page, row.uid);
    const color = field("Colour", input("color", "color", colorOf(this.page, row), (value) => {
      change({ color: value === panel?.color ? null : value });
    }));
    const height = number("Height", "height", row.height, (value) => {
      change({ height: value === null ? null : Math.min(Math.max(Math.round(value), LOWEST), HIGHEST) });
    });
    const heightBox = height.querySelector("input");
    const limits = { min: String(LOWEST), max: String(HIGHEST), step: "4", placeholder: "fits" };
    if (heightBox) Object.assign(heightBox, limits);
    if (!panel) return make("div", "settings", color, height);
    const [low, high] = panel.scale;
    const heads = panel.predicted.map(({ head }) => head);
    const both = panel.observed !== null && heads.length > 0;
    return make(
      "div",
      "settings",
      ...(both ? [select("Show", "show", SHORT_SHOW_WORDS, row.show, (show) => { change({ show }); })] : []),
      select("Draw as", "mark", MARK_WORDS, row.mark, (mark) => { change({ mark }); }),
      ...(heads.length > 1 ? [headSelect(heads, row.head, (head) => { change({ head }); })] : []),
      select("Y axis", "scale", SCALE_WORDS, row.scale, (scale) => {
        change(scale === "fixed" ? { scale, low: row.low ?? low, high: row.high ?? high } : { scale });
      }),
      ...(row.scale === "fixed"
        ? [
            number("from", "low", row.low ?? low, (value) => {
              if (value !== null && value < (row.high ?? high)) change({ low: value });
            }),
            number("to", "high", row.high ?? high, (value) => {
              if (value !== null && value > (row.low ?? low)) change({ high: value });
            }),
          ]
        : []),
      checkbox("Logarithmic", "log", row.log, (log) => { change({ log }); }),
      color,
      height,
    );
  }

  private drag(event: PointerEvent, uid: string, item: HTMLElement): void {
    event.preventDefault();
    item.classList.add("dragged");
    const follow = ({ clientY }: PointerEvent) => {
      const others = [...this.list.children].filter((one) => one !== item);
      const before = others.find((one) => {
        const { top, height } = one.getBoundingClientRect();
        return clientY < top + height / 2;
      });
      this.list.insertBefore(item, before ?? null);
    };
    const drop = () => {
      document.removeEventListener("pointermove", follow);
      document.removeEventListener("pointerup", drop);
      document.removeEventListener("pointercancel", drop);
      item.classList.remove("dragged");
      const index = [...this.list.children].indexOf(item);
      this.drawn = "";
      this.store.update((state) => moved(state, uid, index));
    };
    // On the document: an element that is moved about loses the pointer that it had captured.
    document.addEventListener("pointermove", follow);
    document.addEventListener("pointerup", drop);
    document.addEventListener("pointercancel", drop);
  }
}

function withoutFixed(): Partial<Record<ScaleKind, string>> {
  const { own, auto, shared } = SCALE_WORDS;
  return { own, auto, shared };
}

function field(words: string, control: HTMLElement): HTMLLabelElement {
  return make("label", "", make("span", "", words), control);
}

function select<Key extends string>(
  words: string,
  name: string,
  choices: Partial<Record<Key, string>>,
  value: Key | undefined,
  changed: (value: Key) => void,
): HTMLElement {
  const box = make("select", "");
  box.dataset.field = name;
  const options = Object.entries(choices) as [Key, string][];
  if (value === undefined || !options.some(([key]) => key === value)) box.append(new Option("various", "", true, true));
  for (const [key, label] of options) box.append(new Option(label, key, false, key === value));
  box.addEventListener("change", () => { if (box.value) changed(box.value as Key); });
  return field(words, box);
}

/** The first head is the one that a track has by itself, which is no choice of a person. */
function headSelect(heads: string[], value: string | null | undefined, changed: (head: string | null) => void) {
  const choices = Object.fromEntries(heads.map((head) => [head, head]));
  const now = value === null ? heads[0] : value;
  return select("Head", "head", choices, now, (head) => { changed(head === heads[0] ? null : head); });
}

function input(type: string, name: string, value: string, changed: (value: string) => void): HTMLInputElement {
  const box = make("input", "");
  box.type = type;
  box.value = value;
  box.dataset.field = name;
  box.addEventListener("change", () => { changed(box.value); });
  return box;
}

function number(words: string, name: string, value: number | null, changed: (value: number | null) => void) {
  const now = value === null ? "" : String(value);
  const box = input("number", name, now, (text) => {
    changed(text.trim() === "" || !Number.isFinite(Number(text)) ? null : Number(text));
    // What is taken comes back in a field made anew; what is refused gives way to the value that stays in use.
    if (box.isConnected) box.value = now;
  });
  box.step = "any";
  return field(words, box);
}

function checkbox(words: string, name: string, value: boolean, changed: (value: boolean) => void): HTMLElement {
  const box = make("input", "");
  box.type = "checkbox";
  box.checked = value;
  box.dataset.field = name;
  box.addEventListener("change", () => { changed(box.checked); });
  return make("label", "check", box, words);
}
