"""What is sent to a host: one file, the same bytes every time, that any Python from 3.8 on runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.agents.systemd import built

EVERY_PYTHON = True


def said(python: str, *argv: str) -> str:
    done = subprocess.run(
        [python, "-I", "-S", *argv], check=True, capture_output=True, text=True, env={}
    )
    return done.stdout.strip()


def test_the_same_modules_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(root / "agents", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in copy.rglob("*"):
        path.chmod(0o700)
    for target, source in (("one", root / "agents"), ("two", copy)):
        build = [sys.executable, str(source / "build.py"), str(tmp_path / target)]
        subprocess.run(build, check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_another_module_gives_another_hash(root: Path, tmp_path: Path, pyz: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(root / "agents", copy)
    (copy / "bg_agent" / "table.py").write_text("")
    build = [sys.executable, str(copy / "build.py"), str(tmp_path / "two")]
    other = subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()
    assert other != said(sys.executable, str(pyz), "hash")


def test_it_says_what_it_is_whether_it_was_unpacked_or_not(
    root: Path, tmp_path: Path, python: str
) -> None:
    """S86: the driver knows which agent it speaks with."""
    pyz = built(root, tmp_path / "agent")
    start = said(python, str(pyz), "unpack")
    assert start == str(tmp_path / "agent" / "start.py")
    assert said(python, start, "hash") == said(python, str(pyz), "hash")
    hello = subprocess.run(
        [python, "-I", "-S", start, "serve"],
        input=b'{"id": 1, "verb": "hello"}\n',
        stdout=subprocess.PIPE,
        check=True,
    )
    answer = json.loads(hello.stdout)["ok"]
    assert answer["hash"] == said(python, str(pyz), "hash")
    assert answer["protocol"] == 1


def test_where_others_can_write_nothing_is_unpacked(
    root: Path, tmp_path: Path, python: str
) -> None:
    pyz = built(root, tmp_path / "agent")
    pyz.parent.chmod(0o770)
    assert said(python, str(pyz), "unpack") == str(pyz)
    assert [path.name for path in pyz.parent.iterdir()] == ["agent.pyz"]


def test_the_first_answer_needs_next_to_no_imports(root: Path, tmp_path: Path, python: str) -> None:
    start = said(python, str(built(root, tmp_path / "agent")), "unpack")
    done = subprocess.run(
        [python, "-I", "-S", "-X", "importtime", start, "serve"],
        input=b'{"id": 1, "verb": "hello"}\n',
        capture_output=True,
        check=True,
    )
    imported = {line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines()}
    assert "bg_agent.serve" in imported
    assert not imported & {"json", "re", "threading", "subprocess", "argparse", "runpy", "typing"}
