// The page of jobs: submit a region or BED, follow what is predicted, go there, download it.
import { get, locate, NotFound, page as getPage, type Page, type Span } from "./api";
import { Axis, width } from "./axis";
import { valuesChoice } from "./downloads";
import { announce, button, byId, make, say } from "./dom";
import { drawIcons, icon } from "./icons";
import { cancelJob, followJobs, unfinished } from "./joblist";
import { attachMenu, type Entry } from "./menu";
import { connect, type Connection, type Estimate, type Job } from "./plugin/index";
import "./style.css";
import { count, duration } from "./words";
import { dress, keptTheme, onSystemTheme } from "./theme";

const PAUSE = 400;

class Form {
  private readonly what = byId("what") as HTMLTextAreaElement;
  private readonly name = byId("name") as HTMLInputElement;
  private readonly fault = byId("fault");
  private readonly estimate = byId("estimate");
  private file: { name: string; text: string } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    page: Page,
    private readonly connection: Connection,
    private readonly submitted: (job: Job) => void,
  ) {
    const heads = byId("heads");
    heads.hidden = page.model.heads.length < 2;
    page.model.heads.forEach(({ name, kind }, index) => {
      const box = make("input", "");
      box.type = "checkbox";
      box.value = name;
      // The page draws the first head unless it is told otherwise.
      box.checked = index === 0;
      box.addEventListener("change", () => { this.guess(); });
      heads.append(make("label", "check", box, name, make("small", "", kind === name ? "" : kind)));
    });
    const file = byId("file") as HTMLInputElement;
    byId("open-file").addEventListener("click", () => { file.click(); });
    file.addEventListener("change", () => {
      const [chosen] = file.files ?? [];
      file.value = "";
      void chosen?.text().then((text) => {
        this.hold({ name: chosen.name, text });
        this.name.value ||= chosen.name;
      });
    });
    byId("drop-file").addEventListener("click", () => {
      this.hold(null);
      this.what.focus();
    });
    this.what.addEventListener("input", () => { this.guess(); });
    byId("new").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  private get heads(): string[] {
    return [...byId("heads").querySelectorAll<HTMLInputElement>("input:checked")].map(({ value }) => value);
  }

  /** Keep the text of a file aside, in place of what is typed: a text field cannot hold a hundred thousand lines. */
  private hold(file: { name: string; text: string } | null): void {
    this.file = file;
    this.what.hidden = file !== null;
    byId("held").hidden = file === null;
    byId("held-name").textContent = file ? `${file.name}, ${count(lines(file.text), "region")}` : "";
    this.guess();
  }

  /** Say, soon, what a region would take. */
  private guess(): void {
    say(this.fault, "");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), PAUSE);
  }

  private async ask(): Promise<void> {
    const text = this.what.value.trim();
    if (this.file || !text || isBed(text)) {
      const regions = lines(this.file?.text ?? text);
      this.estimate.textContent = regions ? `${count(regions, "region")} of BED` : "";
      return;
    }
    try {
      const { region, start, end } = await locate(text);
      const answer = await this.connection.estimate({ start, end }, this.heads);
      if (this.what.value.trim() === text) this.estimate.textContent = `${region}: ${cost(answer)}`;
    } catch {
      this.estimate.textContent = "";
    }
  }

  private async submit(): Promise<void> {
    const text = this.what.value.trim();
    if (!text && !this.file) {
      say(this.fault, "Type a region, such as chr20:10,000,000-15,000,000, or paste lines of BED.");
      this.what.focus();
      return;
    }
    if (!this.heads.length) {
      say(this.fault, "Choose at least one head.");
      return;
    }
    try {
      const bed = this.file?.text ?? (isBed(text) ? this.what.value : null);
      const what = bed === null ? { region: (await locate(text)).region } : { bed };
      const job = await this.connection.predict(what, this.heads, this.name.value.trim());
      this.what.value = this.name.value = "";
      this.hold(null);
      say(this.fault, "");
      announce(`Submitted ${job.name || job.region}`);
      this.submitted(job);
    } catch (error) {
      say(this.fault, error instanceof Error ? error.message : String(error));
      if (error instanceof NotFound && error.suggestion) {
        const { suggestion } = error;
        this.fault.append(" ", button("link", () => {
          this.what.value = suggestion;
          this.guess();
        }, `Take ${suggestion}`));
      }
    }
  }
}

class List {
  private readonly jobs = new Map<string, Job>();
  private readonly items = new Map<string, Item>();

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly connection: Connection,
  ) {
    followJobs(connection, () => this.jobs.values(), (job) => { this.show(job); });
  }

  show(job: Job): void {
    const before = this.jobs.get(job.id);
    this.jobs.set(job.id, job);
    if (before && before.state !== job.state) announce(`${job.name || job.region}: ${job.state}`);
    let item = this.items.get(job.id);
    if (!item) {
      item = new Item(this.page, this.axis, this.connection, job, (cancelled) => { this.show(cancelled); });
      this.items.set(job.id, item);
      const [newer] = [...this.jobs.values()]
        .filter(({ submitted }) => submitted > job.submitted)
        .sort((a, b) => a.submitted - b.submitted);
      const after = newer && this.items.get(newer.id)?.element;
      if (after) after.after(item.element);
      else byId("jobs").prepend(item.element);
    }
    item.update(job);
    byId("none").hidden = true;
  }

  /** Ask for all jobs. */
  async load(): Promise<void> {
    const { jobs } = await get<{ jobs: Job[] }>("/api/jobs");
    for (const job of jobs) this.show(job);
    byId("none").hidden = this.jobs.size > 0;
  }
}

class Item {
  readonly element: HTMLElement;
  private readonly bar = make("progress", "");
  private readonly state = make("span", "chip");
  private readonly words = make("span", "words");
  private readonly fault = make("span", "fault");
  private readonly cancel: HTMLButtonElement;
  private readonly download: HTMLButtonElement;

  constructor(
    page: Page,
    axis: Axis,
    connection: Connection,
    private job: Job,
    cancelled: (job: Job) => void,
  ) {
    const name = job.name || job.region;
    const span = { start: job.start, end: job.end };
    this.bar.setAttribute("aria-label", `windows predicted of ${name}`);
    this.cancel = button("", () => {
      this.cancel.disabled = true;
      cancelJob(this.job).then(cancelled, (error: unknown) => {
        say(this.fault, error instanceof Error ? error.message : String(error));
      }).finally(() => { this.cancel.disabled = false; });
    }, "Cancel");
    this.cancel.setAttribute("aria-label", `Cancel ${name}`);
    const go = make("a", "button", "Go there");
    go.href = `./#${axis.write(span).replaceAll(",", "")}`;
    go.setAttribute("aria-label", `Go there: ${name}`);
    this.download = button("", () => undefined, icon("export"), "Download");
    this.download.setAttribute("aria-label", `Download ${name}`);
    attachMenu(this.download, `Download ${name}`, () => downloads(page, connection, job, span));
    const where = job.regions > 1 ? `${job.region} and ${count(job.regions - 1, "other")}` : job.region;
    const heads = `head${job.heads.length > 1 ? "s" : ""} ${job.heads.join(", ")}`;
    const about = [...(where === name ? [] : [where]), width(job.bases), heads, `submitted ${time(job.submitted)}`];
    this.element = make(
      "li",
      "card",
      make("div", "title", make("h3", "", name), this.state),
      make("p", "about", about.join(" · ")),
      make("div", "line", this.bar, this.words),
      make("div", "actions", go, this.download, this.cancel, this.fault),
    );
    this.element.dataset.job = job.id;
  }

  update(job: Job): void {
    this.job = job;
    const { state, done, total, seconds_left: left, message } = job;
    const running = unfinished(job);
    say(this.fault, "");
    this.element.dataset.state = state;
    this.state.textContent = state;
    this.state.dataset.state = state;
    this.bar.max = Math.max(total, 1);
    this.bar.value = state === "done" ? this.bar.max : done;
    const time = running && left !== null ? `, about ${duration(left)} left` : "";
    const said = message ? `: ${message}` : "";
    this.words.textContent = `${done.toLocaleString("en")} of ${count(total, "window")}${time}${said}`;
    this.cancel.hidden = !running;
    this.download.hidden = done === 0 && state !== "done";
  }
}

function downloads(page: Page, connection: Connection, job: Job, span: Span): Entry[] {
  return page.panels.flatMap(({ name, predicted }) =>
    predicted
      .filter(({ head }) => job.heads.includes(head))
      .flatMap(({ head, uid }): Entry[] => [
        page.model.heads.length > 1 ? `${name}, ${head}` : name,
        valuesChoice(connection, null, uid, "bigwig", span),
        valuesChoice(connection, null, uid, "bedgraph", span),
      ]),
  );
}

function cost({ unknown, windows, seconds }: Estimate): string {
  if (!windows) return "no window with sequence";
  if (!unknown) return "all predicted already";
  return `${count(unknown, "window")} to predict${seconds === null ? "" : `, about ${duration(seconds)}`}`;
}

/** How many lines of BED a text has. */
function lines(text: string): number {
  return text.match(/^\S+[ \t]+\d+[ \t]+\d+/gm)?.length ?? 0;
}

/** BED has several columns; a region or a gene has one. */
function isBed(text: string): boolean {
  return text.includes("\n") || /^\S+\t\d/.test(text) || /^\S+ +\d+ +\d+/.test(text);
}

function time(seconds: number): string {
  return new Date(1000 * seconds).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

async function start(): Promise<void> {
  drawIcons(document);
  dress(keptTheme());
  onSystemTheme(() => { dress(keptTheme()); });
  const page = await getPage();
  document.title = `Jobs: ${page.name}`;
  byId("genome").textContent = `${page.name}, ${page.assembly}`;
  const connection = connect("/api/v1");
  const list = new List(page, new Axis(page.chromosomes), connection);
  new Form(page, connection, (job) => { list.show(job); });
  connection.onGone((gone) => {
    document.body.classList.toggle("gone", gone);
    byId("progress").dataset.state = gone ? "gone" : "";
    byId("progress").textContent = gone ? "The server does not answer. It is asked again all the time." : "";
  });
  await list.load();
  document.body.dataset.state = "open";
}

start().catch((error: unknown) => {
  console.error(error);
  say(byId("fault"), `The page could not be opened: ${error instanceof Error ? error.message : String(error)}`);
});
