// The HiGlass plugin of Tracks. Loading it registers its track types and its data fetcher with any HiGlass 2 page.
import { Connection, type ConnectOptions } from "./connection";
import { predictionFetcher } from "./fetcher";
import { intervalTrack } from "./intervals";
import { predictionTrack, shownTracks } from "./track";
import type { Hooks, MenuItem } from "./types";

export { Refused } from "./connection";
export type { Connection, ConnectOptions } from "./connection";
export type { PredictionOptions } from "./picture";
export type { Agreement, Estimate, Hooks, Job, MenuItem, Seen, Span, Status, Tick } from "./types";

declare global {
  interface Window {
    higlassTracksByType?: Record<string, unknown>;
    higlassDataFetchersByType?: Record<string, unknown>;
  }
}

const connections = new Map<string, Connection>();
let current: Hooks = {};

/** Register the plugin's types where HiGlass looks for them. Loading does that; a page calls it to give its hooks. */
export function register(hooks: Hooks = {}): void {
  current = hooks;
  window.higlassTracksByType = {
    ...window.higlassTracksByType,
    "horizontal-prediction": predictionTrack(() => current),
    "tracks-intervals": intervalTrack(),
  };
  window.higlassDataFetchersByType = {
    ...window.higlassDataFetchersByType,
    "tracks-prediction": predictionFetcher((server, authToken) => connect(server, authToken === undefined ? {} : { authToken })),
  };
}

/** Return the connection to a server, `/api/v1` or `https://host/api/v1`: always the same one for one server. */
export function connect(server: string, options: ConnectOptions = {}): Connection {
  const address = server.replace(/\/+$/, "");
  const found = connections.get(address) ?? new Connection(address, options);
  connections.set(address, found);
  return found;
}

/** The entries of a shown track's menu, for a page that opens it from elsewhere too. */
export function menuOf(track: string): MenuItem[] {
  return shownTracks.get(track)?.menu() ?? [];
}

register();
