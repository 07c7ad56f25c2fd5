// The parts of HiGlass that its plugins are given (docs: plugin_track, plugin_datafetcher), as far as they are used here.
import type { Container, Graphics } from "pixi.js";

export interface Scale {
  (position: number): number;
  invert(pixel: number): number;
  domain(): number[];
  range(): number[];
}

/** A run of bins without a value: first bin, end bin, and the server's word for why. */
export type Missing = [first: number, end: number, reason: string];

/** What a tile holds once decoded. Interval tiles are lists and carry the same fields. */
export interface TileData {
  tilesetUid: string;
  zoomLevel: number;
  tilePos: number[];
  tilePositionId: string;
  dense?: Float32Array;
  error?: string;
  missing?: Missing[];
  waiting?: boolean;
}

export interface Tile<Data = TileData> {
  tileId: string;
  tileData: Data;
  graphics?: Graphics;
  segments?: [number, number][][];
}

export interface TilesetInfo {
  tile_size: number;
  max_pos: number[];
  max_width: number;
  max_zoom: number;
}

/** HorizontalLine1DPixiTrack: tiles of a horizontal 1D track, redrawn whenever the view moves. */
export interface LineTrack<Options> {
  options: Options;
  position: [number, number];
  dimensions: [number, number];
  pMain: Container;
  pMouseOver: Graphics;
  tilesetInfo?: TilesetInfo;
  valueScale?: Scale;
  fetchedTiles: Record<string, Tile>;
  visibleTileIds: Set<string>;
  _xScale: Scale;
  setPosition(position: [number, number]): void;
  remove(): void;
  animate(): void;
  draw(): void;
  drawTile(tile: Tile): void;
  initTile(tile: Tile): void;
  updateTile(tile: Tile): void;
  getMouseOverHtml(x: number, y: number): string;
  getDataAtPos(x: number): number | null | undefined;
  getTilePosAndDimensions(zoom: number, position: number[], bins?: number): { tileX: number; tileWidth: number };
  makeValueScale(min: number, median: number | null, max: number, margin: number): [Scale, number];
  minValue(): number;
  maxValue(): number;
  areAllVisibleTilesLoaded(): boolean;
}

export type LineTrackClass<Options> = new (context: unknown, options: Options) => LineTrack<Options>;

export type Received = (tiles: Record<string, TileData>) => void;

export interface DataConfig {
  type: string;
  server: string;
  tilesetUid: string;
}

export interface TileSource {
  fetchTilesetInfo(config: { server: string; tilesetUid: string }): Promise<Record<string, unknown>>;
  fetchTiles(): Promise<Record<string, TileData>>;
  registerTileset(): Promise<Response>;
}

export interface DataFetcher {
  dataConfig: DataConfig;
  fetchTilesDebounced(received: Received, tileIds: string[]): Promise<unknown>;
}

export type DataFetcherClass = new (config: DataConfig, pubSub: unknown, source: TileSource) => DataFetcher;

export interface HGC {
  tracks: { HorizontalLine1DPixiTrack: unknown };
  dataFetchers: { DataFetcher: DataFetcherClass };
  services: {
    tileResponseToData(data: Record<string, unknown>, server: string, ids: string[]): Record<string, TileData>;
  };
}
