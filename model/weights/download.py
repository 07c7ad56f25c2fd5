"""Published weights, fetched with their checksum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.files import check_folder

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Published:
    """A published file: where it is, how long, and its SHA-256."""

    name: str
    url: str
    size: int
    sha256: str
    description: str


PUBLISHED = {
    # facts/cs282a.md section 1.6
    "basenji2": Published(
        "model_human.h5",
        "https://storage.googleapis.com/basenji_barnyard2/model_human.h5",
        120_813_856,
        "3f74da002918d3e695bbf9e6f8a685e860196679372ba0964bd1faa26a82eed1",
        "Basenji2, trunk and human head of 5,313 targets (Kelley 2020)",
    )
}

CHUNK = 1 << 18

WAIT = 30.0
"""Seconds without a byte after which a server counts as gone."""


def download(
    published: Published,
    folder: Path,
    *,
    url: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Fetch a published file into a folder, unless it is there, and return its path. ``url`` is of a mirror.

    The file takes its name only when it is whole and its SHA-256 is the published one; whatever goes wrong, nothing of
    it stays. Raises TracksError that names the URL and what went wrong.
    """
    import pooch
    import requests

    path = folder / published.name
    address = url or published.url
    if path.is_file() and pooch.file_hash(str(path), alg="sha256") == published.sha256:
        return path
    if not address.startswith(("https://", "http://")):
        raise UsageError(f"weights are fetched by http or https; found the address {address}")
    check_folder(folder, "the downloaded weights")

    def fetch(address: str, partial: str, _: object) -> None:
        done = 0
        with requests.get(address, stream=True, timeout=WAIT) as response, Path(partial).open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(min(done, published.size), published.size)
                if done > published.size:
                    raise ValueError("longer than what was published")

    pooch.get_logger().setLevel("ERROR")  # it would tell what the caller tells in its own words
    try:
        pooch.retrieve(address, f"sha256:{published.sha256}", fname=published.name, path=folder, downloader=fetch)
    except requests.RequestException as error:
        raise TracksError(f"cannot fetch {address}: {_reason(error)}; nothing was kept") from error
    except ValueError as error:  # pooch's word for another checksum
        raise TracksError(
            f"what {address} gave is not {published.name} as published: its SHA-256 is not {published.sha256}; "
            "nothing was kept"
        ) from error
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error.strerror or error}; nothing was kept") from error
    return path


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {WAIT:.0f} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error).splitlines()[0]
