// The value axis of a track: from values to pixels, and back in round numbers.
import type { Tick } from "./types";

export type Range = [low: number, high: number];

/** Pixels left free above and below the axis. */
export const MARGIN = 9;

const DECADES = 3;
const TICK_PIXELS = 36;
const TIGHT_PIXELS = 13;

export interface ValueScale {
  (value: number): number;
  range: Range;
  ticks: Tick[];
  /** The value below which a logarithmic axis is linear; 0 when it is linear everywhere. */
  linearBelow: number;
}

/**
 * Return the function from a value to its distance from the track's top. A logarithmic axis is symmetric: linear
 * around 0, so that zeros and negative values keep their place. Values off the axis stay at its ends. `above` are the
 * pixels left free over it.
 */
export function valueScale(range: Range, height: number, log: boolean, above = MARGIN): ValueScale {
  const [low, high] = range;
  const [bottom, top] = height > above + 2 * MARGIN ? [height - MARGIN, above] : [height - 1, 1];
  const threshold = log ? 10 ** (Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)))) - DECADES) : 0;
  const bend = (value: number) => (log ? Math.sign(value) * Math.log1p(Math.abs(value) / threshold) : value);
  const [from, to] = [bend(low), bend(high)];
  const pixel = (value: number) => {
    const share = (bend(Math.min(Math.max(value, low), high)) - from) / (to - from);
    return bottom + share * (top - bottom);
  };
  const values = log ? decades(range, threshold) : rounds(range, Math.max(Math.floor((bottom - top) / TICK_PIXELS), 1));
  const ticks: Tick[] = [];
  // The ends of a logarithmic axis lie closer than their labels are high, and 0 is the one that must stay.
  for (const value of values.sort((a, b) => Number(b === 0) - Number(a === 0) || Math.abs(b) - Math.abs(a))) {
    const y = pixel(value);
    if (ticks.every((tick) => Math.abs(tick.y - y) >= TIGHT_PIXELS)) ticks.push({ value, label: brief(value), y });
  }
  ticks.sort((a, b) => a.value - b.value);
  return Object.assign(pixel, { range, ticks, linearBelow: threshold });
}

/** Widen a range to round numbers, so that an axis that follows the view moves in few steps. It holds 0. */
export function roundRange(low: number, high: number): Range {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  if (from === to) return [0, 1];
  const step = roundStep((to - from) / 8);
  return [round(Math.floor(from / step + 1e-9) * step), round(Math.ceil(to / step - 1e-9) * step)];
}

/** Write a value in few digits: 0.25, 12.5, 3.2k. */
export function brief(value: number): string {
  if (Math.abs(value) >= 1e4) return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
  return Number(value.toPrecision(3)).toString();
}

function rounds([low, high]: Range, count: number): number[] {
  const step = roundStep((high - low) / count);
  const values = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index++) values.push(round(index * step));
  // A fixed range may hold no two round numbers.
  return values.length > 1 ? values : [low, high];
}

function decades([low, high]: Range, threshold: number): number[] {
  const values = [0, low, high];
  for (let power = 0; power <= DECADES; power++) {
    for (const value of [threshold * 10 ** power, -threshold * 10 ** power]) values.push(round(value));
  }
  return [...new Set(values)].filter((value) => value >= low && value <= high);
}

function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const digit = [1, 2, 5].find((each) => each * power >= step * (1 - 1e-9)) ?? 10;
  return digit * power;
}

const round = (value: number) => Number(value.toPrecision(12));
