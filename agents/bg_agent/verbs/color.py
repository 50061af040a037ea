"""`start`, `stop`, `point`: what a color of a service runs, and what it points at.

The one rule: an instance that runs another release is never touched, neither by a start nor by a
stop; whoever wants that says the release.
"""

from __future__ import annotations

from bg_agent import starting, stopping
from bg_agent.asked import Asked, bad
from bg_agent.shelf import Shelf
from bg_agent.systemd import Systemd
from bg_agent.trouble import Refused
from bg_agent.units import Instance, Launch, environment, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call

ARGV_MAX = 1000
INSTANCES_MAX = 256
STOP_MAX_S = 3600.0
CREDENTIAL_MAX = 256 * 1024


def start(call: Call) -> dict[str, Any]:
    launch = launch_of(call.asked)
    if launch.user and call.host.how == "user":
        raise bad("user: a systemd of a user runs everything as that user")
    systemd = Systemd(call.host.how)
    instances = starting.start(call.root, call.fence, launch, systemd)
    return {"instances": instances}


def stop(call: Call) -> dict[str, Any]:
    asked = call.asked
    color = (asked.name("service"), asked.color())
    stop_s = asked.seconds("stop_s", STOP_MAX_S, 10.0)
    wanted = stopping.Wanted(color, asked.release(), stop_s)
    return {"stopped": stopping.stop(call, Systemd(call.host.how), wanted)}


def point(call: Call) -> dict[str, Any]:
    service, color = call.asked.name("service"), call.asked.color()
    release = call.asked.release() if call.asked.has("release") else None
    shelf = Shelf(call.root)
    with call.fence.holding():
        if release is not None and not shelf.has(service, release):
            raise Refused("%s %s is not staged here" % (service, release.label))
        shelf.point(service, color, release)
    return {"current": release.plain() if release else None}


# -- Reading -------------------------------------------------------------------------------


def launch_of(asked: Asked) -> Launch:
    launch = Launch(asked.name("service"), asked.color(), asked.release())
    given = asked.items("instances", INSTANCES_MAX)
    launch.instances = [
        _instance(Asked(one, "instance %d" % n), "instance %d" % n) for n, one in enumerate(given)
    ]
    _check_alike(launch.instances)
    launch.stop_s = asked.seconds("stop_s", STOP_MAX_S, 10.0)
    launch.notify, launch.user = asked.yes("notify"), asked.user()
    launch.unit = settings(asked.pairs("unit"))
    launch.credentials = {
        _credential_name(name): _credential(name, text)
        for name, text in asked.pairs("credentials", 64).items()
    }
    return launch


def _instance(asked: Asked, where: str) -> Instance:
    argv = [
        Asked({"argv": one}, where).text("argv", 65536) for one in asked.items("argv", ARGV_MAX)
    ]
    if not argv or not argv[0]:
        raise bad("%s: argv begins with a program" % where)
    env = environment(asked.pairs("env"), where)
    port = asked.number("port", 65535, 0, default=0)
    return Instance(asked.number("index", 9999), argv, env, port)


def _check_alike(instances: list[Instance]) -> None:
    if not instances:
        raise bad("instances: at least one")
    if len({one.index for one in instances}) < len(instances):
        raise bad("instances: one index twice")
    if len({(one.argv[0], len(one.argv)) for one in instances}) > 1:
        raise bad("instances: all run the same program, with as many arguments")


def _credential_name(name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise bad("credentials: a name is letters, digits, _ and -")
    return name


def _credential(name: str, text: Any) -> bytes:
    import base64

    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise bad("credentials: %s is not base64" % name) from None
    if len(data) > CREDENTIAL_MAX:
        raise bad("credentials: %s is too long" % name)
    return data
