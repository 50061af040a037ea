"""What a changed site file means while a rollout goes on with the site as it was read.

The one rule: the words are those of the file, so that a sentence leads to its line. Values of an
environment are never shown, for any of them may be private.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from orchestrator.config.words import spoken
from orchestrator.core.model import (
    Command,
    ExecProbe,
    Hold,
    Host,
    HttpProbe,
    Policy,
    Probe,
    Probing,
    ProxyKind,
    ProxySpec,
    Secret,
    Service,
    Site,
    SwitchSpec,
    TcpProbe,
)


def differences(old: Site, new: Site) -> tuple[str, ...]:
    """A sentence for each key that means something else in `new`; a rollout goes on with `old`."""
    before, after = dict(_site(old)), dict(_site(new))
    keys = [*before, *(key for key in after if key not in before)]
    sentences = (_sentence(key, before.get(key), after.get(key)) for key in keys)
    return tuple(sentence for sentence in sentences if sentence)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a key says; `shown` is how that is told to people, None where it is not."""

    value: object
    shown: str | None


_Facts = Iterator[tuple[str, _Said]]


def _sentence(key: str, then: _Said | None, now: _Said | None) -> str | None:
    head = key.count(".") == 1 and key.startswith(("services.", "switches.", "steps."))
    if then is None or now is None:
        return _came_or_went(key, came=then is None) if head or ".env." in key else None
    if then.value == now.value:
        return None
    if then.shown is None or now.shown is None:
        return f"{key}: the file has another value now; the rollout goes on with the one of then"
    changed = f"{key}: {then.shown} then, {now.shown} in the file now"
    return f"{changed}; the rollout goes on with {then.shown}"


def _came_or_went(key: str, *, came: bool) -> str:
    if came:
        return f"{key}: new in the file; the rollout goes on without it"
    return f"{key}: no longer in the file; the rollout goes on with it"


# -- The site in the words of its file -----------------------------------------------------


def _site(site: Site) -> _Facts:
    yield "site", _text(site.name)
    yield "the folder of the file", _text(site.folder)
    yield "state", _text(site.state)
    for service in site.services:
        yield from _service(f"services.{service.name}", service)
    for switch in site.switches:
        yield from _switch(f"switches.{switch.name}", switch)
    for proxy in site.proxies:
        yield from _proxy(f"switches.{proxy.name}", proxy)
    for host in site.hosts:
        yield f"hosts.{host.name}", _Said(host, _host(host))
    for one in site.invariants:
        yield f"invariants.{one.service}", _text(f"{one.serving} serving")
    for step in site.steps:
        yield from _step(f"steps.{step.name}", step)
    yield from _policy(site.policy)


def _step(at: str, step: Command) -> _Facts:
    yield at, _text("")
    yield f"{at}.do", _hidden(step.do)
    yield f"{at}.undo", _hidden(step.undo or ("leave" if step.leave else ""))
    yield f"{at}.holds", _hidden(step.holds)
    yield f"{at}.at", _text(step.at.value)
    yield f"{at}.of", _text(step.of or "none")
    yield f"{at}.on", _text(", ".join(step.on) or "controller")
    yield f"{at}.timeout", _time(step.timeout_s)
    for name, value in step.env:
        yield f"{at}.env.{name}", _hidden(value)


def _service(at: str, service: Service) -> _Facts:
    place, recipe = service.placement, service.recipe
    yield at, _text("")
    yield f"{at}.artifact", _text(service.artifact)
    yield f"{at}.run", _hidden(recipe.run)
    for name, value in recipe.env:
        yield f"{at}.env.{name}", _hidden(value)
    yield f"{at}.stop", _time(recipe.stop_s)
    for name, value in recipe.unit:
        yield f"{at}.unit.{name}", _hidden(value)
    yield f"{at}.instances.on", _text(", ".join(place.hosts) or "local")
    yield f"{at}.instances.count", _text(place.count)
    yield f"{at}.instances.ports.blue", _text(place.blue_port)
    yield f"{at}.instances.ports.green", _text(place.green_port)
    yield f"{at}.probes", _Said(service.probes, ", ".join(map(_probe, service.probes)))
    yield from _probing(f"{at}.probing", service.probing)
    behind = service.behind
    yield (
        f"{at}.behind",
        _text(f"{behind.switch} {behind.host or ''}{behind.path}" if behind else "none"),
    )
    uses = ", ".join(f"{use.callee}: {use.coupling.value}" for use in service.uses)
    yield f"{at}.uses", _text(uses or "none")


def _probing(at: str, probing: Probing) -> _Facts:
    yield f"{at}.every", _time(probing.every_s)
    yield f"{at}.well", _text(probing.well)
    yield f"{at}.ill", _text(probing.ill)
    yield f"{at}.within", _time(probing.within_s)
    yield f"{at}.timeout", _time(probing.timeout_s)


def _switch(at: str, switch: SwitchSpec) -> _Facts:
    yield at, _text("")
    yield f"{at}.envoy.listen", _text(f"{switch.host}:{switch.port}")
    yield f"{at}.envoy.workers", _text(switch.workers)
    yield f"{at}.envoy.binary", _text(switch.binary or "the one installed with bgctl")


def _proxy(at: str, proxy: ProxySpec) -> _Facts:
    yield at, _text("")
    inside = f"{at}.{proxy.kind.value}"
    yield f"{inside}.on", _text(", ".join(proxy.hosts))
    yield f"{inside}.url", _text(proxy.url)
    if proxy.kind is ProxyKind.HAPROXY:
        yield f"{inside}.socket", _text(proxy.socket)
    else:
        yield f"{inside}.config", _text(proxy.config)
    yield f"{inside}.maps", _text(proxy.maps)


def _host(host: Host) -> str:
    said = (host.user or "", host.address, str(host.port or ""), host.how or "")
    return " ".join(word for word in said if word)


def _policy(policy: Policy) -> _Facts:
    gate, at = policy.cutover, "rollout.gates.cutover"
    yield at, _text("a gate" if gate else "none")
    if gate:
        yield f"{at}.owner", _text(gate.owner or "anybody")
        yield f"{at}.timeout", _time(gate.timeout_s)
        yield f"{at}.otherwise", _text(gate.otherwise.value)
    yield "rollout.soak.for", _time(policy.soak_s)
    yield "rollout.soak.within", _time(policy.soak_within_s)
    yield from _hold(policy.hold)
    yield "rollout.meanwhile", _text(policy.meanwhile.value)
    yield "rollout.standby", _text("keep") if policy.standby_s is None else _time(policy.standby_s)
    yield "rollout.tries", _text(policy.tries)
    yield "rollout.keep", _text(policy.keep)
    yield "rollout.drain", _time(policy.drain_s)
    yield "rollout.lease", _time(policy.lease_s)
    yield "drift", _text("mend" if policy.mend_drift else "tell")


def _hold(hold: Hold | None) -> _Facts:
    if hold is not None:
        yield "rollout.hold.for", _time(hold.for_s)
        yield "rollout.hold.waiting", _text(hold.waiting)
        yield "rollout.hold.streams", _text(hold.streams.value)


def _probe(probe: Probe) -> str:
    match probe:
        case HttpProbe():
            return f"http {probe.path} ({probe.status}{', and more' if _asks_more(probe) else ''})"
        case TcpProbe():
            return "tcp"
        case ExecProbe():
            return f"exec {probe.run[0]}"
        case _:
            assert_never(probe)


def _asks_more(probe: HttpProbe) -> bool:
    return bool(probe.headers or probe.json or probe.body or probe.host)


def _text(value: str | int) -> _Said:
    return _Said(value, str(value))


def _time(value_s: float) -> _Said:
    return _Said(value_s, spoken(value_s))


def _hidden(value: str | Secret | tuple[str, ...]) -> _Said:
    return _Said(value, None)
