"""Whose a site is on a host, and who drives: a woken old driver changes and sees nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bg_agent.ledger import PLACE, Ledger
from bg_agent.trouble import Refused

from tests.agents.conftest import Speak
from tests.agents.programs import packed
from tests.agents.talk import Agent

RELEASE = {"version": "1", "digest": "0" * 64}
REQUESTS: dict[str, dict[str, Any]] = {
    "look": {"services": ["web"]},
    "facts": {},
    "described": {"service": "web", "release": RELEASE},
    "log": {"service": "web", "color": "blue", "index": 0, "lines": 1},
    "probe": {"probe": {"tcp": {"host": "127.0.0.1", "port": 1}}},
    "offer": {"service": "web", "release": RELEASE, "packed": "0" * 64, "size": 1},
    "commit": {"service": "web", "release": RELEASE, "packed": None, "description": ""},
    "remove": {"service": "web", "release": RELEASE},
    "point": {"service": "web", "color": "blue", "release": None},
    "start": {
        "service": "web",
        "color": "blue",
        "release": RELEASE,
        "instances": [{"index": 0, "argv": ["true"], "env": {}}],
    },
    "stop": {"service": "web", "color": "blue", "release": RELEASE},
    "adopt": {},
    "gone": {"why": "because"},
    "readmit": {},
}
LOOKS = ("look", "facts", "described", "log", "probe")


@pytest.mark.parametrize("verb", REQUESTS)
def test_an_older_epoch_is_superseded_at_looks_as_well_as_effects(speak: Speak, verb: str) -> None:
    """S86."""
    speak(epoch=5).ok("look", services=["web"])
    answer = speak(epoch=4).ask(verb, **REQUESTS[verb])
    assert answer.get("youngest") == 5, answer
    assert "epoch 5 drives here now" in answer["superseded"]


@pytest.mark.parametrize("verb", REQUESTS)
def test_a_site_of_another_journal_is_refused_at_looks_as_well_as_effects(
    speak: Speak, verb: str
) -> None:
    """A second laptop with a journal of its own, whatever its epoch."""
    speak(epoch=5).ok("look", services=["web"])
    answer = speak(journal="another", epoch=99).ask(verb, **REQUESTS[verb])
    if verb == "adopt":
        assert answer["ok"] == {"before": "c0ffee", "youngest": 99}
        return
    assert (answer["kind"], answer["journal"], answer["youngest"]) == ("foreign", "c0ffee", 5)


@pytest.mark.parametrize("verb", LOOKS)
def test_a_look_without_an_epoch_is_always_answered_and_raises_none(
    speak: Speak, base: Path, verb: str
) -> None:
    agent = speak(epoch=None, journal=None)
    assert "ok" in agent.ask(verb, **REQUESTS[verb])
    assert not base.exists()
    speak(epoch=5).ok("look", services=["web"])
    assert "ok" in agent.ask(verb, **REQUESTS[verb])
    assert agent.ok("look", services=["web"])["youngest"] == 5


@pytest.mark.parametrize("verb", [verb for verb in REQUESTS if verb not in LOOKS])
def test_an_effect_without_an_epoch_is_refused(speak: Speak, base: Path, verb: str) -> None:
    assert speak(epoch=None).refused(verb, **REQUESTS[verb])[0] == "bad-request"
    assert not base.exists()


def test_an_upload_of_an_older_epoch_is_superseded(
    speak: Speak, put: Callable[..., Any], tmp_path: Path, base: Path
) -> None:
    speak(epoch=5).ok("look", services=["web"])
    done = put(packed(tmp_path, "1"), epoch=4)
    assert done.returncode == 1
    assert b'"superseded"' in done.stdout
    assert not (base / "shop" / "incoming").exists()


def test_what_was_seen_is_remembered_by_the_next_session(speak: Speak) -> None:
    speak(epoch=5).ok("look", services=["web"])
    assert speak().ok("hello")["youngest"] == 5
    assert "superseded" in speak(epoch=4).ask("look", services=["web"])
    assert speak(epoch=6).ok("look", services=["web"])["youngest"] == 6


def test_sites_know_nothing_of_each_other(speak: Speak) -> None:
    speak(epoch=5).ok("look", services=["web"])
    assert speak(site="other", journal="theirs").ok("look", services=["web"])["youngest"] == 1


def test_adopting_needs_a_younger_epoch(speak: Speak) -> None:
    speak(epoch=5).ok("look", services=["web"])
    for epoch in (4, 5):
        assert speak(journal="another", epoch=epoch).ask("adopt")["youngest"] == 5
    assert speak(journal="another", epoch=6).ok("adopt")["before"] == "c0ffee"
    assert speak(epoch=7).refused("look", services=["web"])[0] == "foreign"
    speak(journal="another", epoch=6).ok("look", services=["web"])


def test_adopting_what_is_ours_or_nobodys_is_harmless(speak: Speak) -> None:
    assert speak(epoch=3).ok("adopt")["before"] is None
    assert speak(epoch=3).ok("adopt")["before"] == "c0ffee"


@pytest.mark.parametrize("verb", [verb for verb in REQUESTS if verb not in ("gone", "readmit")])
def test_a_host_told_gone_refuses_all_but_hello_until_it_is_readmitted(
    speak: Speak, verb: str
) -> None:
    """S87: also after the agent was started anew."""
    speak(epoch=5).ok("gone", why="its disk\nis dying")
    agent = speak(epoch=6)
    if verb != "adopt":  # it takes the site over; that the host is gone stays true
        kind, why = agent.refused(verb, **REQUESTS[verb])
        assert (kind, "its disk is dying" in why) == ("gone", True)
    assert speak(epoch=None).ok("hello")["gone"] == "its disk is dying"
    agent.ok("readmit")
    agent.ok("look", services=["web"])


def test_adopting_does_not_bring_a_host_back_that_is_gone(speak: Speak) -> None:
    speak(epoch=5).ok("gone", why="dead")
    agent = speak(journal="another", epoch=6)
    agent.ok("adopt")
    assert agent.refused("look", services=["web"])[0] == "gone"


# -- The ledger ----------------------------------------------------------------------------


def test_a_ledger_cut_off_in_the_middle_is_what_it_was_before(tmp_path: Path) -> None:
    """S91: at every byte of the write."""
    path = tmp_path / "ledger"
    for epoch in (1, 2, 3):
        Ledger(str(path)).write(journal="j", youngest=epoch)
    before = path.read_bytes()
    Ledger(str(path)).write(journal="j", youngest=4)
    after = path.read_bytes()
    changed = [i for i in range(len(after)) if before[i] != after[i]]
    assert changed
    for cut in range(changed[0], changed[-1] + 1):
        path.write_bytes(after[:cut] + before[cut:])
        assert Ledger(str(path)).youngest == 3
    path.write_bytes(after)
    assert Ledger(str(path)).youngest == 4


def test_a_ledger_never_grows_and_is_nobodys_business(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for epoch in range(1, 20):
        Ledger(str(path)).write(journal="j", youngest=epoch)
        assert path.stat().st_size == 2 * PLACE
        assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["ledger"]


def test_a_ledger_that_cannot_be_read_says_whose_it_is_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"\0" * 2 * PLACE)
    with pytest.raises(Refused, match="damaged"):
        Ledger(str(path))


# -- The lock ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_stopped_agent_that_holds_the_lock_is_ended_by_a_younger_epoch_only(
    speak: Speak, base: Path
) -> None:
    """A driver that sleeps inside its section."""
    speak(epoch=2).ok("look", services=["web"])
    sleeper = hold(base / "shop" / "lock", epoch=2)
    try:
        os.kill(sleeper, signal.SIGSTOP)
        assert speak(epoch=2).refused("look", services=["web"])[0] == "busy"
        assert speak(epoch=3).ok("look", services=["web"])["youngest"] == 3
        assert os.waitpid(sleeper, 0)[1] == signal.SIGKILL
    except BaseException:
        os.kill(sleeper, signal.SIGKILL)
        raise


def hold(path: Path, epoch: int) -> int:
    """A process that holds the lock, and does nothing else."""
    from bg_agent import lock

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock.take(str(path), epoch, 5)
        os.write(writing, b"!")
        while True:
            time.sleep(60)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return pid


def test_requests_of_one_site_side_by_side_are_all_done(agent: Agent) -> None:
    numbers = [agent.send("point", service="web", color="blue", release=None) for _ in range(20)]
    answers = [agent.answer(number) for number in numbers]
    assert all("ok" in answer for answer in answers), answers
