// All that the page shows, as one immutable value: where, which tracks, how, and in which theme. A link holds the
// region in words and, as compact JSON, only what is not as the page opens.
import type { Page, Span } from "./api";
import type { Axis } from "./axis";

export const SHOWS = ["both", "observed", "predicted", "difference"] as const;
export const MARKS = ["line", "bar", "heatmap"] as const;
const SCALES = ["own", "fixed", "auto", "shared"] as const;
export const THEMES = ["system", "light", "dark"] as const;

export type Show = (typeof SHOWS)[number];
export type Mark = (typeof MARKS)[number];
export type ScaleKind = (typeof SCALES)[number];
export type Theme = (typeof THEMES)[number];

/** Bases that a view is zoomed in to. */
export const NARROWEST = 500;
export const LOWEST = 24;
export const HIGHEST = 400;

/** One row of the figure: a track, the genes or an annotation. */
export interface Row {
  readonly uid: string;
  readonly hidden: boolean;
  /** Pixels; null is as high as the window has room for. */
  readonly height: number | null;
  /** `#rrggbb`; null is the track's own. */
  readonly color: string | null;
  readonly mark: Mark;
  readonly show: Show;
  /** The head that predicts; null is the first that has this track. */
  readonly head: string | null;
  /** `own` is the range that the project gives the track, `fixed` the one in `low` and `high`. */
  readonly scale: ScaleKind;
  readonly low: number | null;
  readonly high: number | null;
  readonly log: boolean;
}

export interface ViewState {
  readonly span: Span;
  readonly theme: Theme;
  readonly rows: readonly Row[];
}

const PLAIN = {
  hidden: false,
  height: null,
  color: null,
  mark: "line",
  show: "both",
  head: null,
  scale: "own",
  low: null,
  high: null,
  log: false,
} as const satisfies Omit<Row, "uid">;

/** How the page opens: every track of the view configuration but the chromosomes, which stay on top. */
export function defaultState(page: Page, theme: Theme = "system"): ViewState {
  const [view] = page.viewconf.views;
  const [start, end] = view.initialXDomain;
  const rows = view.tracks.top.filter(({ uid }) => uid !== "chromosomes").map(({ uid }) => ({ uid, ...PLAIN }));
  return { span: { start, end }, theme, rows };
}

export function withSpan(state: ViewState, span: Span): ViewState {
  return { ...state, span };
}

export function withRow(state: ViewState, uid: string, change: Partial<Row>): ViewState {
  return { ...state, rows: state.rows.map((row) => (row.uid === uid ? { ...row, ...change, uid } : row)) };
}

/** Change all rows of some uids alike. */
export function withRows(state: ViewState, uids: ReadonlySet<string>, change: Partial<Omit<Row, "uid">>): ViewState {
  return { ...state, rows: state.rows.map((row) => (uids.has(row.uid) ? { ...row, ...change } : row)) };
}

/** Move a row so that it comes to stand at an index of the list. */
export function moved(state: ViewState, uid: string, index: number): ViewState {
  const row = state.rows.find((one) => one.uid === uid);
  if (!row) return state;
  const rest = state.rows.filter((one) => one !== row);
  const at = Math.min(Math.max(index, 0), rest.length);
  return { ...state, rows: [...rest.slice(0, at), row, ...rest.slice(at)] };
}

/** All tracks as the page opens; place and theme stay. */
export function reset(state: ViewState, page: Page): ViewState {
  return { ...state, rows: defaultState(page).rows };
}

// ---- links

const COLOR = /^#[0-9a-f]{6}$/i;
const LONGEST = 20_000;

type Packed = Record<string, unknown>;

/** Return what a link to a state holds after its `#`. */
export function encode(state: ViewState, page: Page, axis: Axis): string {
  const region = axis.write(state.span).replaceAll(",", "");
  const settings = encodeSettings(state, page);
  return settings ? `${region}&s=${settings}` : region;
}

/** Write a state without its place; empty where all is as the page opens. */
export function encodeSettings(state: ViewState, page: Page): string {
  const base = defaultState(page);
  const packed: Packed = {};
  if (state.theme !== "system") packed.t = state.theme;
  const order = state.rows.map(({ uid }) => uid);
  if (order.join("\n") !== base.rows.map(({ uid }) => uid).join("\n")) packed.o = order;
  const rows: Packed = {};
  for (const { uid, ...row } of state.rows) {
    const entries = Object.entries(row).filter(([key, value]) => value !== PLAIN[key as keyof typeof PLAIN]);
    if (entries.length) rows[uid] = Object.fromEntries(entries);
  }
  if (Object.keys(rows).length) packed.r = rows;
  return Object.keys(packed).length ? toBase64(JSON.stringify(packed)) : "";
}

/** What a link says: a null span where it names no place; `broken` where a part could not be read. */
export interface Link {
  readonly span: Span | null;
  /** Settings, or null where the link has none. */
  readonly settings: ViewState | null;
  readonly broken: boolean;
}

/** Read what `encode` wrote, or what a person made of it: whatever is wrong is left out, never thrown. */
export function decode(hash: string, page: Page, axis: Axis): Link {
  const [place = "", ...parts] = hash.replace(/^#/, "").split("&");
  const settingsText = parts.find((part) => part.startsWith("s="))?.slice(2) ?? "";
  const span = axis.read(unescaped(place));
  const settings = settingsText ? decodeSettings(settingsText, page) : null;
  return {
    span,
    settings: settings?.state ?? null,
    broken: (place !== "" && span === null) || (settings?.broken ?? false),
  };
}

/** Read what `encodeSettings` wrote. What is not understood is as the page opens, and then `broken` is true. */
export function decodeSettings(text: string, page: Page): { state: ViewState; broken: boolean } {
  const base = defaultState(page);
  const packed = fromBase64(text);
  if (!packed) return { state: base, broken: true };
  let broken = false;
  const theme = oneOf(THEMES, packed.t);
  if (packed.t !== undefined && !theme) broken = true;
  const given = isRecord(packed.r) ? packed.r : {};
  const known = new Map(base.rows.map((row) => [row.uid, row]));
  const rows = new Map<string, Row>();
  const wanted = Array.isArray(packed.o) ? packed.o.filter((uid): uid is string => typeof uid === "string") : [];
  // A track that the link does not know of, as of a model trained since, comes after the others.
  for (const uid of new Set([...wanted, ...known.keys()])) {
    const row = known.get(uid);
    if (!row) broken = true;
    else rows.set(uid, isRecord(given[uid]) ? readRow(row, given[uid], page) : row);
  }
  if (Object.keys(given).some((uid) => !known.has(uid))) broken = true;
  return { state: { ...base, theme: theme ?? "system", rows: [...rows.values()] }, broken };
}

function readRow(row: Row, given: Packed, page: Page): Row {
  const heads = page.panels.find(({ uid }) => uid === row.uid)?.predicted.map(({ head }) => head) ?? [];
  const height = finite(given.height);
  const [low, high] = [finite(given.low), finite(given.high)];
  const ordered = low === null || high === null || low < high;
  return {
    uid: row.uid,
    hidden: given.hidden === true,
    height: height === null ? null : Math.round(Math.min(Math.max(height, LOWEST), HIGHEST)),
    color: typeof given.color === "string" && COLOR.test(given.color) ? given.color : null,
    mark: oneOf(MARKS, given.mark) ?? row.mark,
    show: oneOf(SHOWS, given.show) ?? row.show,
    head: oneOf(heads, given.head) ?? null,
    scale: oneOf(SCALES, given.scale) ?? row.scale,
    low: ordered ? low : null,
    high: ordered ? high : null,
    log: given.log === true,
  };
}

function oneOf<T>(all: readonly T[], value: unknown): T | undefined {
  return all.find((one) => one === value);
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function isRecord(value: unknown): value is Packed {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64(text: string): Packed | null {
  if (text.length > LONGEST) return null;
  try {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// ---- the one place where it is kept

type Listener = (now: ViewState, before: ViewState) => void;

/** Holds the state, and tells whoever shows a part of it when it changes. */
export class Store {
  private readonly listeners: Listener[] = [];

  constructor(private now: ViewState) {}

  get state(): ViewState {
    return this.now;
  }

  onChange(listener: Listener): void {
    this.listeners.push(listener);
  }

  set(next: ViewState): void {
    const before = this.now;
    if (next === before) return;
    this.now = next;
    for (const listener of this.listeners) listener(next, before);
  }

  update(change: (now: ViewState) => ViewState): void {
    this.set(change(this.now));
  }
}
