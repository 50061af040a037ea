"""Bad input, and what it gets: exit code 2, what is wrong and where, and nothing touched.

The wiring is the real one; nothing here gets as far as starting anything.
"""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Tick
from orchestrator.doors.cli import app
from orchestrator.doors.cli.exits import Exit
from orchestrator.ports.trouble import NoRoom, Superseded, Unreachable
from tests.doors.desk import Desk, Said

SITE = """\
site: small
services:
  web:
    artifact: releases/web-{version}
    run: [python3, -m, http.server, "{port}"]
    instances: {count: 2, ports: {blue: BLUE, green: GREEN}}
    probes: [{http: /}]
    probing: {within: 5s}
    behind: {switch: edge}
switches:
  edge: {envoy: {listen: "127.0.0.1:EDGE"}}
state: state
"""


class Folder:
    """A site in a folder, and the command typed in it."""

    def __init__(self, at: Path, first_port: int) -> None:
        self.at = at
        self.site = SITE
        for place, name in enumerate(("EDGE", "BLUE", "GREEN")):
            self.site = self.site.replace(name, str(first_port + 10 * place))
        self.port = first_port + 10
        (at / "releases" / "web-1").mkdir(parents=True)
        self.write(self.site)

    def write(self, text: str) -> None:
        (self.at / "bg.yaml").write_text(text)

    def __call__(self, *words: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), chdir(self.at):
            code = app.run(["--site", str(self.at), *words])
        return Said(code, out.getvalue(), " ".join(err.getvalue().split()))

    def archive(self, name: str, *members: tarfile.TarInfo) -> str:
        with tarfile.open(self.at / "releases" / name, "w:gz") as packed:
            for member in members:
                packed.addfile(member, io.BytesIO(b"x" * member.size))
        return f"web=./releases/{name}"

    @property
    def touched(self) -> bool:
        return (self.at / "state").exists()


@pytest.fixture
def folder(tmp_path: Path, free_ports: Callable[[int], int]) -> Folder:
    return Folder(tmp_path, free_ports(24))


# -- The site file -------------------------------------------------------------------------

FILES: dict[str, tuple[Callable[[str], str], str]] = {
    "not YAML": (lambda s: "a: [", "bg.yaml:2: not YAML"),
    "empty": (lambda s: "", "the file is empty"),
    "an unknown key": (lambda s: s + "sokk: 3\n", "bg.yaml:13: unknown key `sokk`"),
    "a wrong type": (lambda s: s.replace("count: 2", "count: two"), "bg.yaml:6:"),
    "a name twice": (lambda s: s + "site: other\n", "bg.yaml:13:"),
    "one text for an argv": (lambda s: s.replace("run: [", "run: me #"), "bg.yaml:5:"),
    "colors that overlap": (lambda s: s.replace("count: 2", "count: 12"), "bg.yaml:6:"),
    "a probe without a deadline": (lambda s: s.replace("within: 5s", "within: 0s"), "bg.yaml:8:"),
    "an artifact outside": (lambda s: s.replace("releases/web", "../web"), "bg.yaml:4:"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_bad_site_file_is_refused_with_its_line_and_nothing_is_touched(
    folder: Folder, case: str
) -> None:
    change, says = FILES[case]
    folder.write(change(folder.site))
    said = folder("deploy", "1")
    assert said.code == Exit.BAD_INPUT
    assert says in said.err
    assert not folder.touched
    as_json = folder("-o", "json", "deploy", "1")
    assert (as_json.data["exit"], as_json.data["outcome"]) == (2, "bad-input")


def test_where_there_is_no_site_file_init_is_named(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = app.run(["--site", str(tmp_path), "status"])
    assert code == Exit.BAD_INPUT
    assert "bgctl init" in err.getvalue()


# -- Artifacts -----------------------------------------------------------------------------


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 1
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size if kind == tarfile.REGTYPE else 0
    return made


ARCHIVES = {
    "dots": (member("../evil"), "leads out of its folder"),
    "absolute": (member("/etc/evil"), "absolute path"),
    "a link out": (member("link", tarfile.SYMTYPE, "/etc/passwd"), "is a link out of its folder"),
    "a device": (member("null", tarfile.CHRTYPE), "is a device"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_leaves_its_folder_is_refused(folder: Folder, case: str) -> None:
    """S92."""
    bad, says = ARCHIVES[case]
    said = folder("deploy", folder.archive("7.tar.gz", bad))
    assert said.code == Exit.BAD_INPUT
    assert says in said.err
    assert not folder.touched


def test_a_missing_release_is_refused_and_those_there_are_are_named(folder: Folder) -> None:
    said = folder("deploy", "9")
    assert said.code == Exit.BAD_INPUT
    assert "There is: 1" in said.err
    assert not folder.touched


def test_a_path_is_one_from_where_the_command_is_typed(folder: Folder) -> None:
    (folder.at / "releases" / "notes").write_text("hello")
    said = folder("deploy", "web=./notes")
    assert said.code == Exit.BAD_INPUT
    assert f"nothing at {folder.at}/notes" in said.err


def test_a_text_file_is_no_archive(folder: Folder) -> None:
    (folder.at / "releases" / "notes").write_text("hello")
    said = folder("deploy", "web=./releases/notes")
    assert said.code == Exit.BAD_INPUT
    assert "is not an archive" in said.err


@pytest.mark.parametrize("word", ["nope=1", "web=", "=1", "wep=1"])
def test_a_wish_for_an_unknown_service_or_no_release_is_refused(folder: Folder, word: str) -> None:
    said = folder("deploy", word)
    assert said.code == Exit.BAD_INPUT
    assert "A WISH is" in said.err
    assert not folder.touched


def test_one_service_cannot_be_wished_to_be_two_releases(folder: Folder) -> None:
    assert "both 1 and 2" in folder("deploy", "web=1", "web=2").err


def test_a_port_taken_by_a_stranger_is_found_before_anything_is_opened(folder: Folder) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", folder.port))
        stranger.listen()
        said = folder("deploy", "1")
    assert said.code == Exit.BAD_INPUT
    assert f"Port {folder.port} of web/blue/0 is taken by pid {os.getpid()}" in said.err
    assert not folder.touched


def test_an_envoy_that_is_not_there_is_said_by_check_before_anything_starts(folder: Folder) -> None:
    folder.write(folder.site.replace("{listen", "{binary: /nowhere/envoy, listen"))
    said = folder("check")
    assert said.code == Exit.BAD_INPUT
    assert "/nowhere/envoy is no program that can be run" in said.err
    assert "envoy: {binary: /path/to/envoy}" in said.err
    assert not folder.touched


def test_check_says_everything_that_is_wrong_in_one_go(folder: Folder) -> None:
    (folder.at / "releases" / "web-1").rmdir()
    text = folder.site.replace("{listen", "{binary: /nowhere/envoy, listen")
    folder.write(text.replace("    probes:", "    env: {DB_PASSWORD: {file: nope}}\n    probes:"))
    wrong = [f["what"] for f in folder("-o", "json", "check").data["findings"] if f["wrong"]]
    assert len(wrong) == 3
    assert any("DB_PASSWORD" in what for what in wrong)


def test_check_is_0_where_all_is_well(folder: Folder) -> None:
    said = folder("check")
    assert said.code == Exit.DONE, said.err
    assert not folder.touched


# -- The journal, the lease, and the world -------------------------------------------------


def test_a_journal_that_is_no_journal_is_named_and_left_alone(folder: Folder) -> None:
    (folder.at / "state").mkdir()
    journal = folder.at / "state" / "journal.db"
    journal.write_bytes(b"garbage" * 1000)
    for verb in (["status"], ["deploy", "1"], ["backout"], ["history"]):
        assert folder(*verb).code == Exit.BAD_INPUT
    assert journal.read_bytes() == b"garbage" * 1000


class Fuse:
    """Raises this trouble at every write to the journal from the given one on."""

    def __init__(self, trouble: Exception, verb: str, after: int) -> None:
        self.trouble, self.verb, self.left = trouble, verb, after

    def __call__(self, tick: Tick) -> Answer:
        if tick.verb == self.verb and tick.when.value == "before":
            self.left -= 1
            if self.left < 0:
                raise self.trouble
        return GO_ON


TROUBLES = {
    "full before it is opened": (NoRoom("the disk is full"), "journal.append", 0, Exit.BAD_INPUT),
    "full while it is open": (NoRoom("the disk is full"), "journal.append", 4, Exit.STUCK),
    "somebody takes over": (Superseded("epoch 9"), "installation.start", 0, Exit.SOMEBODY_ELSE),
    "an effect that nobody can see": (Unreachable("no answer"), "switch.ensure", 0, Exit.BAD_INPUT),
    "a mistake of ours": (ZeroDivisionError("s3cret"), "installation.start", 0, Exit.BUG),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_trouble_outside_has_its_exit_code_and_says_who_serves(tmp_path: Path, case: str) -> None:
    """S10, and what else may happen; a report of a bug holds nothing that was read."""
    trouble, verb, after, code = TROUBLES[case]
    desk = Desk(tmp_path)
    desk("deploy", "1")
    desk.hook = Fuse(trouble, verb, after)
    said = desk("deploy", "2")
    assert said.code == code, said.err
    assert said.last.startswith("web 1 and api 1 serve on blue")
    assert "s3cret" not in said.out + said.err


def test_after_the_disk_had_room_again_resume_goes_on(tmp_path: Path) -> None:
    """S10."""
    desk = Desk(tmp_path)
    desk("deploy", "1")
    desk.hook = Fuse(NoRoom("the disk is full"), "journal.append", 4)
    desk("deploy", "2")
    desk.hook = None
    assert desk("resume").code == Exit.DONE
    assert desk("switch").code == Exit.DONE
