"""From what somebody typed to a wish.

A WISH is `web=2` (a version), `web=./build` (a path), or a bare `2` (or path) for every service.
The one rule: everything that is wrong with the words is said at once, before anything is read or
touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Release, Service, Site
from orchestrator.core.record import Wanted, Wish
from orchestrator.core.sight import Sighting
from orchestrator.core.words import joined, sentence
from orchestrator.doors.cli.answer import refused
from orchestrator.ports.artifacts import Artifacts
from orchestrator.ports.trouble import Refused


def wish_of(words: list[str], site: Site, artifacts: Artifacts, *, again: bool = False) -> Wish:
    """The releases these words name; a path is one from where the command was typed.

    Raises `Done`: bad words, or nothing that they name.
    """
    wanted, problems = [], []
    for service, word in wanted_words(words, site).items():
        try:
            found = artifacts.find(site.service(service), _from_here(word))
            wanted.append(Wanted(service, found.release, found.source))
        except Refused as wrong:
            problems.append(wrong.why)
    if problems:
        raise refused("\n".join(problems), ("bgctl releases", "what there is"))
    return Wish(tuple(wanted), again=again)


def _from_here(word: str) -> str:
    return os.path.abspath(os.path.expanduser(word)) if "/" in word else word


def source_of(artifacts: Artifacts, service: Service, release: Release) -> str | None:
    """Where the artifact of this very release lies; None where it is not to be had any more."""
    try:
        found = artifacts.find(service, release.version)
    except Refused:
        return None
    return found.source if found.release == release else None


def wanted_words(words: list[str], site: Site) -> dict[str, str]:
    """What is wanted of each service, in the order of the site file. Raises `Done`."""
    known = tuple(service.name for service in site.services)
    wanted: dict[str, str] = {}
    problems: list[str] = []
    for word in words:
        service, equals, version = word.partition("=")
        named = (service,) if equals else known
        release = version if equals else word
        if not release or release.strip() != release:
            problems.append(f"{word!r} names no release")
        for name in named:
            if name not in known:
                problems.append(unknown(name, known))
            elif wanted.setdefault(name, release) != release:
                problems.append(f"{name} is asked to be both {wanted[name]} and {release}")
    if problems:
        problems.append("A WISH is web=2 (a version), web=./build (a path), or 2 (every service).")
        raise refused("\n".join(_sentences(problems)))
    return {name: wanted[name] for name in known if name in wanted}


def _sentences(problems: list[str]) -> list[str]:
    return [p if p.endswith("?") else sentence(p) for p in dict.fromkeys(problems)]


def unknown(name: str, known: tuple[str, ...]) -> str:
    """There is no such service; with the one that was probably meant."""
    from orchestrator.config.mistakes import choice, nearest

    meant = nearest(name, known)
    hint = f"did you mean {meant}?" if meant else f"there is {choice(known)}"
    return f"There is no service {name!r}: {hint}"


def newest_first(versions: Iterable[str], shown: int) -> str:
    """`10, 9, 2 and 4 more`: by their numbers, the highest first."""
    ordered = sorted(versions, key=_numbers, reverse=True)
    more = f" and {len(ordered) - shown} more" if len(ordered) > shown else ""
    return ", ".join(ordered[:shown]) + more


def _numbers(version: str) -> list[tuple[int, str]]:
    """Numbers count as numbers: 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", version)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def spoken(wish: Wish) -> str:
    """`web 2 and api 7`."""
    return joined(f"{w.service} {w.release.version}" for w in wish.wanted)


# -- Releases that lie staged ---------------------------------------------------------------


def staged_wish(
    words: list[str], site: Site, sighting: Sighting, chronicle: Chronicle
) -> tuple[Wanted, ...]:
    """The staged releases these words name, for `backout --to`.

    A bare word means every service that has it.
    """
    explicit = any("=" in word for word in words)
    found: list[Wanted] = []
    missing: list[str] = []
    for service, word in wanted_words(words, site).items():
        release = _staged(service, word, sighting, chronicle)
        if release is not None:
            found.append(Wanted(service, release))
        elif explicit:
            missing.append(f"{service} has no staged release {word!r}")
    if missing or not found:
        problem = "; ".join(missing) or f"No service has a staged release {' '.join(words)!r}"
        raise refused(sentence(problem), ("bgctl releases", "what lies staged"))
    return tuple(found)


def _staged(service: str, word: str, sighting: Sighting, chronicle: Chronicle) -> Release | None:
    """By version, `2@ab12`, or digest; where several fit, the one that served last."""
    staged = {r for color in Color for r in sighting.at(service, color).staged}
    lately = [r for r in chronicle.served_lately(service) if r in staged]
    ordered = [*lately, *sorted(staged - set(lately), key=lambda r: (r.version, r.digest))]
    return next((r for r in ordered if _is(r, word)), None)


def _is(release: Release, word: str) -> bool:
    version, at, digest = word.rpartition("@")
    if at:
        return release.version == version and release.digest.startswith(digest)
    return release.version == word
