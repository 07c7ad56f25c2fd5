// What the server answers beside tiles.

/** A stretch of the genome axis: all chromosomes end to end, 0-based, half-open. */
export interface Span {
  start: number;
  end: number;
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

export interface Panel {
  uid: string;
  name: string;
  assay: string;
  biosample: string;
  unit: string;
  color: string;
  description: string;
  scale: [number, number];
  observed: boolean;
  predicted: boolean;
}

export interface Page {
  name: string;
  assembly: string;
  model: string;
  view: string;
  viewconf: { views: [View, ...View[]] };
  genes: string;
  observedColor: string;
  chromosomes: Chromosome[];
  loci: Locus[];
  folds: Fold[];
  panels: Panel[];
}

export interface View {
  initialXDomain: [number, number];
  tracks: { top: { uid: string; height: number }[] };
}

export interface Progress {
  state: "looking" | "computing" | "ready" | "failed";
  revision: number;
  done: number;
  total: number;
  failed: number;
  message: string;
  changed: [number, number][];
}

export interface Sequence {
  ready: boolean;
  known: [number, number][];
}

export interface Place extends Span {
  name: string;
  region: string;
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

async function get<T>(address: string): Promise<T> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`the server answered ${response.status} to ${address}`);
  return (await response.json()) as T;
}

export const page = () => get<Page>("/api/page");
export const progress = (since: number) => get<Progress>(`/api/progress?since=${since}`);
export const sequence = () => get<Sequence>("/api/sequence");

export const suggest = (genes: string, text: string) =>
  get<Gene[]>(`/api/v1/suggest/?d=${genes}&ac=${encodeURIComponent(text.toLowerCase())}`);

export async function locate(text: string): Promise<Place> {
  const response = await fetch(`/api/locate?q=${encodeURIComponent(text)}`);
  const answer = (await response.json()) as Place & { error?: string; suggestion?: string | null };
  if (!response.ok) throw new NotFound(answer.error ?? "not found", answer.suggestion ?? null);
  return answer;
}
