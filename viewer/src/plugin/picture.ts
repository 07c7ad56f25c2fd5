// A track's picture: which marks show which signals, on what axis, under which words.
import { legible, numberOf, PALETTES, ramp, type Palette, type Theme } from "./colors";
import * as marks from "./marks";
import type { Box, Piece } from "./marks";
import type { Shape } from "./paint";
import { roundRange, valueScale, type Range, type ValueScale } from "./scale";
import type { Drawn, Signals } from "./signals";

export interface PredictionOptions {
  name: string;
  unit: string;
  color: string;
  observedColor: string;
  mark: "line" | "bar" | "heatmap";
  show: "both" | "observed" | "predicted" | "difference";
  scale: "fixed" | "auto" | "shared";
  scaleGroup: string;
  log: boolean;
  valueScaleMin?: number;
  valueScaleMax?: number;
  theme: Theme;
  /** Whether the axis and the legend are drawn inside the track; not, where a page draws its own beside it. */
  axis: boolean;
  showTooltip: boolean;
}

export const DEFAULTS: PredictionOptions = {
  name: "",
  unit: "",
  color: "#1b6ca8",
  observedColor: "#4d4d4d",
  mark: "line",
  show: "both",
  scale: "auto",
  scaleGroup: "",
  log: false,
  theme: "light",
  axis: true,
  showTooltip: true,
};

/** The colours of a track on its paper. */
export interface Inks {
  palette: Palette;
  predicted: number;
  observed: number;
}

const LEGEND_HEIGHT = 22;

export function inksOf({ theme, color, observedColor }: PredictionOptions): Inks {
  const palette = PALETTES[theme];
  const [predicted, observed] = [color, observedColor].map((each) => legible(numberOf(each), palette)) as [number, number];
  return { palette, predicted, observed };
}

/** The signals that are to be seen, the first below the others. */
export function drawnSignals({ show, mark }: PredictionOptions, signals: Signals): Drawn[] {
  if (show === "difference") return ["difference"];
  const parts: Drawn[] = show === "observed" ? [] : mark === "heatmap" ? ["predicted"] : ["lower", "upper", "predicted"];
  if (show !== "predicted") parts.unshift("observed");
  return parts.filter((part) => part !== "difference" && signals.has(part));
}

/** Make the axis for a track of some height. `shown` is the range of what is in view, of the track or of its group. */
export function axisOf(options: PredictionOptions, shown: Range | null, height: number): ValueScale {
  const { scale, show, log, valueScaleMin: low, valueScaleMax: high, axis } = options;
  const fixed: Range | null = low !== undefined && high !== undefined && low < high ? [low, high] : null;
  let range: Range;
  if (scale === "fixed" && fixed) range = show === "difference" ? [fixed[0] - fixed[1], fixed[1] - fixed[0]] : fixed;
  else {
    range = shown ? roundRange(...shown) : (fixed ?? [0, 1]);
    const most = Math.max(-range[0], range[1]);
    if (show === "difference") range = [-most, most];
  }
  return axis ? valueScale(range, height, log, LEGEND_HEIGHT) : valueScale(range, height, log);
}

/** Draw a track's signals. `remark` is a line of words at its foot. */
export function picture(
  options: PredictionOptions,
  signals: Signals,
  scale: ValueScale,
  [width, height]: [number, number],
  remark: string,
): Shape[] {
  const { name, mark, axis } = options;
  const inks = inksOf(options);
  const { palette } = inks;
  const drawn = drawnSignals(options, signals);
  const notices = signals.notices();
  const bands = drawn.some((part) => part !== "observed") ? signals.bands() : [];
  const banded = (box: Box) => marks.bandShapes(bands, (reason) => words(reason, notices), box, width, palette);
  const shapes: Shape[] = [];
  if (mark === "heatmap") shapes.push(...strips(options, signals, drawn, scale, [width, height], banded));
  else {
    const under = banded({ top: 0, height });
    shapes.push(...under.ground, ...marks.grid(scale, width, palette));
    shapes.push(...signalShapes(options, signals, drawn, scale, inks), ...under.words);
    if (axis) shapes.push(...marks.axisLabels(scale, palette), ...marks.legend(name, entries(options, drawn, inks), width, palette));
  }
  if (notices.observed !== undefined && drawn.includes("observed")) {
    shapes.push(...marks.remark(`observed: ${notices.observed}`, palette.bands.failed, width, axis ? 30 : 14));
  }
  if (remark) shapes.push(...marks.remark(remark, palette.bands.failed, width, height - 14));
  return shapes;
}

function signalShapes(
  { mark }: PredictionOptions,
  signals: Signals,
  drawn: Drawn[],
  scale: ValueScale,
  { palette, observed: grey, predicted: color }: Inks,
): Shape[] {
  const pieces = (part: Drawn) => (drawn.includes(part) ? signals.pieces(part) : []);
  if (drawn.includes("difference")) return marks.signedAreas(pieces("difference"), scale, color, grey);
  const [observed, predicted] = [pieces("observed"), pieces("predicted")];
  const doubt = marks.between(paired(pieces("lower"), pieces("upper")), scale, color);
  if (mark === "line") {
    return [...marks.areas(observed, scale, grey, palette.fill, 1), ...doubt, ...marks.lines(predicted, scale, color, 1.75)];
  }
  // Bars over bars hide which is which, so that the front ones are glass with an edge.
  const edge = observed.length ? marks.lines(predicted, scale, color, 1.25) : [];
  const glass = observed.length ? 0.3 : 0.7;
  return [...marks.bars(observed, scale, grey, 0.5), ...doubt, ...marks.bars(predicted, scale, color, glass), ...edge];
}

function strips(
  options: PredictionOptions,
  signals: Signals,
  drawn: Drawn[],
  scale: ValueScale,
  size: [number, number],
  banded: (box: Box) => { ground: Shape[]; words: Shape[] },
): Shape[] {
  const { palette, observed: grey, predicted: color } = inksOf(options);
  const zero = scale.range[0] < 0 ? Math.min(marks.shareOf(scale, 0), 1) : 0;
  const tone = ramp(color, grey, palette, zero);
  const boxes = marks.stripBoxes(drawn.length, size[1]);
  const shapes = drawn.flatMap((part, index) => {
    const box = boxes[index] ?? { top: 0, height: size[1] };
    const { ground, words: said } = part === "observed" ? { ground: [], words: [] } : banded(box);
    return [...ground, ...marks.strip(signals.pieces(part), scale, box, tone), ...said];
  });
  const names = drawn.map((part) => (part === "difference" ? "predicted \u2212 observed" : part));
  return [...shapes, ...marks.stripLegend(scale, names, options.unit, size, tone, palette)];
}

function entries({ mark }: PredictionOptions, drawn: Drawn[], { observed: grey, predicted: color }: Inks): marks.Entry[] {
  const made: marks.Entry[] = [];
  if (drawn.includes("difference")) {
    made.push({ words: "predicted higher", color, mark: "area" }, { words: "observed higher", color: grey, mark: "area" });
  }
  if (drawn.includes("observed")) made.push({ words: "observed", color: grey, mark: "area" });
  if (drawn.includes("predicted")) made.push({ words: "predicted", color, mark: mark === "bar" ? "area" : "line" });
  return made;
}

/** Ways to say why there is no prediction, the longest first. */
function words(reason: string, notices: Record<string, string>): string[] {
  const notice = notices[reason];
  // The server's words have their details behind a comma or a colon.
  const ways = notice === undefined ? [] : [notice, notice.split(/[,:] /)[0] ?? notice];
  if (reason !== "failed") return [...ways, reason];
  return [...[...ways, "failed"].map((each) => `${each} \u2013 click to try again`), ...ways, "failed"];
}

function paired(lower: Piece[], upper: Piece[]): { lower: Piece; upper: Piece }[] {
  return lower.flatMap((piece) => {
    const same = upper.find(({ left, step }) => left === piece.left && step === piece.step);
    return same ? [{ lower: piece, upper: same }] : [];
  });
}
