"""Many hosts: connecting, a step, a whole rollout, and how an agent starts.

    python -m bench hosts [--quick]

A thousand addresses of this machine stand for a thousand hosts (`bench.hosts_place` says how), so
both sides share its cores: what is compared pays for its far side here, which in a fleet every host
pays for itself. Each figure stands beside a plain program on asyncssh, pyinfra or Ansible, by turns
in the same run. What the controller alone pays is told as CPU time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import hosts_start
from bench.flip_place import free_ports
from bench.hosts_place import ROOT, Place, hosts, missing
from bench.hosts_site import Fleet
from bench.table import Row

CONNECT_MOST, LOOK_MOST, KEPT_MOST = 1.15, 1.3, 1.3
PYINFRA_LEAST, ANSIBLE_LEAST = 5.0, 10.0
Found = dict[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """How many hosts for what, and how often."""

    reached: int
    rounds: int
    looks: int
    pyinfra: int
    ansible: int
    whole: int  # with bgctl alone; 0: not


FULL = Size(reached=1000, rounds=2, looks=5, pyinfra=100, ansible=20, whole=1000)
QUICK = Size(reached=100, rounds=1, looks=3, pyinfra=10, ansible=2, whole=0)


def run(quick: bool) -> list[Row]:
    if why := missing():
        return [Row("many hosts", "not measured", note=why)]
    size = QUICK if quick else FULL
    with hosts(max(size.reached, size.whole)) as place:
        rows = _told(_reaching(place, size))
        rows += _told(hosts_start.rows(5 if quick else 31))
        rows += _told(_rollouts(place, size))
    return rows


def _told(rows: list[Row]) -> list[Row]:
    for row in rows:
        print(f"  {row.name}: {row.value}", file=sys.stderr, flush=True)
    return rows


# -- Connecting, and a look ----------------------------------------------------------------


def _reaching(place: Place, size: Size) -> list[Row]:
    _reach(place, "ours", size.reached, 1)  # the agent is sent: once for each version of bg
    kinds = ("ours", "bare", "bare-sh")
    pairs = [
        {kind: _reach(place, kind, size.reached, size.looks) for kind in order}
        for order in ([kinds, kinds[::-1]] * size.rounds)[: size.rounds]
    ]
    n = f"{size.reached:,} hosts"
    how = f"median of {len(pairs)} by turns; OpenSSH's sshd on {n.replace('hosts', 'addresses')}"
    kept = statistics.median(pair["ours"]["kept"] for pair in pairs) / 1024
    sh = _ratio(pairs, "look", "bare-sh")
    return [
        _row(f"connect to {n}", pairs, "connect", CONNECT_MOST, how),
        _row(
            f"a look at {n}, over what is kept",
            pairs,
            "look",
            LOOK_MOST,
            "beside a small Python program on each host that asks systemd the same and answers a"
            f" line (beside a kept shell {sh:.1f} ×); the stand-in for systemctl takes less than"
            " the real one does",
        ),
        Row(
            "the controller's memory for a host",
            f"{_ratio(pairs, 'kept'):.2f} × ({kept:.0f} KiB)",
            f"≤ {KEPT_MOST} ×",
            _ratio(pairs, "kept") <= KEPT_MOST,
            "connection and session, after the looks",
        ),
    ]


def _row(name: str, pairs: list[dict[str, Found]], part: str, most: float, how: str) -> Row:
    ratio = _ratio(pairs, part)
    took_s = statistics.median(pair["ours"][part] for pair in pairs)
    cpu = _ratio(pairs, f"{part}_cpu")
    own_s = statistics.median(pair["ours"][f"{part}_cpu"] for pair in pairs)
    value = f"{ratio:.2f} × ({took_s:.1f} s)"
    how += f"; CPU of the controller alone: {cpu:.2f} × ({own_s:.2f} s)"
    return Row(name, value, f"≤ {most} ×", ratio <= most, how)


def _ratio(pairs: list[dict[str, Found]], part: str, beside: str = "bare") -> float:
    return statistics.median(pair["ours"][part] / pair[beside][part] for pair in pairs)


def _reach(place: Place, kind: str, count: int, looks: int) -> Found:
    words = (kind, str(place.port), str(count), str(looks))
    done = subprocess.run(
        [sys.executable, "-m", "bench.hosts_reach", *words],
        cwd=ROOT, env=place.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: Found = json.loads(done.stdout)
    return found


# -- A whole rollout -----------------------------------------------------------------------


def _rollouts(place: Place, size: Size) -> list[Row]:
    from bench.hosts_rivals import Ansible, PyInfra

    rows = []
    for rival, count, least in (
        (PyInfra, size.pyinfra, PYINFRA_LEAST),
        (Ansible, size.ansible, ANSIBLE_LEAST),
    ):
        fleet = Fleet(place, count, _ports(), name=rival.name)
        other = rival(fleet)
        try:
            fleet.bg("deploy", "1")
            other.deploy("1")
            ours, theirs = _timed(fleet.steps(), place), _timed(other.steps(), place)
            only_s = len(ours) * _reach(place, "bare", count, 1)["connect"]
        finally:
            fleet.end()
        row = _compared(f"{rival.name}", count, ours, theirs, least)
        rows.append(replace(row, note=f"{row.note}. {_most(theirs, only_s)}"))
    return rows + ([_alone(place, size.whole)] if size.whole else [])


Took = dict[str, tuple[float, float]]
"""For each step seconds, and CPU seconds of the controller."""


def _timed(steps: dict[str, Callable[[], object]], place: Place) -> Took:
    took = {}
    for name, step in steps.items():
        began, busy = time.monotonic(), _children_s()
        step()
        took[name] = (time.monotonic() - began, _children_s() - busy)
    return took


def _children_s() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _compared(rival: str, count: int, ours: Took, theirs: Took, least: float) -> Row:
    ratio = _sum(theirs, 0) / _sum(ours, 0)
    each = "; ".join(f"{name} {ours[name][0]:.1f}/{theirs[name][0]:.1f} s" for name in ours)
    cpu = _sum(theirs, 1) / _sum(ours, 1)
    return Row(
        f"deploy, switch, backout on {count} hosts: {rival} takes longer",
        f"{ratio:.1f} × ({_sum(ours, 0):.1f} s, {rival} {_sum(theirs, 0):.1f} s)",
        f"≥ {least:g} ×",
        ratio >= least,
        f"ours/theirs: {each}; CPU of the controller alone: {cpu:.1f} ×. Ours proves every"
        " instance by HTTP and looks before and after each step; theirs asks systemd once",
    )


def _most(theirs: Took, only_s: float) -> str:
    """How much longer it could take than anybody who has to connect at each step."""
    return (
        f"Only to connect and run `true`, three times, takes plain asyncssh {only_s:.1f} s:"
        f" {_sum(theirs, 0) / only_s:.1f} × is the most that anybody could reach here"
    )


def _sum(took: Took, at: int) -> float:
    return sum(one[at] for one in took.values())


def _alone(place: Place, count: int) -> Row:
    fleet = Fleet(place, count, _ports(), name="alone")
    try:
        fleet.bg("deploy", "1")
        took = _timed(fleet.steps(), place)
    finally:
        fleet.end()
    each = ", ".join(f"{name} {took[name][0]:.0f} s" for name in took)
    own = f"CPU of the controller {_sum(took, 1) / count * 1000:.0f} ms for each host"
    name = f"deploy, switch, backout on {count:,} hosts"
    return Row(name, f"{_sum(took, 0):.0f} s", note=f"{each}; {own}; both sides on these cores")


def _ports() -> tuple[int, int, int]:
    """Blue, green and the switch; each with room for what a rival runs beside."""
    first = free_ports(20)
    return first, first + 8, first + 16
