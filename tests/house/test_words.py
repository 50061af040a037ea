"""Words that do not stand in this repository, and why each does not."""

from __future__ import annotations

import re

import pytest

from tests.house import tracked


def dotted(*parts: str) -> str:
    """A host's name as a pattern, put together here so that this file does not contain it."""
    return re.escape(".".join(parts))


HOSTS = "|".join(
    (
        dotted("pypi", "org"),
        dotted("pythonhosted", "org"),
        dotted("npmjs", "org"),
        dotted("crates", "io"),
        dotted("golang", "org"),
        dotted("maven", "org"),
        dotted("debian", "org"),
    )
)
BACK = "roll" + "back"
PLACES = "|".join(("wo" + "rk", "ro" + "ot", r"home/\w+", r"Users/\w+"))

FORBIDDEN = {
    "time is not rolled back: the word is `backout`": (r"(?i)roll[-_]?b" + "ack"),
    "what is unfinished is an issue, not a comment": r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
    "packages come from wherever pip is told to get them": rf"(?i)\b({HOSTS})\b",
    "no path of one machine": rf"(?<![\w.~$}}])/({PLACES})(/|\b)",
    "what lies beside this repository is not part of it": "|".join(
        (r"\.\./sha" + "red", "DES" + r"IGN\.md", "SCEN" + r"ARIOS\.md")
    ),
}

ALLOWED = (
    # (file pattern, line pattern, why)
    (r"orchestrator/adapters/sqlite/.*", rf"(?i)\.{BACK}\(|[\"']{BACK}[\"']", "SQLite's own word"),
    (r"(e2e|tests|docs)/.*", "/home/deploy", "a user of the hosts that the tests make themselves"),
    (r"e2e/hosts/.*", "HOME=/r[o]ot|/r[o]ot/agent", "root of such a host"),
    (r"CONTRIBUTING\.md|docs/.*", rf"never .{BACK}.", "says that we do not say it"),
)

TEXT = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".sh", ".ini", "")


@pytest.mark.parametrize("why", FORBIDDEN)
def test_a_word_that_is_not_ours_does_not_stand_anywhere(why: str) -> None:
    found = [
        f"{path}:{at}: {text.strip()}"
        for path, at, text in lines()
        if re.search(FORBIDDEN[why], text) and not allowed(path, text)
    ]
    assert not found, "\n".join((why, *found))


def allowed(path: str, text: str) -> bool:
    return any(re.fullmatch(file, path) and re.search(line, text) for file, line, _ in ALLOWED)


def lines() -> list[tuple[str, int, str]]:
    return [
        (tracked.name(path), at, text)
        for path in tracked.files(*TEXT)
        if path.name != "LICENSE"
        for at, text in enumerate(path.read_text(errors="replace").splitlines(), 1)
    ]
