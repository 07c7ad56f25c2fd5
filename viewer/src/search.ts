// The search box: a region, a chromosome, or a gene with completion; empty, it offers what was found before. A wrong
// entry says what would be right.
import { locate, NotFound, suggest, type Place } from "./api";
import { byId, keep, kept, make, say } from "./dom";

const PAUSE = 120;
const RECENT = "tracks.recent";
const MOST_RECENT = 8;

interface Offer {
  text: string;
  note: string;
}

export class Search {
  private readonly input = byId("query") as HTMLInputElement;
  private readonly list = byId("suggestions");
  private readonly error = byId("query-error");
  private offers: Offer[] = [];
  private chosen = -1;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly tileset: string,
    private readonly go: (place: Place) => void,
  ) {
    this.input.addEventListener("input", () => {
      this.fault("");
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.complete(), PAUSE);
    });
    this.input.addEventListener("focus", () => { if (!this.input.value) this.offerRecent(); });
    this.input.addEventListener("keydown", (event) => {
      this.key(event);
    });
    this.input.addEventListener("blur", () => {
      // After the click on a suggestion, if it was one that took the focus.
      setTimeout(() => {
        this.offer([], "");
      }, 150);
    });
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit(this.offers[this.chosen]?.text ?? this.input.value);
    });
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  async submit(text: string): Promise<void> {
    clearTimeout(this.timer);
    this.offer([], "");
    try {
      const place = await locate(text);
      this.input.value = place.name || place.region;
      this.fault("");
      const now = place.name || place.region;
      keep(RECENT, [now, ...recent().filter((one) => one !== now)].slice(0, MOST_RECENT));
      this.go(place);
    } catch (error) {
      if (error instanceof NotFound) this.fault(error.message, error.suggestion);
      else this.fault("The server does not answer; is it still running?");
    }
  }

  private async complete(): Promise<void> {
    const text = this.input.value.trim();
    if (!text) this.offerRecent();
    if (!text || text.includes(":")) {
      if (text) this.offer([], "");
      return;
    }
    try {
      const genes = await suggest(this.tileset, text);
      if (this.input.value.trim() !== text || document.activeElement !== this.input) return;
      const offers = genes.map(({ geneName, chr, txStart }) => ({
        text: geneName,
        note: `${chr}:${(txStart + 1).toLocaleString("en")}`,
      }));
      this.offer(offers, "Genes");
    } catch {
      this.offer([], "");
    }
  }

  private offerRecent(): void {
    this.offer(recent().map((text) => ({ text, note: "" })), "Recent searches");
  }

  private offer(offers: Offer[], kind: string): void {
    this.offers = offers;
    this.chosen = -1;
    if (kind) this.list.setAttribute("aria-label", kind);
    this.list.replaceChildren(
      ...offers.map(({ text, note }, index) => {
        const item = make("li", "", make("b", "", text), ` ${note}`);
        item.id = `suggestion-${index}`;
        item.role = "option";
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          void this.submit(text);
        });
        return item;
      }),
    );
    this.list.dataset.kind = kind;
    this.list.hidden = !offers.length;
    this.mark();
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      if (this.offers.length) this.offer([], "");
      else byId("plot").focus();
    } else if (this.offers.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const steps = this.offers.length + 1;
      this.chosen = ((this.chosen + 1 + (event.key === "ArrowDown" ? 1 : -1) + steps) % steps) - 1;
      this.mark();
    }
  }

  private mark(): void {
    this.input.setAttribute("aria-expanded", String(this.offers.length > 0));
    [...this.list.children].forEach((item, index) => {
      item.setAttribute("aria-selected", String(index === this.chosen));
    });
    if (this.chosen >= 0) this.input.setAttribute("aria-activedescendant", `suggestion-${this.chosen}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  private fault(words: string, suggestion: string | null = null): void {
    say(this.error, words);
    this.input.setAttribute("aria-invalid", String(words !== ""));
    if (!suggestion) return;
    const link = make("button", "link", `Go to ${suggestion}`);
    link.type = "button";
    link.addEventListener("click", () => void this.submit(suggestion));
    this.error.append(" ", link);
  }
}

function recent(): string[] {
  const texts = kept(RECENT);
  if (!Array.isArray(texts)) return [];
  return texts.filter((text): text is string => typeof text === "string").slice(0, MOST_RECENT);
}
