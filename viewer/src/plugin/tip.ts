// The words beside the pointer.
import { css } from "./colors";
import type { TilesetInfo } from "./hgc";
import { inksOf, type PredictionOptions } from "./picture";
import { brief, type ValueScale } from "./scale";
import type { Signals } from "./signals";
import type { Span } from "./types";

/** Say what a track shows at a pixel, as HTML: where, each signal's value or why there is none, and the difference. */
export function tip(options: PredictionOptions, signals: Signals, info: TilesetInfo, scale: ValueScale, x: number): string {
  const { name, unit, log } = options;
  // As they are in the picture, which shades them to be seen on its paper.
  const inks = inksOf(options);
  const observed = signals.at("observed", x);
  const predicted = signals.at("predicted", x);
  const bin = predicted.bin ?? observed.bin;
  const lines = name ? [`<b>${escaped(name)}</b>`] : [];
  if (bin) lines.push(`${escaped(where(bin, info))} (${(bin.end - bin.start).toLocaleString("en")} bp)`);
  const said = (value: number) => `${digits(value)} ${unit}`.trim();
  const line = (label: string, ink: number, value: number, otherwise: string) => {
    const key = `<svg width="10" height="10"><rect width="10" height="10" fill="${css(ink)}"/></svg>`;
    lines.push(`${key} ${label}: ${escaped(Number.isFinite(value) ? said(value) : otherwise)}`);
  };
  if (signals.has("observed")) line("observed", inks.observed, observed.value, "no value");
  if (signals.has("predicted")) {
    const band = signals.bands().find(({ from, to }) => from <= x && x < to);
    const why = band && (signals.notices()[band.reason] ?? band.reason);
    line("predicted", inks.predicted, predicted.value, why === undefined ? "no value" : `no value (${why})`);
    const [low, high] = [signals.at("lower", x).value, signals.at("upper", x).value];
    if (Number.isFinite(low) && Number.isFinite(high)) lines.push(`between ${digits(low)} and ${escaped(said(high))}`);
  }
  const difference = predicted.value - observed.value;
  if (Number.isFinite(difference)) lines.push(`difference: ${difference > 0 ? "+" : ""}${escaped(said(difference))}`);
  if (log) lines.push(`logarithmic axis, linear below ${brief(scale.linearBelow)}`);
  return lines.join("<br>");
}

/** Write a span of the axis as `chr20:1,001-2,000`. */
function where({ start, end }: Span, { chromsizes = [] }: TilesetInfo): string {
  let offset = 0;
  for (const [name, length] of chromsizes) {
    if (start < offset + length) {
      const [first, last] = [Math.max(start - offset, 0) + 1, Math.min(end - offset, length)];
      return `${name}:${first.toLocaleString("en")}-${last.toLocaleString("en")}`;
    }
    offset += length;
  }
  return start.toLocaleString("en");
}

function digits(value: number): string {
  return Math.abs(value) < 100 ? value.toFixed(3) : brief(value);
}

function escaped(text: string): string {
  const element = document.createElement("span");
  element.textContent = text;
  return element.innerHTML.replaceAll('"', "&quot;");
}
