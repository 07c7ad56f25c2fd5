// The left margin: for every track its name, its legend, its unit and axis, and in words what is to be seen.
import type { Page, Panel } from "./api";
import { make, say, svg } from "./dom";
import type { Seen } from "./signal";

const MARGIN = 9;
const AXIS_WIDTH = 58;

export class Panels {
  private readonly rows = new Map<string, { row: HTMLElement; observed: HTMLElement; predicted: HTMLElement }>();

  constructor(gutter: HTMLElement, page: Page) {
    const panels = new Map(page.panels.map((panel) => [panel.uid, panel]));
    for (const { uid, height } of page.viewconf.views[0].tracks.top) {
      const panel = panels.get(uid);
      const row = panel ? this.panelRow(panel, page, height) : make("div", "row small", plainName(uid, page));
      row.style.height = `${height}px`;
      gutter.append(row);
    }
  }

  /** Say what is seen of a track that was just drawn. */
  show({ uid, loaded, values, reasons }: Seen): void {
    const [kind, ...rest] = uid.split("-");
    const parts = this.rows.get(rest.join("-"));
    if (!parts) return;
    if (kind === "observed") {
      const state = values ? "drawn" : loaded ? "no data here" : "loading";
      parts.row.dataset.observed = state;
      say(parts.observed, values ? "" : state);
    } else {
      const [reason] = [...reasons].sort((a, b) => b[1] - a[1])[0] ?? [];
      const state = values ? "drawn" : (reason ?? (loaded ? "none here" : "loading"));
      parts.row.dataset.predicted = reasons.has("computing") ? "computing" : state;
      say(parts.predicted, reasons.has("computing") ? "computing" : values ? "" : state);
    }
  }

  private panelRow(panel: Panel, page: Page, height: number): HTMLElement {
    const observed = make("em", "", "loading");
    const predicted = make("em", "", "loading");
    const legend = make("ul", "");
    if (panel.observed) legend.append(make("li", "", areaKey(page.observedColor), "observed", observed));
    if (panel.predicted) {
      const words = panel.observed ? "predicted" : "predicted only";
      legend.append(make("li", "", lineKey(panel.color), words, predicted));
    }
    if (!panel.observed) legend.append(make("li", "note", "observed data is not shipped"));
    if (!panel.predicted) legend.append(make("li", "note", "not predicted by this model"));
    const text = make(
      "div",
      "text",
      make("h2", "", panel.name),
      make("p", "", [panel.assay, panel.biosample].filter(Boolean).join(", ")),
      legend,
    );
    text.title = panel.description;
    const row = make("div", "row panel", text, axis(panel, height));
    row.dataset.track = panel.uid;
    this.rows.set(panel.uid, { row, observed, predicted });
    return row;
  }
}

function plainName(uid: string, page: Page): string {
  return { chromosomes: page.assembly, genes: "Genes", "cpg-islands": "CpG islands" }[uid] ?? uid;
}

function axis({ scale: [low, high], unit }: Panel, height: number): SVGElement {
  const ticks = [high, (low + high) / 2, low].map((value, index) => {
    const y = Math.round(MARGIN + ((height - 2 * MARGIN) * index) / 2) + 0.5;
    const label = svg("text", { x: AXIS_WIDTH - 8, y: y + 3.5, "text-anchor": "end" });
    label.textContent = Number(value.toPrecision(2)).toString();
    return svg("g", {}, svg("path", { d: `M${AXIS_WIDTH - 5} ${y}h5` }), label);
  });
  const name = svg("text", { class: "unit", "text-anchor": "middle", transform: `translate(12 ${height / 2}) rotate(-90)` });
  // The unit is longer than a panel is high, so it takes one line a word.
  unit.split(" ").forEach((word, line) => {
    const span = svg("tspan", { x: 0, y: 11 * line });
    span.textContent = word;
    name.append(span);
  });
  const line = svg("path", { d: `M${AXIS_WIDTH - 0.5} ${MARGIN}V${height - MARGIN}` });
  return svg("svg", { class: "axis", width: AXIS_WIDTH, height, "aria-label": `axis: ${unit}, ${low} to ${high}`, role: "img" }, line, ...ticks, name);
}

function areaKey(color: string): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12" },
    svg("path", { d: "M0 12V4h9v4h6V2h9v10z", fill: color, "fill-opacity": 0.26 }),
    svg("path", { d: "M0 4h9v4h6V2h9", fill: "none", stroke: color }),
  );
}

function lineKey(color: string): SVGElement {
  return svg(
    "svg",
    { class: "key", viewBox: "0 0 24 12" },
    svg("path", { d: "M0 9l8-5 7 2 9-5", fill: "none", stroke: color, "stroke-width": 2 }),
  );
}
