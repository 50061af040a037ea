"""The whole story in half a minute: a small shop, real processes, a real Envoy, real load.

    python examples/shop/demo.py            plays it, and leaves the shop running to be played with
    python examples/shop/demo.py --clean    stops the shop and deletes everything it left

Every scene is the command `bgctl` itself, run as anybody would run it. The numbers in the last
table are counted by visitors who never stop asking; if one is not what it should be, the demo says
so and fails. The one rule: nothing here knows how bg works inside.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from examples.shop import make_releases, place, table
from examples.shop.picture import picture
from examples.shop.scenes import BGCTL, Scene, act, keep_showing, written_down
from examples.shop.visitors import Crowd

BROKEN = "3"
FIRST = Scene("Release 1 goes out; nothing serves yet", ("deploy", "1"))
STORY = (
    Scene("Release 2 comes up beside it, and is proven", ("deploy", "2")),
    Scene("Traffic is switched to it", ("switch",)),
    Scene("Somebody does not like it: back, at once", ("backout",)),
    Scene("And forward again: 2 is still warm", ("deploy", "2", "--switch")),
    Scene("Release 3 is broken: it never gets a request", ("deploy", "3", "--switch"), code=3),
    Scene(
        "Release 4: the driver is killed half-way",
        ("deploy", "4", "--switch"),
        code=-signal.SIGKILL,
        kill_at="starting web 4",
    ),
    Scene("Whoever comes next goes on where it died", ("resume",)),
    Scene("And traffic is switched once more", ("switch",)),
)


async def play(site: Path) -> bool:
    """The story from the first scene to the table. Whether everything was as it should be."""
    show = picture("A shop: web asks api, in blue and in green")
    try:
        if not await act(FIRST, site, show):
            return False
        crowd = Crowd(place.url(site))
        beats = asyncio.create_task(keep_showing(crowd, show))
        good = True
        for scene in STORY:
            good = good and await act(scene, site, show)
        await crowd.leave()
        beats.cancel()
        show.beat(*crowd.beat())
        switches = await written_down(site)
    finally:
        show.close()
    from_broken = sum(n for who, n in crowd.counts().by.items() if who.split()[1] == BROKEN)
    return table.told(crowd, switches, {"answered by the broken release": from_broken}) and good


def farewell(site: Path, *, good: bool) -> str:
    folder = site.parent if site.name == "bg.yaml" else site
    begin = f"The shop still runs. Look at it: {place.url(site)}/page"
    return f"""
{begin if good else "That was not the whole story; `bgctl status` says where it stands."}
Play with it:

    export PATH="$PWD/.venv/bin:$PATH" BG_SITE={os.path.relpath(folder)}
    bgctl status             who serves; with -w it keeps looking, Ctrl-C leaves
    bgctl deploy 1           an older release is a release like any other
    bgctl switch             and bgctl backout, as often as you like
    bgctl deploy 5           this one cannot even start
    bgctl history            who did what

Stop it, and delete what it left:

    make demo-clean
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description="bg, shown on a small shop.")
    arguments.add_argument(
        "--clean", action="store_true", help="stop the shop, delete what it left"
    )
    if arguments.parse_args().clean:
        print(f"stopped {place.clean()} processes, deleted what they left")
        return
    if not BGCTL.exists():
        sys.exit("bgctl is not installed beside this Python: `make demo` does that first")
    place.clean()
    make_releases.make(place.HERE / "releases")
    site = place.site_file()
    good = False
    try:
        good = asyncio.run(play(site))
    except KeyboardInterrupt:
        print("\ninterrupted")
    if os.environ.get("CI"):
        place.clean()
    else:
        print(farewell(site, good=good))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
