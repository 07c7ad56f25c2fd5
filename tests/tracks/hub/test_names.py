from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import UsageError
from tracks.hub import names


@pytest.mark.parametrize("name", ["my hub", "", "1st", "a.b", "a-b", "é", "a\nb", "x" * 61, "../x"])
def test_names_that_ucsc_would_refuse(name: str) -> None:
    with pytest.raises(UsageError, match="UCSC takes no name") as error:
        names.check_name(name, "--name")
    assert "\n" not in str(error.value).replace(name, "")
    near = str(error.value).rpartition("such as ")[2]
    assert names.check_name(near, "--name") == near


@given(st.text())
def test_any_text_makes_a_name(text: str) -> None:
    assert names.check_name(names.track_name(text), "it")


def test_long_names_that_differ_at_their_ends_stay_apart() -> None:
    made = {names.track_name("a" * 80 + end) for end in "xyz"}
    assert len(made) == 3
    assert max(map(len, made)) <= 60


def test_equal_names_get_numbers() -> None:
    assert names.unique(["a", "b", "a", "a", "a_2"]) == ["a", "b", "a_2", "a_3", "a_2_2"]
    made = names.unique(["x" * 60] * 12)
    assert len(set(made)) == 12
    for name in made:
        names.check_name(f"{name}_difference", "it")


def test_names_that_signals_or_files_of_the_hub_have() -> None:
    assert names.unique(["cpg", "cpg_predicted", "cpg_observed"]) == ["cpg", "cpg_predicted_2", "cpg_observed_2"]
    assert names.unique(["cpg_predicted", "cpg"]) == ["cpg_predicted", "cpg_2"]
    assert names.unique(["hub"], ["hub"]) == ["hub_2"]


@given(st.text(), st.sampled_from(["", "obs", "attention"]))
def test_labels_fit_on_one_line(text: str, ending: str) -> None:
    short, long = names.short_label(text, ending), names.long_label(text)
    assert len(short) <= 17
    assert len(long) <= 76
    assert short.endswith(ending)
    for label in (short, long):
        assert not re.search(r"[\x00-\x1f\x7f\u2028]|\\$", label)


def test_the_longest_words_are_shortened_first() -> None:
    assert names.short_label("CpG methylation IMR90") == "CpG methyla IMR90"
    assert names.short_label("LMNB1 LAD cardiac myocytes", "pred") == "LMN LAD car pred"
    assert names.long_label("word " * 30) == "word " * 14 + "wo ..."


@pytest.mark.parametrize("email", ["", "me", "me@", "@lab", "a b@c.d", "a@b c", "a@b\nhub x", "a@.."])
def test_what_is_no_email_address(email: str) -> None:
    with pytest.raises(UsageError, match="is no e-mail address"):
        names.check_email(email)


@pytest.mark.parametrize(
    "url",
    ["lab.example", "https://..", "ftp://lab.example", "https://", "file:///etc", "javascript:alert(1)", "https://a b", "http://a:x/",
     "https://lab.example/?a=1", "https://lab.example/#x", 'https://a/"onload', "http://[::1"],
)  # fmt: skip
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(UsageError):
        names.check_base_url(url)


def test_web_addresses_lose_their_last_slash() -> None:
    assert names.check_base_url("https://lab.example/hubs/mine/") == "https://lab.example/hubs/mine"
    assert names.check_base_url("http://127.0.0.1:8765") == "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("http://localhost:8765", True),
        ("http://127.0.0.1", True),
        ("http://192.168.1.4", True),
        ("http://[fe80::1]", True),
        ("http://node17", True),
        ("http://machine.local", True),
        ("https://tracks.lab.example", False),
        ("https://8.8.8.8", False),
    ],
)
def test_addresses_that_ucsc_cannot_see(url: str, hidden: bool) -> None:
    assert (names.why_hidden(url) is not None) == hidden


def test_predictions_have_another_shade() -> None:
    for color in ("#1b6ca8", "#000000", "#ffffff", "#d95f02"):
        shades = [color, *(names.predicted_color(color, number) for number in range(5))]
        assert len(set(shades)) == 6
        for shade in shades:
            names.check_color(shade, "it")
    assert names.rgb("#1b6ca8") == "27,108,168"


@pytest.mark.parametrize("color", ["red", "#12345", "#gggggg", "1,2,300", "#1234567"])
def test_colours_out_of_range(color: str) -> None:
    with pytest.raises(UsageError, match="should look like #1b6ca8"):
        names.check_color(color, "track x")
