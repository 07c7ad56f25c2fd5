// What the server answers beside tiles and its stream of events.

import { Refused } from "./plugin/index";

const PATIENCE = 20_000;

/** A stretch of the genome axis: all chromosomes end to end, 0-based, half-open. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Chromosome {
  name: string;
  start: number;
  length: number;
}

export interface Locus extends Span {
  name: string;
  note: string;
  region: string;
}

export interface Fold extends Span {
  fold: "train" | "valid" | "test";
  region: string;
}

/** What one head predicts of a track: the uids of its tilesets. */
export interface Predicted {
  head: string;
  uid: string;
  lower: string | null;
  upper: string | null;
}

export interface Panel {
  uid: string;
  name: string;
  assay: string;
  biosample: string;
  unit: string;
  color: string;
  description: string;
  scale: [number, number];
  signed: boolean;
  observed: string | null;
  predicted: Predicted[];
}

export interface Annotation {
  uid: string;
  name: string;
  color: string;
}

/** A track of a HiGlass view configuration, as far as the page looks into it. */
export interface TrackDefinition {
  uid: string;
  type: string;
  height: number;
  data?: Record<string, unknown>;
  options?: Record<string, unknown>;
}

export interface View {
  uid: string;
  initialXDomain: [number, number];
  /** The narrowest and the widest view, in bases. */
  zoomLimits?: [number, number];
  tracks: { top: TrackDefinition[] };
}

export interface Page {
  name: string;
  assembly: string;
  view: string;
  viewconf: { views: [View, ...View[]] };
  genes: string;
  observedColor: string;
  chromosomes: Chromosome[];
  loci: Locus[];
  folds: Fold[];
  model: { name: string; heads: { name: string; kind: string }[]; device: string; precision: string };
  limits: { viewBases: number };
  panels: Panel[];
  annotations: Annotation[];
}

export interface Sequence {
  ready: boolean;
  known: [number, number][];
}

export interface Place extends Span {
  name: string;
  region: string;
}

/** Where other genome browsers find these tracks: addresses, and the lines of custom tracks. */
export interface Browsers {
  hub: { url: string };
  /** No address where UCSC's machines cannot reach this server, and why. */
  ucsc: { url: string | null; why: string };
  /** `web` is no address where that site's page may not read from this server, and `why` says so; `file` is a path of
   * this server itself. */
  igv: { session: string; desktop: string; web: string | null; why: string; file: string };
  jbrowse: { config: string; web: string | null; why: string; file: string };
  custom_tracks: string;
}

/** A search that led nowhere: why, and what may have been meant. */
export class NotFound extends Error {
  constructor(
    message: string,
    readonly suggestion: string | null,
  ) {
    super(message);
  }
}

export interface Gene {
  geneName: string;
  chr: string;
  txStart: number;
  txEnd: number;
}

/** Ask for JSON; a refusal is an Error with the server's own words, `Refused` where it has a status. */
export async function get<T>(address: string, signal: AbortSignal | null = null): Promise<T> {
  return answered<T>(await fetch(address, { signal }), address);
}

export async function send<T>(method: "POST" | "DELETE", address: string, body?: unknown): Promise<T> {
  const response = await fetch(address, {
    method,
    headers: { "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return answered<T>(response, address);
}

async function answered<T>(response: Response, address: string): Promise<T> {
  const answer = (await response.json().catch(() => ({}))) as T & { error?: string };
  if (!response.ok) throw new Refused(response.status, answer.error ?? `the server answered ${response.status} to ${address}`);
  return answer;
}

export const page = () => get<Page>("/api/page");
export const sequence = () => get<Sequence>("/api/sequence");

/** The spans of a chromosome that a head has predicted. */
export const overview = (chrom: string, head: string) =>
  get<{ known: [number, number][] }>(
    `/api/overview?chrom=${encodeURIComponent(chrom)}&head=${encodeURIComponent(head)}`,
  );

/** Where other genome browsers find the tracks, at a region; an Error when there is no answer for long. */
export const browsers = (region: string) =>
  get<Browsers>(`/api/browsers?region=${encodeURIComponent(region)}`, AbortSignal.timeout(PATIENCE));

export const suggest = (genes: string, text: string) =>
  get<Gene[]>(`/api/v1/suggest/?d=${genes}&ac=${encodeURIComponent(text.toLowerCase())}`);

export async function locate(text: string): Promise<Place> {
  const response = await fetch(`/api/locate?q=${encodeURIComponent(text)}`);
  const answer = (await response.json()) as Place & { error?: string; suggestion?: string | null };
  if (!response.ok) throw new NotFound(answer.error ?? "not found", answer.suggestion ?? null);
  return answer;
}
