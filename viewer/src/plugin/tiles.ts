// Fetches tiles on a path of its own, so that none waits for another track's, and follows those that will change: it
// asks for them again when the server says so, and from time to time, without the drawn ones ever going away.
import type { Connection } from "./connection";
import type { HGC, TileData, TilesetInfo } from "./hgc";
import type { Span } from "./types";

const GATHER = 15;
const AT_ONCE = 24;
const KEPT_BYTES = 48e6;
const TICK = 1_000;
/** Answers of a server, or of one before it, that has too much to do or is being started. */
const BUSY = new Set([408, 429, 502, 503, 504]);
const FIRST_RETRY = 500;
const LAST_RETRY = 5_000;

/** How long after an answer a tile that will change is asked for again: with a stream of events, and without one. */
const AGAIN = { waiting: [6_000, 3_000], partial: [60_000, 20_000] } as const;
const FIRST_ERROR_RETRY = 2_000;
const LAST_ERROR_RETRY = 60_000;

/** Tilesets' information by uid, or `{error}` for one that the server does not have. */
export type Infos = Record<string, (Partial<TilesetInfo> & { error?: string }) | undefined>;

/** Called with every answer to a tile that its owner watches. */
export type Receive = (id: string, tile: TileData) => void;

/** Requests of one kind travel together, so that measured data never waits behind predictions. */
export type Kind = "observed" | "predicted";

interface Kept {
  tile: TileData;
  bytes: number;
  /** `whole` tiles never change; `waiting` ones will by themselves, `partial` ones when something is asked for. */
  state: "whole" | "waiting" | "partial" | "error";
  span: Span;
  answered: number;
  /** The order in which requests were sent, so that a late answer to an early one is known as such. */
  serial: number;
  errors: number;
  stale: boolean;
}

interface Owner {
  receive: Receive;
  /** The tiles it shows now, and their kinds. */
  shown: Map<string, Kind>;
}

export class TileClient {
  private readonly kept = new Map<string, Kept>();
  private bytes = 0;
  private readonly owners = new Set<Owner>();
  private readonly widths = new Map<string, { first: number; width: number }>();
  private readonly infos = new Map<string, ((answer: Infos) => void)[]>();
  private readonly gathered = new Map<string, Kind>();
  private readonly underWay = new Map<string, number>();
  /** Tiles asked for the first time, whose bases changed before the answer came. */
  private readonly overtaken = new Set<string>();
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private serial = 0;

  constructor(
    private readonly services: HGC["services"],
    private readonly connection: Connection,
  ) {
    connection.onChanged((spans) => {
      this.changed(spans);
    });
    connection.onHello((restarted) => {
      // What changed while nobody listened is not known, and another server may know other things.
      for (const kept of this.kept.values()) kept.stale ||= restarted || kept.state !== "whole";
      this.askAgain(({ stale }) => stale);
    });
    connection.whenViewRests(() => this.askAgain(({ state }) => state === "waiting" || state === "partial") > 0);
    setInterval(() => {
      this.tick();
    }, TICK);
  }

  /** Return a new owner of tiles, whose `shown` is empty. */
  own(receive: Receive): Owner {
    const owner = { receive, shown: new Map<string, Kind>() };
    this.owners.add(owner);
    return owner;
  }

  disown(owner: Owner): void {
    this.owners.delete(owner);
  }

  /** Return a tileset's information by its uid. Asks until it is answered, for all that ask at one time together. */
  info(uid: string): Promise<Infos> {
    return new Promise((resolve) => {
      if (!this.infos.size) setTimeout(() => void this.fetchInfos(), GATHER);
      this.infos.set(uid, [...(this.infos.get(uid) ?? []), resolve]);
    });
  }

  /** Say which bases a tileset's tiles cover, from its own information or another's of the same axis. */
  describe(uid: string, { min_pos: [first = 0] = [0], max_width: width = Infinity }: Partial<TilesetInfo>): void {
    this.widths.set(uid, { first, width });
  }

  /** Have tiles delivered to whoever shows them: at once what is known, then what is new. */
  ask(owner: Owner, ids: string[]): void {
    const known: [string, TileData][] = [];
    for (const id of ids) {
      const kept = this.kept.get(id);
      if (kept) {
        // The oldest are forgotten first.
        this.kept.delete(id);
        this.kept.set(id, kept);
        known.push([id, kept.tile]);
      }
      if (!kept || kept.stale || kept.state !== "whole") this.gather(id, owner.shown.get(id) ?? "observed");
    }
    if (known.length) {
      queueMicrotask(() => {
        for (const [id, tile] of known) owner.receive(id, tile);
      });
    }
  }

  /** Ask for tiles again now, whatever is known of them. */
  again(owner: Owner): void {
    for (const [id, kind] of owner.shown) this.gather(id, kind);
  }

  private async fetchInfos(): Promise<void> {
    const asked = new Map(this.infos);
    this.infos.clear();
    const query = [...asked.keys()].map((uid) => `d=${encodeURIComponent(uid)}`).join("&");
    for (let wait = FIRST_RETRY; ; wait = Math.min(2 * wait, LAST_RETRY)) {
      try {
        const response = await this.connection.fetch(`/tileset_info/?${query}&s=${this.connection.client}`);
        // A server that lets nobody in without a token says so, and will say so again.
        const refused = response.status === 401 || response.status === 403;
        if (response.ok || refused) {
          const answer = (await response.json()) as Infos & { error?: string };
          const words = answer.error ?? `the server answered ${response.status}`;
          for (const [uid, waiting] of asked) {
            for (const resolve of waiting) resolve({ [uid]: refused ? { error: words } : answer[uid] });
          }
          return;
        }
      } catch {
        // The server is not there just now; this goes on asking.
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  private changed(spans: Span[]): void {
    for (const kept of this.kept.values()) {
      if (kept.state === "whole") continue;
      kept.stale ||= spans.some(({ start, end }) => start < kept.span.end && end > kept.span.start);
    }
    for (const id of this.underWay.keys()) if (!this.kept.has(id)) this.overtaken.add(id);
    this.askAgain(({ stale }) => stale);
  }

  /** Ask again for tiles that are shown and for which this holds; return how many. */
  private askAgain(holds: (kept: Kept) => boolean): number {
    let count = 0;
    for (const [id, kind] of this.shown()) {
      const kept = this.kept.get(id);
      if (!kept || !holds(kept)) continue;
      this.gather(id, kind);
      count++;
    }
    return count;
  }

  private shown(): Map<string, Kind> {
    return new Map([...this.owners].flatMap(({ shown }) => [...shown]));
  }

  private tick(): void {
    if (document.hidden) return;
    const now = Date.now();
    this.askAgain(({ state, answered, errors, stale }) => {
      if (stale) return true;
      if (state === "whole") return false;
      const [followed, alone] = state === "error" ? [0, 0] : AGAIN[state];
      const wait =
        state === "error"
          ? Math.min(FIRST_ERROR_RETRY * 2 ** (errors - 1), LAST_ERROR_RETRY)
          : this.connection.streaming ? followed : alone;
      return now - answered >= wait;
    });
  }

  private gather(id: string, kind: Kind): void {
    this.gathered.set(id, kind);
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      const asked = [...this.gathered].filter(([each]) => !this.underWay.has(each) || this.kept.get(each)?.stale);
      this.gathered.clear();
      for (const each of ["observed", "predicted"] as const) {
        const ids = asked.filter(([, its]) => its === each).map(([tile]) => tile);
        for (let first = 0; first < ids.length; first += AT_ONCE) void this.fetch(ids.slice(first, first + AT_ONCE));
      }
    }, GATHER);
  }

  /** HiGlass never asks twice for a tile, so a request that fails is repeated while anybody shows its tiles. */
  private async fetch(ids: string[]): Promise<void> {
    const serial = ++this.serial;
    for (const id of ids) {
      this.underWay.set(id, serial);
      // Whatever changes from here on is news to this request's answer.
      const kept = this.kept.get(id);
      if (kept) kept.stale = false;
    }
    let wanted = ids;
    for (let wait = FIRST_RETRY; wanted.length; wait = Math.min(2 * wait, LAST_RETRY)) {
      const answer = await this.load(wanted);
      if (typeof answer !== "number") {
        for (const id of wanted) this.take(id, answer[id], serial);
        break;
      }
      if (answer && !BUSY.has(answer)) {
        await this.sort(wanted, answer, serial);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      const shown = this.shown();
      wanted = wanted.filter((id) => shown.has(id));
    }
    for (const id of ids) {
      if (this.underWay.get(id) !== serial) continue;
      this.underWay.delete(id);
      this.overtaken.delete(id);
    }
  }

  /** Of tiles that were refused together, find the one that is to blame, so that it takes no other down. */
  private async sort(ids: string[], status: number, serial: number): Promise<void> {
    const [id] = ids;
    if (ids.length > 1) {
      const half = ids.length >> 1;
      await Promise.all([this.fetch(ids.slice(0, half)), this.fetch(ids.slice(half))]);
    } else if (id !== undefined) {
      const refused = { [id]: { error: `the server answered ${status}` } };
      this.take(id, this.services.tileResponseToData(refused, this.connection.server, ids)[id], serial);
    }
  }

  /** Return decoded tiles by id, or the HTTP status when that is no success: 0 where there was no answer. */
  private async load(ids: string[]): Promise<Record<string, TileData> | number> {
    try {
      const query = ids.map((id) => `d=${encodeURIComponent(id)}`).join("&");
      const response = await this.connection.fetch(`/tiles/?${query}&${this.connection.asker()}`);
      if (!response.ok) return response.status;
      const answer = (await response.json()) as Record<string, unknown>;
      return this.services.tileResponseToData(answer, this.connection.server, ids);
    } catch {
      return 0;
    }
  }

  private take(id: string, tile: TileData | undefined, serial: number): void {
    const before = this.kept.get(id);
    if (!tile || (before && before.serial > serial)) return;
    const state = stateOf(tile);
    const { first = 0, width = Infinity } = this.widths.get(tile.tilesetUid) ?? {};
    const wide = width / 2 ** tile.zoomLevel;
    const start = first + (tile.tilePos[0] ?? 0) * wide;
    const bytes = 500 + (tile.dense?.byteLength ?? 0) + (Array.isArray(tile) ? 400 * tile.length : 0);
    if (state === "error" && before && before.state !== "error") {
      // A tile that was there stays, and is asked for again.
      Object.assign(before, { answered: Date.now(), serial });
      return;
    }
    this.kept.delete(id);
    this.bytes += bytes - (before?.bytes ?? 0);
    const errors = state === "error" ? (before?.errors ?? 0) + 1 : 0;
    const stale = (before?.stale ?? false) || this.overtaken.delete(id);
    const span = { start, end: start + wide };
    this.kept.set(id, { tile, bytes, state, span, answered: Date.now(), serial, errors, stale });
    this.forget();
    for (const { shown, receive } of [...this.owners]) if (shown.has(id)) receive(id, tile);
  }

  private forget(): void {
    if (this.bytes <= KEPT_BYTES) return;
    const shown = this.shown();
    for (const [id, { bytes }] of this.kept) {
      if (this.bytes <= KEPT_BYTES) return;
      if (shown.has(id)) continue;
      this.kept.delete(id);
      this.bytes -= bytes;
    }
  }
}

export type { Owner };

function stateOf(tile: TileData): Kept["state"] {
  if (tile.error !== undefined) return "error";
  if (tile.waiting) return "waiting";
  const settled = (tile.missing ?? []).every(([, , reason]) => isForGood(reason));
  return settled ? "whole" : "partial";
}

/** Whether a reason why there is no prediction can never go away. */
function isForGood(reason: string): boolean {
  return reason.startsWith("no sequence") || reason.startsWith("too little sequence");
}
