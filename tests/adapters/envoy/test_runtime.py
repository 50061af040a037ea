"""The runtime file as text: what bg wrote is read back whole, and nothing else is taken for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.envoy import names
from orchestrator.adapters.envoy.runtime import Edited, Setting, parse, text_of, understand
from orchestrator.core.model import Color, Pin, Share

SERVICES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
COLORS = st.sampled_from(Color)
SHARES = st.one_of(st.just(Share()), st.integers(0, 100).map(lambda blue: Share(blue, 100 - blue)))
PINS = st.builds(Pin, SERVICES, COLORS, SERVICES)
SETTINGS = st.builds(
    lambda shares, pins, generation: Setting(generation).changed(shares, pins),
    st.dictionaries(SERVICES, SHARES, max_size=4),
    st.dictionaries(PINS, COLORS, max_size=4),
    st.integers(1, names.GENERATIONS - 1),
)
WHOLE = Setting(7).changed(
    {"web": Share(30, 70), "api": Share()}, {Pin("web", Color.BLUE, "api"): Color.GREEN}
)


@given(SETTINGS)
def test_what_was_written_is_read_back(setting: Setting) -> None:
    assert parse(text_of(setting)) == setting


@given(SETTINGS, SETTINGS)
def test_two_settings_that_differ_are_two_texts(one: Setting, other: Setting) -> None:
    assert (text_of(one) == text_of(other)) == (one == other)


@given(SETTINGS, st.data())
def test_a_text_with_one_character_changed_is_never_taken_for_ours(
    setting: Setting, data: st.DataObject
) -> None:
    """S26: at any place, by any character."""
    text = text_of(setting)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii"))
    changed = text[:at] + other + text[at + 1 :]
    if changed != text:
        with pytest.raises(Edited):
            parse(changed)


def test_every_write_has_a_number_of_its_own_and_it_begins_again_at_the_end() -> None:
    last = Setting(names.GENERATIONS - 1)
    assert [last.changed({}, {}).generation, Setting(5).changed({}, {}).generation] == [1, 6]


def edited(**keys: object) -> str:
    document = json.loads(text_of(WHOLE))
    layer = document["resources"][0]["layer"]
    for key, value in keys.items():
        layer[key.replace("__", ".")] = value
    return json.dumps(document)


def test_an_edit_that_makes_sense_is_understood_but_not_taken_for_ours() -> None:
    text = edited(bg__web__web_blue=0, bg__web__web_green=100)
    assert understand(text).share("web") == Share(0, 100)
    with pytest.raises(Edited, match="changed by somebody else"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (edited(bg__web__web_blue=50), "the shares of web .50 blue, 70 green. are no whole"),
        (edited(bg__web__web_blue=-30), "bg.web.web_blue is -30, not a number"),
        (edited(bg__web__web_blue="30"), "bg.web.web_blue is '30', not a number"),
        (edited(bg__web__web_blue=True), "bg.web.web_blue is True, not a number"),
        (edited(bg__web__served=50), "the shares of web"),
        (edited(bg__pin__web__blue__api__blue=100), "leads to no single color"),
        (edited(bg__pin__web__blue__api__green=50), "leads to no single color"),
        (edited(bg__generation__reached=0), "no valid generation"),
        ("{}", "cannot be read"),
        ("not json", "cannot be read"),
    ],
)
def test_what_no_switch_can_do_is_named(text: str, why: str) -> None:
    with pytest.raises(Edited, match=why):
        understand(text)
