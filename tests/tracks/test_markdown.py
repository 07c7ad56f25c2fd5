from __future__ import annotations

from tracks.markdown import table_lines


def test_columns_line_up() -> None:
    assert table_lines(["what", "s"], [["a", "10.5"], ["longer", "1"]]) == [
        "| what   |    s |",
        "| ------ | ---: |",
        "| a      | 10.5 |",
        "| longer |    1 |",
    ]


def test_no_rows() -> None:
    assert table_lines(["a", "bb"], []) == ["| a | bb |", "| - | -: |"]
