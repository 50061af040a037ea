"""The driver of eight hosts is killed at writes and effects, again and again in one rollout.

Six hosts with the service, two HAProxies, requests through both of them all the time. Each cycle
brings a release up beside the one that serves, switches to it, and goes back, either before or
after it closed; at every other switch the proxies hold new requests meanwhile. The points
(`e2e.killed`) are journal writes, verbs of ports, and whatever is asked of a host: before it is
sent, on its way, answered. Afterwards nothing is lost, nothing was done twice, and nothing is left
over, as the hosts themselves have it (S1, S2, S11, S13, S20, S23).

A driver that is stopped instead of killed wakes up while its successor works, in a place where
nobody can end it, and is refused by the agents (S3, S86).

`BG_SEED` draws the points, `BG_KILLS` says how many (60); with `BG_ALL` each point of each verb is
taken in turn.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from e2e.hosts.fleet import Fleet
from e2e.hosts.shop import HostedShop
from e2e.hosts.traces import wait_until
from e2e.load import Load
from e2e.story import Story, Verb, stopped
from orchestrator.core.record import Entry

KILLS = int(os.environ.get("BG_KILLS", "60"))
SEED = int(os.environ.get("BG_SEED", "1"))
ALL = bool(os.environ.get("BG_ALL"))
SLEEPS = 40 if ALL else 2
LEASE_S = 2.0
NEW = ("2", "4")

pytestmark = pytest.mark.timeout(20_000 if ALL else 900)


@pytest.fixture(scope="module")
def shop(eight: Fleet, tmp_path_factory: pytest.TempPathFactory) -> HostedShop:
    """Release 1 serves on blue, everywhere."""
    folder = tmp_path_factory.mktemp("shop")
    policy = {"soak": "300ms", "drain": "500ms", "hold": "2s", "lease": f"{LEASE_S:g}s"}
    shop = HostedShop(folder, eight, **policy)
    shop.serve("1")
    return shop


@pytest.fixture
def load(shop: HostedShop) -> Iterator[list[Load]]:
    """Visitors at every proxy; none of them loses anything."""
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load(url, rate=30, seconds=20_000)) for url in shop.urls]
        yield loads
    for one in loads:
        assert one.sent > 100
        assert (one.lost, one.torn) == (0, 0), one.why_lost


class Watched:
    """A story on hosts, and what has to be so after each of its verbs and cycles."""

    def __init__(self, shop: HostedShop) -> None:
        self.shop = shop
        self.story = Story(shop, random.Random(SEED))
        self.journal: tuple[Entry, ...] = shop.entries()
        self.quiet: dict[str, dict[str, set[str]]] = {}

    def cycle(self, new: str, at: dict[str, int], *, stop_at_gate: bool) -> None:
        self.shop.unpacked.clear()
        for verb, there in self.story.verbs(new, stop_at_gate=stop_at_gate):
            before = self.shop.starts()
            if verb == ("switch",) and self.story.draw.random() < 0.5:
                verb = ("switch", "--no-hold")
            self.story.until(there, verb, at.get(verb[0], 0))
            self._nothing_twice(verb, self.shop.starts() - before)
            self._nothing_lost()
        assert self.shop.answers() == {"1"}, self.told
        self._nothing_left()

    @property
    def warm(self) -> str:
        """The release on standby; empty: none."""
        standbys = self.shop.chronicle().standbys
        return standbys[0].release.version if standbys else ""

    @property
    def told(self) -> list[str]:
        return self.story.told[-12:]

    def _nothing_twice(self, verb: Verb, started: Counter[str]) -> None:
        """Blue served all along; an instance of green is started once by a verb, and a release is
        unpacked once in a cycle.
        """
        assert not [name for name in started if "blue" in name], (started, self.told)
        assert not [name for name, times in started.items() if times > 1], (started, self.told)
        assert verb[0] != "switch" or not started, (started, self.told)
        twice = {name: seen for name, seen in self.shop.unpacked.items() if len(seen) > 1}
        assert not twice, (twice, self.told)

    def _nothing_lost(self) -> None:
        """What was in the journal once is in it for good."""
        now = self.shop.entries()
        assert now[: len(self.journal)] == self.journal, self.told
        self.journal = now

    def _nothing_left(self) -> None:
        """As after a cycle that nobody disturbed, with the same release on standby."""
        wait_until(lambda: not self.shop.agents(), 10, f"{self.shop.agents()}, {self.told}")
        left = self.shop.left()
        for host, there in left.items():
            quiet = self.quiet.setdefault(self.warm, left)[host]
            assert there == quiet, (host, sorted(there ^ quiet), self.told)
        assert self.shop.releases() <= {"1", *NEW}, self.told


def test_killed_anywhere_over_eight_hosts_it_loses_nothing_and_does_nothing_twice(
    shop: HostedShop, load: list[Load]
) -> None:
    """S1, S2, S11, S13, S20, S23."""
    watched = Watched(shop)
    story, draw = watched.story, watched.story.draw
    watched.cycle("2", {}, stop_at_gate=True)  # three that nobody disturbs
    watched.cycle("2", {}, stop_at_gate=False)
    watched.cycle("4", {}, stop_at_gate=False)
    cycles = 0
    while story.kills < KILLS if not ALL else cycles < max(story.points.values()):
        cycles += 1
        drawn = {verb: draw.randint(1, most) for verb, most in story.points.items()}
        in_turn = {verb: min(cycles, most) for verb, most in story.points.items()}
        # A release that is on standby has little left to be done.
        cold = [new for new in NEW if new != watched.warm]
        new, stop = draw.choice((*cold, *cold, *NEW)), draw.random() < 0.5
        watched.cycle(new, in_turn if ALL else drawn, stop_at_gate=stop)
    print(f"{story.kills} kills in {cycles} cycles, {len(story.told)} commands; {story.points}")


def test_a_driver_that_slept_while_another_took_over_changes_nothing_when_it_wakes(
    shop: HostedShop, load: list[Load]
) -> None:
    """S3, S86: its successor cannot end it, so it is the hosts that refuse it."""
    draw, refused = random.Random(SEED), 0
    warm = {one.release.version for one in shop.chronicle().standbys}
    deploy = ("deploy", next(new for new in NEW if new not in warm))  # all of it has to be done
    counted = shop.bg(*deploy, at=0)
    assert counted.code == 0, counted
    assert shop.bg("backout").code == 0
    for _ in range(SLEEPS):
        words = _slept(shop, deploy, draw.choice(counted.sends))
        refused += "drives here now" in " ".join(words.split())
        back = shop.bg("backout")
        assert back.code == 0, back
    assert refused, "no host had anything to refuse"


def _slept(shop: HostedShop, verb: Verb, at: int) -> str:
    """A command that is stopped at a point, taken over and woken; what it said in the end."""
    sleeper = shop.begin(*verb, at=at, number="SIGSTOP")
    try:
        if stopped(sleeper.pid):
            wait_until(lambda: _taken_over(shop, verb), 60, f"nobody takes over from {at}")
        before = _truth(shop)
        sleeper.send_signal(signal.SIGCONT)
        out, err = sleeper.communicate(timeout=60)
        assert sleeper.returncode != 1, (at, out, err)
        wait_until(lambda: not shop.agents(), 10, "an agent still runs")
        assert _truth(shop) == before, (at, out, err)
        return out + err
    finally:
        if sleeper.poll() is None:
            sleeper.kill()
            sleeper.communicate()


def _taken_over(shop: HostedShop, verb: Verb) -> bool:
    """False where the sleeper still has the lease."""
    done = shop.bg(*(("resume",) if shop.standing().way else verb), elsewhere=True)
    assert done.code in (0, 5), done
    return done.code == 0


def _truth(shop: HostedShop) -> tuple[object, ...]:
    """What the journal says, what lies and runs on the hosts, every start, and who answers."""
    return shop.entries(), shop.left(), shop.starts(), shop.answers()
