"""What has to fit together in a site: names that point somewhere, ports, paths, times, templates, secrets.

Each rule looks at the file in its shape and notes mistakes. The one rule of rules: a place already known to be
wrong is not judged again. They know nothing of the world; whether a file exists is `bgctl check`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.shape import ProbeKeys, ProbingKeys, SecretKeys, ServiceKeys, SiteKeys, SoakKeys
from orchestrator.config.words import (
    INSTANCE_WORDS,
    carries_secret,
    leaves_folder,
    listen_address,
    means_secret,
    seconds,
    template_words,
)

RESERVED = ("envoy",)  # bg's own processes go by this name
_SECRET_ADVICE = "write `{file: …}`, `{env: …}` or `{command: […]}`"


@dataclass(frozen=True, slots=True)
class Names:
    """All names the file gives, also those of services and switches that did not fit."""

    services: tuple[str, ...]
    switches: tuple[str, ...]


def judge(site: SiteKeys, names: Names, mistakes: Mistakes) -> None:
    """Notes everything that does not fit together."""
    judge_ports(site, mistakes)
    judge_routes(site, names, mistakes)
    judge_soak(site, mistakes)
    for name, service in site.services.items():
        where: Where = ("services", name)
        if name in RESERVED:
            mistakes.add(where, f"`{name}` is a name bg uses itself", "choose another")
        judge_uses(where, service, names, mistakes)
        judge_paths(where, service, mistakes)
        judge_probes(where, service, mistakes)
        judge_secrets(where, service, mistakes)
        judge_templates(where, service, names, mistakes)


# -- Ports ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    where: Where
    first: int
    last: int

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}–{self.last}"
        return f"{dotted(self.where)} ({ports})"


def judge_ports(site: SiteKeys, mistakes: Mistakes) -> None:
    """No port is taken twice: by two instances, two colors, two services, or by an instance and a switch."""
    taken = sorted(_taken(site), key=lambda t: mistakes.spot(t.where))
    for at, later in enumerate(taken):
        if later.last > 65535:
            mistakes.add(later.where, f"{later} goes beyond the last port, 65535", "choose a lower first port")
        for earlier in taken[:at]:
            if earlier.first <= later.last and later.first <= earlier.last:
                line = mistakes.spot(earlier.where)[0]
                what = f"{later} takes ports of {earlier} on line {line}"
                mistakes.add(later.where, what, "each instance needs a port of its own")


def _taken(site: SiteKeys) -> Iterator[_Taken]:
    for name, service in site.services.items():
        ports, more = service.instances.ports, service.instances.count - 1
        for color, first in (("blue", ports.blue), ("green", ports.green)):
            yield _Taken(("services", name, "instances", "ports", color), first, first + more)
    for name, switch in site.switches.items():
        address = listen_address(switch.envoy.listen)
        if address:
            yield _Taken(("switches", name, "envoy", "listen"), address[1], address[1])


# -- Who is reached by whom ----------------------------------------------------------------


def judge_routes(site: SiteKeys, names: Names, mistakes: Mistakes) -> None:
    taken: dict[tuple[str, str, str], str] = {}
    for name, service in site.services.items():
        behind, where = service.behind, ("services", name, "behind")
        if behind is None:
            continue
        if behind.switch not in names.switches and not mistakes.about((*where, "switch")):
            _unknown((*where, "switch"), "switch", behind.switch, names.switches, mistakes)
        route = (behind.switch, behind.host or "", behind.path)
        if route in taken and not mistakes.about(where):
            what = f"{dotted(where)} takes the requests of services.{taken[route]}"
            mistakes.add(where, f"{what}: both are {behind.path} at {behind.switch}", "give one another path or host")
        taken.setdefault(route, name)


def judge_uses(where: Where, service: ServiceKeys, names: Names, mistakes: Mistakes) -> None:
    for callee in service.uses:
        here = (*where, "uses", callee)
        if callee == where[-1]:
            mistakes.add(here, f"services.{callee} uses itself", "remove it; it is not pinned to anything")
        elif callee not in names.services:
            _unknown(here, "service", callee, names.services, mistakes)


def _unknown(where: Where, kind: str, name: str, known: tuple[str, ...], mistakes: Mistakes) -> None:
    close = nearest(name, known)
    advice = f"did you mean `{close}`?" if close else f"there is {choice(known)}" if known else f"write a {kind}"
    mistakes.add(where, f"{dotted(where)} names the {kind} `{name}`, which this file does not have", advice)


# -- One service ---------------------------------------------------------------------------


def judge_paths(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    artifact = service.artifact
    here = (*where, "artifact")
    if artifact.startswith(("/", "~")) or leaves_folder(artifact):
        mistakes.add(here, f"{dotted(here)} leaves the folder of the site", "write a path below it")
    if list(template_words(artifact)) != ["version"]:
        what = f"{dotted(here)} has to hold `{{version}}` once, and no other template"
        mistakes.add(here, what, "write `releases/{version}`")
    if leaves_folder(service.run[0]):
        mistakes.add((*where, "run", 0), f"{dotted((*where, 'run'))} leaves the folder of its release",
                     "write a path inside it, an absolute one, or a command's name")
    for name, value in service.env.items():
        file = value.file if isinstance(value, SecretKeys) else None
        if file and leaves_folder(file):
            mistakes.add((*where, "env", name, "file"), f"{dotted((*where, 'env', name))} leaves the folder of the site",
                         "write a path below it, or an absolute one")


def judge_probes(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    for at, probe in enumerate(service.probes):
        here = (*where, "probes", at)
        if not mistakes.about(here):
            judge_probe(here, probe, mistakes)
    if not mistakes.about((*where, "probing")):
        judge_probing((*where, "probing"), service.probing, mistakes)


def judge_probe(where: Where, probe: ProbeKeys, mistakes: Mistakes) -> None:
    ways = [way for way in ("http", "tcp", "exec") if getattr(probe, way) is not None]
    if len(ways) != 1:
        what = f"{dotted(where)} is {' and '.join(ways)} at once" if ways else f"{dotted(where)} has no way to look"
        mistakes.add(where, what, "write one of `http: /healthz`, `tcp: true` or `exec: [bin/check]`")
    elif ways != ["http"]:
        for key in {"expect", "host"} & probe.model_fields_set:
            mistakes.add((*where, key), f"{dotted((*where, key))} is for http probes only", "remove it")


def judge_probing(where: Where, probing: ProbingKeys, mistakes: Mistakes) -> None:
    """Deadlines: there is one, a look fits into it, and so do the looks that make a verdict."""
    every, within, timeout = (seconds(t) or 0.0 for t in (probing.every, probing.within, probing.timeout))
    for key, value in (("every", every), ("within", within), ("timeout", timeout)):
        if not value:
            what = "is no deadline" if key == "within" else "is nothing"
            mistakes.add((*where, key), f"{dotted((*where, key))}: 0 {what}", "write a time, like `30s`")
            return
    if timeout > within:
        what = f"one look may take longer ({probing.timeout}) than all of them ({probing.within})"
        mistakes.add((*where, "timeout"), f"{dotted(where)}: {what}", "make `timeout` smaller or `within` larger")
    elif (probing.well - 1) * every >= within:
        what = f"{probing.well} looks, one every {probing.every}, do not fit within {probing.within}"
        mistakes.add((*where, "within"), f"{dotted(where)}: {what}", "make `within` larger")


def judge_soak(site: SiteKeys, mistakes: Mistakes) -> None:
    soak = site.rollout.soak
    if isinstance(soak, SoakKeys) and soak.within and (seconds(soak.within) or 0) < (seconds(soak.for_) or 0):
        what = f"rollout.soak: well for {soak.for_} cannot be had within {soak.within}"
        mistakes.add(("rollout", "soak", "within"), what, "make `within` larger")
    gate, lease = site.rollout.gates.cutover, ("rollout", "lease")
    if not isinstance(gate, str) and not seconds(gate.timeout):
        mistakes.add(("rollout", "gates", "cutover", "timeout"), "rollout.gates.cutover.timeout is nothing",
                     "write a time, or `cutover: none` for no gate")
    if (seconds(site.rollout.lease) or 0) < 1:
        mistakes.add(lease, "rollout.lease is shorter than a second", "write `10s`")


# -- Secrets and templates -----------------------------------------------------------------


def judge_secrets(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    """A secret is named, not written down: not in the environment, and not in what everybody sees with `ps`."""
    for name, value in service.env.items():
        here = (*where, "env", name)
        if isinstance(value, SecretKeys):
            given = [key for key in ("file", "env", "command", "value") if getattr(value, key) is not None]
            if len(given) != 1 and not mistakes.about(here):
                mistakes.add(here, f"{dotted(here)} comes from {len(given) or 'no'} places", _SECRET_ADVICE)
        elif carries_secret(value):
            mistakes.add(here, f"{dotted(here)} is a URL with a password in it", _SECRET_ADVICE)
        elif means_secret(name) and value and not list(template_words(value)):
            advice = f"{_SECRET_ADVICE}; `{{value: …}}` if it is none"
            mistakes.add(here, f"{dotted(here)} is a secret written into the file", advice)
    for at, text in enumerate(service.run):
        if carries_secret(text):
            here = (*where, "run", at)
            mistakes.add(here, f"{dotted(here)} is a URL with a password in it", "take it from a variable in `env`")


def judge_templates(where: Where, service: ServiceKeys, names: Names, mistakes: Mistakes) -> None:
    for here, text in _templated(where, service):
        for word in template_words(text):
            callee, dot, what = word.rpartition(".")
            if here[2] in ("run", "env") and dot and what == "url" and callee in names.services:
                if callee not in service.uses:
                    said = f"`{{{word}}}` in {dotted(here)}, and services.{where[-1]} does not use `{callee}`"
                    mistakes.add(here, said, f"write `uses: {{{callee}: same}}`")
            elif word not in INSTANCE_WORDS:
                _unknown_word(here, word, service, mistakes)


def _unknown_word(where: Where, word: str, service: ServiceKeys, mistakes: Mistakes) -> None:
    known = [*INSTANCE_WORDS, *(f"{callee}.url" for callee in service.uses if where[2] in ("run", "env"))]
    close = nearest(word, known)
    advice = f"did you mean `{{{close}}}`?" if close else f"known are {choice(f'{{{w}}}' for w in known)}"
    mistakes.add(where, f"unknown word `{{{word}}}` in {dotted(where)}", advice)


def _templated(where: Where, service: ServiceKeys) -> Iterator[tuple[Where, str]]:
    """Every text of a service in which templates are filled in."""
    for at, text in enumerate(service.run):
        yield (*where, "run", at), text
    for name, value in service.env.items():
        if isinstance(value, str):
            yield (*where, "env", name), value
    for at, probe in enumerate(service.probes):
        here = (*where, "probes", at)
        for index, text in enumerate(probe.exec or ()):
            yield (*here, "exec", index), text
        for kind, table in (("headers", probe.expect.headers), ("json", probe.expect.json_)):
            for key, text in table.items():
                yield (*here, "expect", kind, key), text
        yield (*here, "expect", "body"), probe.expect.body or ""
