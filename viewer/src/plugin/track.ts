// The HiGlass plugin track `horizontal-prediction`: an observed signal and its prediction on one axis in one track, with
// bands that say in words where a prediction is computing, failed, or cannot be.
import { isFollowing, type Following } from "./fetcher";
import { pixiOf, type Context, type HGC, type Scale, type Tile, type TiledTrackClass } from "./hgc";
import { extent, kindOf } from "./marks";
import { openMenu, run } from "./menu";
import { Painter } from "./paint";
import { axisOf, DEFAULTS, drawnSignals, inksOf, picture, type PredictionOptions } from "./picture";
import { leave, share } from "./ranges";
import { valueScale, type ValueScale } from "./scale";
import { Signals } from "./signals";
import { tip } from "./tip";
import type { Hooks, MenuItem } from "./types";

const REMARK_TIME = 8_000;

/** The tracks that are shown now, by uid, for pages that want their menus. */
export const shownTracks = new Map<string, { menu(): MenuItem[] }>();

export function predictionTrack(hooks: () => Hooks) {
  function Prediction(hgc: HGC, context: Context, given: Partial<PredictionOptions>) {
    const Base = hgc.tracks.HorizontalTiled1DPixiTrack as TiledTrackClass<PredictionOptions>;
    const pixi = pixiOf(hgc);

    class PredictionTrack extends Base {
      private readonly painter: Painter;
      private readonly following: Following | undefined;
      private signals: Signals | undefined;
      private axisScale: ValueScale;
      private group: string;
      private remark: string;
      private drawFrame: number;
      private tellFrame: number;
      private readonly onMenu: (event: MouseEvent) => void;

      constructor() {
        super(context, { ...DEFAULTS, ...given });
        const stage = new pixi.Container();
        this.pMain.addChild(stage);
        this.painter = new Painter(pixi, stage);
        this.following = isFollowing(context.dataFetcher) ? context.dataFetcher : undefined;
        this.axisScale = valueScale([0, 1], 100, false);
        this.group = "";
        this.remark = "";
        this.drawFrame = 0;
        this.tellFrame = 0;
        this.onMenu = (event) => {
          this.openOwnMenu(event);
        };
        document.addEventListener("contextmenu", this.onMenu);
        shownTracks.set(context.id, { menu: () => this.menu() });
      }

      override setPosition(position: [number, number]): void {
        super.setPosition(position);
        this.pMain.position.set(...position);
        this.pMouseOver.position.set(...position);
      }

      override setDimensions(dimensions: [number, number]): void {
        super.setDimensions(dimensions);
        this.draw();
      }

      override zoomed(xScale: Scale, yScale: Scale): void {
        this.xScale(xScale);
        this.yScale(yScale);
        this.pMouseOver.clear();
        // Which draws, too.
        this.refreshTiles();
      }

      override remove(): void {
        document.removeEventListener("contextmenu", this.onMenu);
        cancelAnimationFrame(this.drawFrame);
        cancelAnimationFrame(this.tellFrame);
        shownTracks.delete(context.id);
        leave(this.group, this);
        this.following?.stop();
        super.remove();
      }

      // All tiles are drawn together, by draw().
      override initTile(): void {
        // Nothing to prepare.
      }

      /** Tiles of the zoom level before go when every signal of the new ones has been answered, not one alone. */
      override areAllVisibleTilesLoaded(): boolean {
        return super.areAllVisibleTilesLoaded() && (this.look()?.whole ?? true);
      }

      override draw(): void {
        super.draw();
        this.trackNotFoundText.style.fill = inksOf(this.settings()).palette.ink;
        const signals = this.look();
        // HiGlass draws once while it still constructs.
        if (!signals || !(this.painter as Painter | undefined)) return;
        this.signals = signals;
        this.following?.show([...this.visibleTileIds]);
        this.following?.connection.look(signals.span, context.viewUid);
        const settings = this.settings();
        this.axisScale = this.makeAxis(settings, signals);
        this.painter.paint(picture(settings, signals, this.axisScale, this.dimensions, this.remark));
        this.tellFrame ||= requestAnimationFrame(() => {
          this.tellFrame = 0;
          this.tell();
        });
      }

      redraw(): void {
        cancelAnimationFrame(this.drawFrame);
        this.drawFrame = requestAnimationFrame(() => {
          this.draw();
          this.animate();
        });
      }

      override exportSVG(): [HTMLElement, HTMLElement] {
        const [base, track] = super.exportSVG();
        base.setAttribute("class", "exported-prediction-track");
        const group = document.createElement("g");
        group.setAttribute("transform", `translate(${this.position[0]},${this.position[1]})`);
        // A drawing on paper of its own: light lines on none would not be seen.
        const [width, height] = this.dimensions;
        const color = inksOf(this.settings()).palette.paper;
        group.append(...this.painter.svg(this.settings().theme === "dark" ? { color, width, height } : undefined));
        track.append(group);
        return [base, track];
      }

      override getMouseOverHtml(x: number): string {
        this.pMouseOver.clear();
        const settings = this.settings();
        if (!settings.showTooltip || !this.signals || !this.tilesetInfo) return "";
        this.drawPointer(settings, this.signals, x);
        this.animate();
        return tip(settings, this.signals, this.tilesetInfo, this.axisScale, x);
      }

      stopHover(): void {
        this.pMouseOver.clear();
        this.animate();
      }

      /** A click on a band of failed predictions asks for them again. */
      override click(x: number, y: number, event: unknown): unknown {
        const band = this.signals?.bands().find(({ from, to }) => from <= x && x < to);
        if (band?.reason === "failed") this.act({ label: "", run: () => this.retry() });
        return super.click(x, y, event);
      }

      /** The entries that HiGlass puts into its own menu, where it shows one. */
      contextMenuItems(x: number): { label: string; onClick: () => void }[] {
        return this.menu(this._xScale.invert(x)).map((item) => ({
          label: item.label,
          onClick: () => { this.act(item); },
        }));
      }

      menu(position?: number): MenuItem[] {
        const { following, signals } = this;
        if (!signals) return [];
        const { span } = signals;
        const items = following ? this.serverItems(following, signals) : [];
        return [...items, ...(hooks().menu?.(context.id, position ?? (span.start + span.end) / 2) ?? [])];
      }

      private serverItems({ connection, config }: Following, signals: Signals): MenuItem[] {
        const { span } = signals;
        const heads = config.head === undefined ? undefined : [config.head];
        const reasons = [...signals.reasons().keys()];
        const items: MenuItem[] = [];
        if (reasons.includes("failed") || signals.notices().observed) items.push({ label: "Try again", run: () => this.retry() });
        if (config.predicted !== undefined && reasons.some((reason) => kindOf(reason) !== "empty")) {
          items.push({
            label: "Predict all that is in view",
            run: async () => { await connection.predict(span, heads); },
            detail: async () => {
              const { unknown, seconds } = await connection.estimate(span, heads);
              const time = seconds === null ? "" : `, about ${duration(seconds)}`;
              return `${unknown.toLocaleString("en")} window${unknown === 1 ? "" : "s"}${time}`;
            },
          });
        }
        for (const part of ["observed", "predicted"] as const) {
          const uid = config[part];
          if (uid === undefined) continue;
          for (const [format, words] of [["bigwig", "bigWig"], ["bedgraph", "bedGraph"]] as const) {
            items.push({ label: `Save ${part} in view as ${words}`, run: () => connection.download(uid, format, span) });
          }
        }
        return items;
      }

      private settings(): PredictionOptions {
        return { ...DEFAULTS, ...this.options };
      }

      /** What the tiles hold for the view as it is now; undefined while nothing is known of the tileset. */
      private look(): Signals | undefined {
        if (!this.tilesetInfo) return undefined;
        const tiles = Object.values(this.fetchedTiles);
        const near = (tile: Tile) => Math.abs(tile.tileData.zoomLevel - this.zoomLevel);
        const shown = tiles.filter(({ tileId }) => this.visibleTileIds.has(tileId));
        const old = tiles.filter(({ tileId }) => !this.visibleTileIds.has(tileId)).sort((a, b) => near(a) - near(b));
        const config = (this.following)?.config;
        return new Signals(shown, old, this.tilesetInfo, this._xScale, this.dimensions[0], config);
      }

      private makeAxis(settings: PredictionOptions, signals: Signals): ValueScale {
        const { scale, scaleGroup, unit, show } = settings;
        const group = scale === "shared" ? [context.viewUid, scaleGroup || unit, show === "difference"].join("\n") : "";
        if (this.group !== group) leave(this.group, this);
        this.group = group;
        const own = extent(drawnSignals(settings, signals).flatMap((part) => signals.pieces(part)));
        return axisOf(settings, group ? share(group, this, own) : own, this.dimensions[1]);
      }

      private drawPointer(settings: PredictionOptions, signals: Signals, x: number): void {
        const { palette, observed, predicted } = inksOf(settings);
        this.pMouseOver.lineStyle(1, palette.ink, 0.35);
        this.pMouseOver.moveTo(Math.round(x) + 0.5, 0).lineTo(Math.round(x) + 0.5, this.dimensions[1]);
        if (settings.mark === "heatmap") return;
        this.pMouseOver.lineStyle(1.5, palette.paper, 1);
        for (const part of drawnSignals(settings, signals)) {
          const { value } = signals.at(part, x);
          if (!Number.isFinite(value) || part === "lower" || part === "upper") continue;
          this.pMouseOver.beginFill(part === "observed" ? observed : predicted, 1);
          this.pMouseOver.drawCircle(x, this.axisScale(value), 4);
          this.pMouseOver.endFill();
        }
      }

      private tell(): void {
        const { signals } = this;
        if (!signals || !hooks().seen) return;
        hooks().seen?.({
          uid: context.id,
          loaded: this.visibleTileIds.size > 0 && this.areAllVisibleTilesLoaded(),
          observed: signals.hasValues("observed"),
          predicted: signals.hasValues("predicted"),
          reasons: signals.reasons(),
          notices: signals.notices(),
          agreement: signals.agreement(),
          range: this.axisScale.range,
          ticks: this.axisScale.ticks,
        });
      }

      private async retry(): Promise<void> {
        await this.following?.connection.retry(this.signals?.span ?? null);
        this.following?.again();
      }

      /** Do what a menu's entry says; when that goes wrong, say so in the track for a while. */
      private act(item: MenuItem): void {
        run(item, (error) => {
          const words = error instanceof Error ? error.message : String(error);
          hooks().failed?.(words);
          this.remark = words;
          this.redraw();
          setTimeout(() => {
            this.remark = "";
            this.redraw();
          }, REMARK_TIME);
        });
      }

      private openOwnMenu(event: MouseEvent): void {
        const { left, top } = context.svgElement.getBoundingClientRect();
        const [x, y] = [event.clientX - left, event.clientY - top];
        // In a notebook HiGlass lives in a shadow tree, whose inner targets only the path tells.
        const here = context.svgElement.parentElement?.contains(event.composedPath()[0] as Node) ?? false;
        // Where HiGlass shows its own menu, it has prevented the browser's, and holds our entries.
        if (event.defaultPrevented || event.altKey || !here || !this.isWithin(x, y)) return;
        const items = this.menu(this._xScale.invert(x - this.position[0]));
        if (!items.length) return;
        event.preventDefault();
        const { name, theme } = this.settings();
        openMenu(name || context.id, items, [event.clientX, event.clientY], theme, (item) => { this.act(item); });
      }
    }

    return new PredictionTrack();
  }

  Prediction.config = {
    type: "horizontal-prediction",
    datatype: ["vector"],
    orientation: "1d-horizontal",
    name: "Observed and predicted signal",
    availableOptions: [...Object.keys(DEFAULTS), "valueScaleMin", "valueScaleMax", "backgroundColor"],
    defaultOptions: DEFAULTS,
    optionsInfo: {
      mark: choices("Mark", { line: "Line", bar: "Bars", heatmap: "Heatmap" }),
      show: choices("Show", { both: "Both", observed: "Observed", predicted: "Predicted", difference: "Difference" }),
      scale: choices("Axis", { fixed: "Fixed", auto: "By what is in view", shared: "By what is in view, shared" }),
    },
  };
  return { name: "PredictionTrack", track: Prediction, config: Prediction.config };
}

/** An option's values for HiGlass' own menu. */
function choices(name: string, values: Record<string, string>) {
  const inlineOptions = Object.fromEntries(Object.entries(values).map(([value, words]) => [value, { name: words, value }]));
  return { name, inlineOptions };
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
