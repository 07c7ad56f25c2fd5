"""Files of GEO samples, by pooch."""

from __future__ import annotations

from pathlib import Path

import pooch

from tracks.errors import TracksError

ADDRESS = "https://ftp.ncbi.nlm.nih.gov/geo/samples/{series}nnn/{sample}/suppl/{name}"
_TIMEOUT_S = 60


def download(sample: str, name: str, folder: Path, address: str = ADDRESS) -> Path:
    """Download a supplementary file of a GEO sample into a folder and return its path.

    Raises TracksError that says how else to get it.
    """
    url = address.format(series=sample[:-3], sample=sample, name=name)
    pooch.get_logger().setLevel("ERROR")
    fetcher = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
    try:
        return Path(pooch.retrieve(url, known_hash=None, path=folder, fname=name, downloader=fetcher))
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors
        raise TracksError(
            f"cannot fetch {name} from GEO ({type(error).__name__}): download it from {url} by other means and give "
            "its folder with --lads DIR, or leave out these tracks with --without-geo"
        ) from error
