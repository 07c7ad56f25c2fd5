// Colours: those of the two themes, and what becomes of a track's own on them.

export type Theme = "light" | "dark";

/** How a band without a prediction looks. `hatch` is the colour of its lines, if it has any. */
export interface BandLook {
  fill: number;
  hatch?: number;
  words: number;
}

export interface Palette {
  paper: number;
  ink: number;
  grid: number;
  zero: number;
  /** How strongly colours stand out from the paper at least, and how dense an area is filled. */
  contrast: number;
  fill: number;
  bands: Record<"computing" | "queued" | "empty" | "failed" | "plain", BandLook>;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    paper: 0xffffff,
    ink: 0x3d434b,
    grid: 0xecedef,
    zero: 0xc9ccd1,
    contrast: 3,
    fill: 0.26,
    bands: {
      computing: { fill: 0xfdf6e3, hatch: 0xd8b24a, words: 0x6b5310 },
      queued: { fill: 0xf3f6fa, hatch: 0xbac6d6, words: 0x47566a },
      empty: { fill: 0xececea, words: 0x5c6066 },
      failed: { fill: 0xfdecea, words: 0xa3261f },
      plain: { fill: 0xf6f6f8, words: 0x50565e },
    },
  },
  dark: {
    paper: 0x15181c,
    ink: 0xc3c9d1,
    grid: 0x262b32,
    zero: 0x454c56,
    contrast: 5,
    fill: 0.36,
    bands: {
      computing: { fill: 0x2b2617, hatch: 0x8a7130, words: 0xe8cf86 },
      queued: { fill: 0x1d232c, hatch: 0x43536a, words: 0xb4c3d8 },
      empty: { fill: 0x272a2e, words: 0xa9afb7 },
      failed: { fill: 0x3b1e1e, words: 0xffa39b },
      plain: { fill: 0x1d2026, words: 0xaab1ba },
    },
  },
};


/** Read `#rrggbb`, `#rgb` or any other colour that CSS knows. */
export function numberOf(color: string): number {
  if (/^#[0-9a-f]{6}$/i.test(color)) return Number.parseInt(color.slice(1), 16);
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return 0;
  context.fillStyle = color;
  const read = context.fillStyle;
  return read.startsWith("#") ? Number.parseInt(read.slice(1), 16) : 0;
}

/** Lighten (on dark paper) or darken a colour until it stands out from the paper. */
export function legible(color: number, { paper, contrast }: Palette): number {
  const toward = luminance(paper) < 0.5 ? 0xffffff : 0x000000;
  let share = 0;
  while (ratio(blend(color, toward, share), paper) < contrast && share < 1) share += 0.05;
  return blend(color, toward, share);
}

/** The colour that lies between two, at a share of the way to the second. */
export function blend(from: number, to: number, share: number): number {
  let mixed = 0;
  for (const shift of [16, 8, 0]) {
    const [a, b] = [(from >> shift) & 255, (to >> shift) & 255];
    mixed |= Math.round(a + (b - a) * share) << shift;
  }
  return mixed;
}

/**
 * Return the function from a share of the axis to the colour of a strip. One-sided axes go from the paper through the
 * track's colour toward ink; two-sided ones have the paper in the middle and `other` for negative values.
 */
export function ramp(color: number, other: number, { paper, ink }: Palette, zero: number): (share: number) => number {
  const toned = (share: number, tone: number) =>
    share < 0.65 ? blend(paper, tone, 0.06 + (0.94 * share) / 0.65) : blend(tone, ink, (0.6 * (share - 0.65)) / 0.35);
  return (share) =>
    share >= zero ? toned((share - zero) / Math.max(1 - zero, 1e-9), color) : toned((zero - share) / zero, other);
}

export const css = (color: number) => `#${color.toString(16).padStart(6, "0")}`;

function luminance(color: number): number {
  const [red = 0, green = 0, blue = 0] = [16, 8, 0].map((shift) => {
    const value = ((color >> shift) & 255) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function ratio(first: number, second: number): number {
  const [a, b] = [luminance(first), luminance(second)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}
