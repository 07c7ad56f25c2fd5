// In words: where the view is, whether the model saw it in training, and whether there is sequence.
import type { Page, Span } from "./api";
import { foldWords, overlap, width, type Axis, type Training } from "./axis";
import type { Browser } from "./browser";
import { button, byId, make, say } from "./dom";
import type { Store } from "./state";

export class Where {
  private known: Span[] | undefined;

  constructor(
    private readonly page: Page,
    private readonly axis: Axis,
    private readonly store: Store,
    private readonly browser: Browser,
    private readonly training: (words: Training) => void,
  ) {
    store.onChange(({ span }, before) => { if (span !== before.span) this.tell(); });
    this.tell();
  }

  setSequence(known: Span[]): void {
    this.known = known;
    this.tell();
  }

  private tell(): void {
    const shown = this.axis.cut(this.store.state.span);
    byId("location").replaceChildren(make("b", "", this.axis.write(shown)), ` ${width(shown.end - shown.start)}`);
    const fold = foldWords(shown, this.page.folds);
    const chip = byId("fold");
    say(chip, fold.words);
    chip.dataset.kind = fold.kind;
    chip.title = fold.title;
    this.training(fold.training);
    const near = (shown.end - shown.start) / 50;
    const here = this.page.loci.find(
      ({ start, end }) => Math.abs(start - shown.start) < near && Math.abs(end - shown.end) < near,
    );
    say(byId("note"), here?.note ?? "");
    if (this.known) this.tellSequence(shown, this.known);
  }

  private tellSequence(shown: Span, known: Span[]): void {
    const share = overlap(shown, known) / Math.max(shown.end - shown.start, 1);
    const notice = byId("notice");
    if (share > 0) {
      say(notice, "");
      say(byId("sequence"), share < 0.98 ? `sequence for ${Math.max(Math.round(100 * share), 1)} % of the view` : "");
      return;
    }
    const middle = (shown.start + shown.end) / 2;
    const distance = ({ start, end }: Span) => Math.max(start - middle, middle - end);
    const nearest = known.reduce<Span | undefined>(
      (best, next) => (best && distance(best) <= distance(next) ? best : next),
      undefined,
    );
    say(notice, "No sequence here: this genome file holds only N in this region, so nothing can be predicted.");
    if (nearest) {
      const words = `Go to the nearest sequence, ${this.axis.write(nearest)}`;
      notice.append(" ", button("link", () => { this.browser.jump(nearest); }, words));
    }
    say(byId("sequence"), "no sequence here");
  }
}
