// The parts of HiGlass that its plugins are given (docs: plugin_track, plugin_datafetcher), as far as they are used here.
import type * as Pixi from "pixi.js";

export interface Scale {
  (position: number): number;
  invert(pixel: number): number;
  domain(): number[];
  range(): number[];
}

/** A run of bins without a prediction: first bin, end bin, and the server's word for why. */
export type Missing = [first: number, end: number, reason: string];

/** The signals that one tile may bring together. */
export type Part = "observed" | "predicted" | "lower" | "upper";

/** What a tile holds once decoded. Interval tiles are lists and carry the same fields. */
export interface TileData {
  tilesetUid: string;
  zoomLevel: number;
  tilePos: number[];
  tilePositionId: string;
  dense?: Float32Array;
  error?: string;
  missing?: Missing[];
  notices?: Record<string, string>;
  waiting?: boolean;
  /** Of merged tiles: the signals that came, and for those that cannot be had, why. */
  parts?: Partial<Record<Part, Float32Array>>;
  faults?: Partial<Record<Part, string>>;
  /** Of merged tiles: the signals that have been answered, with values or without. */
  answered?: Set<Part>;
}

export interface Tile<Data = TileData> {
  tileId: string;
  tileData: Data;
  graphics?: Pixi.Graphics;
}

export interface TilesetInfo {
  tile_size: number;
  min_pos: number[];
  max_pos: number[];
  max_width: number;
  max_zoom: number;
  name?: string;
  chromsizes?: [name: string, length: number][];
}

export interface Context {
  id: string;
  viewUid: string;
  scene: Pixi.Container;
  svgElement: Element;
  dataFetcher: unknown;
  animate(): void;
}

/** HorizontalTiled1DPixiTrack: tiles of a horizontal 1D track, drawn whenever the view moves. */
export interface TiledTrack<Options> {
  id: string;
  options: Options;
  position: [number, number];
  dimensions: [number, number];
  pMain: Pixi.Container;
  pMouseOver: Pixi.Graphics;
  trackNotFoundText: Pixi.Text;
  tilesetInfo?: TilesetInfo | null;
  fetchedTiles: Record<string, Tile>;
  visibleTileIds: Set<string>;
  zoomLevel: number;
  _xScale: Scale;
  xScale(scale: Scale): void;
  yScale(scale: Scale): void;
  setPosition(position: [number, number]): void;
  setDimensions(dimensions: [number, number]): void;
  rerender(options: Options, force?: boolean): void;
  remove(): void;
  animate(): void;
  draw(): void;
  drawTile(tile: Tile): void;
  initTile(tile: Tile): void;
  updateTile(tile: Tile): void;
  refreshTiles(): void;
  zoomed(xScale: Scale, yScale: Scale): void;
  calculateZoomLevel(): number;
  areAllVisibleTilesLoaded(): boolean;
  isWithin(x: number, y: number): boolean;
  exportSVG(): [base: HTMLElement, track: HTMLElement];
  click(x: number, y: number, event: unknown): unknown;
  getMouseOverHtml(x: number, y: number): string;
}

export type TiledTrackClass<Options> = new (context: Context, options: Options) => TiledTrack<Options>;

export type Received = (tiles: Record<string, TileData>) => void;

export interface DataConfig {
  type: string;
  server: string;
  tilesetUid?: string;
  observed?: string;
  predicted?: string;
  lower?: string;
  upper?: string;
  head?: string;
  authToken?: string;
}

export interface TileSource {
  fetchTilesetInfo(config: { server: string; tilesetUid: string }): Promise<Record<string, unknown>>;
  fetchTiles(): Promise<Record<string, TileData>>;
  registerTileset(): Promise<Response>;
}

export interface DataFetcher {
  dataConfig: DataConfig;
  fetchTilesDebounced(received: Received, positions: string[]): Promise<unknown>;
}

export type DataFetcherClass = new (config: DataConfig, pubSub: unknown, source: TileSource) => DataFetcher;

export interface HGC {
  libraries: { PIXI: typeof Pixi };
  configs: { GLOBALS?: { PIXI?: typeof Pixi } };
  tracks: { HorizontalTiled1DPixiTrack: unknown };
  dataFetchers: { DataFetcher: DataFetcherClass };
  services: {
    tileResponseToData(data: Record<string, unknown>, server: string, ids: string[]): Record<string, TileData>;
  };
}

/** The PIXI that this page's HiGlass draws with, which `viewer(..., {PIXI})` may have replaced. */
export function pixiOf(hgc: HGC): typeof Pixi {
  return hgc.configs.GLOBALS?.PIXI ?? hgc.libraries.PIXI;
}
