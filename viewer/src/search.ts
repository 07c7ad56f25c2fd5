// The search box: a region, a chromosome, or a gene with completion. A wrong entry says what would be right.
import { locate, NotFound, suggest, type Gene, type Place } from "./api";
import { byId, make, say } from "./dom";

const PAUSE = 120;

export class Search {
  private readonly input = byId("query") as HTMLInputElement;
  private readonly list = byId("suggestions");
  private readonly error = byId("query-error");
  private genes: Gene[] = [];
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
    this.input.addEventListener("keydown", (event) => {
      this.key(event);
    });
    this.input.addEventListener("blur", () => {
      // After the click on a suggestion, if it was one that took the focus.
      setTimeout(() => {
        this.offer([]);
      }, 150);
    });
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit(this.genes[this.chosen]?.geneName ?? this.input.value);
    });
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  async submit(text: string): Promise<void> {
    clearTimeout(this.timer);
    this.offer([]);
    try {
      const place = await locate(text);
      this.input.value = place.name || place.region;
      this.fault("");
      this.go(place);
    } catch (error) {
      if (error instanceof NotFound) this.fault(error.message, error.suggestion);
      else this.fault("The server does not answer; is `tracks demo` still running?");
    }
  }

  private async complete(): Promise<void> {
    const text = this.input.value.trim();
    if (!text || text.includes(":")) {
      this.offer([]);
      return;
    }
    try {
      const genes = await suggest(this.tileset, text);
      if (this.input.value.trim() === text && document.activeElement === this.input) this.offer(genes);
    } catch {
      this.offer([]);
    }
  }

  private offer(genes: Gene[]): void {
    this.genes = genes;
    this.chosen = -1;
    this.list.replaceChildren(
      ...genes.map((gene, index) => {
        const item = make("li", "", make("b", "", gene.geneName), ` ${gene.chr}:${(gene.txStart + 1).toLocaleString("en")}`);
        item.id = `suggestion-${index}`;
        item.role = "option";
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          void this.submit(gene.geneName);
        });
        return item;
      }),
    );
    this.list.hidden = !genes.length;
    this.mark();
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      if (this.genes.length) this.offer([]);
      else byId("plot").focus();
    } else if (this.genes.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const steps = this.genes.length + 1;
      this.chosen = ((this.chosen + 1 + (event.key === "ArrowDown" ? 1 : -1) + steps) % steps) - 1;
      this.mark();
    }
  }

  private mark(): void {
    this.input.setAttribute("aria-expanded", String(this.genes.length > 0));
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
    const button = make("button", "link", `Go to ${suggestion}`) as HTMLButtonElement;
    button.type = "button";
    button.addEventListener("click", () => void this.submit(suggestion));
    this.error.append(" ", button);
  }
}
