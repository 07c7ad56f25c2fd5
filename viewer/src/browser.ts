// What is in view: moving it, and saying in words where one is.
import type { Page, Span } from "./api";
import { foldWords, overlap, width, type Axis } from "./axis";
import { byId, make, say } from "./dom";

const ANIMATION = 250;
const NARROWEST = 500;
const HASH_PAUSE = 300;
const SETTLING = 100;

/** The part of HiGlass' interface that is used here. */
export interface Api {
  zoomTo(view: string, start: number, end: number, start2?: number, end2?: number, milliseconds?: number): void;
  on(event: "location", tell: (where: { xDomain: [number, number] }) => void, view: string): void;
}

export class Browser {
  private span: Span;
  // Where a movement that is under way will end, so that keys pressed quickly add up and none is lost half-way.
  private target: Span | undefined;
  private targetTimer: ReturnType<typeof setTimeout> | undefined;
  private known: Span[] | undefined;
  private hashTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly api: Api,
    span: Span,
  ) {
    this.span = span;
    api.on(
      "location",
      ({ xDomain: [start, end] }) => {
        this.moved({ start, end });
      },
      page.view,
    );
    // Whoever takes the view by hand goes on from what is seen.
    for (const kind of ["pointerdown", "wheel"]) {
      byId("plot").addEventListener(kind, () => { this.forgetTarget(); }, { capture: true, passive: true });
    }
    this.moved(span);
  }

  goTo(span: Span, milliseconds = 0): void {
    const { start, end } = this.axis.clamp(span);
    this.forgetTarget();
    this.api.zoomTo(this.page.view, start, end, undefined, undefined, milliseconds);
    if (milliseconds) {
      this.target = { start, end };
      // A busy machine may drop an animation's last steps; this is where it was to end.
      this.targetTimer = setTimeout(() => { this.goTo({ start, end }); }, milliseconds + SETTLING);
    } else this.moved({ start, end });
  }

  private forgetTarget(): void {
    clearTimeout(this.targetTimer);
    this.target = undefined;
  }

  pan(share: number): void {
    const { start, end } = this.target ?? this.span;
    const by = (end - start) * share;
    this.goTo({ start: start + by, end: end + by }, ANIMATION);
  }

  zoom(factor: number): void {
    const { start, end } = this.target ?? this.span;
    const middle = (start + end) / 2;
    const half = Math.max((end - start) * factor, NARROWEST) / 2;
    this.goTo({ start: middle - half, end: middle + half }, ANIMATION);
  }

  setSequence(known: Span[]): void {
    this.known = known;
    this.moved(this.span);
  }

  private moved(span: Span): void {
    this.span = span;
    const shown = this.axis.cut(span);
    const where = this.axis.write(shown);
    byId("location").replaceChildren(make("b", "", where), ` ${width(shown.end - shown.start)}`);
    const fold = foldWords(shown, this.page.folds);
    const chip = byId("fold");
    say(chip, fold.words);
    chip.dataset.kind = fold.kind;
    chip.title = fold.title;
    const near = (shown.end - shown.start) / 50;
    const here = this.page.loci.find(
      ({ start, end }) => Math.abs(start - shown.start) < near && Math.abs(end - shown.end) < near,
    );
    say(byId("note"), here?.note ?? "");
    this.tellSequence(shown);
    clearTimeout(this.hashTimer);
    this.hashTimer = setTimeout(() => {
      history.replaceState(null, "", `#${where.replaceAll(",", "")}`);
    }, HASH_PAUSE);
  }

  private tellSequence(shown: Span): void {
    if (!this.known) return;
    const share = overlap(shown, this.known) / Math.max(shown.end - shown.start, 1);
    const notice = byId("notice");
    if (share === 0) {
      const middle = (shown.start + shown.end) / 2;
      const distance = ({ start, end }: Span) => Math.max(start - middle, middle - end);
      const nearest = this.known.reduce<Span | undefined>(
        (best, next) => (best && distance(best) <= distance(next) ? best : next),
        undefined,
      );
      say(notice, "No sequence here: this genome file holds only N in this region, so nothing can be predicted.");
      if (nearest) {
        const button = make("button", "link", `Go to the nearest sequence, ${this.axis.write(nearest)}`);
        button.addEventListener("click", () => {
          this.goTo(nearest);
        });
        notice.append(" ", button);
      }
      say(byId("sequence"), "no sequence here");
    } else {
      say(notice, "");
      say(byId("sequence"), share < 0.98 ? `sequence for ${Math.max(Math.round(100 * share), 1)} % of the view` : "");
    }
  }
}

