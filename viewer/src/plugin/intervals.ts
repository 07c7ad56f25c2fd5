// The HiGlass plugin track `tracks-intervals`: a thin strip of boxes, as for CpG islands or measured domains.
import { legible, numberOf, PALETTES, type Theme } from "./colors";
import { isFollowing } from "./fetcher";
import { pixiOf, type Context, type HGC, type Scale, type Tile, type TiledTrackClass } from "./hgc";
import { Painter, type Shape } from "./paint";

interface IntervalOptions {
  color: string;
  name: string;
  theme: Theme;
  showTooltip: boolean;
}

interface Interval {
  uid: string;
  xStart: number;
  xEnd: number;
  name?: string;
  fields?: string[];
}

const DEFAULTS: IntervalOptions = { color: "#2a7f62", name: "", theme: "light", showTooltip: true };
const HEIGHT = 8;
const NARROWEST = 1.5;

export function intervalTrack() {
  function Intervals(hgc: HGC, context: Context, given: Partial<IntervalOptions>) {
    const Base = hgc.tracks.HorizontalTiled1DPixiTrack as TiledTrackClass<IntervalOptions>;

    class IntervalTrack extends Base {
      private readonly painter: Painter;

      constructor() {
        super(context, { ...DEFAULTS, ...given });
        this.painter = new Painter(pixiOf(hgc), this.pMain);
      }

      override setPosition(position: [number, number]): void {
        super.setPosition(position);
        this.pMain.position.set(...position);
      }

      override setDimensions(dimensions: [number, number]): void {
        super.setDimensions(dimensions);
        if (this.painter as Painter | undefined) this.draw();
      }

      override zoomed(xScale: Scale, yScale: Scale): void {
        this.xScale(xScale);
        this.yScale(yScale);
        this.refreshTiles();
      }

      override remove(): void {
        if (isFollowing(context.dataFetcher)) context.dataFetcher.stop();
        super.remove();
      }

      // All tiles are drawn together, by draw().
      override initTile(): void {
        // Nothing to prepare.
      }

      override draw(): void {
        super.draw();
        if (!this.tilesetInfo || !(this.painter as Painter | undefined)) return;
        if (isFollowing(context.dataFetcher)) context.dataFetcher.show([...this.visibleTileIds]);
        const { color, theme } = { ...DEFAULTS, ...this.options };
        const ink = legible(numberOf(color), PALETTES[theme]);
        const y = (this.dimensions[1] - HEIGHT) / 2;
        this.painter.paint(
          this.inView().map(([x, width]): Shape => ({ kind: "rect", x, y, width, height: HEIGHT, color: ink, alpha: 0.9 })),
        );
      }

      override exportSVG(): [HTMLElement, HTMLElement] {
        const [base, track] = super.exportSVG();
        const group = document.createElement("g");
        group.setAttribute("transform", `translate(${this.position[0]},${this.position[1]})`);
        group.append(...this.painter.svg());
        track.append(group);
        return [base, track];
      }

      override getMouseOverHtml(x: number): string {
        const { name, showTooltip } = { ...DEFAULTS, ...this.options };
        const hit = this.intervals().find(({ xStart, xEnd }) => {
          const [left, width] = this.sides(xStart, xEnd);
          return left - 1 <= x && x <= left + width + 1;
        });
        if (!showTooltip || !hit) return "";
        const span = document.createElement("span");
        const own = hit.name ?? hit.fields?.[3] ?? "";
        // BED writes a dot for no name.
        const called = own && own !== "." ? own : name || (this.tilesetInfo?.name ?? "");
        span.textContent = `${called}, ${Math.round(hit.xEnd - hit.xStart).toLocaleString("en")} bp`;
        return span.innerHTML;
      }

      /** The tiles in view, and those of the zoom level before until these have come. */
      private intervals(): Interval[] {
        const loaded = this.areAllVisibleTilesLoaded();
        const tiles = Object.values(this.fetchedTiles) as Tile<unknown>[];
        const lists = tiles.filter(({ tileId }) => !loaded || this.visibleTileIds.has(tileId));
        return lists.flatMap(({ tileData }) => (Array.isArray(tileData) ? (tileData as Interval[]) : []));
      }

      /** Left edges and widths in pixels of the boxes in view, those that touch as one. */
      private inView(): [x: number, width: number][] {
        const boxes = this.intervals()
          .map(({ xStart, xEnd }) => this.sides(xStart, xEnd))
          .filter(([x, width]) => x + width > 0 && x < this.dimensions[0])
          .sort((a, b) => a[0] - b[0]);
        const joined: [number, number][] = [];
        for (const [x, width] of boxes) {
          const last = joined.at(-1);
          if (last && x <= last[0] + last[1]) last[1] = Math.max(last[1], x + width - last[0]);
          else joined.push([x, width]);
        }
        return joined;
      }

      private sides(start: number, end: number): [x: number, width: number] {
        const left = this._xScale(start);
        return [left, Math.max(this._xScale(end) - left, NARROWEST)];
      }
    }

    return new IntervalTrack();
  }

  Intervals.config = {
    type: "tracks-intervals",
    datatype: ["bedlike"],
    orientation: "1d-horizontal",
    name: "Intervals",
    availableOptions: Object.keys(DEFAULTS),
    defaultOptions: DEFAULTS,
  };
  return { name: "IntervalTrack", track: Intervals, config: Intervals.config };
}
