// The page: one HiGlass view with words and controls around it.
import { install } from "@pixi/unsafe-eval";
import { CSS, viewer, type HiGlassOptions } from "higlass";
import * as PIXI from "pixi.js-legacy";

import { page as getPage, sequence as getSequence, type Page, type Span } from "./api";
import { Axis, foldWords, type Training } from "./axis";
import { Browser, Trail, type Api } from "./browser";
import { button, byId, make, say } from "./dom";
import { Exporter } from "./exporting";
import { rowHeights, shownRows, trackUid, viewConfig } from "./figure";
import { tell, tellFault } from "./dialog";
import { drawIcons, icon } from "./icons";
import { addKeys, addLinkButton } from "./keys";
import { attachMenu, type Entry } from "./menu";
import { addOpenIn } from "./openin";
import { Overview } from "./overview";
import { Places } from "./places";
import { connect, menuOf, register, type Connection, type MenuItem } from "./plugin/index";
import { PredictButton } from "./predict";
import { Rows, rowName } from "./rows";
import { Search } from "./search";
import {
  decode,
  defaultState,
  MARKS,
  moved,
  SHOWS,
  Store,
  THEMES,
  withRow,
  type Link,
  type Row,
  type Theme,
  type ViewState,
} from "./state";
import { StatusLine } from "./status";
import "./style.css";
import { dress, inks, keepTheme, keptTheme, onSystemTheme, type Inks } from "./theme";
import { MARK_WORDS, SHOW_WORDS, TrackList } from "./tracklist";
import { Where } from "./where";

const SERVER = "/api/v1";
const RESIZE_PAUSE = 150;
const SEQUENCE_PAUSE = 500;
const THEME_WORDS = { system: "As the system", light: "Light", dark: "Dark" };

/** WebGL where there is, else a plain canvas; `?renderer=canvas` chooses it too. */
function renderer(): { renderer?: "canvas" } {
  const asked = new URLSearchParams(location.search).get("renderer");
  const webgl = asked !== "canvas" && document.createElement("canvas").getContext("webgl");
  return webgl ? {} : { renderer: "canvas" };
}

/** Call with where the genome has sequence, once the server knows. */
async function followSequence(tell: (known: Span[]) => void): Promise<void> {
  for (;;) {
    // A server that is gone is told of in the status line.
    const answer = await getSequence().catch(() => null);
    if (answer?.ready) {
      tell(answer.known.map(([start, end]) => ({ start, end })));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, SEQUENCE_PAUSE));
  }
}

/** The state that the page opens with: what the link says, else how it was left, else the defaults. */
function firstState(page: Page, axis: Axis): { store: Store; link: Link } {
  const link = decode(location.hash, page, axis);
  const base = defaultState(page, keptTheme());
  const settings = link.settings ?? base;
  return { store: new Store(arrivedAt(settings, link.span ?? base.span, base.theme)), link };
}

/** What a link sets, in the theme of whoever looks where it names none. */
function arrivedAt(settings: ViewState, span: Span, theme: Theme): ViewState {
  return { ...settings, span, theme: settings.theme === "system" ? theme : settings.theme };
}

/** Say that a link could not be read whole. */
function tellBroken({ broken }: Link): void {
  const notice = byId("link-notice");
  say(notice, broken ? "A part of this link could not be read; what could be is shown." : "");
  if (broken) notice.append(" ", button("link", () => { say(notice, ""); }, "Dismiss"));
}

class Application {
  private heights: ReadonlyMap<string, number> = new Map();
  private ink: Inks;
  private readonly domain: [number, number];
  private drawn = "";
  /** By the uid of a track that HiGlass draws: its row. */
  private rowOf = new Map<string, string>();
  private onlyPlugin = false;
  private readonly rows: Rows;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private api: Api | undefined;

  constructor(
    private readonly page: Page,
    private readonly store: Store,
    connection: Connection,
    private readonly actions: { entries(row: Row): Entry[]; settings(uid: string): void },
  ) {
    const { start, end } = store.state.span;
    this.domain = [start, end];
    this.ink = inks(dress(store.state.theme));
    this.rows = new Rows(byId("gutter"), page, {
      menu: (row) => this.actions.entries(row),
      retry: () => void connection.retry(store.state.span).catch(() => undefined),
    });
    register({
      seen: (what) => {
        // A track that another one, of another head, stands in for now may be drawn once more.
        const row = this.rowOf.get(what.uid);
        if (row !== undefined) this.rows.show(row, what);
      },
      menu: (track) => (this.onlyPlugin ? [] : this.contextMenu(this.rowOf.get(track) ?? track)),
      failed: (words) => void tell("This did not work", words),
    });
  }

  inks = (): Inks => this.ink;

  /** The plugin's own entries for a row's menu. */
  pluginEntries = (row: Row): Entry[] => {
    this.onlyPlugin = true;
    const items = menuOf(trackUid(this.page, row));
    this.onlyPlugin = false;
    return items.map((item) => ({
      label: item.label,
      ...(item.detail ? { detail: () => item.detail?.() ?? Promise.resolve("") } : {}),
      act: () => {
        Promise.resolve(item.run()).catch((error: unknown) => { tellFault("This did not work", error); });
      },
    }));
  };

  setTraining = (training: Training): void => { this.rows.setTraining(training); };

  /** Draw the first time, and follow the state and the window from then on. */
  async open(options: HiGlassOptions): Promise<Api> {
    const api = (await viewer(byId("plot"), this.config() as never, options)) as unknown as Api;
    this.api = api;
    this.store.onChange((now, before) => {
      if (now.theme !== before.theme) this.dress();
      if (now.rows !== before.rows) this.draw();
    });
    onSystemTheme(() => { this.dress(); });
    const soon = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => { this.draw(); }, RESIZE_PAUSE);
    };
    addEventListener("resize", soon);
    // What comes above the figure, such as a notice, takes of its room.
    const above = new ResizeObserver(soon);
    for (const id of ["where", "notice", "link-notice"]) above.observe(byId(id));
    return api;
  }

  /** Draw again where anything that the figure depends on has changed. */
  draw(): void {
    const config = this.config();
    if (config) void this.api?.setViewConfig(config, true);
  }

  /** What the page adds to the menu that a right click opens. */
  private contextMenu(uid: string): MenuItem[] {
    return [
      { label: "Hide", run: () => { this.store.update((state) => withRow(state, uid, { hidden: true })); } },
      { label: "Colour, height, axis…", run: () => { this.actions.settings(uid); } },
    ];
  }

  private dress(): void {
    this.ink = inks(dress(this.store.state.theme));
    this.draw();
  }

  private config(): Page["viewconf"] | null {
    const { page, store } = this;
    const { state } = store;
    const foot = byId("status").offsetHeight;
    const room = innerHeight - byId("browser").getBoundingClientRect().top - scrollY - foot - 14;
    this.heights = rowHeights(page, state, room);
    const config = viewConfig(page, state, this.heights, this.ink, this.domain);
    const now = JSON.stringify(config);
    if (now === this.drawn) return null;
    this.drawn = now;
    const before = this.rowOf;
    this.rowOf = new Map(state.rows.map((row) => [trackUid(page, row), row.uid]));
    for (const [track, row] of this.rowOf) if (!before.has(track)) this.rows.forget(row);
    this.rows.build(state, this.heights, this.ink);
    byId("empty").hidden = shownRows(state).length > 0;
    return config;
  }
}

async function start(): Promise<void> {
  // PIXI compiles shader code with eval, which this page's content policy forbids, unless told otherwise.
  install({ ShaderSystem: PIXI.ShaderSystem });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  document.adoptedStyleSheets.push(sheet);
  drawIcons(document);

  const page = await getPage();
  const axis = new Axis(page.chromosomes);
  const { store, link } = firstState(page, axis);
  const connection = connect(SERVER);
  document.title = `Tracks: ${page.name}`;
  byId("genome").textContent = `${page.name}, ${page.assembly}`;

  const application = new Application(page, store, connection, {
    entries: rowMenu,
    settings: (uid) => { list.open(uid); },
  });
  PIXI.utils.skipHello();
  const options = {
    // The legacy build is PIXI itself and a renderer that needs no WebGL.
    PIXI,
    bounded: false,
    editable: false,
    pixelPreciseMarginPadding: true,
    containerPaddingX: 0,
    containerPaddingY: 0,
    viewMarginTop: 0,
    viewMarginBottom: 0,
    viewMarginLeft: 0,
    viewMarginRight: 0,
    viewPaddingTop: 0,
    viewPaddingBottom: 0,
    viewPaddingLeft: 0,
    viewPaddingRight: 0,
    theme: "light",
    ...renderer(),
  } satisfies HiGlassOptions & { PIXI: unknown };
  const api = await application.open(options);

  const trail = new Trail(page, axis, store, (canGoBack, canGoForward) => {
    (byId("back") as HTMLButtonElement).disabled = !canGoBack;
    (byId("forward") as HTMLButtonElement).disabled = !canGoForward;
  });
  const browser = new Browser(page, axis, api, store, trail);
  trail.onArrival((arrived) => {
    const { span, settings } = arrived;
    if (settings) store.set(arrivedAt(settings, store.state.span, store.state.theme));
    if (span) browser.show(span);
    tellBroken(arrived);
  });
  const search = new Search(page.genes, (place) => {
    browser.jump(place);
    byId("plot").focus({ preventScroll: true });
  });
  const where = new Where(page, axis, store, browser, application.setTraining);
  const overview = new Overview(page, axis, store, browser);
  const list = new TrackList(page, store, () => { application.draw(); });
  const exporter = new Exporter(page, axis, store, api, connection, application.inks);
  const status = new StatusLine(page, connection);
  new PredictButton(page, axis, store, connection, status);
  new Places(page, axis, store, browser);
  addKeys(browser, search, () => { list.open(); });
  addLinkButton(() => trail.address());
  addOpenIn(axis, store);
  addThemeMenu(store);
  addLoci(page, browser);
  store.onChange(({ theme }, before) => { if (theme !== before.theme) overview.repaint(); });
  onSystemTheme(() => { overview.repaint(); });
  connection.onChanged(() => { overview.refresh(); });
  connection.onGone((gone) => { if (!gone) overview.refresh(); });
  tellBroken(link);
  document.body.dataset.state = "open";
  await followSequence((known) => {
    where.setSequence(known);
    overview.setSequence(known);
  });

  function rowMenu(row: Row): Entry[] {
    const panel = page.panels.find(({ uid }) => uid === row.uid);
    const change = (values: Partial<Row>) => { store.update((state) => withRow(state, row.uid, values)); };
    const shown = shownRows(store.state);
    const index = shown.findIndex(({ uid }) => uid === row.uid);
    // The list holds hidden rows too, and a row moves past those that are seen.
    const beside = (by: number) => store.state.rows.findIndex(({ uid }) => uid === shown[index + by]?.uid);
    const moves: Entry[] = ([["up", -1], ["down", 1]] as const).map(([way, by]) => ({
      label: `Move ${way}`,
      icon: way,
      disabled: shown[index + by] === undefined,
      act: () => { store.update((state) => moved(state, row.uid, beside(by))); },
    }));
    const both = panel !== undefined && panel.observed !== null && panel.predicted.length > 0;
    return [
      ...(both ? ["Show", ...SHOWS.map((show) => ({
        label: SHOW_WORDS[show], checked: row.show === show, act: () => { change({ show }); },
      }))] : []),
      ...(panel ? ["Draw as", ...MARKS.map((mark) => ({
        label: MARK_WORDS[mark], checked: row.mark === mark, act: () => { change({ mark }); },
      }))] : []),
      rowName(page, row.uid),
      ...moves,
      { label: "Hide", icon: "hidden", act: () => { change({ hidden: true }); } },
      { label: "Colour, height, axis…", icon: "tracks", act: () => { list.open(row.uid); } },
      // What is in view the plugin saves, whose entries a right click on the track opens too.
      ...(panel ? ["Data", ...application.pluginEntries(row), ...exporter.wholeChoices(row)] : []),
    ];
  }
}

/** Add a button for each place worth a look, which says whether the model saw it in training. */
function addLoci(page: Page, browser: Browser): void {
  for (const locus of page.loci) {
    const fold = foldWords(locus, page.folds);
    const go = button("", () => {
      browser.jump(locus);
      byId("plot").focus({ preventScroll: true });
    }, make("span", "dot"), locus.name, make("small", "unseen", fold.words));
    go.dataset.kind = fold.kind;
    go.title = [locus.note, locus.region, fold.words].filter(Boolean).join("\n");
    byId("loci").append(make("li", "", go));
  }
}

function addThemeMenu(store: Store): void {
  const opener = byId("theme");
  const draw = () => {
    opener.replaceChildren(icon(document.documentElement.dataset.theme === "dark" ? "moon" : "sun"));
  };
  attachMenu(opener, "Theme", () => THEMES.map((theme) => ({
    label: THEME_WORDS[theme],
    checked: store.state.theme === theme,
    act: () => {
      keepTheme(theme);
      store.update((state) => ({ ...state, theme }));
    },
  })));
  store.onChange(draw);
  onSystemTheme(draw);
  draw();
}

start().catch((error: unknown) => {
  console.error(error);
  say(byId("notice"), `The page could not be opened: ${error instanceof Error ? error.message : String(error)}`);
});
