// One server as a page sees it: the stream of its events, what this page looks at, and what it asks to be predicted.
import { placesAt, type Places } from "./places";
import { readEvents } from "./stream";
import type { Estimate, Job, Span, Status } from "./types";

export interface ConnectOptions {
  /** Sent as `Authorization: Bearer`, for servers of another origin. */
  authToken?: string;
}

type Stop = () => void;

const LOOK_PAUSE = 200;
/** How often whatever a stream would tell is asked for while there is none. */
const POLL_PAUSE = 3_000;
const FIRST_RETRY = 500;
const LAST_RETRY = 5_000;
/** After a server that has no stream left for this page. */
const BUSY = 503;
const BUSY_RETRY = 15_000;
/** After one that has no streams at all, or lets this page have none. */
const REFUSED_RETRY = 60_000;
/** Answers that will be the same the next time. */
const REFUSALS = new Set([401, 403, 404]);
/** The server sends something every 10 seconds, so a stream that is silent for longer is dead. */
const SILENCE = 30_000;

class Listeners<T> {
  private readonly all = new Set<(what: T) => void>();

  add(listener: (what: T) => void): Stop {
    this.all.add(listener);
    return () => this.all.delete(listener);
  }

  get any(): boolean {
    return this.all.size > 0;
  }

  tell(what: T): void {
    for (const listener of [...this.all]) listener(what);
  }
}

/** The server's answer when it is not what was asked for; `message` is in the server's words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export class Connection {
  /** Who this page is to the server: it keeps apart what different pages look at. */
  readonly client = newClient();
  /** Whether events come in; when not, whoever waits for something asks for it again. */
  streaming = false;
  private readonly api: string;
  private readonly status = new Listeners<Status>();
  private readonly changed = new Listeners<Span[]>();
  private readonly job = new Listeners<Job>();
  private readonly jobs = new Listeners<Job[]>();
  private readonly gone = new Listeners<boolean>();
  private readonly hello = new Listeners<boolean>();
  private lastStatus: Status | undefined;
  private isGone = false;
  private instance: string | undefined;
  /** Whether the server was met and is followed since, by its stream or by asking now and then. */
  private following = false;
  private readonly knownJobs = new Map<string, Job>();
  /** Those told of by events while all are being asked for: the answer may be older. */
  private readonly jobNews = new Map<string, Job>();
  private jobRequests = 0;
  private readonly views = new Map<string, Span>();
  private current: Span | undefined;
  private told: Span | undefined;
  private lookTimer: ReturnType<typeof setTimeout> | undefined;
  private onRest: (() => boolean) | undefined;
  private stream: AbortController | undefined;

  constructor(
    readonly server: string,
    readonly options: ConnectOptions = {},
  ) {
    this.api = server.replace(/\/+$/, "").replace(/\/v1$/, "");
    document.addEventListener("visibilitychange", () => {
      // A page that nobody sees holds none of the server's few streams.
      if (document.hidden) this.stream?.abort();
    });
    void this.follow();
  }

  /** Call with every status; at once with the last one, if any. Returns what ends it, as do the others. */
  onStatus(listener: (status: Status) => void): Stop {
    if (this.lastStatus) listener(this.lastStatus);
    return this.status.add(listener);
  }

  onChanged(listener: (spans: Span[]) => void): Stop {
    return this.changed.add(listener);
  }

  /** Call with every job of which something has changed. */
  onJob(listener: (job: Job) => void): Stop {
    return this.job.add(listener);
  }

  /**
   * Call with all jobs of the server, as it lists them, whenever some events may have been missed: at first, after the
   * page was hidden, after the server was gone. A job that is not among them is no more.
   */
  onJobs(listener: (jobs: Job[]) => void): Stop {
    const stop = this.jobs.add(listener);
    if (this.following) this.catchUp();
    return stop;
  }

  /** Call with true when the server does not answer any more, and with false when it does again. */
  onGone(listener: (gone: boolean) => void): Stop {
    if (this.isGone) listener(true);
    return this.gone.add(listener);
  }

  /** Call whenever this begins anew to follow the server; `restarted` when that is another one than before. */
  onHello(listener: (restarted: boolean) => void): Stop {
    return this.hello.add(listener);
  }

  /** What the page shows now, if that is known. */
  get view(): Span | undefined {
    return this.current;
  }

  /**
   * Say what a view shows. Once that rests, whoever asks for tiles does so again where it has a reason to; if nobody
   * does, the server is told by itself, so that it stops working for where the view was.
   */
  look(span: Span, view = ""): void {
    const before = this.views.get(view);
    if (before?.start === span.start && before.end === span.end) return;
    this.views.set(view, span);
    this.current = span;
    clearTimeout(this.lookTimer);
    this.lookTimer = setTimeout(() => {
      if (!this.onRest?.()) this.tellView();
    }, LOOK_PAUSE);
  }

  /** The tile client's turn when the view has come to rest; it returns whether it asked for tiles. */
  whenViewRests(act: () => boolean): void {
    this.onRest = act;
  }

  /** The parts of a tile request's query that say who asks, and for what view. */
  asker(): string {
    this.told = this.current;
    const view = this.current ? `&view=${Math.floor(this.current.start)}-${Math.ceil(this.current.end)}` : "";
    return `s=${this.client}${view}`;
  }

  /** Forget failures in a span, or everywhere, and ask again. */
  async retry(span: Span | null): Promise<void> {
    await this.post("/retry", span ? whole(span) : {});
  }

  /** Predict a region (`chr20:1-1000`), BED text or a span in the background, for some heads or all. */
  async predict(what: { region: string } | { bed: string } | Span, heads?: string[], name?: string): Promise<Job> {
    const asked = "start" in what ? whole(what) : what;
    const { job } = await this.post<{ job: Job }>("/predict", { ...asked, ...(heads && { heads }), ...(name && { name }) });
    return job;
  }

  /** Say how many windows of a span are unknown, and how long they would take. */
  async estimate(span: Span, heads?: string[]): Promise<Estimate> {
    const { start, end } = whole(span);
    const chosen = (heads ?? []).map((head) => `&heads=${encodeURIComponent(head)}`).join("");
    return (await this.ask(`/predict?start=${start}&end=${end}${chosen}`)).json() as Promise<Estimate>;
  }

  /** Download what is known of a tileset in a span, or of all of it. */
  async download(uid: string, format: "bigwig" | "bedgraph", span: Span | null): Promise<void> {
    const part = span ? `&start=${whole(span).start}&end=${whole(span).end}` : "";
    const response = await this.ask(`/export?uid=${encodeURIComponent(uid)}&format=${format}${part}`);
    const named = /filename="?([^";]+)/.exec(response.headers.get("content-disposition") ?? "")?.[1];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = named ?? `${uid}.${format === "bigwig" ? "bw" : "bedgraph"}`;
    link.click();
    setTimeout(() => {
      URL.revokeObjectURL(link.href);
    }, 60_000);
  }

  /** Fetch from this server, as its tiles are: `path` is below `server`. Throws what `fetch` throws. */
  async fetch(path: string, more: RequestInit = {}): Promise<Response> {
    return this.send(`${this.server}${path}`, more);
  }

  private async ask(path: string, more: RequestInit = {}): Promise<Response> {
    const response = await this.send(`${this.api}${path}`, more);
    if (response.ok) return response;
    const said = (await response.json().catch(() => ({}))) as { error?: string };
    throw new Refused(response.status, said.error ?? `the server answered ${response.status}`);
  }

  private async post<T>(path: string, body: unknown): Promise<T> {
    const headers = { "Content-Type": "application/json" };
    const response = await this.ask(path, { method: "POST", headers, body: JSON.stringify(body) });
    return (await response.json().catch(() => ({}))) as T;
  }

  private async send(address: string, more: RequestInit): Promise<Response> {
    const { authToken } = this.options;
    const headers = new Headers(more.headers);
    if (authToken) headers.set("Authorization", `Bearer ${authToken}`);
    try {
      const response = await fetch(address, { credentials: "same-origin", ...more, headers });
      this.setGone(false);
      return response;
    } catch (error) {
      if (!(more.signal?.aborted ?? false)) this.setGone(true);
      throw error;
    }
  }

  private tellView(): void {
    const span = this.current;
    if (!span || (this.told?.start === span.start && this.told.end === span.end)) return;
    this.told = span;
    this.post("/view", { client: this.client, ...whole(span) }).catch(() => {
      // It only helps the server to choose; the next tile request says it again.
      this.told = undefined;
    });
  }

  private setGone(gone: boolean): void {
    if (gone === this.isGone) return;
    this.isGone = gone;
    this.gone.tell(gone);
  }

  /** Follow the server while the page is seen: by a stream of events, or where others have them all by asking. */
  private async follow(): Promise<void> {
    const places = await placesAt(this.api);
    for (;;) {
      if (document.hidden) await seen();
      const place = new AbortController();
      const lost = () => {
        place.abort();
        this.stream?.abort();
      };
      const release = (await places.take(lost)) ?? (await this.pollUntilPlace(places, lost));
      if (release) {
        await this.listen(place.signal);
        release();
      }
      this.following = false;
    }
  }

  /** Keep the stream of events open while the page is seen and has a place for it. */
  private async listen(lost: AbortSignal): Promise<void> {
    const over = () => document.hidden || lost.aborted;
    for (let wait = FIRST_RETRY; !over(); ) {
      const status = await this.readStream();
      this.streaming = this.following = false;
      if (status === 200) wait = FIRST_RETRY;
      else if (status === 0) wait = Math.min(2 * wait, LAST_RETRY);
      const until = Date.now() + (status === 0 || status === 200 ? wait : status === BUSY ? BUSY_RETRY : REFUSED_RETRY);
      while (Date.now() < until && !over()) {
        if (status === BUSY) await this.poll();
        await pause(Math.min(POLL_PAUSE, Math.max(until - Date.now(), 0)));
      }
    }
  }

  /** Poll until a place is free, and return what releases it; null when nobody sees the page any more. */
  private async pollUntilPlace(places: Places, lost: () => void): Promise<(() => void) | null> {
    const stop = new AbortController();
    let release = null as (() => void) | null;
    const placed = places.wait(stop.signal, lost).then((got) => {
      if (stop.signal.aborted) got?.();
      else release = got;
    });
    while (!release && !document.hidden) {
      const refused = await this.poll();
      await Promise.race([placed, pause(refused ? REFUSED_RETRY : POLL_PAUSE)]);
    }
    stop.abort();
    return release;
  }

  /** Ask once for what a stream would tell, as far as it concerns all pages. Returns whether the server refuses that. */
  private async poll(): Promise<boolean> {
    try {
      const status = (await (await this.ask("/status")).json()) as Status & { instance: string };
      if (!this.following || status.instance !== this.instance) this.meet(status.instance);
      this.tellStatus(status);
      await this.loadJobs();
      return false;
    } catch (error) {
      // Tried again in a moment; that the server is gone was told.
      return error instanceof Refused && REFUSALS.has(error.status);
    }
  }

  /** Note who the server is from now on. */
  private meet(instance: string): void {
    const restarted = this.instance !== undefined && this.instance !== instance;
    this.instance = instance;
    this.following = true;
    this.hello.tell(restarted);
  }

  /** Load the jobs once, and again later where that fails while events go on to come in. */
  private catchUp(): void {
    this.loadJobs().catch(() => pause(POLL_PAUSE).then(() => { if (this.streaming) this.catchUp(); }));
  }

  /** Ask for all jobs, where anybody wants to know, and tell what has changed. */
  private async loadJobs(): Promise<void> {
    if (!this.job.any && !this.jobs.any) return;
    const request = ++this.jobRequests;
    this.jobNews.clear();
    const answer = (await (await this.ask("/jobs")).json()) as { jobs: Job[] };
    if (request !== this.jobRequests) return;
    const jobs = new Map([...answer.jobs.map((job): [string, Job] => [job.id, job]), ...this.jobNews]);
    const before = new Map(this.knownJobs);
    this.knownJobs.clear();
    for (const [id, job] of jobs) this.knownJobs.set(id, job);
    for (const [id, job] of jobs) {
      const known = before.get(id);
      if (!known || JSON.stringify(known) === JSON.stringify(job)) continue;
      this.job.tell(job);
      if (!this.streaming && known.done !== job.done) this.changed.tell([job]);
    }
    this.jobs.tell([...jobs.values()]);
  }

  /** Read events until the stream ends. Returns the HTTP status, or 0 where there was no answer. */
  private async readStream(): Promise<number> {
    const stop = new AbortController();
    this.stream = stop;
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        stop.abort();
      }, SILENCE);
    };
    try {
      const { signal } = stop;
      const response = await this.send(`${this.api}/events?s=${this.client}`, { signal, cache: "no-store" });
      if (!response.ok || !response.body) return response.status;
      heard();
      for await (const { kind, data } of readEvents(response.body, heard)) this.take(kind, JSON.parse(data));
      return response.status;
    } catch {
      return 0;
    } finally {
      clearTimeout(silence);
    }
  }

  private take(kind: string, data: unknown): void {
    switch (kind) {
      case "hello": {
        const { instance, status } = data as { instance: string; status: Status };
        this.streaming = true;
        this.meet(instance);
        this.tellStatus(status);
        this.catchUp();
        break;
      }
      case "status":
        this.tellStatus(data as Status);
        break;
      case "changed":
        this.changed.tell((data as { spans: [number, number][] }).spans.map(([start, end]) => ({ start, end })));
        break;
      case "job": {
        const job = data as Job;
        this.knownJobs.set(job.id, job);
        this.jobNews.set(job.id, job);
        this.job.tell(job);
        break;
      }
      case "reset":
        this.changed.tell([{ start: 0, end: Infinity }]);
        this.catchUp();
        break;
    }
  }

  private tellStatus(status: Status): void {
    this.lastStatus = status;
    this.status.tell(status);
  }
}

const whole = ({ start, end }: Span): Span => ({ start: Math.max(Math.floor(start), 0), end: Math.ceil(end) });

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until the page is seen again. */
function seen(): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}

function newClient(): string {
  // randomUUID is missing where a page is served from elsewhere than loopback without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
