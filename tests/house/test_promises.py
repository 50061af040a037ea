"""What docs/promises.md says is tested is tested, and where it says."""

from __future__ import annotations

from tests.house.promises import PAGE, covered, listed, written


def test_the_page_of_promises_names_the_tests_that_there_are() -> None:
    assert PAGE.read_text() == written(), "python -m tests.house.promises writes it anew"


def test_every_promise_on_the_page_has_a_test() -> None:
    assert [number for number in listed() if not covered().get(number)] == []


def test_every_number_that_a_test_names_is_on_the_page() -> None:
    assert sorted(set(covered()) - set(listed())) == []
