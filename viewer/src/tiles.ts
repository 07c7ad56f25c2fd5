// Fetches tiles on a path of its own, so that no tile waits for another track's, and asks again for tiles whose
// predictions were still being computed, without the drawn ones ever going away.
import type { HGC, Received, TileData } from "./hgc";
import type { Watch } from "./watch";

const GATHER = 30;
const AT_ONCE = 15;
const KEPT = 400;
const FOLLOWED = 120;
const FIRST_RETRY = 500;
const LAST_RETRY = 5_000;

interface Request {
  id: string;
  position: string;
  received: Received;
}

export class TileClient {
  private readonly kept = new Map<string, TileData>();
  private readonly followed = new Map<string, Request & { start: number; end: number }>();
  private gathered: Request[] = [];

  constructor(
    private readonly services: HGC["services"],
    private readonly server: string,
    private readonly maxWidth: number,
    private readonly watch: Watch,
  ) {
    watch.onProgress(({ changed }) => {
      const again = [...this.followed.values()].filter(({ start, end }) =>
        changed.some(([from, to]) => from < end && to > start),
      );
      void this.fetch(again);
    });
  }

  /** Call `received` with each tile as soon as it is there, and again when a tile that was not whole has grown. */
  ask(uid: string, positions: string[], received: Received): void {
    const known: Record<string, TileData> = {};
    for (const position of positions) {
      const id = `${uid}.${position}`;
      const kept = this.kept.get(id);
      if (kept) known[position] = kept;
      else this.gathered.push({ id, position, received });
    }
    if (Object.keys(known).length) {
      queueMicrotask(() => {
        received(known);
      });
    }
    if (this.gathered.length) setTimeout(() => void this.flush(), GATHER);
  }

  private async flush(): Promise<void> {
    const requests = this.gathered;
    this.gathered = [];
    await this.fetch(requests);
  }

  private async fetch(requests: Request[]): Promise<void> {
    const parts = [];
    for (let first = 0; first < requests.length; first += AT_ONCE) parts.push(requests.slice(first, first + AT_ONCE));
    await Promise.all(parts.map((part) => this.fetchPart(part)));
  }

  private async fetchPart(requests: Request[]): Promise<void> {
    const ids = [...new Set(requests.map(({ id }) => id))];
    const tiles = await this.load(ids);
    const byReceiver = new Map<Received, Record<string, TileData>>();
    for (const request of requests) {
      const tile = tiles[request.id];
      if (!tile) continue;
      tile.tilePositionId = request.position;
      this.keep(request, tile);
      const together = byReceiver.get(request.received) ?? {};
      together[request.position] = tile;
      byReceiver.set(request.received, together);
    }
    byReceiver.forEach((together, received) => {
      received(together);
    });
  }

  /** HiGlass never asks twice for a tile, so a request that fails is repeated until it is answered. */
  private async load(ids: string[]): Promise<Record<string, TileData>> {
    const address = `${this.server}/tiles/?${ids.map((id) => `d=${id}`).join("&")}`;
    for (let wait = FIRST_RETRY; ; wait = Math.min(2 * wait, LAST_RETRY)) {
      try {
        const response = await fetch(address);
        if (response.ok) {
          const answer = (await response.json()) as Record<string, unknown>;
          return this.services.tileResponseToData(answer, this.server, ids);
        }
      } catch {
        this.watch.wake();
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  private keep(request: Request, tile: TileData): void {
    if (tile.waiting) {
      const width = this.maxWidth / 2 ** tile.zoomLevel;
      const start = (tile.tilePos[0] ?? 0) * width;
      this.followed.delete(request.id);
      this.followed.set(request.id, { ...request, start, end: start + width });
      forgetOldest(this.followed, FOLLOWED);
      this.watch.wake();
    } else {
      this.followed.delete(request.id);
      if (!tile.error) this.kept.set(request.id, tile);
      forgetOldest(this.kept, KEPT);
    }
  }
}

function forgetOldest(map: Map<string, unknown>, limit: number): void {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}
