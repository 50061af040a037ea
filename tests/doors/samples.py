"""A small shop whose story is told with real values, planned, decided and folded by the core.

Each sample is the entries of a journal and the world that goes with them, so a picture drawn from
it is one that people will see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, wraps

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.decide import Answer, Close, Do, For, Turn, Undo, Wait, decide
from orchestrator.core.health import Verdict
from orchestrator.core.imagined import Imagined, doing, imagine, sighting_of, undoing
from orchestrator.core.model import (
    Color,
    GatePolicy,
    HttpProbe,
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
from orchestrator.core.plan import Plan, Unplannable, plan, plan_retire
from orchestrator.core.prove import prove
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Fact,
    Failed,
    Flipped,
    FoundWell,
    Granted,
    Kind,
    Opened,
    Record,
    Served,
    Trouble,
    Turned,
    Wanted,
    What,
    Wish,
)
from orchestrator.core.sight import InstallationSeen, InstanceSeen, Sighting, SwitchSeen
from orchestrator.core.steps import Gate, Prove, Shift, Soak, Stage, Start, Step
from orchestrator.doors.cli.paper import Paper
from orchestrator.doors.cli.picture import Picture
from orchestrator.engine.opening import Considered
from orchestrator.ports.lease import Holder

NOON = datetime(2026, 3, 4, 14, 3, 12, tzinfo=UTC).timestamp()
PAPER = Paper(zone=UTC)
ADDRESSES = {"web": "http://127.0.0.1:8080/", "api": "http://127.0.0.1:8080/api"}


def release(service: str, version: str) -> Release:
    return Release(version, f"{ord(service[0]):x}{version:0>2}" + "c0ffee" * 9)


def _service(name: str, port: int, *, uses: tuple[Use, ...] = ()) -> Service:
    return Service(
        name=name,
        artifact=f"releases/{name}-{{version}}.tar.gz",
        recipe=Recipe(("bin/run", "{port}")),
        placement=Placement(2, port, port + 10),
        probes=(HttpProbe("/healthz"),),
        behind=Route("edge", "/" if name == "web" else f"/{name}"),
        uses=uses,
    )


POLICY = Policy(cutover=GatePolicy("release-managers"), standby_s=3600.0)
SHOP = Site(
    "shop",
    (_service("web", 8110, uses=(Use("api"),)), _service("api", 8130)),
    (SwitchSpec("edge"),),
    POLICY,
)


def wish(version: str, *services: str) -> Wish:
    return Wish(tuple(Wanted(s, release(s, version)) for s in services or ("web", "api")))


@dataclass
class Story:
    """A journal that is being written, and the world beside it. `now` moves by itself."""

    site: Site = SHOP
    now: float = NOON
    sighting: Sighting = field(default_factory=Sighting)
    chronicle: Chronicle = field(default_factory=Chronicle)
    entries: tuple[Entry, ...] = ()
    starts: int = 0

    def write(self, record: Record, *, epoch: int = 3, after_s: float = 0.2) -> None:
        self.now += after_s
        entry = Entry(len(self.entries) + 1, self.now, epoch, record)
        self.entries = (*self.entries, entry)
        self.chronicle = fold(self.chronicle, entry)

    @property
    def steps(self) -> tuple[Step, ...]:
        return next(e.record.plan for e in reversed(self.entries) if isinstance(e.record, Opened))

    def considered(self, wish: Wish) -> Considered:
        """The plan with its proof."""
        planned, opened = self._planned(wish)
        proof = prove(opened, self.sighting) if opened else None
        return Considered(planned, self.sighting, proof, opened)

    def _planned(self, wish: Wish) -> tuple[Plan | Unplannable, Opened | None]:
        policy = self.site.policy
        if wish.kind is Kind.RETIRE:
            services = tuple(w.service for w in wish.wanted)
            planned = plan_retire(self.site, services, self.sighting)
        else:
            planned = plan(self.site, wish, self.sighting, policy=policy, chronicle=self.chronicle)
        if not isinstance(planned, Plan) or not planned.steps:
            return planned, None
        number = self.chronicle.rollouts + 1
        opened = Opened(number, planned.steps, self.site, policy, wish, self._before(), "ann@desk")
        return planned, opened

    def _before(self) -> tuple[Served, ...]:
        return tuple(
            Served(s.service, Share.all_to(s.color), s.release, Verdict.WELL)
            for s in self.chronicle.serving
        )

    def open(self, wish: Wish) -> None:
        _, opened = self._planned(wish)
        assert opened is not None
        self.write(opened, after_s=60)

    def drive(self, *, to: type | None = None, back_to: type | None = None) -> None:
        """Until it closes or waits, or a step of the kind `to` (or the undo of `back_to`) began."""
        while (rollout := self.chronicle.open) is not None:
            match decide(rollout, self.now):
                case Do(index):
                    step = rollout.steps[index]
                    if rollout.begun != (index, False):
                        until = self.now + 86400 if isinstance(step, Gate) else None
                        self.write(Began(rollout.id, index, False, rollout.attempt, until))
                        if to is not None and isinstance(step, to):
                            return
                        if isinstance(step, Gate):
                            continue
                    self.world(doing, step)
                    self.write(Ended(rollout.id, index, False, self._facts(step)), after_s=0.6)
                case Undo(index):
                    step = rollout.steps[index]
                    self.write(Began(rollout.id, index, True, rollout.attempt))
                    if back_to is not None and isinstance(step, back_to):
                        return
                    self.world(undoing, step)
                    self.write(Ended(rollout.id, index, True))
                case Turn(way, reason, request):
                    self.write(Turned(rollout.id, way, reason, request))
                case Answer(request, reason):
                    self.write(Answered(request, reason, rollout.id))
                case Close(outcome):
                    self.write(Closed(rollout.id, outcome))
                case Wait(For.RETRY, until) if until is not None:
                    self.now = until
                case _:
                    return

    def grant(self, why: str = "") -> None:
        rollout = self.chronicle.open
        assert rollout is not None
        self.write(
            Granted(rollout.id, "cutover", rollout.attempt, "ben@phone", why), epoch=0, after_s=540
        )

    def ask(self, what: What, why: str = "") -> None:
        rollout = self.chronicle.open
        self.write(Asked(rollout.id if rollout else None, what, "ben@phone", why), epoch=0)

    def fail(self, kind: Trouble, reason: str, *, undoing: bool = False) -> None:
        rollout = self.chronicle.open
        assert rollout is not None
        assert rollout.begun is not None
        self.write(Failed(rollout.id, rollout.begun[0], undoing, kind, reason), after_s=5)

    def _facts(self, step: Step) -> tuple[Fact, ...]:
        match step:
            case Prove(parts):
                return tuple(
                    FoundWell(p.service, p.color, i.index, i.start)
                    for p in parts
                    for i in self.sighting.at(p.service, p.color).instances
                )
            case Shift():
                return (Flipped(0.003),)
            case _:
                return ()

    def world(self, change: object, step: Step) -> None:
        """What the step does to the world, with numbers that people see."""
        assert self.chronicle.open is not None
        small: Imagined = imagine(self.sighting, (*self.chronicle.open.steps,))
        *_, after = change(step, small)  # type: ignore[operator]
        seen = sighting_of(after)
        before = {(s.service, s.color): s for s in self.sighting.installations}
        places = tuple(
            self._numbered(s, before.get((s.service, s.color))) for s in seen.installations
        )
        changed = {(s.service, s.color) for s in places}
        kept = tuple(s for s in self.sighting.installations if (s.service, s.color) not in changed)
        pins = dict(self.sighting.switch.pins) | dict(seen.switch.pins)
        shares = dict(self.sighting.switch.shares) | dict(seen.switch.shares)
        self.sighting = Sighting(
            (*kept, *places), SwitchSeen(tuple(shares.items()), tuple(pins.items()))
        )

    def _numbered(self, seen: InstallationSeen, was: InstallationSeen | None) -> InstallationSeen:
        old = {i.index: i for i in was.instances} if was else {}
        return replace(
            seen, instances=tuple(self._named(i, old.get(i.index)) for i in seen.instances)
        )

    def _named(self, seen: InstanceSeen, was: InstanceSeen | None) -> InstanceSeen:
        if was is not None and was.running == seen.running and was.release == seen.release:
            return was
        if not seen.running:
            return replace(seen, start=was.start if was else 0)
        self.starts += 1
        pid = 41200 + 7 * self.starts
        identity = f"pid {pid}, started {900 + self.starts} of boot 89ab12cd"
        return replace(seen, start=self.starts, identity=identity, kept=True)

    def picture(self, *, holder: Holder | None = None, now: float | None = None) -> Picture:
        at = self.now + 8 if now is None else now
        return Picture(self.site, self.chronicle, self.sighting, at, holder, ADDRESSES)

    def holder(self, doing: str) -> Holder:
        return Holder(3, "ann@desk", doing, self.now - 2, self.now + 8, 4711, alive=True)


# -- The samples ---------------------------------------------------------------------------


def remembered(sample: Callable[[], Story]) -> Callable[[], Story]:
    """Told once; each caller gets a story of its own to go on with."""
    told = cache(sample)

    @wraps(sample)
    def again() -> Story:
        return replace(told())

    return again


@remembered
def empty() -> Story:
    return Story()


@remembered
def first() -> Story:
    """Release 1 serves on blue."""
    story = Story()
    story.open(wish("1"))
    story.drive()
    story.now += 7200
    return story


@remembered
def at_the_gate() -> Story:
    """Release 2 stands beside it, proven, and waits."""
    story = first()
    story.open(wish("2"))
    story.drive()
    return story


@remembered
def proving() -> Story:
    story = first()
    story.open(wish("2"))
    story.drive(to=Prove)
    return story


@remembered
def switched() -> Story:
    """Release 2 serves on green; 1 stands by on blue."""
    story = at_the_gate()
    story.grant("looks good")
    story.drive()
    return story


@remembered
def soaking() -> Story:
    story = at_the_gate()
    story.grant()
    story.drive(to=Soak)
    return story


@remembered
def backed_out() -> Story:
    """It turned ill while it was watched."""
    story = soaking()
    story.fail(Trouble.ILL, "api green #1 turned ill: GET /healthz answered 500")
    story.drive()
    return story


@remembered
def not_well() -> Story:
    """Release 3 is broken: it goes back, and is about to stop what it started."""
    story = switched()
    story.now += 900
    story.open(wish("3"))
    story.drive(to=Prove)
    story.fail(Trouble.ILL, "api blue #1 was not well within 30 s: GET /healthz answered 500")
    story.drive(back_to=Start)
    return story


@remembered
def stuck() -> Story:
    """The traffic cannot go back: nothing of blue answers."""
    story = soaking()
    story.fail(Trouble.ILL, "web green #0 turned ill: GET / answered 503")
    story.drive(back_to=Shift)
    for _ in range(3):
        story.fail(Trouble.ILL, "nothing of web blue answers", undoing=True)
        story.drive(back_to=Shift)
    return story


@remembered
def drifted() -> Story:
    """Somebody moved half of the traffic of web by hand, and killed an instance."""
    story = switched()
    half = {**dict(story.sighting.switch.shares), "web": Share(50, 50)}
    api = story.sighting.at("api", Color.GREEN)
    dead = replace(
        api.instances[1],
        running=False,
        note="killed by signal 9; last words: \x1b[31mpanic\x1b[0m\tout of memory",
    )
    places = tuple(
        replace(s, instances=(api.instances[0], dead)) if s == api else s
        for s in story.sighting.installations
    )
    story.sighting = replace(
        story.sighting,
        installations=places,
        switch=replace(story.sighting.switch, shares=tuple(half.items())),
    )
    return story


@remembered
def paused() -> Story:
    story = first()
    story.open(wish("2"))
    story.drive(to=Stage)
    story.ask(What.PAUSE, "lunch")
    return story


@remembered
def tried_again() -> Story:
    """Staging did not take, and is tried again in a moment."""
    story = first()
    story.open(wish("2"))
    story.drive(to=Stage)
    story.fail(Trouble.UNREACHABLE, "the disk did not answer within 10 s")
    return story


@remembered
def past_the_standby() -> Story:
    """The hour of the standby is over, and nobody tends."""
    story = switched()
    story.now += 4000
    return story


@remembered
def instant_backout() -> Story:
    """Backed out after it had closed: a rollout of its own."""
    story = switched()
    story.now += 600
    undone = Wish(wish("1").wanted, Kind.BACKOUT, undoes=2)
    story.open(undone)
    story.drive()
    return story


@remembered
def silent_switch() -> Story:
    story = switched()
    note = "worker 1 of edge does not answer"
    story.sighting = replace(
        story.sighting,
        switch=replace(story.sighting.switch, up=False, note=note),
        unreached=("the processes of this machine: /proc cannot be read",),
    )
    return story


@remembered
def silent_host() -> Story:
    """A host does not answer: nothing is known of what is on it, and that is not nothing."""
    story = switched()
    seen = tuple(one for one in story.sighting.installations if one.service != "web")
    why = ("web3 does not answer",)
    story.sighting = replace(story.sighting, installations=seen, unreached=why)
    return story


@remembered
def on_demand() -> Story:
    """One of many instances runs another release, and one was never started."""
    story = first()
    web = story.sighting.at("web", Color.BLUE)
    more = tuple(replace(web.instances[0], index=i, start=20 + i) for i in range(2, 12))
    odd = replace(more[3], release=release("web", "9"))
    never = InstanceSeen(12, None, running=False)
    places = tuple(
        replace(s, instances=(*web.instances, *more[:3], odd, *more[4:], never)) if s == web else s
        for s in story.sighting.installations
    )
    story.sighting = replace(story.sighting, installations=places)
    return story


ALL = {
    "empty": empty,
    "first": first,
    "at-the-gate": at_the_gate,
    "proving": proving,
    "switched": switched,
    "soaking": soaking,
    "backed-out": backed_out,
    "not-well": not_well,
    "stuck": stuck,
    "drifted": drifted,
    "paused": paused,
    "tried-again": tried_again,
    "past-the-standby": past_the_standby,
    "instant-backout": instant_backout,
    "silent-switch": silent_switch,
    "silent-host": silent_host,
    "on-demand": on_demand,
}
DRIVEN = ("proving", "soaking", "not-well")
"""Those that somebody is at just now."""
