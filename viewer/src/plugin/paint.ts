// A track's picture is a list of shapes; this draws it with PIXI or writes it as SVG, so that the two are the same.
import type * as Pixi from "pixi.js";

import { css } from "./colors";

/** Flat lists of x and y, in pixels from the track's top left corner. */
export type Shape =
  | { kind: "area"; points: number[]; color: number; alpha: number }
  | { kind: "line"; points: number[]; color: number; width: number; alpha: number }
  | { kind: "rect"; x: number; y: number; width: number; height: number; color: number; alpha: number }
  | { kind: "text"; x: number; y: number; words: string; color: number; size: number; anchor: 0 | 0.5 | 1; bold?: boolean };

const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
const ANCHORS = { 0: "start", 0.5: "middle", 1: "end" } as const;

const widths = new Map<string, number>();
let measure: CanvasRenderingContext2D | null = null;

/** The width of a text in pixels. */
export function textWidth(words: string, size: number, bold = false): number {
  const font = `${bold ? "600 " : ""}${size}px ${FONT}`;
  const key = `${font} ${words}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  measure ??= document.createElement("canvas").getContext("2d");
  if (!measure) return 0.6 * size * words.length;
  measure.font = font;
  const { width } = measure.measureText(words);
  if (widths.size > 1000) widths.clear();
  widths.set(key, width);
  return width;
}

export class Painter {
  private readonly ink: Pixi.Graphics;
  private readonly texts: Pixi.Text[] = [];
  private last: Shape[] = [];

  constructor(
    private readonly pixi: typeof Pixi,
    private readonly into: Pixi.Container,
  ) {
    this.ink = new pixi.Graphics();
    into.addChild(this.ink);
  }

  /** Replace what is drawn. */
  paint(shapes: Shape[]): void {
    this.last = shapes;
    this.ink.clear();
    let texts = 0;
    for (const shape of shapes) {
      if (shape.kind === "text") this.write(shape, texts++);
      else this.draw(shape);
    }
    for (const text of this.texts.slice(texts)) text.visible = false;
  }

  /** Write what is drawn as SVG elements, on a ground of the track's size where a colour for it is given. */
  svg(ground?: { color: number; width: number; height: number }): HTMLElement[] {
    const under: Shape[] = ground ? [{ kind: "rect", x: 0, y: 0, alpha: 1, ...ground }] : [];
    return [...under, ...this.last].map(element);
  }

  private draw(shape: Exclude<Shape, { kind: "text" }>): void {
    const { ink } = this;
    if (shape.kind === "line") {
      ink.lineStyle({ width: shape.width, color: shape.color, alpha: shape.alpha });
      for (let at = 0; at + 1 < shape.points.length; at += 2) {
        const [x = 0, y = 0] = [shape.points[at], shape.points[at + 1]];
        if (at) ink.lineTo(x, y);
        else ink.moveTo(x, y);
      }
      return;
    }
    ink.lineStyle(0);
    ink.beginFill(shape.color, shape.alpha);
    if (shape.kind === "area") ink.drawPolygon(shape.points);
    else ink.drawRect(shape.x, shape.y, shape.width, shape.height);
    ink.endFill();
  }

  private write(shape: Extract<Shape, { kind: "text" }>, index: number): void {
    let text = this.texts[index];
    if (!text) {
      text = new this.pixi.Text("", { fontFamily: FONT });
      text.resolution = Math.max(2, window.devicePixelRatio);
      this.texts.push(text);
      this.into.addChild(text);
    }
    text.visible = true;
    // A text that stays the same keeps its picture, which is dear to make.
    if (text.text !== shape.words) text.text = shape.words;
    const style = text.style as Pixi.TextStyle;
    const weight = shape.bold ? "600" : "normal";
    if (style.fontSize !== shape.size) style.fontSize = shape.size;
    if (style.fill !== css(shape.color)) style.fill = css(shape.color);
    if (style.fontWeight !== weight) style.fontWeight = weight;
    text.anchor.set(shape.anchor, 0.5);
    text.position.set(Math.round(shape.x), Math.round(shape.y));
  }
}

const short = (value: number) => String(Math.round(value * 100) / 100);

// HiGlass writes its SVG from elements that it makes without a namespace; others would get a prefix there.
function element(shape: Shape): HTMLElement {
  switch (shape.kind) {
    case "area":
      return make("path", { d: `${path(shape.points)}Z`, fill: css(shape.color), "fill-opacity": short(shape.alpha) });
    case "line":
      return make("path", {
        d: path(shape.points),
        fill: "none",
        stroke: css(shape.color),
        "stroke-width": short(shape.width),
        "stroke-opacity": short(shape.alpha),
      });
    case "rect":
      return make("rect", {
        x: short(shape.x),
        y: short(shape.y),
        width: short(shape.width),
        height: short(shape.height),
        fill: css(shape.color),
        "fill-opacity": short(shape.alpha),
      });
    case "text": {
      const text = make("text", {
        x: short(shape.x),
        y: short(shape.y),
        dy: "0.35em",
        "text-anchor": ANCHORS[shape.anchor],
        "font-family": FONT,
        "font-size": `${shape.size}px`,
        "font-weight": shape.bold ? "600" : "normal",
        fill: css(shape.color),
      });
      text.textContent = shape.words;
      return text;
    }
  }
}

function path(points: number[]): string {
  let written = "";
  for (let at = 0; at + 1 < points.length; at += 2) {
    written += `${at ? "L" : "M"}${short(points[at] ?? 0)} ${short(points[at + 1] ?? 0)}`;
  }
  return written;
}

function make(tag: string, attributes: Record<string, string>): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
