// The page's own icons: strokes on a 16 x 16 grid, in the colour of the text beside them.
import { svg } from "./dom";

const PATHS = {
  back: "M9.5 3.5 5 8l4.5 4.5",
  forward: "M6.5 3.5 11 8l-4.5 4.5",
  left: "M13 8H3.5M7 4 3 8l4 4",
  right: "M3 8h9.5M9 4l4 4-4 4",
  in: "M8 3.5v9M3.5 8h9",
  out: "M3.5 8h9",
  whole: "M2.5 5v6M13.5 5v6M5 8h6M6.5 6 4.5 8l2 2M9.5 6l2 2-2 2",
  tracks: "M2.5 4h11M2.5 8h11M2.5 12h11M5 2.8v2.4M11 6.8v2.4M7 10.8v2.4",
  bookmark: "M4.5 2.5h7v11L8 10.8l-3.5 2.7z",
  export: "M8 2.5v7M5 6.8 8 9.8l3-3M2.5 11v2.5h11V11",
  external: "M9 2.5h4.5V7M13.2 2.8 7.5 8.5M11.5 9.5v4h-9v-9h4",
  copy: "M6 6h7.5v7.5H6zM3.5 10h-1V2.5H10v1",
  link:
    "M6.8 9.2a2.4 2.4 0 0 0 3.4 0l2.6-2.6a2.4 2.4 0 0 0-3.4-3.4l-.9.9" +
    "M9.2 6.8a2.4 2.4 0 0 0-3.4 0L3.2 9.4a2.4 2.4 0 0 0 3.4 3.4l.9-.9",
  sun:
    "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z" +
    "M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z",
  help: "M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.8M8 12.2v.3",
  jobs: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 4.8v3.4l2.3 1.5",
  more: "M3.6 8h.1M8 8h.1M12.4 8h.1",
  up: "M8 13V3.5M4 7l4-4 4 4",
  down: "M8 3v9.5M4 9l4 4 4-4",
  close: "M4 4l8 8M12 4l-8 8",
  eye: "M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8zM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z",
  hidden:
    "M3 3l10 10M6.2 4.1A6 6 0 0 1 8 3.8c4 0 6.2 4.2 6.2 4.2a10 10 0 0 1-1.9 2.4" +
    "M10.2 11.8a6 6 0 0 1-2.2.4C4 12.2 1.8 8 1.8 8A10 10 0 0 1 4 5.4",
  grip: "M6 4h.1M10 4h.1M6 8h.1M10 8h.1M6 12h.1M10 12h.1",
  check: "M3.5 8.5 6.5 11.5 12.5 4.5",
  warning: "M8 2.5 14.2 13H1.8zM8 6.5v3M8 11.2v.2",
  predict: "M2 11.5c2.5 0 2.5-7 5-7s2.5 7 5 7M13 3v4M11 5h4",
  retry: "M13 5.5A5.5 5.5 0 1 0 13.5 8M13.5 2.5v3.2h-3.2",
} as const;

export type IconName = keyof typeof PATHS;

/** Draw an icon, which no reader speaks: what it stands on has words of its own. */
export function icon(name: IconName): SVGElement {
  const dots = name === "more" || name === "grip";
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    svg("path", {
      d: PATHS[name],
      fill: "none",
      stroke: "currentColor",
      "stroke-width": dots ? 2 : 1.5,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/** Put its icon in front of every element that names one in `data-icon`. */
export function drawIcons(within: ParentNode): void {
  for (const element of within.querySelectorAll<HTMLElement>("[data-icon]")) {
    element.prepend(icon(element.dataset.icon as IconName));
  }
}
