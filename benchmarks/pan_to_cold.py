"""From a jump to a place that nobody predicted before until its tracks are drawn, in a real browser.

    python benchmarks/pan_to_cold.py [--places 10] [--view 100000]

A real server (``tracks serve`` on the embedded data, shipped model, empty store) and Chromium with the canvas renderer.
For each place: seconds until the observed methylation is drawn, and until the predicted one is. Reported are medians,
and what the prediction takes more; the bar is 1.0 s. The time holds HiGlass' own pauses before it asks for tiles.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.viewer.conftest import FLAGS
from tests.viewer.serving import serving

TRACK = "cpg_methylation_imr90"
FIRST, LAST = 45_300_000, 48_700_000
"""The part of chr22 that is sequenced, and where methylation was observed."""
BAR = 1.0

JUMP = """
async ({ place, track }) => {
  const row = document.querySelector(`[data-track=${track}]`);
  const frame = () => new Promise(requestAnimationFrame);
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  location.hash = place;
  while (row.dataset.predicted === "drawn" && since() < 5) await frame();
  let observed = null;
  while (row.dataset.predicted !== "drawn" && since() < 120) {
    if (observed === null && row.dataset.observed === "drawn") observed = since();
    await frame();
  }
  return [observed ?? since(), since()];
}
"""


def main() -> None:
    """Run the benchmark, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--view", type=int, default=100_000, help="bases")
    given = parser.parse_args()
    step = (LAST - FIRST) // given.places
    if step < 3 * given.view:
        raise SystemExit(f"{given.places} places of {given.view:,} bp do not fit; ask for fewer")
    with tempfile.TemporaryDirectory() as store, serving(Path(store)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 1360, "height": 780})
        page.goto(f"{server.address}?renderer=canvas#chr20:45200001-45300000")
        page.wait_for_selector(f"[data-track={TRACK}][data-predicted=drawn]", timeout=120_000)
        times = []
        for number in range(given.places):
            start = FIRST + number * step
            place = f"chr22:{start + 1}-{start + given.view}"
            times.append(page.evaluate(JUMP, {"place": place, "track": TRACK}))
            print(f"{place}  observed {times[-1][0]:.2f} s  predicted {times[-1][1]:.2f} s", flush=True)
        browser.close()
    observed, predicted = (statistics.median(each) for each in zip(*times, strict=True))
    more = statistics.median(cold - warm for warm, cold in times)
    print(f"median: observed {observed:.2f} s, predicted {predicted:.2f} s, {more:.2f} s more (bar: {BAR} s)")


if __name__ == "__main__":
    main()
