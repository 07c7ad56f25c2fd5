// Bundles the page into ../server/static, which the server reads and the wheel holds: one script, one style sheet,
// no other address.
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";

const here = new URL(".", import.meta.url);
const out = fileURLToPath(new URL("../server/static/", here));

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

const options = {
  absWorkingDir: fileURLToPath(here),
  entryPoints: { viewer: "src/main.ts" },
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: false,
  legalComments: "linked",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [withoutEval],
  logLevel: "warning",
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await cp(new URL("index.html", here), `${out}index.html`);
if (process.argv.includes("--watch")) {
  await (await esbuild.context(options)).watch();
  console.log("watching");
} else {
  const { metafile } = await esbuild.build({ ...options, metafile: true });
  for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
    console.log(`${file.split("/").pop()}  ${(bytes / 1e6).toFixed(2)} MB`);
  }
}
