// How well predicted and observed agree: Pearson's r, in float64.
import type { Agreement } from "./types";

/** A pair of signals over the same bins, of which `[first, end)` count. */
export interface Pair {
  observed: Float32Array;
  predicted: Float32Array;
  first: number;
  end: number;
}

/**
 * Correlate the bins where both signals have a value. Two passes, so that a large mean costs no digits. `r` is null
 * with fewer than three such bins, or where either signal does not vary.
 */
export function agreement(pairs: Pair[], binWidth: number): Agreement {
  let bins = 0;
  let [sumObserved, sumPredicted] = [0, 0];
  each(pairs, (observed, predicted) => {
    bins++;
    sumObserved += observed;
    sumPredicted += predicted;
  });
  if (bins < 3) return { r: null, bins, binWidth };
  const [meanObserved, meanPredicted] = [sumObserved / bins, sumPredicted / bins];
  let [product, squaresObserved, squaresPredicted] = [0, 0, 0];
  each(pairs, (observed, predicted) => {
    const [a, b] = [observed - meanObserved, predicted - meanPredicted];
    product += a * b;
    squaresObserved += a * a;
    squaresPredicted += b * b;
  });
  const spread = Math.sqrt(squaresObserved) * Math.sqrt(squaresPredicted);
  // Rounding may leave a constant signal a spread that is not quite 0.
  const flat = spread <= 1e-12 * bins * Math.max(Math.abs(meanObserved * meanPredicted), Number.MIN_VALUE);
  return { r: flat ? null : Math.min(Math.max(product / spread, -1), 1), bins, binWidth };
}

function each(pairs: Pair[], visit: (observed: number, predicted: number) => void): void {
  for (const { observed, predicted, first, end } of pairs) {
    for (let bin = first; bin < end; bin++) {
      const [a, b] = [observed[bin] ?? NaN, predicted[bin] ?? NaN];
      if (Number.isFinite(a) && Number.isFinite(b)) visit(a, b);
    }
  }
}
