from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import UsageError
from tracks.method import EDGES, PRECISIONS, REFERENCE, Ensemble, Method

ENSEMBLES = st.builds(Ensemble, st.booleans(), st.integers(0, 64), st.sampled_from([1, 2, 4, 7, 8]))


@given(ENSEMBLES)
def test_the_name_of_an_ensemble_is_the_ensemble(ensemble: Ensemble) -> None:
    assert Ensemble.parse(ensemble.name) == ensemble


@given(st.sets(st.tuples(st.sampled_from(PRECISIONS), st.sampled_from(EDGES), ENSEMBLES), min_size=2, max_size=8))
def test_every_method_has_its_own_key(made: set[tuple[object, object, Ensemble]]) -> None:
    methods = [
        Method(precision, edges, Ensemble(ensemble.reverse_complement, ensemble.shift))  # type: ignore[arg-type]
        for precision, edges, ensemble in made
    ]
    assert len({method.key for method in methods}) == len(set(methods))


def test_the_reference_is_named_as_before_there_were_others() -> None:
    assert (REFERENCE.key, REFERENCE.words) == ("fp32-single", "fp32")
    both = Method("int8", "seamless", Ensemble.parse("rc+shift3"))
    assert (both.key, both.words) == ("int8-seamless-rc+shift3", "int8 (preview), seamless, rc+shift3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("both", "'both' is no ensemble; give single, rc, shift3 or overlap2, or several joined by +"),
        ("", "'' is no ensemble"),
        ("rc+", "'rc\\+' is no ensemble"),
        ("single+rc", "'single\\+rc' is no ensemble"),
        ("rc+rc", "the ensemble 'rc\\+rc' names a part twice"),
        ("shift1+shift2", "names a part twice"),
        ("shift0", "the ensemble 'shift0' has a part that does nothing; leave it out"),
        ("overlap1", "a part that does nothing"),
        ("shift65", "an ensemble shifts its inputs by 1 to 64 bases, not 65"),
        ("overlap3", "an ensemble overlaps 2, 4, 7 or 8 windows, not 3"),
        ("overlap0", "an ensemble overlaps 2, 4, 7 or 8 windows, not 0"),
        ("overlap16", "an ensemble overlaps 2, 4, 7 or 8 windows, not 16"),
    ],
)
def test_what_is_no_ensemble_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Ensemble.parse(text)


def test_seamless_windows_do_not_overlap() -> None:
    with pytest.raises(UsageError, match="seamless predictions have no borders to average over; leave overlap out"):
        Method(edges="seamless", ensemble=Ensemble(overlap=2))
