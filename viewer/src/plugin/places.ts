// Places for streams of events. A browser keeps six connections to a server over HTTP/1.1 and a stream holds one of them
// for good, so that six windows with a stream each would leave none for anything else: few have one, the others poll.
const PLACES = 2;
/** How long the pages that have a place are given to say so. */
const ANSWER = 100;
/** A page that crashed says nothing, so whoever waits for its place asks now and then. */
const ASK_AGAIN = 10_000;

type Release = () => void;

export interface Places {
  /** Take a place if there is one. `lost` is called when it turns out to be another's; it must be released all the same. */
  take(lost: () => void): Promise<Release | null>;
  /** Take the next place that becomes free; null once `stop` says so. */
  wait(stop: AbortSignal, lost: () => void): Promise<Release | null>;
}

/** Return the places for streams from a server, which all pages of this origin in this browser share. */
export async function placesAt(server: string): Promise<Places> {
  // Connections are counted by host and port, whatever the path.
  const name = `tracks-stream-${new URL(server, document.baseURI).origin}`;
  const { locks } = navigator as Partial<Navigator>;
  try {
    // Browsers have locks for secure addresses only, and let no sandboxed frame use them.
    if (locks) {
      await locks.query();
      return new LockPlaces(locks, Array.from({ length: PLACES }, (_, index) => `${name}-${index}`));
    }
  } catch {
    // As if there were none.
  }
  return "BroadcastChannel" in window ? new AgreedPlaces(new BroadcastChannel(name)) : UNLIMITED;
}

class LockPlaces implements Places {
  constructor(
    private readonly locks: LockManager,
    private readonly names: string[],
  ) {}

  async take(): Promise<Release | null> {
    for (const name of this.names) {
      const release = await this.lock(name, { ifAvailable: true });
      if (release) return release;
    }
    return null;
  }

  async wait(stop: AbortSignal): Promise<Release | null> {
    const queue = new AbortController();
    stop.addEventListener("abort", () => { queue.abort(); });
    if (stop.aborted) return null;
    const asked = this.names.map((name) => this.lock(name, { signal: queue.signal }));
    const first = await Promise.any(asked).catch(() => null);
    queue.abort();
    for (const each of asked) {
      // Both may have become free at once.
      each.then((release) => { if (release !== first) release?.(); }, () => undefined);
    }
    return first;
  }

  private lock(name: string, options: LockOptions): Promise<Release | null> {
    return new Promise((resolve, reject) => {
      const held = (lock: Lock | null) => {
        if (lock) return new Promise<void>((release) => { resolve(release); });
        resolve(null);
        return undefined;
      };
      this.locks.request(name, options, held).catch(reject);
    });
  }
}

interface Message {
  kind: "ask" | "taken" | "free";
  from: string;
  to?: string;
}

/** Places that the pages agree on among themselves, for addresses without locks. */
class AgreedPlaces implements Places {
  private readonly id = Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-");
  private state: "without" | "asking" | "holding" = "without";
  private readonly others = new Set<string>();
  private lost: (() => void) | undefined;
  private freed: (() => void) | undefined;

  constructor(private readonly channel: BroadcastChannel) {
    channel.addEventListener("message", ({ data }: MessageEvent<Message>) => { this.hear(data); });
    addEventListener("pagehide", () => { this.leave(); });
  }

  async take(lost: () => void): Promise<Release | null> {
    this.state = "asking";
    this.others.clear();
    this.say("ask");
    await pause(ANSWER);
    if (this.others.size >= PLACES) {
      this.state = "without";
      return null;
    }
    this.state = "holding";
    this.lost = lost;
    return () => { this.leave(); };
  }

  async wait(stop: AbortSignal, lost: () => void): Promise<Release | null> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.freed = resolve;
        stop.addEventListener("abort", () => { resolve(); });
        setTimeout(resolve, ASK_AGAIN);
      });
      if (stop.aborted) return null;
      const release = await this.take(lost);
      if (release) return release;
    }
  }

  private hear({ kind, from, to }: Message): void {
    if (kind === "free") {
      // Whoever is asking just now has counted the place as taken, and is not waiting for this yet.
      this.others.delete(from);
      this.freed?.();
    } else if (kind === "ask") {
      // Of pages that ask at one time, the one of the lower name comes first.
      if (this.state === "holding" || (this.state === "asking" && this.id < from)) this.say("taken", from);
      else if (this.state === "asking") this.others.add(from);
    } else if (to === this.id) {
      this.others.add(from);
      // A busy page may answer late, when this one has already helped itself.
      if (this.state === "holding" && this.others.size >= PLACES) this.lost?.();
    }
  }

  private leave(): void {
    if (this.state === "holding") this.say("free");
    this.state = "without";
  }

  private say(kind: Message["kind"], to?: string): void {
    const message: Message = { kind, from: this.id, ...(to !== undefined && { to }) };
    this.channel.postMessage(message);
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Where pages cannot speak to each other, each has its stream. */
const UNLIMITED: Places = {
  take: () => Promise.resolve(() => undefined),
  wait: () => Promise.resolve(() => undefined),
};
