from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.page_api import BED_BYTES, BED_LINES
from server.site import Site
from tests.server.web import read, values

PREDICTED = "predicted-bins-lmnb1_lad_liver"


@pytest.fixture
def waiting(waiting_site: Site, static: Path) -> FlaskClient:
    """Who asks the project where nothing is predicted; a test starts the predictions, or not."""
    return create_app(waiting_site, static).test_client()


def finished(client: FlaskClient, job: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + 60
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < end, job
        time.sleep(0.05)
        job = read(client.get(f"/api/jobs/{job['id']}"))["job"]
    return job


def test_locate(client: FlaskClient) -> None:
    found = read(client.get("/api/locate?q=chr3:1-1000"))
    assert (found["start"], found["end"], found["region"]) == (500_050, 501_050, "chr3:1-1,000")
    missed = client.get("/api/locate?q=BETTA")
    assert missed.status_code == 404
    assert read(missed)["suggestion"] == "BETA"
    assert "did you mean BETA?" in read(missed)["error"]


def test_the_page_describes_itself(client: FlaskClient) -> None:
    page = read(client.get("/api/page"))
    seen = [(panel["observed"], [made["uid"] for made in panel["predicted"]]) for panel in page["panels"]]
    assert seen == [
        ("observed-cpg_methylation_imr90", ["predicted-bins-cpg_methylation_imr90"]),
        (None, [PREDICTED]),
    ]
    assert page["loci"][0]["note"] == "Something changes here."
    assert [fold["fold"] for fold in page["folds"]] == ["train", "test"]
    assert page["viewconf"]["views"][0]["uid"] == page["view"]
    assert page["limits"] == {"viewBases": 2_000_000}


def test_the_pages_of_the_site(client: FlaskClient) -> None:
    for address, title in (("/", "Tracks"), ("/jobs", "Jobs"), ("/static/jobs.html", "Jobs")):
        response = client.get(address, buffered=True)
        assert (response.status_code, response.get_data(as_text=True)) == (200, f"<title>{title}</title>")
        assert response.headers["Cache-Control"] == "no-cache"


def test_sequence_status_and_overview(client: FlaskClient, site: Site) -> None:
    sequence = read(client.get("/api/sequence"))
    assert sequence == {"ready": True, "known": [[0, 225_024], [354_944, 500_050], [500_050, 700_050]]}
    status = read(client.get("/api/status"))
    assert (status["state"], status["queued"], status["failed"]) == ("idle", 0, 0)
    assert status["known"] == status["total"] > 0
    assert len(status["instance"]) == 16
    # Window 2 of chr20 has no base.
    assert read(client.get("/api/overview?chrom=chr20"))["known"] == [[0, 229_376], [344_064, 500_050]]
    assert read(client.get("/api/overview?chrom=chr3&head=bins"))["known"] == [[500_050, 700_050]]
    for wrong, said in (("chrom=chr2", "did you mean"), ("chrom=chr20&head=x", "no head 'x'"), ("", "chromosome")):
        missed = client.get(f"/api/overview?{wrong}")
        assert missed.status_code == 404
        assert said in read(missed)["error"]


def test_what_predicting_would_cost(client: FlaskClient, waiting: FlaskClient) -> None:
    known = read(client.get("/api/predict?start=0&end=720050"))
    assert (known["windows"], known["unknown"]) == (8, 0)
    unknown = read(waiting.get("/api/predict?start=500000&end=600000&heads=bins"))
    assert (unknown["windows"], unknown["unknown"], unknown["seconds"]) == (2, 2, None)


@pytest.mark.parametrize(
    "query", ["", "start=1", "start=a&end=b", "start=5&end=5", "start=9e99&end=1e999", "start=nan&end=4"]
)
def test_a_span_that_is_none_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/predict?{query}")
    assert response.status_code == 400
    assert "0 <= start < end <= 720,050" in read(response)["error"]


@pytest.mark.parametrize(
    ("body", "region", "span", "windows", "left"),
    [
        ({"region": "chr3:1-1,000"}, "chr3:1-1,000", [500_050, 501_050], 1, 0),
        ({"start": 499_000, "end": 501_000}, "chr20:499,001-500,050", [499_000, 501_000], 2, 0),
        ({"start": 499_000.4, "end": 9e9}, "chr20:499,001-500,050", [499_000, 720_050], 4, 0),
        ({"bed": "# mine\nchr20\t10\t20\r\nchr20 15 30\nchr3\t0\t5\n"}, "chr20:11-30", [10, 500_055], 2, 3),
    ],
)
def test_a_job_predicts_a_region_in_the_background(
    waiting: FlaskClient,
    waiting_site: Site,
    body: dict[str, object],
    region: str,
    span: list[int],
    windows: int,
    left: int,
) -> None:
    waiting_site.predictions.start()
    response = waiting.post("/api/predict", json={**body, "heads": ["bins"], "name": "my  region"})
    job = read(response)["job"]
    assert response.status_code == 202
    assert (job["name"], job["region"], [job["start"], job["end"]]) == ("my region", region, span)
    assert job["total"] == windows
    assert finished(waiting, job)["state"] == "done"
    assert [one["id"] for one in read(waiting.get("/api/jobs"))["jobs"]] == [job["id"]]
    now = read(waiting.get(f"/api/predict?start={span[0]}&end={span[1]}"))
    assert now["unknown"] == left
    assert now["seconds"] is not None


def test_a_job_is_cancelled(waiting: FlaskClient) -> None:
    job = read(waiting.post("/api/predict", json={"region": "chr20"}))["job"]
    assert (job["state"], job["name"], job["heads"]) == ("queued", "chr20:1-500,050", ["bins"])
    assert read(waiting.delete(f"/api/jobs/{job['id']}"))["job"]["state"] == "cancelled"
    assert read(waiting.get(f"/api/jobs/{job['id']}"))["job"]["state"] == "cancelled"
    for missed in (waiting.get("/api/jobs/nothing"), waiting.delete("/api/jobs/nothing")):
        assert missed.status_code == 404
        assert "no job 'nothing'" in read(missed)["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "one of"),
        ({"region": "chr3", "start": 1, "end": 2}, "one of"),
        ({"region": 7}, "text"),
        ({"region": "chr9:1-5"}, "no chromosome 'chr9'"),
        ({"region": "chr3:5-900000"}, "past the end"),
        ({"start": True, "end": 5}, "0 <= start"),
        ({"start": "5; drop", "end": None}, "0 <= start"),
        ({"region": "chr3", "heads": ["attention"]}, "no head 'attention'"),
        ({"region": "chr3", "heads": "bins"}, "list"),
        ({"region": "chr3", "heads": [["bins"]]}, "no head"),
        ({"region": "chr3", "name": 5}, "text"),
        ({"bed": "chr3\t0\t5\nchr3\t9\t5\n"}, "BED, line 2"),
        ({"bed": "chr3\t0\n"}, "BED, line 1"),
        ({"bed": "\n"}, "no regions"),
        ({"bed": ["chr3"]}, "text"),
        ({"bed": "chr3\t0\t5\n" * (BED_LINES + 1)}, "100,001 lines"),
        ({"bed": "x" * (BED_BYTES + 1)}, "4,000,001 letters"),
        ([], "JSON object"),
    ],
)
def test_a_wrong_job_is_refused_in_words(waiting: FlaskClient, body: object, said: str) -> None:
    response = waiting.post("/api/predict", json=body)
    assert response.status_code == 400
    assert said in read(response)["error"]
    assert read(waiting.get("/api/jobs"))["jobs"] == []


def test_a_long_bed_text_is_taken(waiting: FlaskClient) -> None:
    bed = "".join(f"chr20\t{at * 4}\t{at * 4 + 2}\n" for at in range(BED_LINES))
    job = read(waiting.post("/api/predict", json={"bed": bed}))["job"]
    assert (job["regions"], job["bases"], job["total"]) == (BED_LINES, 2 * BED_LINES, 4)
    assert waiting.post("/api/predict", json={"bed": bed * 8}).status_code == 413


def test_jobs_are_bounded(waiting: FlaskClient) -> None:
    answers = [waiting.post("/api/predict", json={"region": f"chr3:1-{end}"}) for end in range(1, 52)]
    assert [answer.status_code for answer in answers] == [202] * 50 + [400]
    assert "50 jobs" in read(answers[-1])["error"]


def test_what_was_asked_for_and_panned_away_from_is_dropped(waiting: FlaskClient, waiting_site: Site) -> None:
    waiting.get(f"/api/v1/tiles/?d={PREDICTED}.2.0&s=me&view=0-200000")
    assert waiting_site.predictions.now().queued > 0
    assert waiting.post("/api/view", json={"client": "me", "start": 719_000, "end": 720_000}).status_code == 200
    assert waiting_site.predictions.now().queued == 1, "what is seen now"
    for body in ({}, {"client": "me"}, {"client": "a b", "start": 1, "end": 2}, {"client": "me", "start": 2, "end": 1}):
        assert waiting.post("/api/view", json=body).status_code == 400


@pytest.mark.parametrize("body", [{}, {"start": 500_050, "end": 700_000}])
def test_what_failed_is_tried_again(
    waiting: FlaskClient, waiting_site: Site, monkeypatch: pytest.MonkeyPatch, body: dict[str, int]
) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("out of memory")

    def settled() -> dict[str, Any]:
        end = time.monotonic() + 60
        while (tile := read(waiting.get(address))[tile_id])["waiting"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        answer: dict[str, Any] = tile
        return answer

    tile_id = f"{PREDICTED}.2.2"
    address = f"/api/v1/tiles/?d={tile_id}&s=me&view=524288-720050"
    with monkeypatch.context() as patched:
        patched.setattr(waiting_site.predictor, "inputs", broken)
        waiting_site.predictions.start()
        failed = settled()
        assert "out of memory" in failed["notices"]["failed"]
        assert waiting.post("/api/retry", json={"start": 0, "end": 10}).status_code == 200
        assert "failed" in settled()["notices"], "elsewhere"
    assert waiting.post("/api/retry", json=body).status_code == 200
    assert waiting.post("/api/retry", json={"start": 5}).status_code == 400
    assert np.isfinite(values(settled())).any()
