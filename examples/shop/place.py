"""Where the demo plays: a site file, its state folder and its ports, and how all of it goes away.

The site is `bg.yaml` itself where its ports are free; otherwise a copy of it on other ports. The
one rule of cleaning up: only what the site's own state folder knows of is stopped.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.config.load import load

HERE = Path(__file__).resolve().parent
PORT = re.compile(r"\b18(?=\d{3}\b)")
THOUSANDS = range(18, 32)


def site_file(folder: Path = HERE) -> Path:
    """The site file to play with; a copy on other ports is written where strangers have ours."""
    site = folder / "bg.yaml"
    text = site.read_text()
    for thousand in THOUSANDS:
        mine = PORT.sub(str(thousand), text)
        if all(free(port) for port in ports(mine)):
            return site if thousand == THOUSANDS[0] else written(folder, mine, thousand)
    raise SystemExit("no free ports for the demo between 18000 and 31999")


def url(site: Path) -> str:
    """Where visitors find the shop."""
    found = re.search(r'listen: "([\d.:]+)"', site.read_text())
    assert found is not None
    return f"http://{found.group(1)}"


def written(folder: Path, text: str, thousand: int) -> Path:
    path = folder / f"bg-{thousand}000.yaml"
    path.write_text(text.replace("state: state", f"state: state-{thousand}000"))
    return path


def ports(text: str) -> Iterator[int]:
    """Every port the site names, and the second instance's beside it."""
    for found in re.findall(r"\b[123]\d{4}\b", text):
        yield from (int(found), int(found) + 1)


def free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def clean() -> int:
    """Stops what any demo started here, deletes what it left, and says how many were stopped."""
    stopped = 0
    for path in (HERE / "bg.yaml", *HERE.glob("bg-*.yaml")):
        state = Path(load(path).state)
        if (state / "run").is_dir():
            stopped += asyncio.run(stop_all(state / "run"))
        shutil.rmtree(state, ignore_errors=True)
        if path.name != "bg.yaml":
            path.unlink()
    return stopped


async def stop_all(run: Path) -> int:
    processes = LocalProcesses(str(run))
    names = [seen.name for seen in processes.look() if seen.running or seen.kept]
    await asyncio.gather(*(processes.stop(name) for name in names))
    return len(names)
