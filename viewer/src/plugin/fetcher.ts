// The HiGlass plugin data fetcher `tracks-prediction`. With `observed`, `predicted`, `lower` or `upper` in its data
// section it brings these tilesets' tiles together; with only `tilesetUid` it fetches that one, for any track type.
import type { Connection } from "./connection";
import type { DataConfig, HGC, Part, Received, TileData } from "./hgc";
import { TileClient, type Kind, type Owner } from "./tiles";

const PARTS: Part[] = ["observed", "predicted", "lower", "upper"];
const REMEMBERED = 40;

/** What a track may ask of its fetcher beside tiles. */
export interface Following {
  connection: Connection;
  config: DataConfig;
  /** The tiles that are in view; others are followed no longer. */
  show(positions: string[]): void;
  /** Ask for all that is in view again. */
  again(): void;
  /** The track is gone. */
  stop(): void;
}

export function isFollowing(fetcher: unknown): fetcher is Following {
  return typeof fetcher === "object" && fetcher !== null && "show" in fetcher && "again" in fetcher;
}

export function predictionFetcher(connect: (server: string, authToken?: string) => Connection) {
  const clients = new Map<Connection, TileClient>();

  function Fetcher(hgc: HGC, given: DataConfig, pubSub: unknown) {
    const config = { ...given };
    const tilesetUid = config.tilesetUid ?? config.predicted ?? config.observed;
    if (tilesetUid !== undefined) config.tilesetUid = tilesetUid;
    const connection = connect(config.server, config.authToken);
    const client = clients.get(connection) ?? new TileClient(hgc.services, connection);
    clients.set(connection, client);
    const merged = PARTS.filter((part) => config[part] !== undefined);
    const uids = new Map<string, Part | undefined>(
      merged.length ? merged.map((part) => [config[part] ?? "", part]) : [[tilesetUid ?? "", undefined]],
    );

    class PredictionFetcher extends hgc.dataFetchers.DataFetcher implements Following {
      readonly connection = connection;
      readonly config = config;
      private readonly owner: Owner;
      private readonly answers = new Map<string, Map<Part | undefined, TileData>>();
      private readonly due = new Set<string>();
      private received: Received | undefined;

      constructor() {
        const unused = () => Promise.reject(new Error("tiles come through fetchTilesDebounced"));
        super(config, pubSub, { fetchTilesetInfo, fetchTiles: unused, registerTileset: unused });
        this.owner = client.own((id, tile) => {
          this.take(id, tile);
        });
      }

      override fetchTilesDebounced(received: Received, positions: string[]): Promise<unknown> {
        this.received = received;
        this.add(positions);
        // A track that never says what it shows is taken to show what it asked for last.
        const { shown } = this.owner;
        for (const id of shown.keys()) if (shown.size > REMEMBERED * uids.size) shown.delete(id);
        client.ask(this.owner, positions.flatMap(idsOf));
        return Promise.resolve();
      }

      show(positions: string[]): void {
        const before = this.owner.shown;
        const wanted = positions.flatMap(idsOf);
        if (wanted.length === before.size && wanted.every((id) => before.has(id))) return;
        const fresh = wanted.filter((id) => !before.has(id));
        before.clear();
        this.add(positions);
        // HiGlass does not ask again for tiles that left the view before they came.
        client.ask(this.owner, fresh);
        for (const position of this.answers.keys()) if (!positions.includes(position)) this.answers.delete(position);
      }

      again(): void {
        client.again(this.owner);
      }

      stop(): void {
        client.disown(this.owner);
        this.received = undefined;
      }

      private add(positions: string[]): void {
        for (const id of positions.flatMap(idsOf)) this.owner.shown.set(id, kindOf(uids.get(uidOf(id))));
      }

      private take(id: string, tile: TileData): void {
        const position = positionOf(id);
        const answers = this.answers.get(position) ?? new Map<Part | undefined, TileData>();
        this.answers.set(position, answers.set(uids.get(uidOf(id)), tile));
        // Answers of one request come together, and are handed over together.
        if (this.due.size === 0) queueMicrotask(() => { this.hand(); });
        this.due.add(position);
      }

      private hand(): void {
        const tiles: Record<string, TileData> = {};
        for (const position of this.due) {
          const answers = this.answers.get(position);
          if (answers) tiles[position] = merge(position, answers);
        }
        this.due.clear();
        for (const position of this.answers.keys()) if (this.answers.size > REMEMBERED) this.answers.delete(position);
        this.received?.(tiles);
      }
    }

    async function fetchTilesetInfo({ tilesetUid: uid }: { tilesetUid: string }): Promise<Record<string, unknown>> {
      const answer = await client.info(uid);
      // All tilesets of one track lie on the same axis.
      for (const each of uids.keys()) client.describe(each, answer[uid] ?? {});
      return answer;
    }

    const idsOf = (position: string) => [...uids.keys()].map((uid) => `${uid}.${position}`);

    return new PredictionFetcher();
  }

  Fetcher.config = { type: "tracks-prediction" };
  return { name: "tracks-prediction", dataFetcher: Fetcher };
}

// A tile's id is `uid.zoom.position`, and more behind it where a mode other than the mean is asked for.
const uidOf = (id: string) => id.slice(0, id.search(/\.\d+\.\d/));
const positionOf = (id: string) => id.slice(id.search(/\.\d+\.\d/) + 1);

const kindOf = (part: Part | undefined): Kind => (part === undefined || part === "observed" ? "observed" : "predicted");

/** Bring the answers for one position together; a single tileset's tile is passed on as it came. */
function merge(position: string, answers: Map<Part | undefined, TileData>): TileData {
  const alone = answers.get(undefined);
  if (alone) {
    alone.tilePositionId = position;
    return alone;
  }
  const predicted = answers.get("predicted");
  const base = predicted ?? answers.get("observed") ?? [...answers.values()][0];
  if (!base) throw new Error(`no answer for ${position}`);
  const merged: TileData = { ...base, tilePositionId: position, parts: {}, faults: {}, answered: new Set() };
  // HiGlass would write it across the track; the track says it in its own way.
  delete merged.error;
  for (const [part, tile] of answers) {
    if (part === undefined) continue;
    merged.answered?.add(part);
    if (merged.parts && tile.dense) merged.parts[part] = tile.dense;
    if (merged.faults && tile.error !== undefined) merged.faults[part] = tile.error;
  }
  return merged;
}
