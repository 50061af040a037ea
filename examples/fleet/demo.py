"""A fleet in a minute: five real hosts, a release that goes out to them over SSH, and a host that
loses its power in the middle.

    python examples/fleet/demo.py             plays it, and leaves the hosts running
    python examples/fleet/demo.py off web3    the power of a host goes; `boot web3` brings it back
    python examples/fleet/demo.py --clean     takes everything away again

The hosts are booted here with systemd-nspawn: a systemd, an sshd, a network of their own. Each
scene is the command `bgctl` itself, as anybody would run it; visitors ask both HAProxies all the
time, and the last table is what they counted. The one rule: nothing here knows how bg works inside.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from e2e.hosts import image, needs
from examples.fleet import hosts, place
from examples.fleet.sight import keep_looking
from examples.shop import table
from examples.shop.picture import Picture, picture
from examples.shop.scenes import BGCTL, Scene, act, keep_showing, said, written_down
from examples.shop.visitors import Crowd

STATE = place.STATE
DEAD_S = 5.0  # after which nothing that is lost can be blamed on the power cut


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to the hosts themselves; `words`: what their keeper is told."""

    title: str
    words: tuple[str, ...]
    result: str


MISSING = Scene("The proxies lack lines, and bg says which", ("deploy", "1"), code=2)
LINES = Deed("They get them: `bgctl init haproxy`", ("proxies",), "HAProxy runs with them")
FIRST = Scene("Release 1 goes out; nothing serves yet", ("deploy", "1"))
SECOND = Scene("Release 2 comes up beside it, everywhere", ("deploy", "2"))
OFF = Deed("The power of web3 goes", ("off", "web3"), "web3 is dead")
REST = (
    Scene("Somebody decides: go on without it", ("without", "web3")),
    Scene("Traffic is switched, at both proxies", ("switch",)),
    Scene("Somebody does not like it: back, at once", ("backout",)),
    Deed("web3 has power again", ("boot", "web3"), "it is up"),
    Scene("It may come back", ("readmit", "web3")),
    Scene("And forward once more, on all three", ("deploy", "2", "--switch")),
)


async def play(site: Path, found: hosts.Known) -> bool:
    """The story from the first scene to the table. Whether everything was as it should be."""
    show = picture("A fleet: three hosts behind two HAProxies")
    webs = {name: at for name, at in found.hosts.items() if name.startswith("web")}
    looking = asyncio.create_task(keep_looking(webs, show))
    try:
        if not await set_up(site, show):
            return False
        crowd = Crowd(*found.urls)
        beats = asyncio.create_task(keep_showing(crowd, show))
        good = await act(SECOND, site, show)
        excused = asyncio.create_task(lost_within(crowd, DEAD_S))
        for scene in (OFF, *REST):
            good = good and await (
                do(scene, show) if isinstance(scene, Deed) else act(scene, site, show)
            )
        await crowd.leave()
        beats.cancel()
        show.beat(*crowd.beat())
        switches = await written_down(site)
    finally:
        looking.cancel()
        show.close()
    dead = f"lost within {DEAD_S:g} s after the power of web3 went"
    return table.told(crowd, switches, {}, excused={dead: await excused}) and good


async def set_up(site: Path, show: Picture) -> bool:
    """From bare hosts to release 1."""
    good = await act(MISSING, site, show)
    (STATE / "haproxy.lines").write_text(await said(site, "init", "haproxy"))
    return good and await do(LINES, show) and await act(FIRST, site, show)


async def do(deed: Deed, show: Picture) -> bool:
    show.scene(deed.title, "")
    await asyncio.to_thread(hosts.ask, STATE, *deed.words)
    show.end(deed.result, good=True)
    return True


async def lost_within(crowd: Crowd, seconds: float) -> int:
    """How many requests are lost from now on, so long."""
    before = crowd.counts().lost
    await asyncio.sleep(seconds)
    return crowd.counts().lost - before


def farewell(found: hosts.Known, *, good: bool) -> str:
    here = os.path.relpath(STATE)
    begin = f"The hosts still run. Look at them: {found.urls[0]}/page"
    return f"""
{begin if good else "That was not the whole story; `bgctl status` says where it stands."}
Play with them:

    export PATH="$PWD/{here}/bin:$PATH"
    bgctl status             who serves; with -w it keeps looking, Ctrl-C leaves
    bgctl hosts              what there is on each
    bgctl deploy 4           then bgctl switch, and bgctl backout
    ssh web1                 a host is a host: systemctl status 'bg-*'
    fleet off web2           its power goes; `fleet boot web2` brings it back
    bgctl history            who did what

Take it all away:

    make demo-hosts-clean
"""


def clean() -> bool:
    """Whether there was anything."""
    there = hosts.end(STATE) or STATE.exists()
    shutil.rmtree(STATE, ignore_errors=True)
    return there


def main() -> None:
    asked = argparse.ArgumentParser(description="bg, shown on a fleet of real hosts.")
    asked.add_argument("--clean", action="store_true", help="take the hosts and all of it away")
    asked.add_argument("do", nargs="*", metavar="off|boot HOST", help="the power of a host")
    given = asked.parse_args()
    if why := needs.missing():
        sys.exit(f"demo-hosts: {why}")
    if given.clean:
        print("the hosts and what they left are gone" if clean() else "nothing was there")
    elif given.do:
        hosts.ask(STATE, *given.do)
    else:
        sys.exit(0 if shown() else 1)


def shown() -> bool:
    if not BGCTL.exists():
        sys.exit("bgctl is not installed beside this Python: `make demo-hosts` does that first")
    clean()
    image.base()  # their disk; made first where there is none
    print("five hosts boot: a systemd, an sshd, a network of their own …", end=" ", flush=True)
    began = time.monotonic()
    found = hosts.begin(STATE)
    print(f"up after {time.monotonic() - began:.1f} s")
    os.environ["HOME"] = str(STATE / "home")  # its .ssh/config knows them
    os.environ.pop("SSH_AUTH_SOCK", None)
    good = False
    try:
        good = asyncio.run(play(STATE / "bg.yaml", found))
    except KeyboardInterrupt:
        print("\ninterrupted")
    if os.environ.get("CI"):
        clean()
    else:
        print(farewell(found, good=good))
    return good


if __name__ == "__main__":
    main()
