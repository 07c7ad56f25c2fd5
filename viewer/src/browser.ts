// Where the view is: moving it, and going back to where it was.
import type { Page, Span } from "./api";
import type { Axis } from "./axis";
import { byId } from "./dom";
import { decode, defaultState, encode, NARROWEST, withSpan, type Link, type Store, type ViewState } from "./state";

const ANIMATION = 250;
const ADDRESS_PAUSE = 300;
const SETTLING = 100;
/** A wheel that has not turned for so long has come to rest: HiGlass ends its own gesture after 150 ms. */
const RESTING = 250;
/** In bases: HiGlass reckons in fractions of them. */
const NEAR = 2;

/** The part of HiGlass' interface that is used here. */
export interface Api {
  zoomTo(view: string, start: number, end: number, start2?: number, end2?: number, milliseconds?: number): void;
  on(event: "location", tell: (where: { xDomain: [number, number] }) => void, view: string): void;
  setViewConfig(config: unknown, immediately: boolean): Promise<void>;
  exportAsSvg(): string;
}

export class Browser {
  // Where a movement that is under way will end, so that keys pressed quickly add up and none is lost half-way.
  private target: Span | undefined;
  private targetTimer: ReturnType<typeof setTimeout> | undefined;
  // How wide the view was when a hand took it, until it has come to rest.
  private taken: number | undefined;
  private held = false;
  private restTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly api: Api,
    private readonly store: Store,
    private readonly trail: Trail,
  ) {
    api.on(
      "location",
      ({ xDomain: [start, end] }) => {
        this.moved({ start, end });
      },
      page.view,
    );
    // Whoever takes the view by hand goes on from what is seen.
    for (const kind of ["pointerdown", "wheel"]) {
      byId("plot").addEventListener(kind, () => { this.take(kind === "pointerdown"); }, { capture: true, passive: true });
    }
    for (const kind of ["pointerup", "pointercancel"]) {
      addEventListener(kind, () => {
        this.held = false;
        this.awaitRest();
      }, { capture: true });
    }
  }

  /** Go somewhere else: the browser's own Back leads to where the view is now. */
  jump(span: Span): void {
    this.trail.write();
    this.show(span);
    this.trail.push();
  }

  /** Show a span, as a part of the same visit. */
  show(span: Span, milliseconds = 0): void {
    const { start, end } = this.axis.clamp(span);
    this.forgetTarget();
    this.taken = undefined;
    this.api.zoomTo(this.page.view, start, end, undefined, undefined, milliseconds);
    if (milliseconds) {
      this.target = { start, end };
      // A busy machine may drop an animation's last steps; this is where it was to end.
      this.targetTimer = setTimeout(() => { this.show({ start, end }); }, milliseconds + SETTLING);
    } else this.moved({ start, end });
  }

  pan(share: number): void {
    const { start, end } = this.target ?? this.store.state.span;
    const by = (end - start) * share;
    this.show({ start: start + by, end: end + by }, pace());
  }

  zoom(factor: number): void {
    const { start, end } = this.target ?? this.store.state.span;
    const middle = (start + end) / 2;
    // A link may lead to less than what keys zoom in to; from there they go on to nothing wider.
    const half = Math.max((end - start) * factor, Math.min(end - start, NARROWEST)) / 2;
    this.show({ start: middle - half, end: middle + half }, pace());
  }

  whole(): void {
    this.jump({ start: 0, end: this.axis.length });
  }

  private take(held: boolean): void {
    this.forgetTarget();
    const { start, end } = this.store.state.span;
    this.taken ??= end - start;
    this.held ||= held;
    this.awaitRest();
  }

  private awaitRest(): void {
    clearTimeout(this.restTimer);
    if (this.taken !== undefined) this.restTimer = setTimeout(() => { this.rest(); }, RESTING);
  }

  /** HiGlass lets a hand leave the genome and zoom without end: once it rests, lead it back. */
  private rest(): void {
    if (this.held || this.taken === undefined) return;
    const least = Math.min(this.taken, NARROWEST);
    this.taken = undefined;
    const { start, end } = this.store.state.span;
    const middle = (start + end) / 2;
    const half = Math.max(end - start, least) / 2;
    const right = this.axis.clamp({ start: middle - half, end: middle + half });
    if (Math.abs(right.start - start) > NEAR || Math.abs(right.end - end) > NEAR) this.show(right, pace());
  }

  private forgetTarget(): void {
    clearTimeout(this.targetTimer);
    this.target = undefined;
  }

  private moved(span: Span): void {
    const { start, end } = this.store.state.span;
    if (start === span.start && end === span.end) return;
    this.store.update((state) => withSpan(state, span));
    // HiGlass glides on for a while after a hand let go.
    this.awaitRest();
  }
}

/** Who asked their system for less motion gets none. */
function pace(): number {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : ANIMATION;
}

/** The address bar and the browser's history: jumps are steps in it, moves and settings change the step one is at. */
export class Trail {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private at: number;
  private last: number;

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly told: (canGoBack: boolean, canGoForward: boolean) => void,
  ) {
    this.at = this.last = step(history.state) ?? 0;
    // Marked at once, so that Back from a link that is typed next leads to a step that is known.
    history.replaceState({ step: this.at }, "");
    store.onChange(() => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => { this.write(); }, ADDRESS_PAUSE);
    });
    told(this.at > 0, false);
  }

  /** Call `arrived` with what the address says whenever Back, Forward or a person changed it. */
  onArrival(arrived: (link: Link) => void): void {
    addEventListener("popstate", ({ state }) => {
      clearTimeout(this.timer);
      const link = decode(location.hash, this.page, this.axis);
      const there = step(state);
      // Back leads to a place; how the tracks look stays. An address that a person typed says all, and is a new step.
      arrived(there === null ? { ...link, settings: link.settings ?? this.plain(link) } : { ...link, settings: null });
      this.at = there ?? this.at + 1;
      this.last = there === null ? this.at : Math.max(this.last, this.at);
      this.told(this.at > 0, this.at < this.last);
      this.write();
    });
  }

  /** A link that names a place and no settings means those that the page opens with. */
  private plain(link: Link): ViewState | null {
    return link.span ? defaultState(this.page) : null;
  }

  /** Begin a new step of the history: the view has jumped. */
  push(): void {
    clearTimeout(this.timer);
    this.at++;
    this.last = this.at;
    history.pushState({ step: this.at }, "", this.address());
    this.told(true, false);
  }

  /** The whole address of what is shown. */
  address(): string {
    return `#${encode(this.store.state, this.page, this.axis)}`;
  }

  write(): void {
    clearTimeout(this.timer);
    history.replaceState({ step: this.at }, "", this.address());
  }
}

function step(state: unknown): number | null {
  const value = (state as { step?: unknown } | null)?.step;
  return typeof value === "number" ? value : null;
}
