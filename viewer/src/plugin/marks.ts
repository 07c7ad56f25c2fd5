// What a track's picture is made of: areas, lines, bars and strips over bins, bands with words, grid and axis.
import type { BandLook, Palette } from "./colors";
import { textWidth, type Shape } from "./paint";
import { brief, type ValueScale } from "./scale";

/** Values over equal bins, of which the screen shows what lies between two pixels. */
export interface Piece {
  values: Float32Array;
  /** The pixel of the first bin's left edge, and the pixels a bin. */
  left: number;
  step: number;
  from: number;
  to: number;
}

/** A stretch of the screen without a prediction, in pixels. */
export interface Band {
  from: number;
  to: number;
  reason: string;
}

export interface Box {
  top: number;
  height: number;
}

const STEP_PIXELS = 3;
const GAP_PIXELS = 5;
const HATCH = 9;
const WORD_SIZE = 12;
/** Bands of one reason that are nearer to each other have their words together. */
const SLIVER = 24;
const LABEL_SIZE = 10.5;
const LEGEND_HEIGHT = 16;

/** Return [first, end) of the bins of a piece that touch its stretch of the screen. */
export function binsOf({ values, left, step, from, to }: Piece): [number, number] {
  const first = Math.floor((from - left) / step);
  const end = Math.ceil((to - left) / step);
  return [Math.min(Math.max(first, 0), values.length), Math.min(Math.max(end, 0), values.length)];
}

/** Yield [first, end) of each stretch of bins in view that have a value. */
export function* runs(piece: Piece): Generator<[number, number]> {
  const [from, to] = binsOf(piece);
  let first = -1;
  for (let bin = from; bin < to; bin++) {
    const there = Number.isFinite(piece.values[bin]);
    if (there && first < 0) first = bin;
    if (!there && first >= 0) {
      yield [first, bin];
      first = -1;
    }
  }
  if (first >= 0) yield [first, to];
}

/** The least and the largest value in view, or null where there is none. */
export function extent(pieces: Piece[]): [number, number] | null {
  let [low, high] = [Infinity, -Infinity];
  for (const piece of pieces) {
    const [first, end] = binsOf(piece);
    for (let bin = first; bin < end; bin++) {
      const value = piece.values[bin] ?? NaN;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

/** Filled down to 0 under the steps that the data says, with an outline. */
export function areas(pieces: Piece[], scale: ValueScale, color: number, fill: number, outline: number): Shape[] {
  const base = scale(0);
  const shapes: Shape[] = [];
  for (const piece of pieces) {
    for (const [first, end] of runs(piece)) {
      const points = stepped(piece, first, end, scale);
      shapes.push({ kind: "area", points: closed(points, base), color, alpha: fill });
      if (outline) shapes.push({ kind: "line", points, color, width: outline, alpha: 1 });
    }
  }
  return shapes;
}

/** A line along the bins: in steps, or from centre to centre where bins are about as narrow as a pixel. */
export function lines(pieces: Piece[], scale: ValueScale, color: number, width: number): Shape[] {
  return pieces.flatMap((piece) =>
    [...runs(piece)].map(([first, end]): Shape => {
      const points = (piece.step < STEP_PIXELS ? slanted : stepped)(piece, first, end, scale);
      return { kind: "line", points, color, width, alpha: 1 };
    }),
  );
}

/** Bars from 0, a little apart where bins are wide. */
export function bars(pieces: Piece[], scale: ValueScale, color: number, alpha: number): Shape[] {
  const base = scale(0);
  const shapes: Shape[] = [];
  for (const piece of pieces) {
    if (piece.step < GAP_PIXELS) {
      shapes.push(...areas([piece], scale, color, alpha, 0));
      continue;
    }
    for (const [first, end] of runs(piece)) {
      for (let bin = first; bin < end; bin++) {
        const y = scale(piece.values[bin] ?? 0);
        const [left, right] = sides(piece, bin, bin + 1);
        const [top, height] = [Math.min(y, base), Math.max(Math.abs(y - base), 0.5)];
        shapes.push({ kind: "rect", x: left, y: top, width: Math.max(right - left - 1, 1), height, color, alpha });
      }
    }
  }
  return shapes;
}

/** Filled between a lower and an upper signal of the same bins. */
export function between(pairs: { lower: Piece; upper: Piece }[], scale: ValueScale, color: number): Shape[] {
  const shapes: Shape[] = [];
  for (const { lower, upper } of pairs) {
    const both = { ...lower, values: lower.values.map((value, bin) => value + (upper.values[bin] ?? NaN)) };
    for (const [first, end] of runs(both)) {
      const path = lower.step < STEP_PIXELS ? slanted : stepped;
      const [below, above] = [path(lower, first, end, scale), path(upper, first, end, scale)];
      for (let at = below.length - 2; at >= 0; at -= 2) above.push(below[at] ?? 0, below[at + 1] ?? 0);
      shapes.push({ kind: "area", points: above, color, alpha: 0.2 });
    }
  }
  return shapes;
}

/** From 0 up in one colour where the values are positive, and down in another where they are negative. */
export function signedAreas(pieces: Piece[], scale: ValueScale, above: number, below: number): Shape[] {
  const half = (keep: (value: number) => number) =>
    pieces.map((piece) => ({ ...piece, values: piece.values.map((value) => keep(value)) }));
  return [
    ...areas(half((value) => Math.max(value, 0)), scale, above, 0.62, 0),
    ...areas(half((value) => Math.min(value, 0)), scale, below, 0.62, 0),
  ];
}

/** A strip of colours: one signal of a heatmap. */
export function strip(pieces: Piece[], scale: ValueScale, box: Box, color: (share: number) => number): Shape[] {
  const shapes: Shape[] = [];
  for (const piece of pieces) {
    for (const [first, end] of runs(piece)) {
      let begun = first;
      let tone = color(shareOf(scale, piece.values[first] ?? 0));
      for (let bin = first + 1; bin <= end; bin++) {
        const next = bin < end ? color(shareOf(scale, piece.values[bin] ?? 0)) : -1;
        if (next === tone) continue;
        const [left, right] = sides(piece, begun, bin);
        shapes.push({ kind: "rect", x: left, y: box.top, width: right - left, height: box.height, color: tone, alpha: 1 });
        [begun, tone] = [bin, next];
      }
    }
  }
  return shapes;
}

/** The places of a heatmap's strips, one above the other, over the room for their legend. */
export function stripBoxes(count: number, height: number): Box[] {
  const room = height - (height > 44 ? LEGEND_HEIGHT : 0) - 4;
  const each = (room - 2 * (count - 1)) / count;
  return Array.from({ length: count }, (_, index) => ({ top: 2 + index * (each + 2), height: each }));
}

/** A heatmap's legend, at its lower right: the colours from one end of the axis to the other. */
export function stripLegend(
  scale: ValueScale,
  names: string[],
  unit: string,
  [width, height]: [number, number],
  color: (share: number) => number,
  palette: Palette,
): Shape[] {
  if (height <= 44) return [];
  const y = height - LEGEND_HEIGHT / 2;
  const [low, high] = scale.range.map(brief) as [string, string];
  const words = `${high} ${unit}`.trim();
  const end = width - 8 - textWidth(words, LABEL_SIZE);
  const [long, thick] = [84, 7];
  const cells = Array.from({ length: long / 2 }, (_, index): Shape => {
    const share = (index + 0.5) / (long / 2);
    return { kind: "rect", x: end - 6 - long + 2 * index, y: y - thick / 2, width: 2, height: thick, color: color(share), alpha: 1 };
  });
  const text = (x: number, said: string, anchor: 0 | 1): Shape =>
    ({ kind: "text", x, y, words: said, color: palette.ink, size: LABEL_SIZE, anchor });
  return [
    ...frame(end - 6 - long, y - thick / 2, long, thick, palette.zero),
    ...cells,
    text(end - 10 - long, low, 1),
    text(end, words, 0),
    text(6, names.join(", below it "), 0),
  ];
}

/**
 * Bands where there is no prediction, in a box of the track: a ground, hatching for what will come, and words where
 * they fit, which go over everything else.
 */
export function bandShapes(
  bands: Band[],
  words: (reason: string) => string[],
  box: Box,
  width: number,
  palette: Palette,
): { ground: Shape[]; words: Shape[] } {
  const ground: Shape[] = [];
  const said: Shape[] = [];
  for (const { from, to, reason } of bands) {
    const look = palette.bands[kindOf(reason)];
    ground.push({ kind: "rect", x: from, y: box.top, width: to - from, height: box.height, color: look.fill, alpha: 1 });
    if (look.hatch !== undefined) ground.push(...hatching(from, to, box, look.hatch));
  }
  if (box.height <= 16) return { ground, words: said };
  const taken: [number, number][] = [];
  for (const { from, to, reason } of stretches(bands)) {
    // Of several ways to say it, the longest that fits, in the middle or else beside another stretch's words.
    const ways = words(reason).flatMap((each) => {
      const wide = textWidth(each, WORD_SIZE) + 18;
      if (wide >= to - from) return [];
      return [0.5, 0.25, 0.75, 0, 1].map((share) => ({ each, left: from + share * (to - from - wide), wide }));
    });
    const way = ways.find(({ left, wide }) => !taken.some(([start, end]) => left < end && left + wide > start));
    if (!way) continue;
    taken.push([way.left, way.left + way.wide]);
    said.push(...pill(way.left + way.wide / 2, box.top + box.height / 2, way.each, palette.bands[kindOf(reason)], width));
  }
  return { ground, words: said };
}

/**
 * Join bands of one reason for their words: slivers of other reasons or of values leave no room for any between them.
 * A stretch is mostly of its reason. Those with most of it come first.
 */
function stretches(bands: Band[]): Band[] {
  const found: (Band & { covered: number })[] = [];
  const open = new Map<string, Band & { covered: number }>();
  for (const { from, to, reason } of [...bands].sort((a, b) => a.from - b.from)) {
    const before = open.get(reason);
    const covered = (before?.covered ?? 0) + to - from;
    if (before && from - before.to < SLIVER && 2 * covered > to - before.from) {
      before.to = to;
      before.covered = covered;
    } else {
      const begun = { from, to, reason, covered: to - from };
      open.set(reason, begun);
      found.push(begun);
    }
  }
  return found.sort((a, b) => b.covered - a.covered);
}

/** Bands whose reason is not one of the server's own: plain. */
export function kindOf(reason: string): keyof Palette["bands"] {
  if (reason === "computing" || reason === "queued" || reason === "failed") return reason;
  // Asked for as soon as the view rests there.
  if (reason === "not in view") return "queued";
  return reason.startsWith("no sequence") || reason.startsWith("too little sequence") ? "empty" : "plain";
}

/** The lines of the axis across the track, 0 a little stronger. */
export function grid(scale: ValueScale, width: number, palette: Palette): Shape[] {
  const values = new Map(scale.ticks.map(({ value, y }) => [value, y]));
  const [low, high] = scale.range;
  const base = low > 0 ? low : high < 0 ? high : 0;
  values.set(base, scale(base));
  return [...values].map(([value, y]) => ({
    kind: "line",
    points: [0, Math.round(y) + 0.5, width, Math.round(y) + 0.5],
    color: value === base ? palette.zero : palette.grid,
    width: 1,
    alpha: 1,
  }));
}

/** The axis' labels inside the track, at its left. */
export function axisLabels(scale: ValueScale, palette: Palette): Shape[] {
  return scale.ticks.flatMap(({ label, y }): Shape[] => {
    const wide = textWidth(label, LABEL_SIZE);
    return [
      { kind: "rect", x: 2, y: y - 6, width: wide + 6, height: 12, color: palette.paper, alpha: 0.75 },
      { kind: "text", x: 5, y, words: label, color: palette.ink, size: LABEL_SIZE, anchor: 0 },
    ];
  });
}

export interface Entry {
  words: string;
  color: number;
  mark: "area" | "line";
}

/** A track's name, and what its colours mean, along its top. */
export function legend(name: string, entries: Entry[], width: number, palette: Palette): Shape[] {
  const shapes: Shape[] = [];
  let x = 44;
  const text = (words: string, bold: boolean) => {
    shapes.push({ kind: "text", x, y: 9, words, color: palette.ink, size: LABEL_SIZE, anchor: 0, bold });
    x += textWidth(words, LABEL_SIZE, bold);
  };
  if (name) text(name, true);
  for (const { words, color, mark } of entries) {
    x += 14;
    if (mark === "line") shapes.push({ kind: "line", points: [x, 9, x + 15, 9], color, width: 2, alpha: 1 });
    else shapes.push({ kind: "rect", x, y: 5, width: 15, height: 8, color, alpha: 0.55 });
    x += 19;
    text(words, false);
  }
  return [{ kind: "rect", x: 40, y: 1, width: Math.min(x - 36, width), height: 16, color: palette.paper, alpha: 0.8 }, ...shapes];
}

/** One line of words at the track's upper left, as for a signal that cannot be had. */
export function remark(words: string, look: BandLook, width: number, y: number): Shape[] {
  return pill(Math.min(textWidth(words, WORD_SIZE) / 2 + 16, width / 2), y, words, look, width);
}

function pill(x: number, y: number, words: string, look: BandLook, width: number): Shape[] {
  const wide = textWidth(words, WORD_SIZE) + 12;
  // In sight even when the middle of its band is not.
  const middle = Math.min(Math.max(x, wide / 2), width - wide / 2);
  return [
    { kind: "rect", x: middle - wide / 2, y: y - 9, width: wide, height: 18, color: look.fill, alpha: 0.9 },
    { kind: "text", x: middle, y, words, color: look.words, size: WORD_SIZE, anchor: 0.5 },
  ];
}

function hatching(from: number, to: number, { top, height }: Box, color: number): Shape[] {
  const shapes: Shape[] = [];
  // Every line goes up to the right at 45 degrees, cut at the band's sides.
  for (let x = Math.ceil((from - height) / HATCH) * HATCH; x < to; x += HATCH) {
    const left = Math.max(x, from);
    const right = Math.min(x + height, to);
    if (left >= right) continue;
    const bottom = top + height;
    const points = [left, bottom - (left - x), right, bottom - (right - x)];
    shapes.push({ kind: "line", points, color, width: 1, alpha: 0.7 });
  }
  return shapes;
}

function frame(x: number, y: number, width: number, height: number, color: number): Shape[] {
  return [{ kind: "rect", x: x - 1, y: y - 1, width: width + 2, height: height + 2, color, alpha: 1 }];
}

/** Level over each bin: what the data says. */
function stepped(piece: Piece, first: number, end: number, scale: ValueScale): number[] {
  const points: number[] = [];
  for (let bin = first; bin < end; bin++) {
    const y = scale(piece.values[bin] ?? 0);
    const [left, right] = sides(piece, bin, bin + 1);
    // Neighbours of one height are one step, which keeps polygons small where a signal is flat.
    if (points.length && points.at(-1) === y) points[points.length - 2] = right;
    else points.push(left, y, right, y);
  }
  return points;
}

/** From centre to centre, out to the edges of the stretch. */
function slanted(piece: Piece, first: number, end: number, scale: ValueScale): number[] {
  const [left, right] = sides(piece, first, end);
  const points = [left, scale(piece.values[first] ?? 0)];
  for (let bin = first; bin < end; bin++) {
    const x = piece.left + piece.step * (bin + 0.5);
    if (x > left && x < right) points.push(x, scale(piece.values[bin] ?? 0));
  }
  points.push(right, scale(piece.values[end - 1] ?? 0));
  return points;
}

/** The left edge of one bin and of another, within the piece's stretch of the screen. */
function sides({ left, step, from, to }: Piece, first: number, end: number): [number, number] {
  return [Math.max(left + step * first, from), Math.min(left + step * end, to)];
}

function closed(points: number[], base: number): number[] {
  return [points[0] ?? 0, base, ...points, points[points.length - 2] ?? 0, base];
}

/** Where on the axis a value lies: 0 at its low end, 1 at its high end. */
export function shareOf(scale: ValueScale, value: number): number {
  const [low, high] = scale.range;
  return (scale(low) - scale(value)) / (scale(low) - scale(high));
}

