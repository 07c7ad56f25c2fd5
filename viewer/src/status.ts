// The line at the foot of the page: what is being predicted, on what, how fast, and whether the server is there.
import type { Page } from "./api";
import { announce, button, byId, make } from "./dom";
import { icon } from "./icons";
import { cancelJob, followJobs, unfinished } from "./joblist";
import type { Connection, Job, Status } from "./plugin/index";
import { count, duration } from "./words";

const JOB_STAYS = 8_000;

export class StatusLine {
  private status: Status | undefined;
  private gone = false;
  private readonly jobs = new Map<string, Job>();

  constructor(
    page: Page,
    private readonly connection: Connection,
  ) {
    const { name, heads, device, precision } = page.model;
    byId("model").textContent = name;
    byId("model").title = heads.length > 1 ? `heads: ${heads.map((head) => head.name).join(", ")}` : "";
    byId("device").textContent = device;
    byId("precision").textContent = precision;
    connection.onStatus((status) => { this.tell(status); });
    connection.onGone((gone) => {
      if (gone !== this.gone) announce(gone ? "The server does not answer" : "The server is back");
      this.gone = gone;
      document.body.classList.toggle("gone", gone);
      this.draw();
    });
    followJobs(connection, () => this.jobs.values(), (job) => { this.follow(job); });
  }

  /** Show a job until some time after it has ended. */
  follow(job: Job): void {
    const before = this.jobs.get(job.id);
    const ended = !unfinished(job);
    if (ended && !before) return;
    this.jobs.set(job.id, job);
    if (ended && before && unfinished(before)) {
      announce(`${job.region}: ${job.state}`);
      setTimeout(() => {
        this.jobs.delete(job.id);
        this.draw();
      }, JOB_STAYS);
    }
    this.draw();
  }

  private tell(status: Status): void {
    const before = this.status;
    this.status = status;
    byId("device").textContent = status.device;
    byId("precision").textContent = status.precision;
    const speed = status.seconds_per_window;
    byId("speed").textContent = speed === null ? "–" : `${speed < 10 ? speed.toPrecision(2) : Math.round(speed)} s`;
    if (busy(status) !== busy(before)) {
      announce(busy(status) ? "Predictions are being computed" : "Predictions are complete");
    }
    this.draw();
  }

  private draw(): void {
    const line = byId("progress");
    const { status } = this;
    line.dataset.state = this.gone ? "gone" : (status?.state ?? "");
    if (this.gone) {
      line.replaceChildren(icon("warning"), "The server does not answer; it is asked again and again.");
      return;
    }
    const parts: (Node | string)[] = [];
    if (status) parts.push(make("span", "doing", words(status)));
    if (status && status.failed > 0) {
      const said = status.message ? `: ${status.message}` : "";
      parts.push(
        make("span", "failed", icon("warning"), `${count(status.failed, "window")} failed${said}`),
        button("link", () => void this.connection.retry(null).catch(() => undefined), "Retry"),
      );
    }
    for (const job of this.jobs.values()) parts.push(this.jobPart(job));
    line.replaceChildren(...parts);
  }

  private jobPart(job: Job): HTMLElement {
    const running = unfinished(job);
    const state = running
      ? `${job.done} of ${job.total}${job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`}`
      : `${job.state}${job.message ? `: ${job.message}` : ""}`;
    const part = make("span", "job", make("b", "", job.name || job.region), " ", state);
    if (running) {
      const bar = make("progress", "");
      bar.max = Math.max(job.total, 1);
      bar.value = job.done;
      bar.setAttribute("aria-label", `windows predicted of ${job.region}`);
      const cancel = button("link", () => {
        void cancelJob(job).then((now) => { this.follow(now); }, () => undefined);
      }, "Cancel");
      part.append(bar, cancel);
    }
    return part;
  }
}

function busy(status: Status | undefined): boolean {
  return status !== undefined && (status.computing !== null || status.queued > 0);
}

function words({ computing, queued, state }: Status): string {
  if (state === "looking") return "Looking for sequence in the genome";
  const waiting = queued ? `${queued.toLocaleString("en")} queued` : "";
  if (computing) return [`Computing ${computing}`, waiting].filter(Boolean).join(", ");
  return waiting || "Idle";
}
