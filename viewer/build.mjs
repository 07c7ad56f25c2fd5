// Bundles the pages and the HiGlass plugin into ../server/static, which the server reads and the wheel holds: no other
// address. A build is made beside its place and then put there whole, so that nobody ever sees half of one.
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm, utimes } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";

const here = new URL(".", import.meta.url);
const place = fileURLToPath(new URL("../server/static/", here));
const watching = process.argv.includes("--watch");
// node_modules is on the same disk and nobody looks there.
const beside = fileURLToPath(new URL(`node_modules/.tracks-build-${process.pid}/`, here));
const out = watching ? place : `${beside}new/`;

// HiGlass holds two libraries that compile code as they load, which the page's content policy forbids. box-intersect
// keeps labels from overlapping: a few dozen boxes, for which comparing all pairs is as good. ndarray serves 2D tracks,
// of which this page has none. The third is a greeting on the console, written by a worker made of obfuscated text.
const REPLACED = [
  [
    "var boxIntersectExports = requireBoxIntersect();",
    `var boxIntersectExports = (boxes, visit) => {
      for (let i = 0; i < boxes.length; i++)
        for (let j = i + 1; j < boxes.length; j++) {
          const [a, b] = [boxes[i], boxes[j]];
          if (a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]) visit(i, j);
        }
    };`,
  ],
  [
    "var ndarrayExports = requireNdarray();",
    'var ndarrayExports = () => { throw new Error("this page draws no 2D tracks"); };',
  ],
  ["const [o, x] = getXylofon();", "return; const [o, x] = getXylofon();"],
];

const withoutEval = {
  name: "without-eval",
  setup(build) {
    build.onLoad({ filter: /higlass[\\/]dist[\\/]higlass\.mjs$/ }, async ({ path }) => {
      let contents = await readFile(path, "utf8");
      for (const [found, replacement] of REPLACED) {
        if (contents.split(found).length !== 2) throw new Error(`HiGlass has changed, build.mjs finds no: ${found}`);
        contents = contents.replace(found, () => replacement);
      }
      return { contents, loader: "js" };
    });
  },
};

const shared = {
  absWorkingDir: fileURLToPath(here),
  bundle: true,
  target: "es2022",
  minify: true,
  sourcemap: false,
  legalComments: "linked",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
};

const pages = ["viewer", "jobs"].filter((name) => existsSync(new URL(`src/${name === "viewer" ? "main" : name}.ts`, here)));
const bundles = [
  {
    ...shared,
    entryPoints: Object.fromEntries(pages.map((name) => [name, `src/${name === "viewer" ? "main" : name}.ts`])),
    outdir: out,
    format: "esm",
    plugins: [withoutEval],
  },
  // The plugin holds neither HiGlass nor PIXI: it uses those of the page it is loaded into.
  {
    ...shared,
    entryPoints: { "tracks-higlass": "src/plugin/index.ts" },
    outdir: `${out}plugin`,
    outExtension: { ".js": ".mjs" },
    format: "esm",
  },
  {
    ...shared,
    entryPoints: { "tracks-higlass.umd": "src/plugin/index.ts" },
    outdir: `${out}plugin`,
    format: "iife",
    globalName: "tracksHiglass",
    footer: {
      js: 'if (typeof module === "object" && module.exports) module.exports = tracksHiglass; '
        + 'else if (typeof define === "function" && define.amd) define([], () => tracksHiglass);',
    },
  },
];

const copies = [
  ["index.html", "index.html"],
  ["jobs.html", "jobs.html"],
  // To be copied, and so shown as text: this server serves neither HiGlass nor lets scripts inside a page run.
  ["example.html", "plugin/example.html.txt"],
];

await mkdir(`${out}plugin`, { recursive: true });
for (const [from, to] of copies) if (existsSync(new URL(from, here))) await cp(new URL(from, here), `${out}${to}`);

if (watching) {
  for (const bundle of bundles) await (await esbuild.context(bundle)).watch();
  console.log("watching");
} else {
  try {
    const outputs = await Promise.all(bundles.map((bundle) => esbuild.build({ ...bundle, metafile: true })));
    // hatch_build.py takes the age of viewer.js for that of all.
    await utimes(`${out}viewer.js`, new Date(), new Date());
    if (existsSync(place)) await rename(place, `${beside}old`);
    await rename(out, place);
    for (const { metafile } of outputs) {
      for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
        console.log(`${file.split("/new/").pop()}  ${(bytes / 1e6).toFixed(2)} MB`);
      }
    }
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}
