// Light and dark: the page's own colours are in style.css, those of the plugin's tracks in its colors.ts.
import { keep, kept } from "./dom";
import { css, legible, numberOf, PALETTES } from "./plugin/colors";
import { THEMES, type Theme } from "./state";

export interface Inks {
  name: "light" | "dark";
  ground: string;
  text: string;
  quiet: string;
  genes: string;
}

const KEY = "tracks.theme";

/** The theme that an earlier visit chose. */
export function keptTheme(): Theme {
  return THEMES.find((theme) => theme === kept(KEY)) ?? "system";
}

export function keepTheme(theme: Theme): void {
  keep(KEY, theme);
}

/** Dress the page in a theme; return which of the two it is now. */
export function dress(theme: Theme): "light" | "dark" {
  const dark = theme === "dark" || (theme === "system" && prefersDark().matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  return dark ? "dark" : "light";
}

export function onSystemTheme(changed: () => void): void {
  prefersDark().addEventListener("change", changed);
}

function prefersDark(): MediaQueryList {
  return matchMedia("(prefers-color-scheme: dark)");
}

/** The colours of HiGlass' own tracks, on the paper that the plugin's tracks are made for. */
export function inks(name: "light" | "dark"): Inks {
  const ground = css(PALETTES[name].paper);
  return name === "dark"
    ? { name, ground, text: "#d9dde2", quiet: "#8d959f", genes: "#a9b4c0" }
    : { name, ground, text: "#333333", quiet: "#8d9299", genes: "#47505b" };
}

/** A track's colour as the plugin draws it on this theme's paper. */
export function shade(color: string, { name }: Inks): string {
  return css(legible(numberOf(color), PALETTES[name]));
}
