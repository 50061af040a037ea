"""Secrets: read at the moment of a start, told to nobody but the program (S90)."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from orchestrator.core.model import Recipe, Secret, SecretFrom
from orchestrator.ports.trouble import Refused
from orchestrator.releases import secrets
from orchestrator.releases.redact import Redactor
from tests.adapters.local.samples import files_below, pids_with


async def read(folder: Path, source: SecretFrom, *name: str) -> str:
    recipe = Recipe(("x",), (("PLAIN", "not one"), ("DB", Secret(source, name))))
    values = await secrets.resolve(recipe, str(folder), Redactor())
    assert set(values) == {"DB"}
    return values["DB"]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" two lines \nof it\n\n", " two lines \nof it\n"),
        ("pässwörd".encode(), "pässwörd"),
        (b"", ""),
    ],
)
async def test_a_file_is_read_without_its_last_line_end(
    tmp_path: Path, data: bytes, value: str
) -> None:
    (tmp_path / "db").write_bytes(data)
    assert await read(tmp_path, SecretFrom.FILE, "db") == value
    assert await read(tmp_path, SecretFrom.FILE, str(tmp_path / "db")) == value


async def test_a_secret_that_is_no_text_arrives_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"\xff\xfe\x01")
    assert os.fsencode(await read(tmp_path, SecretFrom.FILE, "db")) == b"\xff\xfe\x01"


async def test_a_variable_of_the_driver_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB", "hunter2")
    assert await read(tmp_path, SecretFrom.ENV, "SHOP_DB") == "hunter2"


async def test_a_command_is_asked_in_the_folder_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("hunter2\n")
    assert await read(tmp_path, SecretFrom.COMMAND, "cat", "vault") == "hunter2"


async def test_a_secret_is_read_anew_each_time(tmp_path: Path) -> None:
    for value in ("old", "new"):
        (tmp_path / "db").write_text(value)
        assert await read(tmp_path, SecretFrom.FILE, "db") == value


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        (SecretFrom.FILE, ("nowhere",), r"DB .*nowhere: No such file"),
        (SecretFrom.FILE, ("/dev/zero",), "is not a file"),
        (SecretFrom.FILE, (".",), "is not a file"),
        (SecretFrom.ENV, ("NOBODY_SET_THIS",), "NOBODY_SET_THIS is not set"),
        (SecretFrom.COMMAND, ("no-such-command",), "no-such-command cannot be run"),
        (SecretFrom.COMMAND, ("sh", "-c", "echo hunter2; exit 3"), "exit code 3"),
        (SecretFrom.COMMAND, ("sh", "-c", "echo hunter2 >&2; exit 3"), "exit code 3"),
        (SecretFrom.COMMAND, ("cat", "/dev/zero"), "longer than 64 KiB"),
        (SecretFrom.COMMAND, ("printf", r"hunter2\000"), "NUL"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_name_and_without_its_value(
    tmp_path: Path, source: SecretFrom, name: tuple[str, ...], why: str
) -> None:
    """S90"""
    with pytest.raises(Refused, match=why) as trouble:
        await read(tmp_path, source, *name)
    assert "DB" in trouble.value.why
    assert "hunter2" not in trouble.value.why


async def test_a_command_that_says_nothing_is_given_up_with_all_it_began(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    command = ("sh", "-c", 'tail -f "$0" & exec tail -f "$0"', str(mark))
    recipe = Recipe(("x",), (("DB", Secret(SecretFrom.COMMAND, command)),))
    began = time.monotonic()
    with pytest.raises(Refused, match=r"was not done within 0\.3 s"):
        await secrets.resolve(recipe, str(tmp_path), Redactor(), command_s=0.3)
    assert time.monotonic() - began < 5
    assert not pids_with(str(mark))


async def test_what_is_read_is_told_to_the_redactor(tmp_path: Path) -> None:
    """S90"""
    (tmp_path / "db").write_text("hunter22\n")
    recipe = Recipe(
        ("x",), (("DB", Secret(SecretFrom.FILE, ("db",))), ("API_TOKEN", "plain-but-secret"))
    )
    resolving, quiet = Redactor(), Redactor()
    await secrets.resolve(recipe, str(tmp_path), resolving)
    secrets.learn_quietly(recipe, str(tmp_path), quiet)
    for redactor in (resolving, quiet):
        assert redactor.clean("hunter22, plain-but-secret") == "‹DB›, ‹API_TOKEN›"


async def test_learning_quietly_runs_nothing_and_fails_at_nothing(tmp_path: Path) -> None:
    touch = Secret(SecretFrom.COMMAND, (sys.executable, "-c", "open('ran', 'w')"))
    missing = Secret(SecretFrom.FILE, ("nowhere",))
    secrets.learn_quietly(Recipe(("x",), (("A", touch), ("B", missing))), str(tmp_path), Redactor())
    assert not files_below(tmp_path)
