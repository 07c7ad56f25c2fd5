// Follows the server's background work, and tells what came.
import { progress, type Progress } from "./api";

const SOON = 400;
const LATER = 10_000;

type Listener = (now: Progress) => void;

/** Asks for progress often while windows are computed, seldom otherwise; also notices when the server is gone. */
export class Watch {
  private revision = 0;
  private readonly listeners: Listener[] = [];
  private readonly gone: ((isGone: boolean) => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;

  onProgress(listener: Listener): void {
    this.listeners.push(listener);
  }

  onGone(listener: (isGone: boolean) => void): void {
    this.gone.push(listener);
  }

  /** Ask again now: somebody knows that work is under way. */
  wake(): void {
    if (this.asking) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), SOON);
  }

  start(): void {
    void this.ask();
  }

  private async ask(): Promise<void> {
    this.asking = true;
    let wait: number;
    try {
      const now = await progress(this.revision);
      // A server that was started again counts from the beginning.
      if (now.revision < this.revision) now.changed = [[0, Number.MAX_SAFE_INTEGER]];
      this.revision = now.revision;
      this.gone.forEach((tell) => {
        tell(false);
      });
      this.listeners.forEach((tell) => {
        tell(now);
      });
      wait = now.state === "looking" || now.state === "computing" ? SOON : LATER;
    } catch {
      this.gone.forEach((tell) => {
        tell(true);
      });
      wait = 2_000;
    }
    this.asking = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), wait);
  }
}
