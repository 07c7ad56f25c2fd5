// Bookmarks: places with all that was set there, kept by the browser, and as files to take along.
import type { Axis } from "./axis";

export interface Bookmark {
  readonly name: string;
  /** As a region reads: `chr20:1-1000`. */
  readonly region: string;
  /** What `encodeSettings` wrote; empty where all was as the page opens. */
  readonly settings: string;
}

/** So many bookmarks are kept. */
export const MOST = 500;
const LONGEST_NAME = 200;
const SETTINGS = /^[\w-]*$/;

/** Keep what can be read of something that may be bookmarks. */
export function readBookmarks(value: unknown, axis: Axis): Bookmark[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown) => {
    const { name, region, settings = "" } = (one ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || typeof region !== "string" || typeof settings !== "string") return [];
    if (!axis.read(region) || !SETTINGS.test(settings)) return [];
    return [{ name: name.slice(0, LONGEST_NAME), region, settings }];
  });
}

/** Write bookmarks as BED: chromosome, start, end, name; one that crosses a border is a line a chromosome. */
export function toBed(bookmarks: readonly Bookmark[], axis: Axis): string {
  const lines = bookmarks.flatMap(({ name, region }) => {
    const span = axis.read(region);
    if (!span) return [];
    return axis.chromosomes.flatMap(({ name: chrom, start, length }) => {
      const [from, to] = [Math.max(span.start - start, 0), Math.min(span.end - start, length)];
      return from < to ? [`${chrom}\t${from}\t${to}\t${name.replace(/\s+/g, " ")}\n`] : [];
    });
  });
  return lines.join("");
}

/** Read a file of bookmarks, JSON or BED. Raises an Error that names the first line that cannot be read. */
export function fromFile(text: string, axis: Axis): Bookmark[] {
  if (/^\s*[[{]/.test(text)) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error("this is not JSON that can be read");
    }
    const found = readBookmarks((value as { bookmarks?: unknown }).bookmarks ?? value, axis);
    if (!found.length) throw new Error("there are no bookmarks of this genome in this file");
    return found;
  }
  const found: Bookmark[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    if (!line.trim() || /^(#|track|browser)/.test(line)) return;
    const [chrom = "", start = "", end = "", name = ""] = line.split("\t");
    const region = `${chrom}:${Number(start) + 1}-${end}`;
    if (!/^\d+$/.test(start) || !/^\d+$/.test(end) || !axis.read(region)) {
      throw new Error(`line ${index + 1}: it needs a chromosome of this genome, a start and an end, between tabs`);
    }
    found.push({ name: (name || region).slice(0, LONGEST_NAME), region, settings: "" });
  });
  if (!found.length) throw new Error("there are no regions in this file");
  return found;
}

/** Add bookmarks to others, those that are there already left out; `excess` is how many there was no room for. */
export function joined(old: readonly Bookmark[], more: readonly Bookmark[]): { all: Bookmark[]; excess: number } {
  const known = new Set(old.map(key));
  const all = [...old, ...more.filter((one) => !known.has(key(one)))];
  return { all: all.slice(0, MOST), excess: Math.max(all.length - MOST, 0) };
}

/** Remove a bookmark from others. */
export function without(old: readonly Bookmark[], mark: Bookmark): Bookmark[] {
  return old.filter((one) => key(one) !== key(mark));
}

function key({ name, region, settings }: Bookmark): string {
  return [name, region, settings].join("\n");
}
