"""What has to fit together where services are on hosts.

The one rule: what this version cannot do on hosts is said here, in a sentence, and never left out
in silence. Knows the names of hosts and nothing of what is on them.
"""

from __future__ import annotations

from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.shape import ServiceKeys, SiteKeys, UnitKeys

OURS = ("ExecStart", "WorkingDirectory", "EnvironmentFile", "LoadCredential")


def judge(site: SiteKeys, hosts: tuple[str, ...], mistakes: Mistakes) -> None:
    """`hosts`: the names of all in the file, also of those that did not fit."""
    judge_whole(site, mistakes)
    inner = any(switch.on_hosts is not None for switch in site.switches.values())
    for name, service in site.services.items():
        where: Where = ("services", name)
        if isinstance(service.instances.on, list):
            judge_names((*where, "instances", "on"), service.instances.on, hosts, mistakes)
            judge_on_hosts(where, service, mistakes, inner=inner)
        elif service.unit.model_fields_set and not mistakes.inside((*where, "instances")):
            here = (*where, "unit")
            mistakes.add(here, f"{dotted(here)} is for services on hosts", "remove it")


def judge_whole(site: SiteKeys, mistakes: Mistakes) -> None:
    """All of a site is on this machine, or all of it is on hosts."""
    on_hosts = [n for n, s in site.services.items() if isinstance(s.instances.on, list)]
    here = [n for n in site.services if n not in on_hosts]
    if on_hosts and here:
        where = ("services", here[0], "instances")
        what = f"services.{here[0]} is on this machine, and services.{on_hosts[0]} is on hosts"
        mistakes.add(
            where, what, "put all of them on hosts, or none; both is not kept by this version"
        )


def judge_names(
    where: Where,
    named: list[str],
    hosts: tuple[str, ...],
    mistakes: Mistakes,
    *,
    once: str = "there is one on each host",
) -> None:
    """`once`: why no host is named twice."""
    for at, name in enumerate(named):
        here = (*where, at)
        if mistakes.inside(here):
            continue  # what stands there now is a stand-in
        if name in named[:at]:
            mistakes.add(here, f"{dotted(where)} names {name} twice", once)
        elif name not in hosts:
            close = nearest(name, hosts)
            there = f"there is {choice(hosts)}" if hosts else "write them under `hosts:`"
            what = f"{dotted(where)} names the host `{name}`, which this file does not have"
            mistakes.add(here, what, f"did you mean `{close}`?" if close else there)


def judge_on_hosts(
    where: Where, service: ServiceKeys, mistakes: Mistakes, *, inner: bool = False
) -> None:
    """`inner`: whether the switches of the site can have inner addresses that hosts reach."""
    if "count" in service.instances.model_fields_set:
        here = (*where, "instances", "count")
        mistakes.add(here, f"{dotted(here)}: there is one on each host", "remove it")
    if service.uses and not inner:
        here = (*where, "uses")
        kinds = "`haproxy` or `nginx`"
        what = f"{dotted(here)}: inner addresses on hosts need a switch of the kind {kinds}"
        mistakes.add(here, what, "name what it calls in `env`")
    judge_unit((*where, "unit"), service.unit, mistakes)


def judge_unit(where: Where, unit: UnitKeys, mistakes: Mistakes) -> None:
    for section, pairs in (
        ("Unit", unit.unit),
        ("Service", unit.service),
        ("Install", unit.install),
    ):
        for key, value in pairs.items():
            here = (*where, section, key)
            texts = [value] if isinstance(value, str) else value
            if key in OURS:
                mistakes.add(here, f"{dotted(here)} is bg's own", "see `run:` and `env:`")
            elif any(ord(one) < 32 for text in texts for one in text):
                mistakes.add(here, f"{dotted(here)} is not one line", "write one line for each")
