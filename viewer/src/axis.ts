// The genome axis: chromosomes end to end. Inside, spans are 0-based and half-open; in words, 1-based and inclusive.
import type { Chromosome, Fold, Span } from "./api";

export class Axis {
  readonly length: number;

  constructor(readonly chromosomes: Chromosome[]) {
    const last = chromosomes.at(-1);
    this.length = last ? last.start + last.length : 0;
  }

  /** Keep a span on the axis, at its width where that fits. */
  clamp({ start, end }: Span): Span {
    const width = Math.min(Math.max(end - start, 1), this.length);
    const from = Math.min(Math.max(start, 0), this.length - width);
    return { start: Math.round(from), end: Math.round(from + width) };
  }

  /** Cut a span at the ends of the axis. */
  cut({ start, end }: Span): Span {
    return { start: Math.max(Math.round(start), 0), end: Math.min(Math.round(end), this.length) };
  }

  /** Cut a span to the chromosome that has most of it. */
  mostOf(span: Span): Span {
    const { start, end } = this.cut(span);
    const parts = this.chromosomes.map((one) => ({
      start: Math.max(start, one.start),
      end: Math.min(end, one.start + one.length),
    }));
    const wide = (part: Span) => part.end - part.start;
    return parts.reduce((best, next) => (wide(next) > wide(best) ? next : best), { start, end: start });
  }

  /** Write a span as `chr20:1,001-2,000`, or with two chromosomes where it crosses a border. */
  write(span: Span): string {
    const { start, end } = this.cut(span);
    const [first, last] = [this.at(start), this.at(Math.max(end - 1, start))];
    if (!first || !last) return "";
    const from = `${first.name}:${comma(start - first.start + 1)}`;
    return `${from}-${first === last ? "" : `${last.name}:`}${comma(end - last.start)}`;
  }

  /** Read what `write` wrote; null when it is anything else. */
  read(text: string): Span | null {
    const words = text.trim();
    // Names of contigs may hold colons, and even what looks like a start: the first reading that names some is right.
    for (const match of words.matchAll(/:([\d,]+)-/g)) {
      const [between, first = ""] = match;
      const from = words.slice(0, match.index);
      const rest = words.slice(match.index + between.length);
      const colon = rest.lastIndexOf(":");
      const last = rest.slice(colon + 1);
      const [left, right] = [this.named(from), this.named(colon < 0 ? from : rest.slice(0, colon))];
      if (!left || !right || !/^[\d,]+$/.test(last)) continue;
      const start = left.start + number(first) - 1;
      const end = right.start + number(last);
      return start >= left.start && end <= right.start + right.length && end > start ? { start, end } : null;
    }
    return null;
  }

  private named(name: string): Chromosome | undefined {
    return this.chromosomes.find((chromosome) => chromosome.name === name);
  }

  private at(position: number): Chromosome | undefined {
    return this.chromosomes.find(({ start, length }) => position >= start && position < start + length);
  }
}

/** Write a width as `2.00 Mb`, `12.5 kb` or `850 bp`. */
export function width(bases: number): string {
  const [value, unit] = bases >= 1e6 ? [bases / 1e6, "Mb"] : bases >= 1e3 ? [bases / 1e3, "kb"] : [bases, "bp"];
  return `${unit === "bp" ? String(value) : value.toPrecision(3)} ${unit}`;
}

/** How many bases of a span lie in any of some disjoint spans. */
export function overlap(span: Span, others: Span[]): number {
  const shared = ({ start, end }: Span) => Math.max(Math.min(end, span.end) - Math.max(start, span.start), 0);
  return others.reduce((sum, other) => sum + shared(other), 0);
}

/** Partly: whether the bins that are counted are among that part is not known. */
export type Training = "" | "training data" | "view partly training";

export interface FoldWords {
  words: string;
  /** test, valid, mixed, train or none */
  kind: string;
  title: string;
  /** What of the view a fit could pass for a prediction in; empty where all is held out. */
  training: Training;
}

/** Say in words whether the model saw a view in training. */
export function foldWords(span: Span, folds: Fold[]): FoldWords {
  const all = Math.max(span.end - span.start, 1);
  const share = (fold: string) =>
    overlap(
      span,
      folds.filter((block) => block.fold === fold),
    ) / all;
  const seen = share("train");
  const training = seen <= 0.005 ? "" : seen > 0.99 ? "training data" : "view partly training";
  const held = (["test", "valid"] as const).filter((fold) => share(fold) > 0.005);
  const blocks = folds.filter((block) => overlap(span, [block]) > 0);
  const listed = blocks.slice(0, LISTED).map((block) => `${block.region}: ${NAMES[block.fold]}`);
  const title = [...listed, ...(blocks.length > LISTED ? [`and ${blocks.length - LISTED} more`] : [])].join("\n");
  const [first] = held;
  if (!first) {
    return seen > 0.005
      ? { words: "not held out: training data", kind: "train", title, training }
      : { words: "outside training and test data", kind: "none", title, training };
  }
  const names = held.map((fold) => NAMES[fold]).join(" and ");
  const percent = Math.round(100 * (share("test") + share("valid")));
  if (percent >= 100) return { words: `held-out: ${names}`, kind: held.length > 1 ? "mixed" : first, title, training };
  return { words: `partly held-out: ${names}, ${percent} % of the view`, kind: "mixed", title, training };
}

const LISTED = 12;
const NAMES = { test: "test", valid: "validation", train: "training" };

function comma(value: number): string {
  return value.toLocaleString("en");
}

function number(text: string): number {
  return Number(text.replaceAll(",", ""));
}
