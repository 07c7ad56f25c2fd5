"""Tables of regions as files: tab-separated text, plain or gzip, and Parquet."""

from __future__ import annotations

import gzip
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tracks.errors import UsageError
from tracks.files import check_absent, check_folder, written_beside
from tracks.table import COLUMNS, NUMBER_COLUMNS, POSITION_COLUMNS, TEXT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from tracks.table import TableRows

SUFFIXES = (".tsv", ".tsv.gz", ".parquet")


class TableWriter(Protocol):
    """Takes the rows of a table as they come."""

    def write(self, rows: TableRows) -> None:
        """Write rows."""


class TsvWriter:
    """Tab-separated text with a header line. A number has as many digits as give back its float32; what is missing is
    empty."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._header = "\t".join(COLUMNS) + "\n"

    def write(self, rows: TableRows) -> None:
        """Write rows."""
        columns = [_texts(rows.column(name)) for name in COLUMNS]
        lines = "".join("\t".join(fields) + "\n" for fields in zip(*columns, strict=True))
        self._file.write((self._header + lines).encode())
        self._header = ""


def _texts(column: list[str] | np.ndarray) -> list[str]:
    if isinstance(column, list):
        return column
    if column.dtype == np.int64:
        return [str(value) for value in column.tolist()]
    return [str(value) if value == value else "" for value in column]


class ParquetWriter:
    """Parquet by pyarrow: texts, int64 and float32; what is missing is null. ``about`` is the schema's metadata.

    Rows are gathered, so that a row group has at least some ten thousand.
    """

    _GROUP = 1 << 16

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        kinds = {
            **dict.fromkeys(TEXT_COLUMNS, pa.string()),
            **dict.fromkeys(POSITION_COLUMNS, pa.int64()),
            **dict.fromkeys(NUMBER_COLUMNS, pa.float32()),
        }
        self._schema = pa.schema([(name, kinds[name]) for name in COLUMNS], metadata=dict(about))
        self._writer = pq.ParquetWriter(path, self._schema)
        self._held: list[Any] = []
        self._rows = 0

    def write(self, rows: TableRows) -> None:
        """Write rows."""
        arrays = [self._array(name, rows.column(name)) for name in COLUMNS]
        self._held.append(self._pa.record_batch(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= self._GROUP:
            self._write_held()

    def _array(self, name: str, column: list[str] | np.ndarray) -> Any:
        if isinstance(column, list):
            return self._pa.array([text or None for text in column], self._pa.string())
        return self._pa.array(column, mask=np.isnan(column) if column.dtype == np.float32 else None)

    def _write_held(self) -> None:
        self._writer.write_table(self._pa.Table.from_batches(self._held, self._schema))
        self._held, self._rows = [], 0

    def close(self) -> None:
        """Write what is held and the file's end."""
        if self._held:
            self._write_held()
        self._writer.close()


def check_table_path(path: Path, overwrite: bool) -> None:
    """See that a table could be written, before anything is computed.

    Raises UsageError for another suffix, a file that is there unless ``overwrite``, and where pyarrow is missing.
    """
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"a table is a .tsv, a .tsv.gz or a .parquet file, and {path} is none of these")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UsageError("Parquet needs pyarrow: pip install pyarrow, or write a .tsv file") from error
    check_folder(path.parent, str(path))
    check_absent(path, overwrite)


@contextmanager
def table_writer(path: Path, about: Mapping[str, str]) -> Iterator[TableWriter]:
    """Yield a writer of the kind that a name asks for (``SUFFIXES``); the file gets its name when all is written.

    ``about`` says where the numbers are from; only Parquet has room for it. Raises TracksError when the file cannot be
    written.
    """
    with written_beside(path) as beside:
        if path.suffix == ".parquet":
            parquet = ParquetWriter(beside, about)
            try:
                yield parquet
            finally:
                parquet.close()
        else:
            with beside.open("wb") as file:
                if path.suffix == ".gz":
                    # Neither name nor time, so that the same numbers are the same bytes.
                    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed, io.BufferedWriter(packed) as text:
                        yield TsvWriter(text)
                else:
                    yield TsvWriter(file)
