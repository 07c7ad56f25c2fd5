// The figure as a file: what HiGlass draws, with the names, axes and legends that stand beside it on the page.
import type { Page } from "./api";
import { width, type Axis } from "./axis";
import type { Api } from "./browser";
import { attachMenu, type Choice, type Entry } from "./menu";
import { byId, save, svg } from "./dom";
import { colorOf, panelOf, predictedOf, shownRows, showable } from "./figure";
import { tellFault } from "./dialog";
import { valuesChoice } from "./downloads";
import type { Connection } from "./plugin/index";
import { rowName } from "./rows";
import type { Row, Store } from "./state";
import { shade, type Inks } from "./theme";

const FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const HEADING = 30;
const SHARPNESS = 2;

export class Exporter {
  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly api: Api,
    private readonly connection: Connection,
    private readonly ink: () => Inks,
  ) {
    attachMenu(byId("export"), "Export", () => this.entries());
  }

  /** Downloads of one row's values. */
  dataChoices(row: Row): Choice[] {
    const view = this.axis.cut(this.store.state.span);
    return this.sources(row).flatMap(([what, uid]) => [
      valuesChoice(this.connection, `${capital(what)} in view`, uid, "bigwig", view),
      valuesChoice(this.connection, `${capital(what)} in view`, uid, "bedgraph", view),
      this.whole(what, uid),
    ]);
  }

  /** Downloads of all values of a row that there are. */
  wholeChoices(row: Row): Choice[] {
    return this.sources(row).map(([what, uid]) => this.whole(what, uid));
  }

  private sources(row: Row): [what: string, uid: string][] {
    const panel = panelOf(this.page, row.uid);
    const found = [
      ["predicted", panel && predictedOf(panel, row)?.uid],
      ["observed", panel?.observed],
    ] as const;
    return found.flatMap(([what, uid]): [string, string][] => (uid ? [[what, uid]] : []));
  }

  private whole(what: string, uid: string): Choice {
    return valuesChoice(this.connection, `All that is ${what}`, uid, "bigwig", null);
  }

  private entries(): Entry[] {
    return [
      "Figure as seen",
      { label: "SVG", note: "vector, for papers", act: () => { this.saveSvg(); } },
      { label: "PNG", note: "twice as sharp as the screen", act: () => void this.savePng() },
      ...shownRows(this.store.state).flatMap((row): Entry[] => {
        const choices = this.dataChoices(row);
        return choices.length ? [rowName(this.page, row.uid), ...choices] : [];
      }),
    ];
  }

  /** The figure as an SVG document. Raises an Error when HiGlass cannot write it. */
  svg(): string {
    const drawn = withStyleObjects(() => this.api.exportAsSvg());
    const from = drawn.indexOf("<svg");
    if (from < 0) throw new Error("HiGlass wrote no SVG");
    const gutter = byId("gutter").getBoundingClientRect();
    const plot = byId("plot").getBoundingClientRect();
    const ink = this.ink();
    const [wide, high] = [Math.round(gutter.width + plot.width), Math.round(gutter.height + HEADING)];
    const heading = text(12, 20, this.axis.write(this.store.state.span), ink.text, 13, 600);
    const { start, end } = this.axis.cut(this.store.state.span);
    const about = text(wide - 12, 20, `${this.page.assembly}, ${width(end - start)}`, ink.quiet, 12);
    about.setAttribute("text-anchor", "end");
    const root = svg(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        width: wide,
        height: high,
        viewBox: `0 0 ${wide} ${high}`,
        "font-family": FONT,
      },
      svg("rect", { width: wide, height: high, fill: ink.ground }),
      heading,
      about,
      ...this.margin(gutter, ink),
    );
    const frame = `<svg x="${gutter.width}" y="${HEADING}" width="${plot.width}" height="${plot.height}">`;
    const written = new XMLSerializer().serializeToString(root);
    // As text, since nodes with style attributes would be against the page's content policy.
    return written.replace(/<\/svg>$/, () => `${frame}${drawn.slice(from)}</svg></svg>`);
  }

  /** What stands left of the plot, where it stands on the page. */
  private margin(gutter: DOMRect, ink: Inks): SVGElement[] {
    return shownRows(this.store.state).flatMap((row) => {
      const element = byId("gutter").querySelector<HTMLElement>(`[data-row="${CSS.escape(row.uid)}"]`);
      if (!element) return [];
      const box = element.getBoundingClientRect();
      const top = box.top - gutter.top + HEADING;
      const group = svg("g", { transform: `translate(0 ${top})` });
      const panel = panelOf(this.page, row.uid);
      if (!panel) {
        group.append(text(16, box.height / 2 + 4, rowName(this.page, row.uid), ink.text, 12));
        return [group];
      }
      const color = shade(colorOf(this.page, row), ink);
      group.append(svg("path", { d: `M0 .5H${gutter.width}`, stroke: ink.quiet, "stroke-opacity": 0.3 }));
      let y = Math.max(box.height / 2 - 22, 14);
      const line = (words: string, fill: string, size = 12, weight = 400) => {
        group.append(text(16, y, words, fill, size, weight));
        y += 17;
      };
      line(shortened(panel.name, 29), ink.text, 13, 600);
      line(shortened([panel.assay, panel.biosample].filter(Boolean).join(", "), 34), ink.quiet);
      const show = showable(panel, row);
      if (show === "both" || show === "observed") line("observed", shade(this.page.observedColor, ink));
      if (show === "both" || show === "predicted") line("predicted", color);
      if (show === "difference") {
        line("predicted higher", color);
        line("observed higher", shade(this.page.observedColor, ink));
      }
      const axis = element.querySelector("svg.axis");
      if (axis) group.append(axisCopy(axis, gutter.width, ink));
      return [group];
    });
  }

  private saveSvg(): void {
    try {
      save(`${this.fileName()}.svg`, new Blob([this.svg()], { type: "image/svg+xml" }));
    } catch (error) {
      tellFault("The figure could not be saved", error);
    }
  }

  private async savePng(): Promise<void> {
    try {
      save(`${this.fileName()}.png`, await toPng(this.svg()));
    } catch (error) {
      tellFault("The figure could not be saved", error);
    }
  }

  private fileName(): string {
    return `tracks-${this.axis.write(this.store.state.span).replaceAll(",", "").replaceAll(":", "-")}`;
  }
}

/** Draw an SVG document into a PNG. */
async function toPng(document_: string): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([document_], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth * SHARPNESS;
    canvas.height = image.naturalHeight * SHARPNESS;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser has no canvas");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise<Blob>((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new Error("this browser made no PNG of it"));
      });
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** HiGlass writes style attributes, which the page's content policy objects to; it does not to style objects. */
function withStyleObjects<T>(write: () => T): T {
  const usual = Object.getOwnPropertyDescriptor(Element.prototype, "setAttribute");
  if (!usual) return write();
  Element.prototype.setAttribute = function (name: string, value: string) {
    if (name === "style" && "style" in this) (this as HTMLElement).style.cssText = value;
    else (usual.value as (name: string, value: string) => void).call(this, name, value);
  };
  try {
    return write();
  } finally {
    Object.defineProperty(Element.prototype, "setAttribute", usual);
  }
}

/** An axis of the page with its colours written into it, as no style sheet goes along. */
function axisCopy(axis: Element, right: number, ink: Inks): SVGElement {
  const copy = axis.cloneNode(true) as SVGElement;
  copy.removeAttribute("class");
  copy.setAttribute("x", String(right - Number(copy.getAttribute("width"))));
  copy.setAttribute("font-size", "10.5");
  copy.querySelectorAll("text").forEach((one) => { one.setAttribute("fill", ink.quiet); });
  copy.querySelectorAll("path").forEach((one) => {
    one.setAttribute("fill", "none");
    one.setAttribute("stroke", ink.quiet);
  });
  return copy;
}

function text(x: number, y: number, words: string, fill: string, size: number, weight = 400): SVGElement {
  const element = svg("text", { x, y, fill, "font-size": size, "font-weight": weight });
  element.textContent = words;
  return element;
}

/** Cut words that would run into the axis. */
function shortened(words: string, most: number): string {
  return words.length > most ? `${words.slice(0, most - 1).trimEnd()}…` : words;
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
