"""Verdicts: three values, from what was seen of one start, and UNSURE is not WELL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.health import Found, Sample, Verdict, judge, judge_soak, last_in_a_row
from orchestrator.core.model import Probing

PROBING = Probing(well=3, ill=3)
FOUND = {"g": Found.GOOD, "b": Found.BAD, "?": Found.UNKNOWN}
WELL, ILL, UNSURE = Verdict.WELL, Verdict.ILL, Verdict.UNSURE


def seen(letters: str) -> tuple[Sample, ...]:
    """`bbg`: bad, bad, good."""
    return tuple(Sample(FOUND[letter], float(n)) for n, letter in enumerate(letters))


@pytest.mark.parametrize(
    ("letters", "over", "verdict"),
    [
        pytest.param("ggg", False, WELL, id="three good in a row are well"),
        pytest.param("bbbbbbggg", False, WELL, id="a slow start is not an illness"),
        pytest.param("gg", False, UNSURE, id="too few are unsure"),
        pytest.param("", False, UNSURE, id="nothing seen is unsure"),
        pytest.param("gg", True, UNSURE, id="S42: too few stay unsure when the time is over"),
        pytest.param("", True, UNSURE, id="S42: nothing seen is unsure when the time is over"),
        pytest.param("gbgbgbgbgbgb", False, UNSURE, id="S41: flapping is unsure"),
        pytest.param("gbgbgbgbgbgb", True, UNSURE, id="S41: flapping is unsure to the end"),
        pytest.param("gggb", False, UNSURE, id="good, then bad, is not well any more"),
        pytest.param("ggbgg", False, UNSURE, id="a bad one in between begins the row anew"),
        pytest.param("gg?g", False, UNSURE, id="an unknown one in between begins the row anew"),
        pytest.param("bbbbbbbbb", False, UNSURE, id="bad while there is time is a slow start"),
        pytest.param("bbb", True, ILL, id="bad to the end is ill"),
        pytest.param("b", True, ILL, id="one look, bad, and no time for another, is ill"),
        pytest.param("gbb", True, UNSURE, id="too few bad at the end are unsure"),
        pytest.param("???", True, UNSURE, id="S42: nobody could find out, so it is unsure"),
        pytest.param("bbb?", True, UNSURE, id="bad, then unknown, is unsure"),
    ],
)
def test_a_verdict_while_bringing_up(letters: str, over: bool, verdict: Verdict) -> None:
    assert judge(seen(letters), PROBING, over=over) is verdict


@pytest.mark.parametrize(
    ("letters", "verdict"),
    [
        pytest.param("g", WELL, id="well while the newest is good"),
        pytest.param("ggbb", UNSURE, id="too few bad to say"),
        pytest.param("ggbbb", ILL, id="S45: as many bad as it takes are ill at once"),
        pytest.param("bbbg", WELL, id="good again is well again"),
        pytest.param("gb?bb", UNSURE, id="an unknown one begins the row anew"),
        pytest.param("???", UNSURE, id="S42: nobody can say"),
        pytest.param("", UNSURE, id="nothing seen"),
        pytest.param("gbgbgbgbgb", UNSURE, id="flapping is not well"),
    ],
)
def test_a_verdict_while_soaking(letters: str, verdict: Verdict) -> None:
    assert judge_soak(seen(letters), PROBING) is verdict


@given(st.text("gb?", max_size=12), st.booleans())
def test_no_verdict_is_well_unless_the_newest_looks_were_good(letters: str, over: bool) -> None:
    well = judge(seen(letters), PROBING, over=over) is WELL
    assert well == letters.endswith("ggg")


@given(st.text("gb?", max_size=12))
def test_nothing_is_ill_while_there_is_time(letters: str) -> None:
    assert judge(seen(letters), PROBING, over=False) is not ILL


def test_a_row_is_counted_from_the_newest() -> None:
    assert last_in_a_row(seen("ggbgg"), Found.GOOD) == 2
    assert last_in_a_row(seen("ggbgg"), Found.BAD) == 0
