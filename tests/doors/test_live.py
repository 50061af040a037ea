"""The talk: plain lines, JSON, a live picture on a terminal; and a status that is drawn again."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import Asked, Closed, Ended, Entry, Opened, What
from orchestrator.core.steps import Shift
from orchestrator.doors.cli.live import Talk, talk_for, watch
from orchestrator.doors.cli.memory import believed, progress_in_words
from orchestrator.doors.cli.talk_json import LEFT_OUT, JsonTalk, redacting
from orchestrator.doors.cli.talk_live import LiveTalk, frame
from orchestrator.doors.cli.talk_plain import PROGRESS_S, PlainTalk
from tests.doors import samples
from tests.doors.samples import PAPER, Story
from tests.golden.text_files import same_as_kept

WITHIN_S = 20.0


class Ticks:
    """A clock of our own for what is said only every few seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def of_the_newest(story: Story) -> tuple[Chronicle, tuple[Entry, ...]]:
    """The chronicle before the newest rollout, and its entries."""
    at = max(i for i, e in enumerate(story.entries) if isinstance(e.record, Opened))
    before = Chronicle()
    for entry in story.entries[:at]:
        before = fold(before, entry)
    return before, story.entries[at:]


def told(talk: Talk, story: Story) -> None:
    before, entries = of_the_newest(story)
    talk.know(before)
    for entry in entries:
        talk.tell(entry)


# -- Plain ---------------------------------------------------------------------------------


def test_each_record_is_a_line_with_its_time() -> None:
    stream = io.StringIO()
    told(PlainTalk(stream, PAPER), samples.backed_out())
    same_as_kept("talk-backed-out.txt", stream.getvalue().rstrip("\n"))


def test_a_rollout_that_was_open_before_is_known_by_its_steps() -> None:
    """S2: a resumed one."""
    story = samples.proving()
    stream = io.StringIO()
    talk = PlainTalk(stream, PAPER)
    talk.know(story.chronicle)
    talk.tell(Entry(99, story.now, 4, Ended(2, 3, undoing=False)))
    assert stream.getvalue() == "16:05:19 web 2 and api 2 are well on green (4 instances).\n"


def test_what_is_not_known_is_told_by_its_number() -> None:
    stream = io.StringIO()
    talk = PlainTalk(stream, PAPER)
    talk.tell(Entry(99, samples.NOON, 4, Ended(2, 3, undoing=False)))
    assert stream.getvalue() == "14:03:12 step 4 is done.\n"


def test_progress_is_said_every_few_seconds_and_only_when_it_moved() -> None:
    stream, ticks = io.StringIO(), Ticks()
    talk = PlainTalk(stream, PAPER, monotonic=ticks)
    for done in (1, 2, 2, 2, 3):
        ticks.now += PROGRESS_S - 2
        talk.progress("instances well", done, 4)
    said = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert said == ["2 of 4 instances well.", "3 of 4 instances well."]
    assert progress_in_words("connections left", 7, 7) == "7 connections left"
    assert progress_in_words("seconds soaked", 12, 60) == "12 of 60 s"


@pytest.mark.parametrize("made", [PlainTalk, LiveTalk])
def test_a_stream_that_is_gone_does_not_stop_the_work(made: type[PlainTalk]) -> None:
    stream = io.StringIO()
    stream.close()
    talk = made(stream, PAPER)
    with talk:
        talk.say("still here")
    plain = PlainTalk(stream, PAPER)
    told(plain, samples.backed_out())
    told(JsonTalk(stream, "shop"), samples.backed_out())


def test_what_people_typed_cannot_command_the_terminal_nor_forge_a_line() -> None:
    """S81."""
    stream = io.StringIO()
    talk = PlainTalk(stream, PAPER)
    talk.tell(
        Entry(1, samples.NOON, 0, Asked(1, What.BACK, "eve", "\x1b[2J\n14:03:13 all is well"))
    )
    assert stream.getvalue() == "14:03:12 eve asked to go back: ^[[2J 14:03:13 all is well.\n"


# -- JSON ----------------------------------------------------------------------------------


def test_each_line_of_json_carries_site_rollout_step_and_epoch() -> None:
    stream = io.StringIO()
    talk = JsonTalk(stream, "shop")
    told(talk, samples.backed_out())
    talk.say("a hint")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    _, entries = of_the_newest(samples.backed_out())
    assert len(lines) == len(entries) + 1
    assert {line["site"] for line in lines} == {"shop"}
    failed = next(line for line in lines if line.get("record") == "Failed")
    assert failed == {
        "site": "shop", "rollout": 2, "step": 7, "epoch": 3, "level": "warning",
        "number": failed["number"], "record": "Failed", "at": "2026-03-04T16:14:27.000+00:00",
        "event": "api green #1 turned ill: GET /healthz answered 500.",
    }  # fmt: skip
    assert lines[-1]["event"] == "a hint"


def test_a_secret_is_left_out_by_its_value_and_by_its_name() -> None:
    """S90."""
    stream = io.StringIO()
    talk = JsonTalk(stream, "shop", lambda text: text.replace("hunter2", "[left out]"))
    talk.tell(Entry(1, samples.NOON, 0, Asked(1, What.BACK, "eve", "the password is hunter2")))
    assert "hunter2" not in stream.getvalue()
    event = redacting(str)(None, "info", {"db_password": "x", "env": {"API_KEY": "y", "n": ["z"]}})
    assert event == {"db_password": LEFT_OUT, "env": {"API_KEY": LEFT_OUT, "n": ["z"]}}


def test_a_plain_talk_leaves_secrets_out_too() -> None:
    """S90."""
    stream = io.StringIO()
    talk = PlainTalk(stream, PAPER, lambda text: text.replace("hunter2", "[left out]"))
    talk.say("hunter2")
    assert "hunter2" not in stream.getvalue()


# -- Live ----------------------------------------------------------------------------------


def test_a_frame_has_the_steps_the_cursor_and_who_serves() -> None:
    story = samples.soaking()
    assert story.chronicle.open is not None
    text = frame(
        story.chronicle, story.chronicle.open, now=story.now + 12, paper=PAPER,
        progress="12 of 60 s",
    )  # fmt: skip
    same_as_kept("frame-soaking.txt", text)


def test_a_frame_tells_no_traffic_before_it_was_sent() -> None:
    """While the shift is on its way nobody can say who serves; before and after, the records do."""
    story = samples.at_the_gate()
    story.grant()
    story.drive(to=Shift)
    assert believed(story.chronicle, story.chronicle.open)[1] == "over"
    story.drive(to=None)
    serving, on_its_way = believed(story.chronicle, story.chronicle.open)
    assert ({s.color.value for s in serving}, on_its_way) == ({"green"}, "")
    gate = samples.at_the_gate()
    serving, on_its_way = believed(gate.chronicle, gate.chronicle.open)
    assert ({s.color.value for s in serving}, on_its_way) == ({"blue"}, "")


@contextmanager
def pseudo_terminal(columns: int = 80, rows: int = 24) -> Iterator[tuple[TextIO, list[bytes]]]:
    """A stream that is a terminal, and everything that was written to it, as it came."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    written: list[bytes] = []
    stream = os.fdopen(theirs, "w", encoding="utf-8")
    reader = threading.Thread(target=_read_all, args=(ours, written))
    reader.start()
    try:
        yield stream, written
    finally:
        stream.close()
        reader.join(WITHIN_S)
        os.close(ours)


def _read_all(source: int, written: list[bytes]) -> None:
    while True:
        try:
            piece = os.read(source, 65536)
        except OSError:  # the other side was closed
            return
        if not piece:
            return
        written.append(piece)


@pytest.fixture
def term(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at a person's desk, whatever runs these tests."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_the_talk_fits_where_it_is_spoken(term: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(stream: TextIO, log_format: str = "plain") -> type:
        return type(talk_for(stream, "shop", log_format=log_format, redact=str, paper=PAPER))

    with pseudo_terminal() as (terminal, _):
        assert kind(terminal) is LiveTalk
        assert kind(terminal, "json") is JsonTalk
        monkeypatch.setenv("TERM", "dumb")
        assert kind(terminal) is PlainTalk
    assert kind(io.StringIO()) is PlainTalk


def test_a_live_talk_draws_at_most_ten_frames_a_second(term: None) -> None:
    before, entries = of_the_newest(samples.proving())
    with pseudo_terminal() as (terminal, written):
        talk = LiveTalk(terminal, PAPER)
        talk.know(before)
        began_s = time.monotonic()
        with talk:
            for entry in entries:
                talk.tell(entry)
            while time.monotonic() - began_s < 0.7:
                talk.progress("instances well", 3, 4)
                time.sleep(0.001)
        took_s = time.monotonic() - began_s
    seen = b"".join(written).decode()
    frames = seen.count("Rollout 2: deploy web 2 and api 2")
    assert 2 <= frames <= 10 * took_s + 2
    assert "3 of 4 instances well" in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") >= 1  # the cursor is there again


def test_a_command_that_tells_nothing_draws_nothing(term: None) -> None:
    with pseudo_terminal() as (terminal, written):
        with LiveTalk(terminal, PAPER) as talk:
            talk.know(samples.at_the_gate().chronicle)
            talk.progress("instances well", 3, 4)
        terminal.flush()
    assert b"".join(written) == b""


PLAY = """
import sys, time
from dataclasses import replace
from orchestrator.doors.cli.live import talk_for
from orchestrator.doors.cli.paper import paper_for
from tests.doors import samples
from tests.doors.test_live import of_the_newest
before, entries = of_the_newest(samples.backed_out())
talk = talk_for(sys.stderr, "shop", log_format="plain", redact=str, paper=paper_for(sys.stderr))
talk.know(before)
with talk:
    for entry in entries:
        talk.tell(replace(entry, at_s=time.time()))
        time.sleep(0.02)
print("the answer", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (46, 24), (80, 9)])
def test_a_real_terminal_keeps_one_plain_picture_in_the_end(
    real: Callable[[str], str], root: Path, tmp_path: Path, columns: int, rows: int
) -> None:
    play = tmp_path / "play.py"
    play.write_text(PLAY)
    tmux = [real("tmux"), "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    start = ["new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(root)]
    program = ["env", f"PYTHONPATH={root}", "TERM=screen", sys.executable, str(play)]
    try:
        subprocess.run([*tmux, *start, *program], check=True, capture_output=True)
        screen = _until(lambda: _captured(tmux), "the answer")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
    above = r"\d\d:\d\d:\d\d api green #1 turned ill: GET /healthz\s+answered 500\."
    assert re.search(above, screen)
    assert screen.count(" 7  watch web 2") == 1
    flat = " ".join(screen.split())
    assert re.search(r"under real traffic( for 1 min)? the answer", flat)
    if rows > 20:
        assert screen.count("Rollout 2: deploy web 2 and api 2") == 1


def _captured(tmux: list[str]) -> str:
    capture = [*tmux, "capture-pane", "-p", "-S", "-200"]
    return subprocess.run(capture, check=True, capture_output=True, text=True).stdout


def _until(look: Callable[[], str], wanted: str) -> str:
    deadline_s = time.monotonic() + WITHIN_S
    while wanted not in (seen := look()):
        assert time.monotonic() < deadline_s, seen
        time.sleep(0.05)
    return seen


# -- status -w -----------------------------------------------------------------------------


async def watched(stream: TextIO, pictures: list[str]) -> None:
    """Watch until all pictures were shown, then cancel, as Ctrl-C does."""
    shown = asyncio.Event()
    left = iter(pictures)

    async def once() -> str:
        picture = next(left, None)
        if picture is None:
            shown.set()
            return pictures[-1]
        return picture

    task = asyncio.create_task(watch(once, 0.0, stream=stream))
    await asyncio.wait_for(shown.wait(), WITHIN_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_ends_when_it_is_asked_to_also_in_the_middle_of_a_look() -> None:
    looking = asyncio.Event()

    async def once() -> str:
        looking.set()
        await asyncio.sleep(WITHIN_S)
        return "never"

    stream = io.StringIO()
    await asyncio.wait_for(watch(once, 0.0, stream=stream, ended=looking.is_set), WITHIN_S / 2)
    assert stream.getvalue() == ""


async def test_off_a_terminal_only_what_changed_is_said_again() -> None:
    stream = io.StringIO()
    await watched(stream, ["web 1 serves, 2 s", "web 1 serves, 3 s", "web 2 serves, 1 min 4 s"])
    assert stream.getvalue() == "web 1 serves, 2 s\n\nweb 2 serves, 1 min 4 s\n\n"


async def test_on_a_terminal_it_is_drawn_in_place_and_the_end_is_always_seen(term: None) -> None:
    tall = "\n".join(f"line {n}" for n in range(60))
    with pseudo_terminal(rows=12) as (terminal, written):
        await watched(terminal, ["first", f"{tall}\nwho serves"])
    seen = b"".join(written).decode()
    assert "first" in seen
    assert "who serves" in seen
    assert "51 lines above" in seen
    assert "line 49" not in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = "rich", "structlog", "pydantic", "yaml", "tenacity", "typer"
    program = (
        "import sys, orchestrator.doors.cli.live, orchestrator.doors.cli.paper;"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


def test_a_closed_rollout_leaves_its_ending_in_the_frame() -> None:
    story = samples.switched()
    closed = story.entries[-1]
    assert isinstance(closed.record, Closed)
    before = Chronicle()
    for entry in story.entries[:-1]:
        before = fold(before, entry)
    assert before.open is not None
    from orchestrator.core.rollout import evolve

    text = frame(
        before, evolve(before.open, closed), now=story.now, paper=replace(PAPER, width=60),
        last="rollout 2 is done.",
    )  # fmt: skip
    assert text.splitlines()[0] == "Rollout 2: deploy web 2 and api 2"
    assert text.splitlines()[-1] == "rollout 2 is done."
    assert text.count("✓") == 7
