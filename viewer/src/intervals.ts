// The HiGlass plugin track `tracks-intervals`: a thin strip of boxes, as for CpG islands.
import type { HGC, LineTrack, LineTrackClass, Tile, TileData } from "./hgc";
import { hex } from "./signal";

interface IntervalOptions {
  color: string;
}

interface Interval {
  xStart: number;
  xEnd: number;
}

const HEIGHT = 8;
const NARROWEST = 1.5;

export function intervalTrack() {
  function Intervals(hgc: HGC, context: unknown, options: IntervalOptions) {
    const Base = hgc.tracks.HorizontalLine1DPixiTrack as LineTrackClass<IntervalOptions>;

    class IntervalTrack extends Base {
      override initTile(tile: Tile): void {
        this.drawTile(tile);
      }

      override drawTile(tile: Tile): void {
        tile.segments = [];
        if (!tile.graphics) return;
        tile.graphics.clear();
        const shown = this.visibleTileIds.has(tile.tileId) || !this.areAllVisibleTilesLoaded();
        if (!shown || !Array.isArray(tile.tileData)) return;
        const top = (this.dimensions[1] - HEIGHT) / 2;
        tile.graphics.beginFill(hex(this.options.color), 0.9);
        for (const { xStart, xEnd } of tile.tileData as TileData & Interval[]) {
          const left = this._xScale(xStart);
          tile.graphics.drawRect(left, top, Math.max(this._xScale(xEnd) - left, NARROWEST), HEIGHT);
        }
        tile.graphics.endFill();
      }

      override getMouseOverHtml(x: number): string {
        const at = this._xScale.invert(x);
        const reach = this._xScale.invert(NARROWEST) - this._xScale.invert(0);
        const hit = Object.values(this.fetchedTiles)
          .flatMap(({ tileData }) => (Array.isArray(tileData) ? (tileData as Interval[]) : []))
          .find(({ xStart, xEnd }) => xStart - reach <= at && at <= xEnd + reach);
        return hit ? `CpG island, ${(hit.xEnd - hit.xStart).toLocaleString("en")} bp` : "";
      }
    }

    return new IntervalTrack(context, options) as LineTrack<IntervalOptions>;
  }

  Intervals.config = {
    type: "tracks-intervals",
    datatype: ["bedlike"],
    orientation: "1d-horizontal",
    name: "Intervals",
    availableOptions: ["color"],
    defaultOptions: { color: "#2a7f62" },
  };
  return { name: "IntervalTrack", track: Intervals, config: Intervals.config };
}
