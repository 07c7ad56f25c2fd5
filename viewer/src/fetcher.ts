// The HiGlass plugin data fetcher `tracks-prediction`: any track type can draw from it.
import type { DataConfig, HGC, Received } from "./hgc";
import { TileClient } from "./tiles";
import type { Watch } from "./watch";

async function tilesetInfo({ server, tilesetUid }: { server: string; tilesetUid: string }) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 5_000)) {
    try {
      const response = await fetch(`${server}/tileset_info/?d=${tilesetUid}`);
      if (response.ok) return (await response.json()) as Record<string, unknown>;
    } catch {
      // The server is not there just now; the page says so, and this goes on asking.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Make the plugin for `viewer(..., { pluginDataFetchers })`. `maxWidth` is the bases of the widest tile. */
export function predictionFetcher(watch: Watch, maxWidth: number) {
  let client: TileClient | undefined;

  function Fetcher(hgc: HGC, config: DataConfig, pubSub: unknown) {
    const shared = (client ??= new TileClient(hgc.services, config.server, maxWidth, watch));
    class PredictionFetcher extends hgc.dataFetchers.DataFetcher {
      override fetchTilesDebounced(received: Received, tileIds: string[]) {
        shared.ask(config.tilesetUid, tileIds, received);
        return Promise.resolve();
      }
    }
    const unused = () => Promise.reject(new Error("tiles come through fetchTilesDebounced"));
    return new PredictionFetcher(config, pubSub, {
      fetchTilesetInfo: tilesetInfo,
      fetchTiles: unused,
      registerTileset: unused,
    });
  }
  Fetcher.config = { type: "tracks-prediction" };
  return { name: "tracks-prediction", dataFetcher: Fetcher };
}
