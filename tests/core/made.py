"""Small worlds and rollouts, made in a line or two, for the tests of the core.

A `Scene` is a sighting under construction: what lies and runs where, and who serves. `opened` makes
the record that a rollout begins with, `story` the entries of a journal from bare records. Nothing
here judges anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.health import Verdict
from orchestrator.core.model import (
    Color,
    Coupling,
    HttpProbe,
    Pin,
    Placement,
    Policy,
    Recipe,
    Release,
    Route,
    Service,
    Share,
    Site,
    SwitchSpec,
    Use,
)
from orchestrator.core.plan import Plan, Unplannable, plan
from orchestrator.core.record import Entry, Kind, Opened, Record, Served, Wanted, Wish
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.sight import (
    Connections,
    InstallationSeen,
    InstanceSeen,
    Sighting,
    SwitchSeen,
)
from orchestrator.core.steps import Step

BLUE, GREEN = Color.BLUE, Color.GREEN
SAME, ANY, NEWER = Coupling.SAME, Coupling.ANY, Coupling.NEWER
R1, R2, R3, R4, R5 = (Release(str(v), f"{v}{v}{v}{v}abcd") for v in (1, 2, 3, 4, 5))
USUAL = Policy()
NOTHING = Chronicle()  # no history at all
QUICK = Policy(soak_s=0.0, tries=2)
NOW = 1_000_000.0


def service(name: str, *, count: int = 2, uses: Iterable[tuple[str, Coupling]] = ()) -> Service:
    port = 20000 + 100 * sum(map(ord, name))
    return Service(
        name=name,
        artifact=f"{name}-{{version}}",
        recipe=Recipe(("run", "{port}")),
        placement=Placement(count, port, port + 50),
        probes=(HttpProbe("/healthz"),),
        behind=Route("edge", f"/{name}"),
        uses=tuple(Use(callee, coupling) for callee, coupling in uses),
    )


def site(*services: Service, policy: Policy = USUAL) -> Site:
    there = services or (service("web"),)
    return Site("shop", there, (SwitchSpec("edge"),), policy, "/site", "/state")


SHOP = site(service("web", uses=[("api", SAME)]), service("api"))


@dataclass
class Scene:
    """A sighting under construction."""

    site: Site = field(default_factory=site)
    staged: dict[str, set[Release]] = field(default_factory=dict)
    current: dict[tuple[str, Color], Release] = field(default_factory=dict)
    instances: dict[tuple[str, Color], dict[int, InstanceSeen]] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    pins: dict[Pin, Color] = field(default_factory=dict)
    connections: dict[tuple[str, Color], int] = field(default_factory=dict)
    up: bool = True
    unreached: tuple[str, ...] = ()

    def lies(self, name: str, *releases: Release) -> Scene:
        self.staged.setdefault(name, set()).update(releases)
        return self

    def runs(
        self, name: str, color: Color, release: Release, *, count: int | None = None, start: int = 1
    ) -> Scene:
        """Staged, pointed at, and running on so many instances (all of them, if not said)."""
        self.lies(name, release)
        self.current[name, color] = release
        many = self.site.service(name).placement.count if count is None else count
        for index in range(many):
            self.seen(name, color, InstanceSeen(index, release, True, start, kept=True))
        return self

    def seen(self, name: str, color: Color, instance: InstanceSeen) -> Scene:
        self.instances.setdefault((name, color), {})[instance.index] = instance
        return self

    def serves(self, name: str, color: Color | None) -> Scene:
        self.shares[name] = Share.all_to(color)
        return self

    def pinned(self, caller: str, color: Color, callee: str, to: Color) -> Scene:
        self.pins[Pin(caller, color, callee)] = to
        return self

    def sighting(self) -> Sighting:
        there = tuple(
            InstallationSeen(
                s.name,
                color,
                frozenset(self.staged.get(s.name, ())),
                self.current.get((s.name, color)),
                tuple(i for _, i in sorted(self.instances.get((s.name, color), {}).items())),
            )
            for s in self.site.services
            for color in Color
        )
        switch = SwitchSeen(
            tuple((s.name, self.shares.get(s.name, Share())) for s in self.site.services),
            tuple(self.pins.items()),
            tuple(Connections(n, c, count) for (n, c), count in self.connections.items()),
            self.up,
        )
        return Sighting(there, switch, self.unreached)


def serving(*names: str, on: Color = BLUE, release: Release = R1, at: Site | None = None) -> Scene:
    """These services serve this release on this color, everything else is empty."""
    scene = Scene(at) if at else Scene()
    for name in names or ("web",):
        scene.runs(name, on, release).serves(name, on)
    for caller in scene.site.services:
        for use in caller.uses:
            if {caller.name, use.callee} <= set(names):
                scene.pinned(caller.name, on, use.callee, on)
    return scene


def wish(kind: Kind = Kind.DEPLOY, *, again: bool = False, **releases: Release) -> Wish:
    """`wish(web=R2)`."""
    return wish_for(releases, kind=kind, again=again)


def wish_for(
    releases: dict[str, Release], *, kind: Kind = Kind.DEPLOY, again: bool = False
) -> Wish:
    return Wish(tuple(Wanted(s, r, f"/artifacts/{s}") for s, r in releases.items()), kind, again)


def planned(
    scene: Scene,
    wanted: Wish,
    *,
    policy: Policy | None = None,
    chronicle: Chronicle = NOTHING,
) -> Plan:
    """The plan; a refusal fails the test."""
    answer = answered(scene, wanted, policy=policy, chronicle=chronicle)
    assert isinstance(answer, Plan), answer
    return answer


def answered(
    scene: Scene,
    wanted: Wish,
    *,
    policy: Policy | None = None,
    chronicle: Chronicle = NOTHING,
) -> Plan | Unplannable:
    used = policy or scene.site.policy
    return plan(scene.site, wanted, scene.sighting(), policy=used, chronicle=chronicle)


def opened(
    scene: Scene,
    wanted: Wish,
    *,
    policy: Policy | None = None,
    was: Verdict = Verdict.WELL,
    steps: tuple[Step, ...] | None = None,
) -> Opened:
    """The record a rollout of this wish begins with. `was`: how whoever serves was."""
    used = policy or scene.site.policy
    sighting = scene.sighting()
    before = []
    for one in wanted.wanted:
        share = sighting.share(one.service)
        release = sighting.at(one.service, share.live).current if share.live else None
        verdict = was if release else Verdict.UNSURE
        before.append(Served(one.service, share, release, verdict))
    if steps is None:
        steps = planned(scene, wanted, policy=used).steps
    return Opened(1, steps, scene.site, used, wanted, tuple(before), "tester")


def story(*records: Record, at_s: float = NOW, epoch: int = 1) -> tuple[Entry, ...]:
    """The entries of a journal, a second apart."""
    return tuple(Entry(n, at_s + n, epoch, r) for n, r in enumerate(records, 1))


def folded(*records: Record) -> Rollout:
    """The rollout of these records; the first is its Opened."""
    rollout: Rollout | None = None
    for entry in story(*records):
        rollout = evolve(rollout, entry)
    assert rollout is not None
    return rollout


def chronicled(*records: Record) -> Chronicle:
    return reduce(fold, story(*records), Chronicle())


def kinds(steps: Iterable[Step]) -> str:
    """The names of steps, for a glance: `stage start prove shift`."""
    return " ".join(type(step).__name__.lower() for step in steps)


def with_policy(base: Policy = QUICK, **changes: object) -> Policy:
    return replace(base, **changes)  # type: ignore[arg-type]
