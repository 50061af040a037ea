"""What the agents of many hosts see, put together as installations.

Pure. Instance i of a service is what runs on the i-th of its hosts. A release is *staged* where all
of them have it, and *partly* so where only some do; they point at a release where all say so.
A service of which a host did not answer is left out: nothing may rest on half a look. Hosts that
are away are not asked and not missed.

What a host says is checked here: shapes, lengths, names. Its texts are made plain, and secrets are
taken out of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.adapters.ssh.launch import INDEX
from orchestrator.adapters.ssh.lines import Json, senseless
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Color, Release, Service, Site
from orchestrator.core.sight import InstallationSeen, InstanceSeen
from orchestrator.ports.hosts import OnHost

RELEASES_MAX = 2000
VERSION_MAX, DIGEST_MAX, NOTE_MAX = 100, 64, 1200

Clean = Callable[[str, Release | None, str], str]
"""(service, release, text) -> the text without the secrets of that release."""


def merged(site: Site, answers: Mapping[str, Json], clean: Clean) -> tuple[InstallationSeen, ...]:
    """`answers`: what each host that answered said to `look`. `Unreachable`: it makes no sense."""
    return tuple(
        _color(service, color, answers, clean)
        for service in site.services
        if all(service.placement.hosts[i] in answers for i in service.placement.instances)
        for color in Color
    )


def _color(
    service: Service, color: Color, answers: Mapping[str, Json], clean: Clean
) -> InstallationSeen:
    staged: list[frozenset[Release]] = []
    current: list[Release | None] = []
    instances = []
    for index in service.placement.instances:
        host = service.placement.hosts[index]
        here = _service(answers[host], service.name, host)
        at = _table(_table(here.get("colors"), host).get(color.value), host)
        staged.append(frozenset(_releases(here.get("staged"), host)))
        current.append(_release(at.get("current"), host))
        remark = _text(at.get("remark"))
        instances.append(_instance(at, index, host, (service.name, remark, clean)))
    everywhere = frozenset.intersection(*staged)
    most, count = Counter(current).most_common(1)[0]
    return InstallationSeen(
        service.name,
        color,
        staged=everywhere,
        current=most,
        instances=tuple(instances),
        partly=frozenset.union(*staged) - everywhere,
        agreed=count == len(current),
    )


def on_host(
    host: str, services: list[str], answer: Json
) -> tuple[tuple[OnHost, ...], tuple[tuple[str, Release], ...]]:
    """What one host alone says to `look`: what is there of each color, and what lies there."""
    on, staged = [], []
    for name in services:
        here = _service(answer, name, host)
        staged += [(name, release) for release in _releases(here.get("staged"), host)]
        for color in Color:
            at = _table(_table(here.get("colors"), host).get(color.value), host)
            one = _instance(at, INDEX, host, (name, _text(at.get("remark")), lambda s, r, text: ""))
            release = one.release if one.running or one.kept else _release(at.get("current"), host)
            if release is not None or one.running or one.kept:
                on.append(OnHost(name, color, release, one.running, one.kept, one.note))
    return tuple(on), tuple(staged)


def _instance(at: Json, index: int, host: str, about: tuple[str, str, Clean]) -> InstanceSeen:
    service, remark, clean = about
    found = [_table(one, host) for one in _list(at.get("instances"), host)]
    one = next((one for one in found if one.get("index") == INDEX), None)
    if one is None:
        return InstanceSeen(index, None, running=False, note=_on(host, remark))
    release = _release(one.get("release"), host)
    start = one.get("start")
    if type(start) is not int or not 0 <= start < 2**60:
        raise senseless(host)
    note = clean(service, release, _text(one.get("note"), NOTE_MAX))
    return InstanceSeen(
        index,
        release,
        one.get("running") is True,
        start,
        _on(host, _text(one.get("identity"))),
        _on(host, "; ".join(text for text in (note, remark) if text)),
        kept=one.get("kept") is True,
    )


def _on(host: str, text: str) -> str:
    return f"on {host}: {text}" if text else ""


def _service(answer: Json, name: str, host: str) -> Json:
    for one in _list(answer.get("services"), host):
        if _table(one, host).get("service") == name:
            found: Json = one
            return found
    raise senseless(host)


def _releases(value: Any, host: str) -> list[Release]:
    releases = [_release(one, host) for one in _list(value, host)]
    return [release for release in releases if release is not None]


def _release(value: Any, host: str) -> Release | None:
    if value is None:
        return None
    table = _table(value, host)
    version, digest = table.get("version"), table.get("digest")
    if not isinstance(version, str) or not 0 < len(version) <= VERSION_MAX:
        raise senseless(host)
    if not isinstance(digest, str) or not 0 < len(digest) <= DIGEST_MAX or not digest.isalnum():
        raise senseless(host)
    if not version.isascii() or not version.isprintable() or "/" in version or "@" in version:
        raise senseless(host)
    return Release(version, digest)


def _table(value: Any, host: str) -> Json:
    if not isinstance(value, dict):
        raise senseless(host)
    return value


def _list(value: Any, host: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > RELEASES_MAX:
        raise senseless(host)
    return value


def _text(value: Any, most: int = 300) -> str:
    return plain(value, most) if isinstance(value, str) else ""
