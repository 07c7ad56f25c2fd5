// Files of what is known of a tileset.
import type { Span } from "./api";
import { tellFault } from "./dialog";
import type { Choice } from "./menu";
import type { Connection } from "./plugin/index";

const FORMATS = { bigwig: "bigWig", bedgraph: "bedGraph" };

/** A menu entry that downloads what is known of a tileset in a span, or all of it; its label is the format if null. */
export function valuesChoice(
  connection: Connection,
  label: string | null,
  uid: string,
  format: keyof typeof FORMATS,
  span: Span | null,
): Choice {
  return {
    label: label ?? FORMATS[format],
    ...(label !== null ? { note: FORMATS[format] } : {}),
    act: () => {
      connection.download(uid, format, span).catch((error: unknown) => { tellFault("Nothing was downloaded", error); });
    },
  };
}
