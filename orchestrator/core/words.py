"""The nouns of a sentence: releases, colors, addresses and shares, in the fewest plain words.

Sentences are put together elsewhere (`narrate`). The one rule: the same things are always called
the same, in a plan, in a record and in a picture. Many of a kind are counted, not listed.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.core.model import Color, Share
from orchestrator.core.steps import Flip, Part, Wiring

LISTED_MAX = 4
NOBODY = "nobody"


def joined(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; beyond a few, how many more."""
    listed = list(dict.fromkeys(names))
    if len(listed) > LISTED_MAX:
        listed = [*listed[: LISTED_MAX - 1], f"{len(listed) - LISTED_MAX + 1} more"]
    if len(listed) < 2:
        return "".join(listed)
    return ", ".join(listed[:-1]) + " and " + listed[-1]


def counted(count: int, noun: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def release_of(part: Part) -> str:
    """`web 2`; with the digest's beginning where other bytes of the same name were there before."""
    before = part.before.current
    alike = before is not None and before != part.release and before.version == part.release.version
    return f"{part.service} {part.release.label if alike else part.release.version}"


def releases_of(parts: tuple[Part, ...]) -> str:
    """`web 2 and api 2`, without where."""
    return joined(release_of(p) for p in parts)


def parts_at(parts: tuple[Part, ...]) -> str:
    """`web 2 and api 2 on green`; `web 2 on green and api 2 on blue`."""
    by_color = {color: [release_of(p) for p in parts if p.color is color] for color in Color}
    return " and ".join(
        f"{joined(names)} on {color.value}" for color, names in by_color.items() if names
    )


def told(parts: tuple[Part, ...], one: str, many: str) -> str:
    """`web 2 runs on green`; `web 2 and api 2 run on green`; each color with its own verb."""
    said = []
    for color in Color:
        names = list(dict.fromkeys(release_of(p) for p in parts if p.color is color))
        if names:
            said.append(f"{joined(names)} {one if len(names) == 1 else many} on {color.value}")
    return " and ".join(said)


def instances_of(parts: tuple[Part, ...]) -> str:
    return counted(sum(p.count for p in parts), "instance")


def share_of(share: Share) -> str:
    """`green`; `90 % blue and 10 % green`; `nobody`."""
    if share.split:
        return f"{share.blue} % blue and {share.green} % green"
    return share.live.value if share.live else NOBODY


def flips_to(flips: tuple[Flip, ...], *, after: bool) -> tuple[tuple[str, str], ...]:
    """(services, where their traffic goes) for each destination, after the step or before it."""
    groups: dict[str, list[str]] = {}
    for flip in flips:
        groups.setdefault(share_of(flip.after if after else flip.before), []).append(flip.service)
    return tuple((joined(services), where) for where, services in groups.items())


def wirings_to(wirings: tuple[Wiring, ...], verb: str = "to") -> str:
    """`web green to api green`."""
    return joined(
        f"{w.pin.caller} {w.pin.color.value} {verb} {w.pin.callee} {w.after.value}" for w in wirings
    )


def span(seconds: float) -> str:
    """A length of time in one or two units: `3 ms`, `45 s`, `2 min 5 s`, `23 h 59 min`, `3 d`."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, name, below, below_name in (  # hours are easier to count with than one day
        (86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"),
    ):  # fmt: skip
        if whole >= (2 * unit if name == "d" else unit):
            rest = whole % unit // below
            return f"{whole // unit} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{whole} s"


def sentence(text: str) -> str:
    """With one full stop at its end."""
    return text.rstrip().rstrip(".") + "."
