"""What has to fit together in a site: names that point somewhere, ports, routes, times.

Each rule looks at the file in its shape and notes mistakes. The one rule of rules: a place already
known to be wrong is not judged again. They know nothing of the world; whether a file exists is
`bgctl check`'s to say. What concerns one service alone is in `service_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.config import host_rules, service_rules, step_rules, switch_rules
from orchestrator.config.careful import HoldKeys, SoakKeys
from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.shape import ServiceKeys, SiteKeys
from orchestrator.config.words import listen_address, seconds, web_address

HOLD_S = (0.05, 30.0)  # shorter cannot be done, longer no visitor bears
RESERVED = ("envoy",)  # bg's own processes go by this name


@dataclass(frozen=True, slots=True)
class Names:
    """All names the file gives, also those of services and switches that did not fit."""

    services: tuple[str, ...]
    switches: tuple[str, ...]
    hosts: tuple[str, ...] = ()


def judge(site: SiteKeys, names: Names, mistakes: Mistakes) -> None:
    """Notes everything that does not fit together."""
    judge_ports(site, mistakes)
    host_rules.judge(site, names.hosts, mistakes)
    switch_rules.judge(site, names.hosts, mistakes)
    judge_routes(site, names, mistakes)
    judge_soak(site, mistakes)
    judge_hold(site, mistakes)
    judge_invariants(site, names, mistakes)
    step_rules.judge(site, names.services, names.hosts, mistakes)
    for name, service in site.services.items():
        where: Where = ("services", name)
        if name in RESERVED:
            mistakes.add(where, f"`{name}` is a name bg uses itself", "choose another")
        judge_uses(where, service, names=names, mistakes=mistakes)
        service_rules.judge(where, service, services=names.services, mistakes=mistakes)


# -- Ports ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    where: Where
    first: int
    last: int
    hosts: frozenset[str] = frozenset()  # empty: this machine

    def meets(self, other: _Taken) -> bool:
        """Whether both want the same port of the same machine."""
        same = bool(self.hosts & other.hosts) or self.hosts == other.hosts
        return same and self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}–{self.last}"
        return f"{dotted(self.where)} ({ports})"


def judge_ports(site: SiteKeys, mistakes: Mistakes) -> None:
    """No port is taken twice, by instances or switches, of whatever color and service."""
    taken = sorted(
        (taken for taken in _taken(site) if not mistakes.about(taken.where)),
        key=lambda taken: mistakes.spot(taken.where),
    )
    for at, later in enumerate(taken):
        if later.last > 65535:
            mistakes.add(
                later.where,
                f"{later} goes beyond the last port, 65535",
                "choose a lower first port",
            )
        for earlier in taken[:at]:
            if earlier.meets(later):
                line = mistakes.spot(earlier.where)[0]
                what = f"{later} takes ports of {earlier} on line {line}"
                mistakes.add(later.where, what, "each instance needs a port of its own")


def _taken(site: SiteKeys) -> Iterator[_Taken]:
    for name, service in site.services.items():
        ports, on = service.instances.ports, service.instances.on
        hosts = frozenset(on if isinstance(on, list) else ())
        more = 0 if hosts else service.instances.count - 1
        for color, first in (("blue", ports.blue), ("green", ports.green)):
            where = ("services", name, "instances", "ports", color)
            yield _Taken(where, first, first + more, hosts)
    for name, switch in site.switches.items():
        if switch.envoy and (address := listen_address(switch.envoy.listen)):
            yield _Taken(("switches", name, "envoy", "listen"), address[1], address[1])
        kind, keys = switch.on_hosts or ("", None)
        if keys and (address := web_address(keys.url)):
            yield _Taken(
                ("switches", name, kind, "url"), address[1], address[1], frozenset(keys.on)
            )


# -- Who is reached by whom ----------------------------------------------------------------


def judge_routes(site: SiteKeys, names: Names, mistakes: Mistakes) -> None:
    taken: dict[tuple[str, str, str], str] = {}
    for name, service in site.services.items():
        behind, where = service.behind, ("services", name, "behind")
        if behind is None or mistakes.about(where):
            continue
        if behind.switch not in names.switches:
            said = _unknown((*where, "switch"), f"switch `{behind.switch}`", names.switches)
            mistakes.add((*where, "switch"), *said)
        route = (behind.switch, behind.host or "", behind.path)
        if route in taken:
            what = f"{dotted(where)} takes the requests of services.{taken[route]}"
            mistakes.add(
                where,
                f"{what}: both are {behind.path} at {behind.switch}",
                "give one another path or host",
            )
        taken.setdefault(route, name)


def judge_uses(where: Where, service: ServiceKeys, *, names: Names, mistakes: Mistakes) -> None:
    for callee in service.uses:
        here = (*where, "uses", callee)
        if callee == where[-1]:
            mistakes.add(here, f"services.{callee} uses itself", "remove it")
        elif callee not in names.services:
            mistakes.add(here, *_unknown(here, f"service `{callee}`", names.services))


def _unknown(where: Where, thing: str, known: tuple[str, ...]) -> tuple[str, str]:
    """What is wrong with naming this thing there, and what to write instead."""
    close = nearest(thing.split("`")[1], known)
    there = f"there is {choice(known)}" if known else "remove it"
    advice = f"did you mean `{close}`?" if close else there
    return f"{dotted(where)} names the {thing}, which this file does not have", advice


# -- The rollout ---------------------------------------------------------------------------


def judge_hold(site: SiteKeys, mistakes: Mistakes) -> None:
    """Short enough for a visitor to bear, long enough to be done."""
    hold, where = site.rollout.hold, ("rollout", "hold")
    if hold is None or mistakes.inside(where):
        return
    for_s = seconds(hold.for_ if isinstance(hold, HoldKeys) else hold) or 0
    if not HOLD_S[0] <= for_s <= HOLD_S[1]:
        what = f"rollout.hold is not between {HOLD_S[0] * 1000:g}ms and {HOLD_S[1]:g}s"
        mistakes.add(where, what, "write `2s`, or remove it for no hold")
    if not site.switches and not mistakes.inside(("switches",)):
        mistakes.add(where, "rollout.hold has no switch to stop time at", "remove it")


def judge_invariants(site: SiteKeys, names: Names, mistakes: Mistakes) -> None:
    """About services there are, each once, and no more than there is of them."""
    asked: list[str] = []
    for at, one in enumerate(site.invariants):
        where: Where = ("invariants", at)
        service = site.services.get(one.service)
        if one.service not in names.services:
            here = (*where, "service")
            mistakes.add(here, *_unknown(here, f"service `{one.service}`", names.services))
        elif one.service in asked:
            mistakes.add(where, f"{dotted(where)} asks of {one.service} once more", "remove it")
        elif service is not None and not mistakes.inside(("services", one.service, "instances")):
            on, count = service.instances.on, service.instances.count
            there = len(on) if isinstance(on, list) else count
            if one.serving > there:
                what = f"{dotted(where)} asks for {one.serving} of {one.service}, which has {there}"
                mistakes.add((*where, "serving"), what, f"write {there} at most")
        asked.append(one.service)


def judge_soak(site: SiteKeys, mistakes: Mistakes) -> None:
    soak = site.rollout.soak
    if (
        isinstance(soak, SoakKeys)
        and soak.within
        and (seconds(soak.within) or 0) < (seconds(soak.for_) or 0)
    ):
        what = f"rollout.soak: well for {soak.for_} cannot be had within {soak.within}"
        mistakes.add(("rollout", "soak", "within"), what, "make `within` larger")
    gate, lease = site.rollout.gates.cutover, ("rollout", "lease")
    if not isinstance(gate, str) and not seconds(gate.timeout):
        mistakes.add(
            ("rollout", "gates", "cutover", "timeout"),
            "rollout.gates.cutover.timeout is nothing",
            "write a time, or `cutover: none` for no gate",
        )
    if (seconds(site.rollout.lease) or 0) < 1:
        mistakes.add(lease, "rollout.lease is shorter than a second", "write `10s`")
