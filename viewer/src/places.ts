// The panel of places: those worth a look, and a person's own bookmarks.
import type { Page } from "./api";
import { foldWords, type Axis } from "./axis";
import { fromFile, joined, MOST, readBookmarks, toBed, without, type Bookmark } from "./bookmarks";
import type { Browser } from "./browser";
import { announce, button, byId, iconButton, keep, kept, make, save, say } from "./dom";
import { icon } from "./icons";
import { place } from "./menu";
import { decodeSettings, encodeSettings, type Store } from "./state";

export class Places {
  private readonly key: string;
  private readonly opener = byId("places");
  private readonly panel = byId("places-panel");
  private readonly list = make("ul", "marks");
  private readonly fault = make("p", "fault");
  private readonly name = make("input", "");
  private bookmarks: Bookmark[];
  private lasting = true;

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly browser: Browser,
  ) {
    this.key = `tracks.bookmarks:${page.name}:${page.assembly}`;
    this.bookmarks = readBookmarks(kept(this.key), axis);
    this.fault.role = "alert";
    this.fault.hidden = true;
    this.build();
    // Another tab may change them too; a null key is all of them cleared.
    addEventListener("storage", ({ key }) => {
      if (key !== this.key && key !== null) return;
      this.bookmarks = this.latest();
      if (this.panel.matches(":popover-open")) this.draw();
    });
    this.panel.addEventListener("toggle", (event) => {
      const open = event.newState === "open";
      this.opener.setAttribute("aria-expanded", String(open));
      if (!open) return;
      this.bookmarks = this.latest();
      say(this.fault, "");
      this.draw();
      this.name.value = "";
      this.name.placeholder = axis.write(store.state.span);
      place(this.panel, this.opener);
      this.name.focus();
    });
  }

  private build(): void {
    this.name.type = "text";
    this.name.maxLength = 200;
    this.name.id = "bookmark-name";
    const words = make("label", "unseen", "Name of a bookmark of this view");
    words.htmlFor = this.name.id;
    const form = make("form", "add", words, this.name, make("button", "", icon("bookmark"), "Bookmark this view"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.add();
    });
    const file = make("input", "unseen");
    file.type = "file";
    file.accept = ".bed,.json,.txt";
    file.tabIndex = -1;
    file.setAttribute("aria-label", "File of bookmarks, BED or JSON");
    file.addEventListener("change", () => void this.import(file));
    const loci = make("ul", "marks", ...this.page.loci.map((locus) => this.locus(locus)));
    this.panel.append(
      make("h2", "", "Bookmarks"),
      form,
      this.fault,
      this.list,
      make(
        "div",
        "files",
        button("", () => { this.exportAs("bed"); }, "Save as BED"),
        button("", () => { this.exportAs("json"); }, "Save as JSON"),
        button("", () => { file.click(); }, "Open a file"),
        file,
      ),
      make("h2", "", "Worth a look"),
      loci,
    );
  }

  private locus(locus: Page["loci"][0]): HTMLElement {
    const fold = foldWords(locus, this.page.folds);
    const go = button("plain go", () => {
      this.panel.hidePopover();
      this.browser.jump(locus);
    }, make("b", "", locus.name), make("small", "", [locus.region, fold.words].join(", ")));
    if (locus.note) go.append(make("small", "", locus.note));
    return make("li", "", go);
  }

  private add(): void {
    const { state } = this.store;
    const region = this.axis.write(state.span);
    const name = this.name.value.trim() || region;
    const { all, excess } = joined(this.latest(), [{ name, region, settings: encodeSettings(state, this.page) }]);
    this.put(all);
    if (excess) {
      say(this.fault, `There are ${MOST} bookmarks, which is as many as are kept. Remove one, or save them as a file.`);
      return;
    }
    this.name.value = "";
    announce(`Bookmarked ${name}`);
  }

  /** The bookmarks as they are now, which another tab may have changed. */
  private latest(): Bookmark[] {
    return this.lasting ? readBookmarks(kept(this.key), this.axis) : this.bookmarks;
  }

  private put(bookmarks: Bookmark[]): void {
    this.bookmarks = bookmarks;
    this.lasting = keep(this.key, bookmarks);
    say(this.fault, "");
    this.draw();
  }

  private draw(): void {
    const items = this.bookmarks.map((mark) => {
      const words = [make("b", "", mark.name), make("small", "", mark.region)];
      const go = button("plain go", () => { this.open(mark); }, ...words);
      const remove = iconButton(`Remove ${mark.name}`, icon("close"), () => {
        this.put(without(this.latest(), mark));
        this.name.focus();
      });
      return make("li", "", go, remove);
    });
    this.list.replaceChildren(...(items.length ? items : [make("li", "none", "None yet.")]));
    for (const file of this.panel.querySelectorAll<HTMLButtonElement>(".files button:not(:last-of-type)")) {
      file.disabled = !items.length;
    }
  }

  private open(mark: Bookmark): void {
    const span = this.axis.read(mark.region);
    if (!span) return;
    this.panel.hidePopover();
    this.browser.jump(span);
    // The theme is of the person who looks, not of the place.
    const rows = mark.settings ? decodeSettings(mark.settings, this.page).state.rows : null;
    if (rows) this.store.update((state) => ({ ...state, rows }));
  }

  private exportAs(format: "bed" | "json"): void {
    const text = format === "bed"
      ? toBed(this.bookmarks, this.axis)
      : `${JSON.stringify({ assembly: this.page.assembly, bookmarks: this.bookmarks }, null, 1)}\n`;
    const type = format === "bed" ? "text/plain" : "application/json";
    save(`${this.page.name}-bookmarks.${format}`, new Blob([text], { type }));
  }

  private async import(input: HTMLInputElement): Promise<void> {
    const [file] = input.files ?? [];
    input.value = "";
    if (!file) return;
    try {
      const found = fromFile(await file.text(), this.axis);
      const { all, excess } = joined(this.latest(), found);
      this.put(all);
      if (excess) {
        say(this.fault, `${file.name}: ${excess} of its ${found.length} were left out, as ${MOST} bookmarks are kept.`);
      }
    } catch (error) {
      say(this.fault, `${file.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
