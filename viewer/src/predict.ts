// Predicting a view that is too wide to be predicted by looking at it: an estimate first, then a job.
import type { Page, Span } from "./api";
import { width, type Axis } from "./axis";
import { byId } from "./dom";
import { headsInUse } from "./figure";
import { ask, tell, tellFault } from "./dialog";
import { followJobs, unfinished } from "./joblist";
import type { Connection, Estimate, Job } from "./plugin/index";
import type { Store } from "./state";
import type { StatusLine } from "./status";
import { count, duration } from "./words";

const PAUSE = 500;
const LONG = 60;

export class PredictButton {
  private readonly button = byId("predict") as HTMLButtonElement;
  private readonly words = byId("predict-words");
  private timer: ReturnType<typeof setTimeout> | undefined;
  private serial = 0;
  private pressed = false;
  private readonly jobs = new Map<string, Job>();

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly connection: Connection,
    private readonly status: StatusLine,
  ) {
    this.button.addEventListener("click", () => void this.press());
    store.onChange(({ span, rows }, before) => {
      if (span !== before.span || rows !== before.rows) this.look();
    });
    connection.onChanged(() => { this.look(); });
    followJobs(connection, () => this.jobs.values(), (job) => { this.follow(job); });
    this.look();
  }

  /** Predict a span, after asking where it takes long. */
  async predict(span: Span): Promise<void> {
    const heads = headsInUse(this.page, this.store.state);
    try {
      const estimate = await this.connection.estimate(span, heads);
      if (estimate.unknown === 0) {
        await tell("Nothing to predict", `All of ${this.axis.write(span)} that has sequence is predicted already.`);
        return;
      }
      const { seconds, unknown } = estimate;
      if ((seconds ?? LONG + 1) > LONG) {
        const time = seconds === null ? "for a time that is not known yet" : `for about ${duration(seconds)}`;
        const sure = await ask(
          `Predict ${width(span.end - span.start)}?`,
          `${count(unknown, "window")} of ${this.axis.write(span)} are not predicted yet. They are computed in the `
            + `background ${time}, and kept. You can cancel at any time, and go on looking around.`,
          "Predict",
        );
        if (!sure) return;
      }
      const job = await this.connection.predict(span, heads);
      this.status.follow(job);
      this.follow(job);
    } catch (error) {
      tellFault("This could not be predicted", error);
    }
  }

  private async press(): Promise<void> {
    this.pressed = true;
    this.button.disabled = true;
    await this.predict(this.axis.cut(this.store.state.span));
    this.pressed = false;
    this.look();
  }

  private follow(job: Job): void {
    const known = this.jobs.has(job.id);
    if (unfinished(job)) this.jobs.set(job.id, job);
    else this.jobs.delete(job.id);
    if (known !== this.jobs.has(job.id)) this.look();
  }

  /** Whether a job is at work on all of a span already; one that leaves parts of its span out is not. */
  private atWork(span: Span, heads: string[]): boolean {
    return [...this.jobs.values()].some((job) =>
      job.start <= span.start && job.end >= span.end && job.bases >= job.end - job.start
      && heads.every((head) => job.heads.includes(head)));
  }

  private look(): void {
    const { start, end } = this.axis.cut(this.store.state.span);
    const heads = headsInUse(this.page, this.store.state);
    clearTimeout(this.timer);
    const serial = ++this.serial;
    if (end - start <= this.page.limits.viewBases || !heads.length) {
      this.button.hidden = true;
      return;
    }
    if (this.atWork({ start, end }, heads)) {
      this.button.hidden = false;
      this.button.disabled = true;
      this.words.textContent = "Predicting…";
      this.button.title = "A job is at work on all that is in view; the line at the foot of the page says how far it is.";
      return;
    }
    this.timer = setTimeout(() => {
      this.connection.estimate({ start, end }, heads).then(
        (estimate) => { if (serial === this.serial) this.offer(estimate); },
        () => { this.button.hidden = true; },
      );
    }, PAUSE);
  }

  private offer({ unknown, seconds }: Estimate): void {
    this.button.hidden = unknown === 0;
    this.button.disabled = this.pressed;
    this.words.textContent = `Predict region${seconds === null ? "" : `, about ${duration(seconds)}`}`;
    this.button.title = `The view is wider than the ${width(this.page.limits.viewBases)} that are predicted while you `
      + `look. ${count(unknown, "window")} in it are not predicted yet: compute them in the background.`;
  }
}
