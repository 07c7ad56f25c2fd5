// The whole chromosome, or the whole genome where the view crosses chromosomes, at a glance: which parts the model was trained, validated and tested on, where predictions are,
// where there is no sequence, and where the view is. It is a slider: drag it, click it, or move it with keys.
import { overview, type Chromosome, type Page, type Span } from "./api";
import { overlap, type Axis } from "./axis";
import type { Browser } from "./browser";
import { byId, make } from "./dom";
import { headsInUse } from "./figure";
import type { Store } from "./state";

const PAUSE = 400;
const FOLD_HEIGHT = 8;
const KNOWN_TOP = 11;
const KNOWN_HEIGHT = 8;
const HEIGHT = 36;
const NARROWEST = 7;
/** Keys that follow each other within so many milliseconds are one step of the history. */
const BURST = 1_000;
const ALL = "all";

/** What is drawn: one chromosome, or all of them. */
interface Frame {
  start: number;
  length: number;
  chromosomes: readonly Chromosome[];
}

export class Overview {
  private readonly box = byId("overview");
  private readonly canvas = make("canvas", "");
  private readonly window = make("div", "window");
  private readonly chooser = byId("chromosome") as HTMLSelectElement;
  private readonly genome: Frame;
  private frame: Frame;
  private lastKey = -Infinity;
  private readonly known = new Map<string, Span[]>();
  private sequence: Span[] | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = "";

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly browser: Browser,
  ) {
    const [first] = page.chromosomes;
    if (!first) throw new Error("the genome has no chromosome");
    this.genome = { start: 0, length: axis.length, chromosomes: page.chromosomes };
    this.frame = frameOf(first);
    this.box.append(this.canvas, this.window);
    if (page.chromosomes.length > 1) this.chooser.append(new Option("All", ALL));
    for (const { name } of page.chromosomes) this.chooser.append(new Option(name, name));
    this.chooser.addEventListener("change", () => {
      const chosen = page.chromosomes.find(({ name }) => name === this.chooser.value);
      if (this.chooser.value === ALL) browser.whole();
      else if (chosen) browser.jump({ start: chosen.start, end: chosen.start + chosen.length });
    });
    this.box.addEventListener("pointerdown", (event) => { this.drag(event); });
    this.box.addEventListener("keydown", (event) => { this.key(event); });
    new ResizeObserver(() => { this.paint(); }).observe(this.box);
    store.onChange(({ span, rows }, before) => {
      if (span !== before.span) this.follow();
      if (rows !== before.rows) this.ask();
    });
    this.follow();
  }

  setSequence(known: Span[]): void {
    this.sequence = known;
    this.paint();
  }

  /** Ask again where predictions are, soon: some have come. */
  refresh(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.asked = "";
      this.ask();
    }, PAUSE);
  }

  repaint(): void {
    this.paint();
  }

  private follow(): void {
    const { start, end } = this.axis.cut(this.store.state.span);
    const one = this.page.chromosomes.find((each) => start >= each.start && end <= each.start + each.length);
    const { frame } = this;
    if (!one) this.frame = this.genome;
    else if (frame === this.genome || frame.start !== one.start) this.frame = frameOf(one);
    if (frame !== this.frame) {
      this.box.setAttribute("aria-label", one ? "Place on the chromosome" : "Place on the genome");
      this.paint();
    }
    this.chooser.value = one?.name ?? ALL;
    this.ask();
    this.placeWindow();
  }

  private placeWindow(): void {
    const { start, length } = this.frame;
    const span = this.axis.cut(this.store.state.span);
    const from = Math.max(span.start - start, 0) / length;
    const to = Math.min(span.end - start, length) / length;
    const { clientWidth } = this.box;
    const wide = Math.max((to - from) * clientWidth, NARROWEST);
    this.window.style.left = `${Math.min(from * clientWidth, clientWidth - wide)}px`;
    this.window.style.width = `${wide}px`;
    this.box.setAttribute("aria-valuemin", "1");
    this.box.setAttribute("aria-valuemax", String(length));
    this.box.setAttribute("aria-valuenow", String(Math.round(((from + to) / 2) * length)));
    this.box.setAttribute("aria-valuetext", this.axis.write(span));
  }

  private ask(): void {
    const heads = headsInUse(this.page, this.store.state);
    // Of a genome of thousands of contigs, those that come to less than a pixel stay as they are.
    const least = this.frame.length / Math.max(this.box.clientWidth, 1);
    const names = this.frame.chromosomes.filter(({ length }) => length >= least).map(({ name }) => name);
    const now = [...names, "", ...heads].join("\n");
    if (now === this.asked) return;
    this.asked = now;
    for (const [name, head] of names.flatMap((each) => heads.map((other) => [each, other] as const))) {
      overview(name, head).then(
        ({ known }) => {
          this.known.set(`${name} ${head}`, known.map(([start, end]) => ({ start, end })));
          this.paint();
        },
        // A server that is gone is told of elsewhere; when it is back, this is asked again.
        () => { this.asked = ""; },
      );
    }
    this.paint();
  }

  private paint(): void {
    const { clientWidth: width } = this.box;
    if (!width) return;
    const scale = devicePixelRatio;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(HEIGHT * scale);
    const context = this.canvas.getContext("2d");
    if (!context) return;
    context.scale(scale, scale);
    const style = getComputedStyle(this.box);
    const color = (name: string) => style.getPropertyValue(`--${name}`);
    const { start, length, chromosomes } = this.frame;
    const bar = (span: Span, top: number, height: number, fill: string) => {
      const from = Math.max((span.start - start) / length, 0) * width;
      const to = Math.min((span.end - start) / length, 1) * width;
      if (to <= from) return;
      context.fillStyle = fill;
      context.fillRect(from, top, Math.max(to - from, 0.75), height);
    };
    for (const fold of this.page.folds) bar(fold, 0, FOLD_HEIGHT, color(`fold-${fold.fold}`));
    const heads = headsInUse(this.page, this.store.state);
    const each = KNOWN_HEIGHT / Math.max(heads.length, 1);
    bar({ start, end: start + length }, KNOWN_TOP, KNOWN_HEIGHT, color("unknown"));
    heads.forEach((head, index) => {
      for (const span of chromosomes.flatMap(({ name }) => this.known.get(`${name} ${head}`) ?? [])) {
        bar(span, KNOWN_TOP + index * each, each, color("known"));
      }
    });
    if (this.sequence) this.hatch(context, width, color("no-sequence"), color("hatch"));
    if (chromosomes.length > 1) this.borders(context, width, color("quiet"));
    else this.ruler(context, width, color("quiet"));
    this.placeWindow();
  }

  private hatch(context: CanvasRenderingContext2D, width: number, ground: string, ink: string): void {
    const { start, length } = this.frame;
    for (const gap of gaps(this.sequence ?? [], { start, end: start + length })) {
      const from = ((gap.start - start) / length) * width;
      const to = ((gap.end - start) / length) * width;
      if (to - from < 0.5) continue;
      context.save();
      context.beginPath();
      context.rect(from, KNOWN_TOP, to - from, KNOWN_HEIGHT);
      context.clip();
      context.fillStyle = ground;
      context.fill();
      context.strokeStyle = ink;
      context.beginPath();
      for (let x = from - KNOWN_HEIGHT; x < to; x += 4) {
        context.moveTo(x, KNOWN_TOP + KNOWN_HEIGHT);
        context.lineTo(x + KNOWN_HEIGHT, KNOWN_TOP);
      }
      context.stroke();
      context.restore();
    }
  }

  /** Where each chromosome begins, and its name where there is room for it. */
  private borders(context: CanvasRenderingContext2D, width: number, ink: string): void {
    const { start: first, length: all, chromosomes } = this.frame;
    context.fillStyle = ink;
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const { name, start, length } of chromosomes) {
      const x = ((start - first) / all) * width;
      const wide = (length / all) * width;
      if (start > first && wide > 2) context.fillRect(Math.round(x), 0, 1, HEIGHT);
      if (context.measureText(name).width < wide - 4) context.fillText(name, x + wide / 2, HEIGHT - 2);
    }
  }

  private ruler(context: CanvasRenderingContext2D, width: number, ink: string): void {
    const { length } = this.frame;
    const step = [1, 2, 5].flatMap((one) => [0, 1, 2, 3, 4, 5, 6, 7, 8].map((power) => one * 10 ** power))
      .sort((a, b) => a - b)
      .find((one) => (one / length) * width > 80) ?? length;
    context.fillStyle = ink;
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    for (let at = 0; at <= length; at += step) {
      const x = (at / length) * width;
      const words = at === 0 ? "0" : at >= 1e6 ? `${at / 1e6} Mb` : `${at / 1e3} kb`;
      const wide = context.measureText(words).width;
      context.textAlign = at === 0 ? "left" : x + wide / 2 > width ? "right" : "center";
      context.fillRect(Math.min(Math.round(x), width - 1), KNOWN_TOP + KNOWN_HEIGHT + 1, 1, 3);
      context.fillText(words, Math.min(x, width), HEIGHT - 2);
    }
  }

  private drag(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    this.box.focus();
    this.box.setPointerCapture(event.pointerId);
    const { left, width } = this.box.getBoundingClientRect();
    const { start, length } = this.frame;
    const at = (x: number) => start + ((x - left) / width) * length;
    const span = this.store.state.span;
    const wide = Math.min(span.end - span.start, length);
    // A window that is taken hold of stays under the pointer; elsewhere a click brings its middle there.
    const inside = at(event.clientX) >= span.start && at(event.clientX) < span.end;
    const offset = inside && wide < length ? at(event.clientX) - (span.start + span.end) / 2 : 0;
    let gone = false;
    const go = (x: number) => {
      const middle = Math.min(Math.max(at(x) - offset, start + wide / 2), start + length - wide / 2);
      const to = { start: middle - wide / 2, end: middle + wide / 2 };
      if (gone) this.browser.show(to);
      else this.browser.jump(to);
      gone = true;
    };
    if (!inside) go(event.clientX);
    const move = ({ clientX }: PointerEvent) => { go(clientX); };
    this.box.addEventListener("pointermove", move);
    const end = () => { this.box.removeEventListener("pointermove", move); };
    this.box.addEventListener("pointerup", end, { once: true });
    this.box.addEventListener("pointercancel", end, { once: true });
  }

  private key(event: KeyboardEvent): void {
    const { start, length } = this.frame;
    const { span } = this.store.state;
    const wide = Math.min(span.end - span.start, length);
    const to = (wanted: number) => {
      const from = Math.min(Math.max(wanted, start), start + length - wide);
      const there = { start: from, end: from + wide };
      // Back leads to where the first of several keys was pressed.
      if (event.timeStamp - this.lastKey > BURST) this.browser.jump(there);
      else this.browser.show(there);
      this.lastKey = event.timeStamp;
    };
    const by = (bases: number) => { to(span.start + bases); };
    const actions: Record<string, () => void> = {
      ArrowLeft: () => { by(-length / 100); },
      ArrowDown: () => { by(-length / 100); },
      ArrowRight: () => { by(length / 100); },
      ArrowUp: () => { by(length / 100); },
      PageDown: () => { by(-length / 10); },
      PageUp: () => { by(length / 10); },
      Home: () => { to(start); },
      End: () => { to(start + length); },
    };
    const act = actions[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }
}

function frameOf(chromosome: Chromosome): Frame {
  const { start, length } = chromosome;
  return { start, length, chromosomes: [chromosome] };
}

/** What of a span no known span covers. */
function gaps(known: Span[], within: Span): Span[] {
  const found: Span[] = [];
  let at = within.start;
  for (const span of [...known].filter((one) => overlap(within, [one]) > 0).sort((a, b) => a.start - b.start)) {
    if (span.start > at) found.push({ start: at, end: span.start });
    at = Math.max(at, span.end);
  }
  if (at < within.end) found.push({ start: at, end: within.end });
  return found;
}
