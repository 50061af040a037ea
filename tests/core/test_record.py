"""Records: what is written down is read back, and what is not known is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.model import Policy
from orchestrator.core.record import (
    VERSION,
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Failed,
    Flipped,
    FoundWell,
    Granted,
    LeftOpen,
    NoStandby,
    Opened,
    Outcome,
    Record,
    Trouble,
    Turned,
    Unknown,
    Way,
    What,
    from_json,
    to_json,
)
from orchestrator.core.steps import Step
from tests.core.made import BLUE, R2, SHOP, opened, serving, wish

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))

OPENED = opened(serving("web", "api", at=SHOP), wish(web=R2, api=R2))
EACH: tuple[Record, ...] = (
    OPENED,
    Began(1, 3, False, 2, 1700.5),
    Began(1, 0, True, 1),
    Ended(1, 4, False, (FoundWell("web", BLUE, 0, 7), LeftOpen("web", BLUE, 3))),
    Ended(1, 2, True, (NoStandby("web", BLUE, "it is gone"), Flipped(0.0021))),
    *(Failed(1, 2, True, kind, "why not") for kind in Trouble),
    *(Asked(1, what, "ann", "because", "cutover") for what in What),
    Asked(None, What.WISH, "a webhook", wish=wish(web=R2)),
    Granted(1, "cutover", 2, "ann", "it looks well", 2.0),
    Answered(17, "there is no such gate", 1),
    *(Turned(1, way, "nobody granted it", 12) for way in Way),
    *(Closed(1, outcome, "no standby") for outcome in Outcome),
)


def data(record: Record) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(to_json(record))
    return read


def test_there_is_an_example_of_every_kind() -> None:
    assert {type(record) for record in EACH} == set(get_args(Record))


@pytest.mark.parametrize("record", EACH, ids=lambda r: type(r).__name__)
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    assert from_json(to_json(record)) == record


@pytest.mark.parametrize("record", EACH, ids=lambda r: type(r).__name__)
def test_the_same_record_gives_the_same_bytes(record: Record) -> None:
    assert to_json(from_json(to_json(record))) == to_json(record)
    assert "\n" not in to_json(record)


@pytest.mark.parametrize("kind", get_args(Record), ids=lambda k: k.__name__)
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(given=st.data())
def test_any_record_of_any_kind_comes_back_as_it_was_written(
    kind: type[Record], given: st.DataObject
) -> None:
    record = given.draw(st.from_type(kind))
    assert from_json(to_json(record)) == record


def test_every_field_is_written_even_where_it_has_its_default() -> None:
    assert data(Began(1, 0, False, 1))["until"] is None
    assert data(Ended(1, 0, False))["facts"] == []
    assert "standby_s" in data(OPENED)["policy"]


# -- Rule 4: unknown is a refusal ----------------------------------------------------------


def changed(record: Record, **fields: Any) -> str:
    return json.dumps({**data(record), **fields})


def test_rule_4_a_kind_of_record_that_is_not_known_is_refused() -> None:
    with pytest.raises(Unknown, match="Paused"):
        from_json(json.dumps({"v": VERSION, "is": "Paused", "rollout": 1}))


def test_rule_4_a_kind_of_step_that_is_not_known_is_refused() -> None:
    plan = [{"is": "Teleport", "parts": []}]
    with pytest.raises(Unknown, match="Teleport"):
        from_json(changed(OPENED, plan=plan))


@pytest.mark.parametrize("version", [VERSION + 1, 0, None, "1", 1.5, True])
def test_rule_4_a_version_that_is_not_known_is_refused_by_number(version: Any) -> None:
    with pytest.raises(Unknown, match="version"):
        from_json(changed(EACH[1], v=version))


def test_rule_4_a_record_without_a_version_is_refused() -> None:
    bare = data(EACH[1])
    del bare["v"]
    with pytest.raises(Unknown, match="version"):
        from_json(json.dumps(bare))


@pytest.mark.parametrize("record", EACH, ids=lambda r: type(r).__name__)
def test_rule_4_a_field_that_is_not_known_is_refused_by_name(record: Record) -> None:
    with pytest.raises(Unknown, match="shiny"):
        from_json(changed(record, shiny=1))


@pytest.mark.parametrize("record", EACH, ids=lambda r: type(r).__name__)
def test_rule_4_each_field_that_is_missing_is_refused_by_name(record: Record) -> None:
    for field in set(data(record)) - {"v", "is"}:
        short = data(record)
        del short[field]
        with pytest.raises(Unknown, match=field):
            from_json(json.dumps(short))


def test_rule_4_a_field_deep_inside_is_no_exception() -> None:
    deep = data(OPENED)
    deep["site"]["services"][0]["placement"]["zone"] = "b"
    with pytest.raises(Unknown, match="zone"):
        from_json(json.dumps(deep))
    deep = data(OPENED)
    del deep["policy"]["tries"]
    with pytest.raises(Unknown, match="tries"):
        from_json(json.dumps(deep))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rollout", "1"),
        ("rollout", True),
        ("rollout", 1.0),
        ("step", None),
        ("undoing", 0),
        ("undoing", "no"),
        ("until", "soon"),
        ("until", True),
        ("until", []),
        ("until", 10**400),
    ],
)
def test_rule_4_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Unknown):
        from_json(changed(Began(1, 0, False, 1), **{field: value}))


@pytest.mark.parametrize("kind", ["Refused", "refused!", "", None, 3])
def test_rule_4_a_word_outside_a_closed_set_is_refused(kind: Any) -> None:
    with pytest.raises(Unknown):
        from_json(changed(Failed(1, 0, False, Trouble.ILL, ""), kind=kind))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"Began"', '{"v": 1}', '{"v": 1, "is": null}', "[" * 100_000],
)
def test_rule_4_what_is_no_record_at_all_is_refused(text: str) -> None:
    with pytest.raises(Unknown):
        from_json(text)


def test_rule_4_one_kind_of_value_is_never_taken_for_another() -> None:
    swapped = data(OPENED)
    swapped["plan"][0] = {"is": "Release", "version": "2", "digest": "ab"}
    with pytest.raises(Unknown):
        from_json(json.dumps(swapped))


def test_a_torn_line_is_refused_and_never_read_in_part() -> None:
    """S11"""
    line = to_json(OPENED)
    for end in range(0, len(line), 97):
        with pytest.raises(Unknown):
            from_json(line[:end])


@pytest.mark.parametrize("until", [float("inf"), float("-inf"), float("nan")])
def test_a_time_that_is_no_number_is_never_written(until: float) -> None:
    with pytest.raises(ValueError, match=r"JSON|finite|range"):
        to_json(Began(1, 0, False, 1, until))


# -- Rule 3: what travels in Opened --------------------------------------------------------


def test_rule_3_policy_and_site_travel_in_opened_as_they_were_read() -> None:
    read = from_json(to_json(OPENED))
    assert isinstance(read, Opened)
    assert read.policy == OPENED.policy == Policy()
    assert read.site == SHOP


def test_names_of_colors_and_numbers_are_kept_as_people_read_them() -> None:
    line = to_json(Ended(1, 4, False, (FoundWell("web", BLUE, 0, 7),)))
    assert '"color":"blue"' in line
    assert json.loads(line)["facts"][0]["start"] == 7


@pytest.mark.parametrize("kind", get_args(Step), ids=lambda k: k.__name__)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(given=st.data())
def test_every_kind_of_step_travels(kind: type[Step], given: st.DataObject) -> None:
    travelling = replace(OPENED, plan=(given.draw(st.from_type(kind)),))
    assert from_json(to_json(travelling)) == travelling


def test_umlauts_and_line_breaks_in_what_people_say_stay_one_line() -> None:
    asked = Asked(1, What.BACK, "jürgen", "zu langsam\nund ✗ kaputt")
    assert "\n" not in to_json(asked)
    assert from_json(to_json(asked)) == asked
