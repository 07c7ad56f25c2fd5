// The page: one HiGlass view with words around it.
import { install } from "@pixi/unsafe-eval";
import { CSS, viewer, type HiGlassOptions } from "higlass";
import * as PIXI from "pixi.js-legacy";

import { page as getPage, sequence as getSequence, type Page } from "./api";
import { Axis } from "./axis";
import { Browser, type Api } from "./browser";
import { addButtons, addLoci, tellProgress } from "./controls";
import { byId, say } from "./dom";
import { predictionFetcher } from "./fetcher";
import { intervalTrack } from "./intervals";
import { Panels } from "./panels";
import { Search } from "./search";
import { signalTrack } from "./signal";
import "./style.css";
import { Watch } from "./watch";

const FOOTER = 76;
const LOWEST = 90;
const HIGHEST = 150;

declare global {
  interface Window {
    higlassTracksByType: Record<string, unknown>;
    higlassDataFetchersByType: Record<string, unknown>;
  }
}

async function followSequence(browser: Browser, watch: Watch): Promise<void> {
  const { ready, known } = await getSequence();
  if (ready) browser.setSequence(known.map(([start, end]) => ({ start, end })));
  else {
    setTimeout(() => {
      followSequence(browser, watch).catch(() => {
        watch.wake();
      });
    }, 500);
  }
}

/** Make the panels as high as the window has room for. */
function fitHeight(page: Page): void {
  const names = new Set(page.panels.map(({ uid }) => uid));
  const { top } = page.viewconf.views[0].tracks;
  const others = top.filter(({ uid }) => !names.has(uid)).reduce((sum, { height }) => sum + height, 0);
  const room = innerHeight - byId("browser").offsetTop - others - FOOTER;
  const height = Math.floor(Math.min(Math.max(room / names.size, LOWEST), HIGHEST));
  for (const track of top) if (names.has(track.uid)) track.height = height;
}

/** WebGL where there is, else a plain canvas; `?renderer=canvas` chooses it too. */
function renderer(): { renderer?: "canvas" } {
  const asked = new URLSearchParams(location.search).get("renderer");
  const webgl = asked !== "canvas" && document.createElement("canvas").getContext("webgl");
  return webgl ? {} : { renderer: "canvas" };
}

async function start(): Promise<void> {
  // PIXI compiles shader code with eval, which this page's content policy forbids, unless told otherwise.
  install({ ShaderSystem: PIXI.ShaderSystem });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  document.adoptedStyleSheets.push(sheet);

  const page = await getPage();
  const axis = new Axis(page.chromosomes);
  const view = page.viewconf.views[0];
  const asked = axis.read(decodeURIComponent(location.hash.slice(1)));
  if (asked) view.initialXDomain = [asked.start, asked.end];
  document.title = `Tracks: ${page.name}`;
  const chromosomes = page.chromosomes.map(({ name }) => name);
  const listed = chromosomes.length > 4 ? `${chromosomes.length} chromosomes` : chromosomes.join(", ");
  byId("genome").textContent = `${page.assembly}: ${listed}`;
  byId("model").textContent = `the model “${page.model}”`;

  const watch = new Watch();
  watch.onProgress(tellProgress);
  watch.onGone((isGone) => {
    document.body.classList.toggle("gone", isGone);
    if (isGone) byId("progress").replaceChildren("the server has stopped; start it again with tracks demo");
  });
  fitHeight(page);
  const panels = new Panels(byId("gutter"), page);
  const maxWidth = 2 ** Math.ceil(Math.log2(axis.length / (1024 * 128))) * 1024 * 128;
  // The globals that HiGlass reads plugins from, so that it knows the types before it reads the view.
  window.higlassTracksByType = {
    "tracks-intervals": intervalTrack(),
    "tracks-signal": signalTrack((what) => {
      panels.show(what);
    }),
  };
  window.higlassDataFetchersByType = { "tracks-prediction": predictionFetcher(watch, maxWidth) };
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
  const api = (await viewer(byId("plot"), page.viewconf, options)) as unknown as Api;

  const [first, last] = view.initialXDomain;
  const browser = new Browser(page, axis, api, { start: first, end: last });
  const search = new Search(page.genes, (place) => {
    browser.goTo(place);
    byId("plot").focus({ preventScroll: true });
  });
  addLoci(page, browser);
  addButtons(browser, search);
  addEventListener("hashchange", () => {
    const span = axis.read(decodeURIComponent(location.hash.slice(1)));
    if (span) browser.goTo(span);
  });
  watch.start();
  document.body.dataset.state = "open";
  await followSequence(browser, watch);
}

start().catch((error: unknown) => {
  console.error(error);
  say(byId("notice"), `The page could not be opened: ${error instanceof Error ? error.message : String(error)}`);
});
