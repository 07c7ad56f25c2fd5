// The menu that takes the tracks to other genome browsers: links, files, and lines to paste, as the server names them.
import { browsers, type Browsers } from "./api";
import type { Axis } from "./axis";
import { copy } from "./clipboard";
import { tellText } from "./dialog";
import { byId } from "./dom";
import { attachMenu, type Choice, type Entry } from "./menu";
import { Refused } from "./plugin/index";
import type { Store } from "./state";

/** Make the button open the menu, for the view as it is then. */
export function addOpenIn(axis: Axis, store: Store): void {
  attachMenu(byId("open-in"), "Open in another genome browser", async () => {
    // Other browsers show one chromosome at a time.
    const region = axis.write(axis.mostOf(store.state.span));
    const answer = await browsers(region).catch((error: unknown) => {
      throw error instanceof Refused ? error : new Error("The server does not answer; is it still running?");
    });
    return entries(region, answer);
  });
}

/** Say of a page that is read over https whether it may be kept from reading what this server has. */
function noteOf(site: string, { protocol, hostname }: URL): string {
  const near = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return protocol === "https:" || near ? site : `${site}, which may not read from plain http`;
}

function outside(label: string, note: string, address: string | null, reason: string): Entry {
  return address === null ? { label, icon: "external", reason } : { label, icon: "external", note, address };
}

function entries(region: string, { hub, ucsc, igv, jbrowse, custom_tracks: lines }: Browsers): Entry[] {
  const here = new URL(hub.url);
  return [
    `In a new tab, at ${region}`,
    outside("UCSC Genome Browser", "genome.ucsc.edu", ucsc.url, ucsc.why),
    { label: "IGV desktop", icon: "external", note: "if it runs on this computer", address: igv.desktop },
    outside("IGV web", noteOf("igv.org", here), igv.web, igv.why),
    outside("JBrowse web", noteOf("jbrowse.org", here), jbrowse.web, jbrowse.why),
    "As a file",
    { label: "IGV session file", icon: "export", note: "desktop and web", address: igv.file, file: true },
    { label: "JBrowse configuration", icon: "export", note: "JBrowse 2", address: jbrowse.file, file: true },
    "To paste",
    copying("Copy the hub's address", "for any browser that reads track hubs", "Address of the track hub", hub.url),
    copying("Copy custom-track lines", "for UCSC", "Custom-track lines", lines),
    ...(here.searchParams.has("token") ? ["Keep these to yourself", {
      label: "The addresses hold this server's token",
      icon: "warning" as const,
      reason: "Whoever has one, and the browser that opens it, can read all that this server shows.",
    }] : []),
  ];
}

function copying(label: string, note: string, title: string, text: string): Choice {
  return {
    label,
    note,
    icon: "copy",
    stays: true,
    act: (menu) => void copy(text).then((copied) => {
      if (copied) {
        menu.say("Copied");
        return;
      }
      menu.close();
      tellText(title, "This browser does not let the page copy. The text is selected: copy it from here.", text);
    }),
  };
}
