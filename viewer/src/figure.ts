// From the state to the view configuration that HiGlass draws. HiGlass keeps a track whose uid it has already, so a
// track that other data belong to has another uid, and all else is an option that changes it in place.
import type { Page, Panel, Predicted, TrackDefinition } from "./api";
import { NARROWEST, type Row, type ViewState } from "./state";
import type { Inks } from "./theme";

const ANNOTATION_LEAST = 14;

/** Rows that are shown, in order. */
export function shownRows(state: ViewState): Row[] {
  return state.rows.filter(({ hidden }) => !hidden);
}

export function panelOf(page: Page, uid: string): Panel | undefined {
  return page.panels.find((panel) => panel.uid === uid);
}

/** The tileset of the chosen head, or of the first that has this track. */
export function predictedOf(panel: Panel, row: Row): Predicted | undefined {
  return panel.predicted.find(({ head }) => head === row.head) ?? panel.predicted[0];
}

/** The uid that HiGlass knows a row's track by. */
export function trackUid(page: Page, row: Row): string {
  const panel = panelOf(page, row.uid);
  const chosen = panel && predictedOf(panel, row);
  return chosen && chosen !== panel.predicted[0] ? `${row.uid}~${chosen.head}` : row.uid;
}

export function colorOf(page: Page, row: Row): string {
  const own = panelOf(page, row.uid) ?? page.annotations.find(({ uid }) => uid === row.uid);
  return row.color ?? own?.color ?? "#47505b";
}

/** The heads whose predictions are on the page now. */
export function headsInUse(page: Page, state: ViewState): string[] {
  const heads = shownRows(state).map((row) => {
    const panel = panelOf(page, row.uid);
    return panel && predictedOf(panel, row)?.head;
  });
  return [...new Set(heads)].filter((head): head is string => head !== undefined);
}

/** How high each shown row is, in pixels: those without a height share the room, within what can be read. */
export function rowHeights(page: Page, state: ViewState, room: number): Map<string, number> {
  const rows = shownRows(state);
  const [view] = page.viewconf.views;
  const given = new Map(view.tracks.top.map(({ uid, height }) => [uid, height]));
  const fixed = (row: Row) => row.height ?? (panelOf(page, row.uid) ? null : (given.get(row.uid) ?? ANNOTATION_LEAST));
  const free = rows.filter((row) => fixed(row) === null);
  const left = room - rows.reduce((sum, row) => sum + (fixed(row) ?? 0), given.get("chromosomes") ?? 0);
  const share = Math.floor(Math.min(Math.max(left / Math.max(free.length, 1), 84), 170));
  return new Map(rows.map((row) => [row.uid, fixed(row) ?? share]));
}

/** Make the view configuration of a state; with the `domain` that the page was opened with, HiGlass stays in place. */
export function viewConfig(
  page: Page,
  state: ViewState,
  heights: ReadonlyMap<string, number>,
  ink: Inks,
  domain: readonly [number, number],
): Page["viewconf"] {
  const config = structuredClone(page.viewconf);
  const [view] = config.views as [Page["viewconf"]["views"][0] & { options?: unknown; layout?: unknown }];
  const given = new Map(view.tracks.top.map((track) => [track.uid, track]));
  const top: TrackDefinition[] = [];
  const chromosomes = given.get("chromosomes");
  if (chromosomes) top.push(withOptions(chromosomes, { color: ink.text, stroke: ink.ground, tickColor: ink.quiet }));
  for (const row of shownRows(state)) {
    const track = given.get(row.uid);
    if (track) top.push(rowTrack(page, row, { ...track, height: heights.get(row.uid) ?? track.height }, ink));
  }
  view.tracks.top = top;
  view.initialXDomain = [...domain];
  // In bases, as HiGlass reckons for the window that it was opened in. The window may have changed its width since, so
  // they leave room on both sides: what goes beyond the genome comes back when the wheel rests.
  const genome = Math.max(...page.chromosomes.map(({ start, length }) => start + length));
  view.zoomLimits = [Math.min(NARROWEST / 2, domain[1] - domain[0]), 2 * genome];
  view.options = { backgroundColor: ink.ground };
  // One grid row of the layout is one pixel (pixelPreciseMarginPadding).
  const height = top.reduce((sum, track) => sum + track.height, 0);
  view.layout = { x: 0, y: 0, w: 12, h: height };
  return config;
}

function rowTrack(page: Page, row: Row, track: TrackDefinition, ink: Inks): TrackDefinition {
  const color = colorOf(page, row);
  const panel = panelOf(page, row.uid);
  if (panel) return panelTrack(page, panel, row, track, color, ink);
  if (track.type !== "horizontal-gene-annotations") return withOptions(track, { color, theme: ink.name });
  const genes = row.color ?? ink.genes;
  return withOptions(track, {
    plusStrandColor: genes,
    minusStrandColor: genes,
    labelColor: ink.text,
    labelBackgroundColor: ink.ground,
  });
}

function panelTrack(page: Page, panel: Panel, row: Row, track: TrackDefinition, color: string, ink: Inks) {
  const chosen = predictedOf(panel, row);
  const [low, high] = panel.scale;
  const data = {
    ...track.data,
    tilesetUid: chosen?.uid ?? panel.observed,
    ...(chosen ? { predicted: chosen.uid, head: chosen.head } : {}),
    ...(panel.observed === null ? {} : { observed: panel.observed }),
    ...(chosen?.lower && chosen.upper ? { lower: chosen.lower, upper: chosen.upper } : {}),
  };
  const options = {
    name: panel.name,
    unit: panel.unit,
    color,
    observedColor: page.observedColor,
    mark: row.mark,
    show: showable(panel, row),
    scale: row.scale === "own" ? track.options?.scale : row.scale,
    scaleGroup: panel.unit,
    log: row.log,
    valueScaleMin: row.scale === "fixed" ? (row.low ?? low) : low,
    valueScaleMax: row.scale === "fixed" ? (row.high ?? high) : high,
    theme: ink.name,
    axis: false,
    showTooltip: true,
  };
  return withOptions({ ...track, uid: trackUid(page, row), data }, options);
}

/** What can be shown of what is asked for: a difference needs both. */
export function showable(panel: Panel, row: Row): Row["show"] {
  const both = panel.observed !== null && panel.predicted.length > 0;
  if (both) return row.show;
  return panel.observed === null ? "predicted" : "observed";
}

function withOptions(track: TrackDefinition, options: Record<string, unknown>): TrackDefinition {
  return { ...track, options: { ...track.options, ...options } };
}
