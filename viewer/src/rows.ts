// The left margin: for every row its name, its legend, its axis and agreement, and in words what is to be seen.
import type { Page, Panel } from "./api";
import { width, type Training } from "./axis";
import { button, make, say, svg } from "./dom";
import { colorOf, panelOf, showable, shownRows } from "./figure";
import { icon } from "./icons";
import { attachMenu, type Entry } from "./menu";
import type { Agreement, Seen, Tick } from "./plugin/index";
import type { Row, ViewState } from "./state";
import { shade, type Inks } from "./theme";

const AXIS_WIDTH = 58;
/** Pixels: a digit of a label is at most so wide, a label ends so far from the plot, a line of the unit is so high. */
const DIGIT = 6.3;
const LABEL_END = 8;
const UNIT_LINE = 11;

interface Parts {
  row: HTMLElement;
  observed: HTMLElement;
  predicted: HTMLElement;
  agreement: HTMLElement;
  axis: SVGElement;
  retry: HTMLElement;
}

interface RowActions {
  menu(row: Row): Entry[];
  retry(): void;
}

export class Rows {
  private readonly rows = new Map<string, Parts>();
  private readonly seen = new Map<string, Seen>();
  private training: Training = "";

  constructor(
    private readonly gutter: HTMLElement,
    private readonly page: Page,
    private readonly actions: RowActions,
  ) {}

  /** Make the rows anew, with what was last seen of them. */
  build(state: ViewState, heights: ReadonlyMap<string, number>, ink: Inks): void {
    this.rows.clear();
    const chromosomes = this.page.viewconf.views[0].tracks.top.find(({ uid }) => uid === "chromosomes");
    const top = make("div", "row small", this.page.assembly);
    top.style.height = `${chromosomes?.height ?? 0}px`;
    const made = shownRows(state).map((row) => {
      const panel = panelOf(this.page, row.uid);
      const height = heights.get(row.uid) ?? 0;
      const element = panel ? this.panelRow(panel, row, height, ink) : this.plainRow(row);
      element.style.height = `${height}px`;
      return element;
    });
    // A menu that is open stands outside; the button that had the focus gets it back.
    const focused = document.activeElement?.closest<HTMLElement>("[data-row]")?.dataset.row;
    this.gutter.replaceChildren(top, ...made);
    if (focused) this.gutter.querySelector<HTMLElement>(`[data-row="${CSS.escape(focused)}"] button.more`)?.focus();
    this.seen.forEach((what, uid) => { this.show(uid, what); });
  }

  /** Forget what was seen of a row: another track stands in it now. */
  forget(uid: string): void {
    this.seen.delete(uid);
  }

  /** Say what of the view is training data, which any agreement has to be read by. */
  setTraining(training: Training): void {
    if (training === this.training) return;
    this.training = training;
    this.seen.forEach((what, uid) => { this.show(uid, what); });
  }

  /** Say what is seen of a row that was just drawn. */
  show(uid: string, what: Seen): void {
    this.seen.set(uid, what);
    const parts = this.rows.get(uid);
    if (!parts) return;
    const { loaded, observed, predicted, reasons, notices } = what;
    const seenObserved = observed ? "drawn" : notices.observed ? "failed" : loaded ? "no data here" : "loading";
    parts.row.dataset.observed = seenObserved;
    // One word has room beside the legend; the server's own words are in the plot and in the title.
    say(parts.observed, observed ? "" : seenObserved);
    parts.observed.title = notices.observed ?? "";
    const [reason] = [...reasons].sort((a, b) => b[1] - a[1])[0] ?? [];
    const working = reasons.has("computing") ? "computing" : reasons.has("queued") || reasons.has("not in view") ? "queued" : "";
    const state = notices.predicted ? "failed" : predicted ? "drawn" : (reason ?? (loaded ? "none here" : "loading"));
    parts.row.dataset.predicted = reasons.has("failed") ? "failed" : working || state;
    say(parts.predicted, working || (predicted ? "" : state));
    parts.predicted.title = notices.predicted ?? notices[state] ?? "";
    parts.retry.hidden = !reasons.has("failed");
    // Strips of colour have a key of their own, and no height that means anything.
    const strips = parts.row.dataset.mark === "heatmap";
    drawAxis(parts.axis, strips ? [] : what.ticks, this.unitOf(uid), parts.row.clientHeight);
    parts.axis.setAttribute("aria-label", axisWords(this.unitOf(uid), what.range));
    tellAgreement(parts.agreement, what.agreement, this.training);
  }

  /** What was last seen of a row. */
  lastSeen(uid: string): Seen | undefined {
    return this.seen.get(uid);
  }

  private unitOf(uid: string): string {
    return panelOf(this.page, uid)?.unit ?? "";
  }

  private plainRow(row: Row): HTMLElement {
    const name = rowName(this.page, row.uid);
    const element = make("div", "row small", make("span", "name", name), this.menuButton(row, name));
    element.dataset.row = row.uid;
    return element;
  }

  private panelRow(panel: Panel, row: Row, height: number, ink: Inks): HTMLElement {
    const observed = make("em", "", "loading");
    const predicted = make("em", "", "loading");
    const legend = make("ul", "");
    const color = shade(colorOf(this.page, row), ink);
    const show = showable(panel, row);
    if (show === "difference") {
      const key = row.mark === "heatmap" ? stripKey : fullKey;
      legend.append(
        make("li", "", key(color), "predicted higher", predicted),
        make("li", "", key(shade(this.page.observedColor, ink)), "observed higher", observed),
      );
    } else {
      const keys = KEYS[row.mark];
      if (panel.observed !== null && show !== "predicted") {
        // A heatmap's strips are all in the track's colour.
        const grey = row.mark === "heatmap" ? color : shade(this.page.observedColor, ink);
        legend.append(make("li", "", keys.observed(grey), "observed", observed));
      }
      if (panel.predicted.length && show !== "observed") {
        const by = row.head === null ? "" : ` by ${row.head}`;
        const words = panel.observed === null ? "predicted only" : "predicted";
        legend.append(make("li", "", keys.predicted(color), words + by, predicted));
      }
    }
    if (panel.observed === null) legend.append(make("li", "note", "observed data is not shipped"));
    if (!panel.predicted.length) legend.append(make("li", "note", "not predicted by this model"));
    const retry = button("link", () => { this.actions.retry(); }, "Retry");
    retry.hidden = true;
    const about = [panel.assay, panel.biosample].filter(Boolean).join(", ");
    const agreement = make("span", "agreement");
    agreement.hidden = true;
    const text = make(
      "div",
      "text",
      make("div", "top", make("h2", "", panel.name), this.menuButton(row, panel.name)),
      make("p", "about", about),
      legend,
      agreement,
      retry,
    );
    text.title = panel.description;
    const axis = svg("svg", { class: "axis", width: AXIS_WIDTH, height, role: "img" });
    axis.setAttribute("aria-label", axisWords(panel.unit, panel.scale));
    const element = make("div", "row panel", text);
    element.append(axis);
    element.dataset.track = panel.uid;
    element.dataset.row = panel.uid;
    element.dataset.show = show;
    element.dataset.mark = row.mark;
    this.rows.set(panel.uid, { row: element, observed, predicted, agreement, axis, retry });
    return element;
  }

  private menuButton(row: Row, name: string): HTMLElement {
    const opener = make("button", "plain more", icon("more"));
    opener.type = "button";
    opener.title = "Show, hide, move or export this track";
    opener.setAttribute("aria-label", `Menu of ${name}`);
    attachMenu(opener, name, () => this.actions.menu(row));
    return opener;
  }
}

export function rowName(page: Page, uid: string): string {
  const named = panelOf(page, uid) ?? page.annotations.find((one) => one.uid === uid);
  return named?.name ?? (uid === "genes" ? "Genes" : uid);
}

function tellAgreement(element: HTMLElement, agreement: Agreement | null, training: Training): void {
  element.hidden = !agreement || agreement.bins === 0;
  if (!agreement || element.hidden) return;
  const { r, bins, binWidth } = agreement;
  const bin = width(binWidth);
  // The warning comes first where there is no room for all; how many bins there are is in the title too.
  const counts = ` ${bins.toLocaleString("en")} bins`;
  const beside = { "": `${counts} of ${bin}`, "training data": `${counts},`, "view partly training": "," }[training];
  element.dataset.kind = training && r !== null ? "train" : "held-out";
  element.replaceChildren(
    ...(training && r !== null ? [icon("warning")] : []),
    make("b", "", `r ${r === null ? "–" : r.toFixed(2).replace("-", "−")}`),
    r === null ? " nothing varies here" : beside,
    ...(training && r !== null ? [make("i", "", training)] : []),
  );
  const counted = `${bins.toLocaleString("en")} bins of ${bin}`;
  const what = `Pearson correlation of observed and predicted over the ${counted} in view that have both.`;
  const why = r === null ? " It is undefined, as one of them does not vary here." : "";
  element.title = what + why + TRAINING_WORDS[training];
}

function axisWords(unit: string, [low, high]: readonly [number, number]): string {
  return `axis: ${unit}, ${short(low)} to ${short(high)}`;
}

const TRAINING_WORDS: Record<Training, string> = {
  "": "",
  "training data":
    "\nThe view is training data: there, this says how well the model fits what it has seen, not how well it predicts.",
  "view partly training":
    "\nA part of the view is training data. Where bins of it are counted, this says how well the model fits what it has "
    + "seen, not how well it predicts.",
};

function short(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** Draw an axis, as wide as its labels and the unit beside them need. */
function drawAxis(axis: SVGElement, ticks: Tick[], unit: string, height: number): void {
  // The unit is longer than a panel is high, so it takes one line a word.
  const words = height < 60 ? [] : unit.split(" ").slice(0, 2);
  const longest = Math.max(0, ...ticks.map(({ label }) => label.length)) * DIGIT;
  const wide = Math.max(AXIS_WIDTH, Math.ceil(UNIT_LINE * words.length + 4 + longest + LABEL_END));
  axis.setAttribute("width", String(wide));
  axis.replaceChildren(...(ticks.length ? axisParts(ticks, words, wide, height) : []));
}

function axisParts(ticks: Tick[], unit: string[], wide: number, height: number): SVGElement[] {
  const marks = ticks.map(({ y, label }) => {
    const text = svg("text", { x: wide - LABEL_END, y: y + 3.5, "text-anchor": "end" });
    text.textContent = label;
    return svg("g", {}, svg("path", { d: `M${wide - 5} ${Math.round(y) + 0.5}h5` }), text);
  });
  const ys = ticks.map(({ y }) => y);
  const line = svg("path", { d: `M${wide - 0.5} ${Math.min(...ys)}V${Math.max(...ys)}` });
  if (!unit.length) return [line, ...marks];
  const turned = `translate(11 ${height / 2}) rotate(-90)`;
  const name = svg("text", { class: "unit", "text-anchor": "middle", transform: turned });
  unit.forEach((word, index) => {
    const part = svg("tspan", { x: 0, y: UNIT_LINE * index });
    part.textContent = word;
    name.append(part);
  });
  return [line, ...marks, name];
}

function areaKey(color: string): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" },
    svg("path", { d: "M0 12V4h9v4h6V2h9v10z", fill: color, "fill-opacity": 0.26 }),
    svg("path", { d: "M0 4h9v4h6V2h9", fill: "none", stroke: color }),
  );
}

function lineKey(color: string): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" },
    svg("path", { d: "M0 9l8-5 7 2 9-5", fill: "none", stroke: color, "stroke-width": 2 }),
  );
}

function barKey(color: string, opacity: number): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" },
    svg("path", { d: "M1 12V5h6v7zM9 12V1h6v11zM17 12V7h6v5z", fill: color, "fill-opacity": opacity }),
  );
}

function fullKey(color: string): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" },
    svg("path", { d: "M0 12V4h9v4h6V2h9v10z", fill: color, "fill-opacity": 0.62 }),
  );
}

/** Paler and fuller, as a strip of a heatmap is. */
function stripKey(color: string): SVGElement {
  const cells = [0.2, 0.55, 1].map((opacity, index) =>
    svg("path", { d: `M${8 * index} 1h8v10h-8z`, fill: color, "fill-opacity": opacity }),
  );
  return svg("svg", { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" }, ...cells);
}

type Key = (color: string) => SVGElement;

const KEYS: Record<Row["mark"], { observed: Key; predicted: Key }> = {
  line: { observed: areaKey, predicted: lineKey },
  bar: { observed: (color) => barKey(color, 0.5), predicted: (color) => barKey(color, 0.7) },
  heatmap: { observed: stripKey, predicted: stripKey },
};
