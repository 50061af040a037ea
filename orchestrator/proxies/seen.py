"""What the proxies of a switch say, merged: who gets traffic, and where they disagree.

The one rule: nobody is outvoted. Where a running proxy says something else than its file or than
another proxy, the switch is not up, and the note names both. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.core.model import Color, ProxySpec, Share, Site
from orchestrator.core.sight import Astray, Connections, SwitchSeen
from orchestrator.proxies import addresses
from orchestrator.proxies.far import named
from orchestrator.proxies.proxy import Looked

Looks = Mapping[str, Looked | str]  # by host; a text: it did not answer, and why


def merged(site: Site, spec: ProxySpec, looks: Looks) -> SwitchSeen:
    seen = {host: look for host, look in looks.items() if isinstance(look, Looked)}
    away = [named(host, why) for host, why in looks.items() if isinstance(why, str)]
    running = {host: look.running for host, look in seen.items() if look.running is not None}
    away += [f"{host}: {look.why}" for host, look in seen.items() if look.running is None]
    keys = addresses.keys(site, spec)
    files = [look.file or {} for look in seen.values()]
    said = next(iter(running.values()), None)
    wrong = [*_differences(seen, keys), *_disagreement(running, keys)]
    if said is None:
        said = files[0] if files else {}
        # A switch that nobody was ever sent through, or that was taken away, is no outage.
        idle = len(seen) == len(looks) and not any(_serves(file, keys) for file in files)
        up = idle and bool(looks)
    else:
        up = not away and not wrong
    notes = [*wrong, *away, *_remarks(seen)]
    return SwitchSeen(
        shares=tuple((one.name, _share(said, one.name)) for one in addresses.at_home(site, spec)),
        pins=tuple(
            (pin, color)
            for pin in addresses.pins(site, spec)
            if (color := _color(said, addresses.pin_key(pin))) is not None
        ),
        connections=_connections(site, spec, seen.values()),
        up=up,
        note="; ".join(notes),
        astray=_astray(site, seen),
        lingering=_lingering(seen.values()),
    )


def color_of(color: Color | None) -> str:
    return color.value if color else addresses.NOBODY


def _color(entries: Mapping[str, str], key: str) -> Color | None:
    said = entries.get(key)
    return next((color for color in Color if color.value == said), None)


def _share(entries: Mapping[str, str], service: str) -> Share:
    return Share.all_to(_color(entries, service))


def _serves(entries: Mapping[str, str], keys: Iterable[str]) -> bool:
    return any(_color(entries, key) for key in keys if "." not in key)


def _differences(seen: Mapping[str, Looked], keys: Iterable[str]) -> list[str]:
    """Between what each does and what its file says."""
    found = []
    for host, look in seen.items():
        if look.running is None:
            continue
        if look.file is None:
            if _serves(look.running, keys):
                found.append(f"{host}: it has no file to be started again with")
            continue
        for key in keys:
            does, says = _color(look.running, key), _color(look.file, key)
            if does is not says:
                found.append(f"{host}: it {_spoken(key, does)}, its file says {color_of(says)}")
                break
    return found


def _disagreement(running: Mapping[str, Mapping[str, str]], keys: Iterable[str]) -> list[str]:
    """The first thing that not all proxies do alike."""
    for key in keys:
        ways = {host: _color(entries, key) for host, entries in running.items()}
        if len(set(ways.values())) > 1:
            told = (f"{host} {_spoken(key, color)}" for host, color in ways.items())
            return [f"the proxies do not agree: {', '.join(told)}"]
    return []


def _remarks(seen: Mapping[str, Looked]) -> list[str]:
    """What is worth a word and changes nothing."""
    edited = [
        f"{h}: the colors' file is not as bg wrote it" for h, s in seen.items() if not s.whole
    ]
    return edited + [f"{host}: {look.remark}" for host, look in seen.items() if look.remark]


def _spoken(key: str, color: Color | None) -> str:
    caller, dot, rest = key.partition(".")
    if not dot:
        return f"serves {key} from {color.value if color else 'neither color'}"
    own, _, callee = rest.partition(".")
    return f"leads {caller} {own} to {callee} {color_of(color)}"


def _astray(site: Site, seen: Mapping[str, Looked]) -> tuple[Astray, ...]:
    """By host: whether it is out says what is wrong with it."""
    away = {host for service in site.services for host in service.placement.away}
    places = [(proxy, *place) for proxy, look in seen.items() for place in _in_order(look.astray)]
    found = []
    for host in dict.fromkeys(host for _, _, _, host in places):
        at = dict.fromkeys(proxy for proxy, _, _, one in places if one == host)
        of = dict.fromkeys((service, color) for _, service, color, one in places if one == host)
        found.append(Astray(host, host not in away, tuple(at), tuple(of)))
    return tuple(found)


def _in_order(places: Iterable[tuple[str, Color, str]]) -> list[tuple[str, Color, str]]:
    return sorted(places, key=lambda place: (place[2], place[0], place[1].value))


def _lingering(looks: Iterable[Looked]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for look in looks:
        for host, count in look.lingering.items():
            found[host] = found.get(host, 0) + count
    return tuple(sorted(found.items()))


def _connections(site: Site, spec: ProxySpec, looks: Iterable[Looked]) -> tuple[Connections, ...]:
    """What an older process still serves cannot be counted; it is at least one everywhere."""
    seen = tuple(looks)
    unknown = any(look.older for look in seen)

    def count(service: str, color: Color) -> int:
        return max(sum(look.counts.get((service, color), 0) for look in seen), int(unknown))

    return tuple(
        Connections(service.name, color, count(service.name, color))
        for service in addresses.at_home(site, spec)
        for color in Color
    )
