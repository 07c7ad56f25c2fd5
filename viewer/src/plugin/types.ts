// What the plugin tells a page, and what a page may tell the plugin. The JSON of the server's own routes keeps its names.

/** A stretch of the genome axis: all chromosomes end to end, 0-based, half-open. */
export interface Span {
  start: number;
  end: number;
}

/** What the server's predictions are at (`GET /api/status`, and the event `status`). */
export interface Status {
  state: string;
  queued: number;
  computing: string | null;
  failed: number;
  seconds_per_window: number | null;
  device: string;
  precision: string;
  message: string;
  [more: string]: unknown;
}

/** A region being predicted in the background (`/api/jobs`, and the event `job`). `start` and `end` are absolute. */
export interface Job extends Span {
  id: string;
  name: string;
  heads: string[];
  state: "queued" | "running" | "done" | "cancelled" | "failed";
  done: number;
  total: number;
  seconds_left: number | null;
  message: string;
  region: string;
  regions: number;
  bases: number;
  submitted: number;
}

/** What predicting a span would take (`GET /api/predict`). */
export interface Estimate {
  windows: number;
  unknown: number;
  seconds: number | null;
}

/** How well predicted and observed agree over the bins in view. `r` is null where it is not defined. */
export interface Agreement {
  r: number | null;
  bins: number;
  /** Bases a bin. */
  binWidth: number;
}

/** A line of the track's axis: its value, its words, and its distance from the track's top in pixels. */
export interface Tick {
  value: number;
  label: string;
  y: number;
}

/** What is to be seen of a track, told after it was drawn. */
export interface Seen {
  uid: string;
  /** Whether every tile in view has been answered. */
  loaded: boolean;
  /** Whether any observed, any predicted value is in view, shown or not. */
  observed: boolean;
  predicted: boolean;
  /** For each reason why there is no prediction, the share of the view it holds for. */
  reasons: Map<string, number>;
  /** The server's words for some reasons, and for `observed` or `predicted` tiles that could not be had. */
  notices: Record<string, string>;
  agreement: Agreement | null;
  /** The ends of the axis in use, and its lines. */
  range: [low: number, high: number];
  ticks: Tick[];
}

/** An entry of a track's menu. `detail` may add words that take a moment, such as how long something would take. */
export interface MenuItem {
  label: string;
  run(): void | Promise<void>;
  detail?(): Promise<string>;
}

export interface Hooks {
  /** Told after a track has drawn itself, at most once a frame. */
  seen?(what: Seen): void;
  /** Further entries for the menu of a track opened at a position of the genome axis. */
  menu?(track: string, position: number): MenuItem[];
  /** Told when something that was asked for in a menu went wrong. */
  failed?(words: string): void;
}
