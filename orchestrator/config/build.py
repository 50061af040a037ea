"""From the shape of a file to the values of the core. All was judged before; nothing is refused.

The one rule: what leaves here is whole. Durations are seconds, paths that need a folder are
absolute, defaults are filled in, and secrets are still only names.
"""

from __future__ import annotations

import os

from orchestrator.config.careful import GateKeys, HoldKeys, RolloutKeys, SoakKeys
from orchestrator.config.shape import (
    EnvoyKeys,
    HaproxyKeys,
    HostKeys,
    InstanceKeys,
    NginxKeys,
    ProbeKeys,
    ProbingKeys,
    SecretKeys,
    ServiceKeys,
    SiteKeys,
    StepKeys,
    UnitKeys,
)
from orchestrator.config.words import listen_address, seconds
from orchestrator.core.model import (
    At,
    AtLeast,
    Command,
    Coupling,
    ExecProbe,
    GatePolicy,
    Hold,
    Host,
    HttpProbe,
    Meanwhile,
    Otherwise,
    Placement,
    Policy,
    Probe,
    Probing,
    ProxyKind,
    ProxySpec,
    Recipe,
    Route,
    Secret,
    SecretFrom,
    Service,
    Site,
    Streams,
    SwitchSpec,
    TcpProbe,
    Use,
)


def site_from(keys: SiteKeys, *, folder: str, state_home: str) -> Site:
    """`folder` is the absolute folder of the file; the state folder lies in `state_home`."""
    state = (
        os.path.expanduser(keys.state)
        if keys.state
        else os.path.join(state_home, "bgctl", keys.site)
    )
    return Site(
        name=keys.site,
        services=tuple(_service(name, service) for name, service in keys.services.items()),
        switches=tuple(
            _envoy(name, switch.envoy, folder)
            for name, switch in keys.switches.items()
            if switch.envoy is not None
        ),
        policy=_policy(keys.rollout, mend_drift=keys.drift == "mend"),
        folder=folder,
        state=os.path.normpath(os.path.join(folder, state)),
        proxies=tuple(
            _proxies(name, switch.on_hosts[1])
            for name, switch in keys.switches.items()
            if switch.on_hosts is not None
        ),
        hosts=tuple(_host(name, host) for name, host in keys.hosts.items()),
        steps=tuple(_step(name, step, keys) for name, step in keys.steps.items()),
        invariants=tuple(AtLeast(one.service, one.serving) for one in keys.invariants),
    )


def _service(name: str, keys: ServiceKeys) -> Service:
    behind = keys.behind
    return Service(
        name=name,
        artifact=keys.artifact,
        recipe=Recipe(
            run=tuple(keys.run),
            env=tuple((variable, _value(value)) for variable, value in keys.env.items()),
            stop_s=_s(keys.stop),
            unit=_unit(keys.unit),
        ),
        placement=_placement(keys.instances),
        probes=tuple(_probe(probe) for probe in keys.probes),
        probing=_probing(keys.probing),
        behind=Route(behind.switch, behind.path, behind.host) if behind else None,
        uses=tuple(Use(callee, Coupling(coupling)) for callee, coupling in keys.uses.items()),
    )


def _placement(keys: InstanceKeys) -> Placement:
    blue, green = keys.ports.blue, keys.ports.green
    if isinstance(keys.on, str):
        return Placement(keys.count, blue, green)
    return Placement(len(keys.on), blue, green, tuple(keys.on))


def _unit(keys: UnitKeys) -> tuple[tuple[str, str], ...]:
    sections = (("Unit", keys.unit), ("Service", keys.service), ("Install", keys.install))
    return tuple(
        (f"{section}.{key}", one)
        for section, pairs in sections
        for key, value in pairs.items()
        for one in ([value] if isinstance(value, str) else value)
    )


def _step(name: str, keys: StepKeys, site: SiteKeys) -> Command:
    of = keys.of or (next(iter(site.services)) if len(site.services) == 1 else None)
    return Command(
        name=name,
        at=At(keys.at),
        do=tuple(keys.do),
        undo=tuple(keys.undo) if isinstance(keys.undo, list) else (),
        leave=keys.undo == "leave",
        holds=tuple(keys.holds or ()),
        of=of,
        on=_step_hosts(keys, site.services[of] if of else None),
        timeout_s=_s(keys.timeout),
        env=tuple((variable, _value(value)) for variable, value in keys.env.items()),
    )


def _step_hosts(keys: StepKeys, service: ServiceKeys | None) -> tuple[str, ...]:
    if isinstance(keys.on, list):
        return tuple(keys.on)
    there = service.instances.on if service and keys.on == "hosts" else "local"
    return tuple(there) if isinstance(there, list) else ()


def _host(name: str, keys: HostKeys) -> Host:
    return Host(name, keys.address or name, keys.user, keys.port, keys.how)


def _value(value: str | SecretKeys) -> str | Secret:
    if isinstance(value, str):
        return value
    if value.file is not None:
        return Secret(SecretFrom.FILE, (os.path.expanduser(value.file),))
    if value.env is not None:
        return Secret(SecretFrom.ENV, (value.env,))
    if value.command is not None:
        return Secret(SecretFrom.COMMAND, tuple(value.command))
    return value.value or ""


def _probe(keys: ProbeKeys) -> Probe:
    if keys.http is None:
        return ExecProbe(tuple(keys.exec)) if keys.exec else TcpProbe()
    expect = keys.expect
    return HttpProbe(
        path=keys.http,
        status=expect.status,
        headers=tuple(expect.headers.items()),
        json=tuple(expect.json_.items()),
        body=expect.body,
        host=keys.host,
    )


def _probing(keys: ProbingKeys) -> Probing:
    return Probing(_s(keys.every), keys.well, keys.ill, _s(keys.within), _s(keys.timeout))


def _envoy(name: str, keys: EnvoyKeys, folder: str) -> SwitchSpec:
    host, port = listen_address(keys.listen) or ("127.0.0.1", 0)
    binary = keys.binary
    if binary and "/" in binary:
        binary = os.path.normpath(os.path.join(folder, os.path.expanduser(binary)))
    return SwitchSpec(name, host, port, binary, keys.workers)


def _proxies(name: str, keys: HaproxyKeys | NginxKeys) -> ProxySpec:
    hosts, url, maps = tuple(keys.on), keys.url, keys.maps
    if isinstance(keys, HaproxyKeys):
        return ProxySpec(name, hosts, url, keys.socket, maps)
    return ProxySpec(name, hosts, url, maps=maps, kind=ProxyKind.NGINX, config=keys.config)


def _policy(keys: RolloutKeys, *, mend_drift: bool) -> Policy:
    gate = keys.gates.cutover
    soak = (
        keys.soak
        if isinstance(keys.soak, SoakKeys)
        else SoakKeys.model_validate({"for": keys.soak})
    )
    soak_s = _s(soak.for_)
    return Policy(
        cutover=_gate(gate) if isinstance(gate, GateKeys) else None,
        soak_s=soak_s,
        soak_within_s=_s(soak.within) if soak.within else max(10 * soak_s, 10.0),
        meanwhile=Meanwhile(keys.meanwhile),
        standby_s=None if keys.standby == "keep" else _s(keys.standby),
        tries=keys.tries,
        keep=keys.keep,
        drain_s=_s(keys.drain),
        lease_s=_s(keys.lease),
        mend_drift=mend_drift,
        hold=_hold(keys.hold),
    )


def _hold(keys: HoldKeys | str | None) -> Hold | None:
    if keys is None:
        return None
    hold = keys if isinstance(keys, HoldKeys) else HoldKeys.model_validate({"for": keys})
    return Hold(_s(hold.for_), hold.waiting, Streams(hold.streams))


def _gate(keys: GateKeys) -> GatePolicy:
    return GatePolicy(keys.owner, _s(keys.timeout), Otherwise(keys.otherwise))


def _s(text: str) -> float:
    return seconds(text) or 0.0
