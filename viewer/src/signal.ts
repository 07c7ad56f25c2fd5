// The HiGlass plugin track `tracks-signal`: one signal in its panel, observed as an area or predicted as a line, both on
// exactly the same axis, with bands that say in words where a prediction is computing or the genome has no sequence.
//
// HiGlass' own line and bar tracks cannot be laid over each other: a line leaves 6 px free above and below, a bar none,
// a line's points lie on the left edge of their bins, and single bins between gaps are not drawn.
import { Container, Graphics, Text } from "pixi.js";

import type { HGC, LineTrack, LineTrackClass, Scale, Tile } from "./hgc";

export interface SignalOptions {
  mark: "area" | "line";
  color: string;
  label: string;
  unit: string;
  grid: boolean;
  showTooltip: boolean;
  valueScaleMin: number;
  valueScaleMax: number;
}

/**
 * What the part of a track that is in view holds: whether all of it has come, any value, and the share of the view
 * that each reason blanks.
 */
export interface Seen {
  uid: string;
  loaded: boolean;
  values: boolean;
  reasons: Map<string, number>;
}

/** A band on screen, in pixels. */
interface Band {
  from: number;
  to: number;
  reason: string;
}

const MARGIN = 9;
const STEP_PIXELS = 3;
const HATCH = 9;
const WORDS: Record<string, string> = {
  computing: "computing",
  failed: "prediction failed: see the terminal",
  "no sequence": "no sequence here",
  "too little sequence around": "no prediction: too little sequence around",
  "zoom in to compute": "zoom in to compute",
};

export function signalTrack(seen: (what: Seen) => void) {
  function Signal(hgc: HGC, context: { id: string; scene: Container }, options: SignalOptions) {
    const Base = hgc.tracks.HorizontalLine1DPixiTrack as LineTrackClass<SignalOptions>;

    class SignalTrack extends Base {
      // What lies beneath: grid, bands and their words, under the observed signal too, which is another track's.
      private readonly beneath: Container;
      private readonly ground: Graphics;
      private readonly words: Text[];

      constructor() {
        super(context, options);
        this.beneath = new Container();
        this.ground = new Graphics();
        this.words = [];
        this.beneath.addChild(this.ground);
        context.scene.addChildAt(this.beneath, 0);
      }

      override setPosition(position: [number, number]): void {
        super.setPosition(position);
        this.beneath.position.set(...position);
      }

      override remove(): void {
        context.scene.removeChild(this.beneath);
        super.remove();
      }

      override draw(): void {
        super.draw();
        if (!this.tilesetInfo) return;
        const scale = this.ends();
        this.ground.clear();
        if (this.options.grid) this.drawGrid(this.ground, scale);
        const bands = this.bands();
        drawBands(this.ground, bands, this.dimensions[1]);
        this.writeWords(bands);
        seen({
          uid: context.id,
          loaded: this.areAllVisibleTilesLoaded(),
          values: this.showsValues(),
          reasons: shares(bands, this.dimensions[0]),
        });
      }

      override updateTile(): void {
        // draw() draws every tile anew.
      }

      override drawTile(tile: Tile): void {
        const { dense } = tile.tileData;
        if (!tile.graphics) return;
        tile.graphics.clear();
        tile.segments = [];
        if (!dense || !this.tilesetInfo) return;
        // Tiles of the zoom level before stay until the new ones are there, and not beside them.
        if (!this.visibleTileIds.has(tile.tileId) && this.areAllVisibleTilesLoaded()) return;
        this.valueScale = this.ends();
        const edges = this.edges(tile);
        const width = edges(1) - edges(0);
        for (const [first, end] of runs(dense, edges, this.dimensions[0])) {
          const path = width < STEP_PIXELS && this.options.mark === "line" ? slanted : stepped;
          const points = path(dense, first, end, edges, this.valueScale);
          tile.segments.push(points);
          if (this.options.mark === "area") this.drawArea(tile.graphics, points);
          else drawLine(tile.graphics, points, hex(this.options.color), 1.75);
        }
      }

      override getMouseOverHtml(x: number): string {
        if (!this.options.showTooltip) return "";
        const value = this.getDataAtPos(x);
        const { color, label, unit } = this.options;
        const text = typeof value === "number" && Number.isFinite(value) ? `${value.toFixed(3)} ${unit}` : "no value";
        return `<svg width="10" height="10"><rect width="10" height="10" fill="${color}"/></svg> ${label}: ${text}`;
      }

      private ends(): Scale {
        return this.makeValueScale(this.minValue(), null, this.maxValue(), MARGIN)[0];
      }

      /** Return the function from a tile's bin to the pixel of its left edge. */
      private edges(tile: Tile): (bin: number) => number {
        const { tileX, tileWidth } = this.getTilePosAndDimensions(tile.tileData.zoomLevel, tile.tileData.tilePos);
        const bins = this.tilesetInfo?.tile_size ?? 1;
        const left = this._xScale(tileX);
        const step = (this._xScale(tileX + tileWidth) - left) / bins;
        return (bin) => left + step * bin;
      }

      private drawArea(graphics: Graphics, points: [number, number][]): void {
        const base = this.ends()(Math.max(this.options.valueScaleMin, 0));
        const first = points[0];
        const last = points.at(-1);
        if (!first || !last) return;
        graphics.lineStyle(0);
        graphics.beginFill(hex(this.options.color), 0.26);
        graphics.drawPolygon([first[0], base, ...points.flat(), last[0], base]);
        graphics.endFill();
        drawLine(graphics, points, hex(this.options.color), 1);
      }

      private drawGrid(ground: Graphics, scale: Scale): void {
        const { valueScaleMin: low, valueScaleMax: high } = this.options;
        for (const value of [low, (low + high) / 2, high]) {
          ground.lineStyle(1, value === low ? 0xc9ccd1 : 0xecedef, 1);
          const y = Math.round(scale(value)) + 0.5;
          ground.moveTo(0, y).lineTo(this.dimensions[0], y);
        }
      }

      private shown(): Tile[] {
        return Object.values(this.fetchedTiles).filter((tile) => this.visibleTileIds.has(tile.tileId));
      }

      private bands(): Band[] {
        const found: Band[] = [];
        for (const tile of this.shown().sort((a, b) => (a.tileData.tilePos[0] ?? 0) - (b.tileData.tilePos[0] ?? 0))) {
          const edges = this.edges(tile);
          for (const [first, end, reason] of tile.tileData.missing ?? []) {
            const from = Math.max(edges(first), 0);
            const to = Math.min(edges(end), this.dimensions[0]);
            const last = found.at(-1);
            if (from >= to) continue;
            // Bands of one reason that a few pixels part read as one.
            if (last?.reason === reason && from - last.to < 2) last.to = to;
            else found.push({ from, to, reason });
          }
        }
        return found;
      }

      private showsValues(): boolean {
        return this.shown().some((tile) => {
          const { dense } = tile.tileData;
          if (!dense) return false;
          const edges = this.edges(tile);
          return !runs(dense, edges, this.dimensions[0]).next().done;
        });
      }

      private writeWords(bands: Band[]): void {
        const { words } = this;
        const wide = bands.filter(({ from, to, reason }) => to - from > 7 * (WORDS[reason] ?? reason).length + 20);
        while (words.length < wide.length) {
          const text = new Text("", { fontFamily: "system-ui, sans-serif", fontSize: 12, fill: 0x6b7076 });
          text.anchor.set(0.5, 0.5);
          text.resolution = 2;
          words.push(text);
          this.beneath.addChild(text);
        }
        words.forEach((text, index) => {
          const band = wide[index];
          text.visible = band !== undefined;
          if (!band) return;
          text.text = WORDS[band.reason] ?? band.reason;
          text.position.set((band.from + band.to) / 2, this.dimensions[1] / 2);
        });
      }
    }

    return new SignalTrack() as LineTrack<SignalOptions>;
  }

  Signal.config = {
    type: "tracks-signal",
    datatype: ["vector"],
    orientation: "1d-horizontal",
    name: "Observed or predicted signal",
    availableOptions: Object.keys({ mark: 0, color: 0, label: 0, unit: 0, grid: 0, showTooltip: 0 }),
    defaultOptions: { mark: "line", color: "#1b6ca8", label: "", unit: "", grid: true, showTooltip: true },
  };
  return { name: "SignalTrack", track: Signal, config: Signal.config };
}

/** Yield [first, end) of the stretches of bins that have a value and touch the screen. */
function* runs(dense: Float32Array, edges: (bin: number) => number, width: number): Generator<[number, number]> {
  const step = edges(1) - edges(0);
  const from = Math.max(Math.floor(-edges(0) / step) - 1, 0);
  const to = Math.min(Math.ceil((width - edges(0)) / step) + 1, dense.length);
  let first = -1;
  for (let bin = from; bin < to; bin++) {
    const there = !Number.isNaN(dense[bin]);
    if (there && first < 0) first = bin;
    if (!there && first >= 0) {
      yield [first, bin];
      first = -1;
    }
  }
  if (first >= 0) yield [first, to];
}

type Path = (
  dense: Float32Array,
  first: number,
  end: number,
  edges: (bin: number) => number,
  scale: Scale,
) => [number, number][];

/** Level over each bin: what the data says. */
const stepped: Path = (dense, first, end, edges, scale) => {
  const points: [number, number][] = [];
  for (let bin = first; bin < end; bin++) {
    const y = scale(dense[bin] ?? 0);
    const last = points.at(-1);
    // Neighbours of one height are one step, which keeps polygons small where a signal is flat.
    if (last?.[1] === y) last[0] = edges(bin + 1);
    else points.push([edges(bin), y], [edges(bin + 1), y]);
  }
  return points;
};

/** From centre to centre, out to the edges of the stretch: where bins are about as narrow as a pixel. */
const slanted: Path = (dense, first, end, edges, scale) => {
  const points: [number, number][] = [[edges(first), scale(dense[first] ?? 0)]];
  for (let bin = first; bin < end; bin++) points.push([edges(bin + 0.5), scale(dense[bin] ?? 0)]);
  points.push([edges(end), scale(dense[end - 1] ?? 0)]);
  return points;
};

function drawLine(graphics: Graphics, points: [number, number][], color: number, width: number): void {
  graphics.lineStyle({ width, color, alpha: 1 });
  points.forEach(([x, y], index) => {
    if (index) graphics.lineTo(x, y);
    else graphics.moveTo(x, y);
  });
}

function drawBands(ground: Graphics, bands: Band[], height: number): void {
  for (const { from, to, reason } of bands) {
    const computing = reason === "computing";
    ground.lineStyle(0);
    ground.beginFill(computing ? 0xfdf6e3 : 0xececea, 1);
    ground.drawRect(from, 0, to - from, height);
    ground.endFill();
    if (!computing) continue;
    ground.lineStyle(1, 0xd8b24a, 0.7);
    // Every line goes up to the right at 45 degrees, cut at the band's sides.
    for (let x = Math.ceil((from - height) / HATCH) * HATCH; x < to; x += HATCH) {
      const left = Math.max(x, from);
      const right = Math.min(x + height, to);
      if (left < right) ground.moveTo(left, height - (left - x)).lineTo(right, height - (right - x));
    }
  }
}

function shares(bands: Band[], width: number): Map<string, number> {
  const found = new Map<string, number>();
  for (const { from, to, reason } of bands) found.set(reason, (found.get(reason) ?? 0) + (to - from) / width);
  return found;
}

export function hex(color: string): number {
  return Number.parseInt(color.slice(1), 16);
}
