"""What has to fit together at the switches of a site: their kind, and the hosts they are on.

The one rule: what one write could not switch in one instant is refused. So all switches of a site
are of one kind, each proxy belongs to one of them, and nobody is asked to hold who cannot. Knows
the names of hosts and nothing of what runs there.
"""

from __future__ import annotations

from orchestrator.config.host_rules import judge_names
from orchestrator.config.mistakes import Mistakes, Where, choice, dotted
from orchestrator.config.shape import HaproxyKeys, NginxKeys, SiteKeys, SwitchKeys


def judge(site: SiteKeys, hosts: tuple[str, ...], mistakes: Mistakes) -> None:
    """`hosts`: the names of all in the file, also of those that did not fit."""
    judge_kinds(site, mistakes)
    for name, switch in site.switches.items():
        if switch.on_hosts is not None:
            kind, keys = switch.on_hosts
            on: Where = ("switches", name, kind, "on")
            if not mistakes.inside(on):
                judge_names(on, keys.on, hosts, mistakes, once="there is one on each")
    judge_one_each(site, mistakes)
    judge_reach(site, mistakes)
    judge_holds(site, mistakes)


def kinds_of(switch: SwitchKeys) -> tuple[str, ...]:
    """The kinds that a switch says it is, in the order of the keys."""
    return tuple(key for key in SwitchKeys.model_fields if getattr(switch, key) is not None)


# -- Kinds ---------------------------------------------------------------------------------


def judge_kinds(site: SiteKeys, mistakes: Mistakes) -> None:
    """Each is of one kind, and all are of the same."""
    first: tuple[str, str] | None = None
    for name, switch in site.switches.items():
        where, kinds = ("switches", name), kinds_of(switch)
        if len(kinds) != 1:
            _refuse_kind(where, kinds, mistakes)
            continue
        first = first or (name, kinds[0])
        if kinds[0] != first[1]:
            line = mistakes.spot(("switches", first[0]))[0]
            other = f"switches.{first[0]} on line {line} is of the kind `{first[1]}`"
            what = f"{dotted(where)} is of the kind `{kinds[0]}`, and {other}"
            why = "two kinds cannot be switched in one instant"
            mistakes.add((*where, kinds[0]), what, f"make them one kind: {why}")


def _refuse_kind(where: Where, kinds: tuple[str, ...], mistakes: Mistakes) -> None:
    if kinds:
        what = f"{dotted(where)} is {' and '.join(f'`{kind}`' for kind in kinds)} at once"
        mistakes.add(where, what, "keep one of them")
    elif not mistakes.inside(where):
        known = choice(SwitchKeys.model_fields)
        what = f"{dotted(where)} does not say what it is"
        mistakes.add(where, what, f'write {known}: `envoy: {{listen: "127.0.0.1:8080"}}`')


# -- Proxies on hosts ----------------------------------------------------------------------


def judge_one_each(site: SiteKeys, mistakes: Mistakes) -> None:
    """Two switches share no proxy, and no folder of maps."""
    taken: dict[tuple[str, str, str], str] = {}
    for name, kind, keys in _proxies(site):
        for key, value in (_its_own(keys), ("maps", keys.maps)):
            where = ("switches", name, kind, key)
            both = next((h for h in keys.on if taken.get((key, h, value), name) != name), None)
            if both is not None and not mistakes.inside(("switches", name)):
                other = f"switches.{taken[key, both, value]}"
                what = f"{dotted(where)}: {value} on {both} is that of {other}"
                one = "HAProxy" if kind == "haproxy" else "nginx"
                instead = f"one {one} is one switch; tell services apart by path or host"
                mistakes.add(where, what, instead)
            for host in keys.on:
                taken.setdefault((key, host, value), name)


def _its_own(keys: HaproxyKeys | NginxKeys) -> tuple[str, str]:
    """By which key one proxy is told from another of the same host."""
    if isinstance(keys, HaproxyKeys):
        return "socket", keys.socket
    return "config", keys.config


def judge_reach(site: SiteKeys, mistakes: Mistakes) -> None:
    """A proxy on another host does not reach what listens on this machine."""
    switch = next((name for name, _, _ in _proxies(site)), None)
    for name, service in site.services.items():
        where = ("services", name, "instances")
        if switch and isinstance(service.instances.on, str) and not mistakes.about(where):
            what = f"services.{name} is on this machine, and switches.{switch} leads to hosts only"
            mistakes.add(where, what, "name hosts: `instances: {on: [web1], …}`")


def judge_holds(site: SiteKeys, mistakes: Mistakes) -> None:
    """No nginx is asked for what it cannot do."""
    where = ("rollout", "hold")
    switch = next((name for name, kind, _ in _proxies(site) if kind == "nginx"), None)
    if switch and site.rollout.hold is not None and not mistakes.about(where):
        what = f"rollout.hold: switches.{switch} is nginx, and nginx cannot stop time"
        mistakes.add(where, what, "remove it, or switch with `haproxy`, which can")


def _proxies(site: SiteKeys) -> list[tuple[str, str, HaproxyKeys | NginxKeys]]:
    found = ((name, switch.on_hosts) for name, switch in site.switches.items())
    return [(name, *on_hosts) for name, on_hosts in found if on_hosts is not None]
