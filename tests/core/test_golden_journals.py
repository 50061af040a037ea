"""Journals of every kind that must fold for ever, to what they folded to when they were written.

Rule 4, S9. Their bytes may not change. What a journal says was decided by the version that wrote
it, and a later one must not read anything else into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from orchestrator.core.record import (
    Outcome,
    Record,
    Trouble,
    Unknown,
    What,
    from_json,
    to_json,
)
from tests.golden.make_journals import FOLDER, entries_of, folded, line, sums, told

JOURNALS = sorted(FOLDER.glob("*.jsonl"))


def by_name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", JOURNALS, ids=by_name)
def test_rule_4_an_old_journal_folds_to_what_it_folded_to(path: Path) -> None:
    """S9"""
    chronicle = folded(entries_of(path.read_text()))
    assert told(chronicle) == path.with_suffix(".json").read_text()


def test_rule_4_not_one_byte_of_an_old_journal_has_changed() -> None:
    assert (FOLDER / "SHA256SUMS").read_text() == sums()


@pytest.mark.parametrize("path", JOURNALS, ids=by_name)
def test_rule_4_an_old_journal_is_written_again_as_it_was_read(path: Path) -> None:
    text = path.read_text()
    assert "".join(line(entry) + "\n" for entry in entries_of(text)) == text


def test_the_old_journals_hold_every_kind_of_record_and_every_ending() -> None:
    texts = [path.read_text() for path in JOURNALS]
    entries = [entry for text in texts for entry in entries_of(text)]
    assert {type(entry.record) for entry in entries} == set(get_args(Record))
    said = "\n".join(texts)
    for outcome in Outcome:
        assert f'"outcome":"{outcome.value}"' in said
    for kind in (Trouble.REFUSED, Trouble.UNREACHABLE, Trouble.ILL, Trouble.DID_NOT_TAKE):
        assert f'"kind":"{kind.value}"' in said
    asked = {w for w in What if f'"what":"{w.value}"' in said}
    assert asked >= {
        What.BACK,
        What.FORWARD,
        What.RETRY,
        What.DENY,
        What.PAUSE,
        What.GO_ON,
        What.ABANDON,
        What.WISH,
    }


@pytest.mark.parametrize("path", JOURNALS, ids=by_name)
def test_a_journal_of_a_version_to_come_is_refused_at_its_first_line(path: Path) -> None:
    """S9: never guessed."""
    first = entries_of(path.read_text())[0]
    with pytest.raises(Unknown, match="version 2"):
        from_json(to_json(first.record).replace('{"v":1,', '{"v":2,', 1))
