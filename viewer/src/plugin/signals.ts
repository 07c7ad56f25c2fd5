// What a track's tiles hold for the part of the genome in view: each signal's values, where they lie on the screen, and
// why there are none.
import { agreement, type Pair } from "./agreement";
import type { DataConfig, Part, Scale, Tile, TileData, TilesetInfo } from "./hgc";
import { runs, type Band, type Piece } from "./marks";
import type { Agreement, Span } from "./types";

export type Drawn = Part | "difference";

interface Cover {
  tile: Tile;
  left: number;
  step: number;
  bins: number;
  from: number;
  to: number;
}

const PARTS: Part[] = ["observed", "predicted", "lower", "upper"];
const TILE_BINS = 1024;

const differences = new WeakMap<TileData, Float32Array>();

export class Signals {
  private readonly found = new Map<Drawn, Piece[]>();
  private foundBands: Band[] | undefined;
  private readonly parts: Set<Part>;

  /**
   * `shown` are the tiles of this zoom level, `old` those of others that are still there, the likeliest first. Where the
   * data section names no signals, the track's one tileset is a prediction.
   */
  constructor(
    private readonly shown: Tile[],
    private readonly old: Tile[],
    private readonly info: TilesetInfo,
    private readonly x: Scale,
    private readonly width: number,
    config: DataConfig | undefined,
  ) {
    const named = PARTS.filter((part) => config?.[part] !== undefined);
    this.parts = new Set(named.length ? named : ["predicted"]);
  }

  /** Whether the track has such a signal at all. */
  has(part: Part): boolean {
    return this.parts.has(part);
  }

  /** Whether every signal of every tile of this zoom level has been answered. */
  get whole(): boolean {
    return this.shown.every((tile) => PARTS.every((part) => this.answered(tile, part)));
  }

  /** The stretch of the genome axis in view. */
  get span(): Span {
    return { start: this.x.invert(0), end: this.x.invert(this.width) };
  }

  /** A signal's values in view. */
  pieces(part: Drawn): Piece[] {
    let pieces = this.found.get(part);
    if (!pieces) {
      const parts: Part[] = part === "difference" ? ["observed", "predicted"] : [part];
      pieces = this.cover(parts).flatMap(({ tile, left, step, from, to }) => {
        const values = valuesOf(tile.tileData, part);
        return values ? [{ values, left, step, from, to }] : [];
      });
      this.found.set(part, pieces);
    }
    return pieces;
  }

  hasValues(part: Drawn): boolean {
    return this.pieces(part).some((piece) => !runs(piece).next().done);
  }

  /** The value at a pixel, NaN where there is none, and the bin that it holds for. */
  at(part: Drawn, x: number): { value: number; bin: Span | null } {
    const piece = this.pieces(part).find(({ from, to }) => from <= x && x < to);
    if (!piece) return { value: NaN, bin: null };
    const bin = Math.floor((x - piece.left) / piece.step);
    const edge = (index: number) => Math.round(this.x.invert(piece.left + piece.step * index));
    return { value: piece.values[bin] ?? NaN, bin: { start: edge(bin), end: edge(bin + 1) } };
  }

  /** The stretches of the screen without a prediction, and why. */
  bands(): Band[] {
    if (this.foundBands) return this.foundBands;
    const found: Band[] = [];
    for (const { tile, left, step, bins, from: start, to: stop } of this.cover(["predicted"])) {
      const { missing, faults } = tile.tileData;
      const lost = faults?.predicted === undefined ? missing : [[0, bins, "failed"] as const];
      for (const [first, end, reason] of lost ?? []) {
        const from = Math.max(left + step * first, start, 0);
        const to = Math.min(left + step * end, stop, this.width);
        const last = found.at(-1);
        if (from >= to) continue;
        // Bands of one reason that a few pixels part read as one.
        if (last?.reason === reason && from - last.to < 2) last.to = to;
        else found.push({ from, to, reason });
      }
    }
    return (this.foundBands = found);
  }

  /** For each reason why there is no prediction, the share of the screen it holds for. */
  reasons(): Map<string, number> {
    const shares = new Map<string, number>();
    for (const { from, to, reason } of this.bands()) {
      shares.set(reason, (shares.get(reason) ?? 0) + (to - from) / this.width);
    }
    return shares;
  }

  /** Words for some of the reasons, and why `observed` cannot be had if so. */
  notices(): Record<string, string> {
    const notices: Record<string, string> = {};
    for (const { tileData } of this.shown) {
      Object.assign(notices, tileData.notices);
      const { observed, ...others } = tileData.faults ?? {};
      if (observed !== undefined) notices.observed = observed;
      for (const words of Object.values(others)) notices.failed = words;
    }
    return notices;
  }

  /** How well observed and predicted agree over the bins of this zoom level whose middle is in view. */
  agreement(): Agreement | null {
    if (!this.has("observed") || !this.has("predicted")) return null;
    const pairs: Pair[] = [];
    let binWidth = 0;
    for (const tile of this.shown) {
      const { observed, predicted } = tile.tileData.parts ?? {};
      if (!observed || !predicted) continue;
      const { left, step } = this.place(tile, predicted.length);
      const bin = (x: number) => Math.min(Math.max(Math.ceil((x - left) / step - 0.5), 0), predicted.length);
      pairs.push({ observed, predicted, first: bin(0), end: bin(this.width) });
      binWidth = this.info.max_width / 2 ** tile.tileData.zoomLevel / predicted.length;
    }
    return pairs.length ? agreement(pairs, binWidth) : null;
  }

  private answered({ tileData }: Tile, part: Part): boolean {
    return !this.has(part) || (tileData.answered?.has(part) ?? true);
  }

  private place({ tileData: { zoomLevel, tilePos } }: Tile, bins: number): { left: number; step: number } {
    const width = this.info.max_width / 2 ** zoomLevel;
    const start = (this.info.min_pos[0] ?? 0) + (tilePos[0] ?? 0) * width;
    const left = this.x(start);
    return { left, step: (this.x(start + width) - left) / bins };
  }

  /**
   * The stretches of the screen that each tile fills with its answer for some signals: the tiles of this zoom level, and
   * between them, where they have not come yet, the old ones.
   */
  private cover(parts: Part[]): Cover[] {
    const free: [number, number][] = [[-2, this.width + 2]];
    const bins = this.info.tile_size || TILE_BINS;
    return [...this.shown, ...this.old]
      .filter((tile) => parts.every((part) => this.answered(tile, part)))
      .flatMap((tile) => {
        const { left, step } = this.place(tile, bins);
        return take(free, left, left + step * bins).map(([from, to]) => ({ tile, left, step, bins, from, to }));
      })
      .sort((a, b) => a.from - b.from);
  }
}

function valuesOf(data: TileData, part: Drawn): Float32Array | undefined {
  if (part !== "difference") return data.parts ? data.parts[part] : part === "predicted" ? data.dense : undefined;
  const { observed, predicted } = data.parts ?? {};
  let difference = differences.get(data);
  if (!difference && observed && predicted) {
    difference = predicted.map((value, bin) => value - (observed[bin] ?? NaN));
    differences.set(data, difference);
  }
  return difference;
}

/** Take [from, to) out of free stretches, which change; return what of it was free. */
function take(free: [number, number][], from: number, to: number): [number, number][] {
  const taken: [number, number][] = [];
  for (const [start, end] of free.splice(0)) {
    const [first, last] = [Math.max(start, from), Math.min(end, to)];
    if (first >= last) free.push([start, end]);
    else {
      taken.push([first, last]);
      if (start < first) free.push([start, first]);
      if (last < end) free.push([last, end]);
    }
  }
  return taken;
}
