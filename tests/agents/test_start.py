"""Starting and stopping: what runs, under which number, with what, and never another release."""

from __future__ import annotations

import json
import os
import socket
import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agents.conftest import Speak
from tests.agents.programs import packed
from tests.agents.systemd import FakeSystemd
from tests.agents.talk import Agent, Packed

Stage = Callable[[Packed], Packed]
UNIT = "bg-shop-web-blue@{}.service"
SECRET = "hunter2-but-longer"


@pytest.fixture
def one(stage: Stage, tmp_path: Path) -> Packed:
    return stage(packed(tmp_path, "1"))


def order(one: Packed, count: int = 1, **more: Any) -> dict[str, Any]:
    instances = [
        {"index": i, "argv": ["bin/web", "--port", str(8110 + i)], "env": {"PASSWORD": SECRET}}
        for i in range(count)
    ]
    given = {"service": "web", "color": "blue", "release": one.release, "instances": instances}
    return {**given, **more}


def blue(agent: Agent, **given: Any) -> dict[str, Any]:
    (service,) = agent.ok("look", services=["web"], **given)["services"]
    found: dict[str, Any] = service["colors"]["blue"]
    return found


def first(agent: Agent, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = blue(agent, **given)["instances"][0]
    return found


def test_a_start_runs_what_was_asked_for(agent: Agent, one: Packed, system: FakeSystemd) -> None:
    instances = agent.ok("start", **order(one, 2))["instances"]
    assert [i["index"] for i in instances] == [0, 1]
    for seen in instances:
        assert (seen["running"], seen["kept"], seen["start"]) == (True, True, 1)
        assert seen["release"] == one.release
        assert seen["pid"] == system.unit(UNIT.format(seen["index"]))["MainPID"]
        assert (seen["note"], seen["ended"]) == ("", None)
    assert blue(agent) == {"current": one.release, "remark": None, "instances": instances}


def test_a_second_start_changes_nothing(agent: Agent, one: Packed) -> None:
    before = agent.ok("start", **order(one, 2))
    assert agent.ok("start", **order(one, 2)) == before


def test_only_what_is_missing_is_started(agent: Agent, one: Packed, system: FakeSystemd) -> None:
    kept = agent.ok("start", **order(one, 2))["instances"][0]
    os.kill(system.unit(UNIT.format(1))["MainPID"], 9)
    system.change(UNIT.format(1), MainPID=0)
    after = agent.ok("start", **order(one, 2))["instances"]
    assert after[0] == kept
    assert (after[1]["running"], after[1]["start"]) == (True, 2)


def test_the_number_of_a_start_grows_whoever_looks_and_however_it_was_started(
    agent: Agent, speak: Speak, one: Packed, system: FakeSystemd
) -> None:
    numbers = [agent.ok("start", **order(one))["instances"][0]["start"]]
    for invocation in ("a" * 32, "b" * 32):
        system.change(UNIT.format(0), InvocationID=invocation)  # as systemd does by itself
        numbers.append(first(agent)["start"])
        numbers.append(first(speak(epoch=2 if invocation[0] == "b" else 1))["start"])
    agent.given["epoch"] = 2
    agent.ok("stop", service="web", color="blue", release=one.release)
    numbers.append(agent.ok("start", **order(one))["instances"][0]["start"])
    assert numbers == [1, 2, 2, 3, 3, 4]


def test_a_look_without_an_epoch_keeps_no_numbers(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path
) -> None:
    agent.ok("start", **order(one))
    system.change(UNIT.format(0), InvocationID="a" * 32)
    before = (base / "shop" / "ledger").read_bytes()
    assert first(agent, epoch=None)["start"] == 2
    assert (base / "shop" / "ledger").read_bytes() == before


# -- What stands in the way ----------------------------------------------------------------


def test_where_another_release_runs_nothing_is_touched(
    agent: Agent, one: Packed, stage: Stage, base: Path, tmp_path: Path
) -> None:
    agent.ok("start", **order(one))
    before = blue(agent)
    two = stage(packed(tmp_path, "2"))
    unit = (base / "shop/units/bg-shop-web-blue@.service").read_text()
    assert "runs 1@" in agent.refused("start", **order(two))[1]
    assert blue(agent) == before
    assert (base / "shop/units/bg-shop-web-blue@.service").read_text() == unit


def test_what_is_not_staged_is_not_started(agent: Agent, tmp_path: Path) -> None:
    _, why = agent.refused("start", **order(packed(tmp_path, "1")))
    assert "no program" in why or "not staged" in why
    assert blue(agent)["instances"] == []


def test_a_port_that_a_stranger_has_is_named_with_its_owner(
    agent: Agent, one: Packed, system: FakeSystemd
) -> None:
    """S85."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        given = order(one)
        given["instances"][0]["port"] = port
        kind, why = agent.refused("start", **given)
    assert kind == "taken"
    assert f"port {port} of {UNIT.format(0)} is taken by pid {os.getpid()}" in why
    assert system.called("start") == []
    assert blue(agent)["current"] is None
    assert "running" in agent.ok("start", **given)["instances"][0]


def test_a_masked_unit_is_refused_with_the_remedy(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path
) -> None:
    """S85."""
    system.change(UNIT.format(0), LoadState="masked")
    kind, why = agent.refused("start", **order(one))
    assert (kind, "systemctl unmask" in why) == ("masked", True)
    assert blue(agent)["current"] is None
    assert "is masked" in blue(agent)["remark"]
    system.change(UNIT.format(0), LoadState="loaded")
    path = base / "shop" / "units" / UNIT.format("")
    path.parent.mkdir()
    path.symlink_to("/dev/null")
    assert agent.refused("start", **order(one))[0] == "masked"
    assert path.is_symlink()


@pytest.mark.parametrize(
    "text", ["[Service]\nExecStart=/bin/true\n", "[X-Bg]\nSite=other\nService=web\nColor=blue\n"]
)
def test_a_unit_of_somebody_else_is_never_overwritten(
    agent: Agent, one: Packed, base: Path, text: str
) -> None:
    path = base / "shop" / "units" / UNIT.format("")
    path.parent.mkdir()
    path.write_text(text)
    assert agent.refused("start", **order(one))[0] == "taken"
    assert path.read_text() == text


NO_ORDERS: dict[str, dict[str, Any]] = {
    "no instances": {"instances": []},
    "one index twice": {"instances": [{"index": 0, "argv": ["bin/web"]}] * 2},
    "no program": {"instances": [{"index": 0, "argv": []}]},
    "another program each": {
        "instances": [{"index": 0, "argv": ["bin/web"]}, {"index": 1, "argv": ["bin/other"]}]
    },
    "an argument that is none": {"instances": [{"index": 0, "argv": ["bin/web", 8110]}]},
    "half a letter": {"instances": [{"index": 0, "argv": ["bin/web", "\ud800"]}]},
    "a NUL": {"instances": [{"index": 0, "argv": ["bin/web", "\0"]}]},
    "a variable that is none": {
        "instances": [{"index": 0, "argv": ["bin/web"], "env": {"A\nB": "x"}}]
    },
    "a variable of ours": {
        "instances": [{"index": 0, "argv": ["bin/web"], "env": {"BG_ARG_1": "x"}}]
    },
    "a program outside": {"instances": [{"index": 0, "argv": ["../../../../bin/sh"]}]},
    "an index beyond": {"instances": [{"index": 10000, "argv": ["bin/web"]}]},
    "a stop without end": {"stop_s": 1e9},
    "a user that is none": {"user": "root\nExecStart=/bin/false"},
    "a credential that leads out": {"credentials": {"../x": ""}},
    "a credential that is none": {"credentials": {"x": "!"}},
    "a setting that is two": {"unit": {"Service": {"Nice": "1\nUser=root"}}},
}


@pytest.mark.parametrize("given", NO_ORDERS.values(), ids=list(NO_ORDERS))
def test_an_order_that_cannot_be_is_refused_before_anything(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path, given: dict[str, Any]
) -> None:
    """S81, S92."""
    assert agent.refused("start", **order(one, **given))[0] == "bad-request"
    assert not (base / "shop" / "private").exists()
    assert system.called("start") == []


def test_a_program_that_is_not_there_is_named(agent: Agent, one: Packed) -> None:
    for name in ("bin/nothing", "nothing-of-this-name", "version", "/nowhere/web"):
        given = order(one, instances=[{"index": 0, "argv": [name], "env": {}}])
        assert name in agent.refused("start", **given)[1]


# -- Secrets -------------------------------------------------------------------------------


def test_secrets_are_in_files_of_ours_alone_and_gone_after_the_stop(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path
) -> None:
    """S90, S91."""
    agent.ok("start", **order(one, 2, credentials={"token": b64encode(SECRET.encode()).decode()}))
    found = [
        path for path in base.rglob("*") if path.is_file() and SECRET in path.read_text("latin-1")
    ]
    assert sorted(path.name for path in found) == ["0.env", "1.env", "token"]
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for above in path.relative_to(base / "shop").parents[:-1]:
            assert stat.S_IMODE((base / "shop" / above).stat().st_mode) == 0o700
    for log in (
        (system.folder / "called").read_text(),
        json.dumps(agent.ask("look", services=["web"])),
    ):
        assert SECRET not in log
    unit = (base / "shop/units/bg-shop-web-blue@.service").read_text()
    assert SECRET not in unit
    agent.ok("stop", service="web", color="blue", release=one.release)
    assert not [p for p in base.rglob("*") if p.is_file() and SECRET in p.read_text("latin-1")]


def test_no_refusal_repeats_a_secret(agent: Agent, one: Packed, system: FakeSystemd) -> None:
    """S90."""
    orders = [order(one, instances=[{"index": 0, "argv": ["x"], "env": {"P": SECRET + "\x01"}}])]
    orders.append(order(one, instances=[{"index": 0, "argv": ["x"], "env": {SECRET: 7}}]))
    orders.append(order(one, credentials={"x": SECRET + "!"}))
    orders.append(order(one, unit={"Service": {"Environment": SECRET + "\n"}}))
    for given in orders:
        assert SECRET not in json.dumps(agent.ask("start", **given))
    system.trouble("fails")
    assert SECRET not in json.dumps(agent.ask("start", **order(one)))


# -- Ends ----------------------------------------------------------------------------------


def test_what_ends_at_once_is_told_with_its_last_words(
    agent: Agent, one: Packed, system: FakeSystemd
) -> None:
    """S85: systemctl said that it was started."""
    system.trouble("fails")
    agent.ok("start", **order(one))
    invocation = system.unit(UNIT.format(0))["InvocationID"]
    system.says(
        ("0" * 32, False, "of an older start"),
        (invocation, False, "\x1b[31mno database\x1b[0m at {{ 7*7 }}"),
        (invocation, True, f"{UNIT.format(0)}: Main process exited, code=exited, status=7/X"),
    )
    seen = first(agent)
    assert (seen["running"], seen["state"]) == (False, "failed/failed")
    assert seen["ended"] == {
        "start": 1,
        "how": "ended with exit code 7",
        "lived_s": 2.0,
        "words": ["no database at {{ 7*7 }}"],
    }
    assert seen["note"] == (
        "start 1 ended with exit code 7 after 2.0 s; last words: no database at {{ 7*7 }}"
    )


def test_what_was_started_again_says_how_it_ended_before(
    agent: Agent, one: Packed, system: FakeSystemd
) -> None:
    agent.ok("start", **order(one))
    before = system.unit(UNIT.format(0))["InvocationID"]
    system.change(UNIT.format(0), InvocationID="b" * 32, NRestarts=1)
    system.says(
        (before, False, "out of luck"),
        (before, True, f"{UNIT.format(0)}: Main process exited, code=killed, status=9/KILL"),
        ("b" * 32, False, "here again"),
    )
    seen = first(agent)
    assert (seen["running"], seen["start"]) == (True, 2)
    assert seen["note"] == "start 1 was ended by SIGKILL; last words: out of luck"


def test_a_journal_of_gigabytes_is_cut(agent: Agent, one: Packed, system: FakeSystemd) -> None:
    """S81."""
    system.trouble("said.cat", "\x1b[2Jx" * 1_000_000 + "\nlast\n")
    text = agent.ok("log", service="web", color="blue", index=0, lines=10)["text"]
    assert text == "last\n"
    system.trouble("said.cat", "line\n" * 100_000)
    text = agent.ok("log", service="web", color="blue", index=0, lines=1000)["text"]
    assert len(text) <= 64 * 1024


def test_a_stop_stops_all_of_the_release_and_leaves_nothing_behind(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path
) -> None:
    agent.ok("start", **order(one, 3))
    stop = {"service": "web", "color": "blue", "release": one.release}
    assert agent.ok("stop", **stop) == {"stopped": [0, 1, 2]}
    assert agent.ok("stop", **stop) == {"stopped": []}
    for seen in blue(agent)["instances"]:
        assert (seen["running"], seen["kept"], seen["release"]) == (False, False, one.release)
    agent.ok("point", service="web", color="blue", release=None)
    left = {str(path.relative_to(base / "shop")) for path in (base / "shop").rglob("*")}
    assert {name.partition("/")[0] for name in left} <= {
        "ledger", "lock", "releases", "incoming", "private", "current", "units"
    }  # fmt: skip
    for empty in ("private", "current", "units", "incoming"):
        assert not list((base / "shop" / empty).iterdir())


def test_a_stop_never_touches_another_release(
    agent: Agent, one: Packed, stage: Stage, tmp_path: Path
) -> None:
    two = stage(packed(tmp_path, "2"))
    agent.ok("start", **order(two))
    before = blue(agent)
    assert agent.ok("stop", service="web", color="blue", release=one.release) == {"stopped": []}
    assert blue(agent) == before
    assert "stays" in agent.refused("remove", service="web", release=two.release)[1]


def test_what_runs_is_stopped_although_its_unit_file_was_deleted(
    agent: Agent, one: Packed, base: Path
) -> None:
    agent.ok("start", **order(one))
    (base / "shop" / "units" / UNIT.format("")).unlink()
    assert "was not written by this site" in blue(agent)["remark"]
    assert first(agent)["release"] == one.release
    agent.ok("stop", service="web", color="blue", release=one.release)
    assert first(agent)["running"] is False


@pytest.mark.slow
def test_what_does_not_stop_in_its_time_is_killed(
    agent: Agent, one: Packed, system: FakeSystemd
) -> None:
    """S85."""
    agent.ok("start", **order(one))
    system.trouble("stays")
    stop = {"service": "web", "color": "blue", "release": one.release, "stop_s": 1}
    assert agent.ok("stop", **stop) == {"stopped": [0]}
    told = [line["progress"] for line in agent.progress]
    assert {"what": "stopping", "done": 0, "total": 1} in told


@pytest.mark.slow
def test_what_cannot_be_killed_is_unsure_in_time(
    agent: Agent, one: Packed, system: FakeSystemd, base: Path
) -> None:
    """S85."""
    agent.ok("start", **order(one))
    system.trouble("undead")
    answer = agent.ask("stop", service="web", color="blue", release=one.release, stop_s=1)
    assert f"{UNIT.format(0)} does not end" in answer["unsure"]
    assert list((base / "shop/private").rglob("0.env")), "it may need its secrets still"


def test_a_service_manager_that_refuses_is_a_refusal_with_its_words(
    agent: Agent, one: Packed, system: FakeSystemd
) -> None:
    agent.ok("look", services=["web"])
    system.trouble("broken", "sudo: a password is required")
    answer = agent.ask("start", **order(one))
    assert "password" in answer["unsure"]
    system.over("broken")
    assert first_or_none(agent) is None


def first_or_none(agent: Agent) -> dict[str, Any] | None:
    instances = blue(agent)["instances"]
    return instances[0] if instances else None
