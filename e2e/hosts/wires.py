"""The network of a fleet: a bridge on this machine, and a namespace with one cable for each host.

Fleet N is 10.88.N.0/24; this machine is .1 and the hosts have no way to anywhere else. A cable can
be pulled (`plug(…, False)`: the carrier is gone at both ends), and packets can be made to vanish
without a word inside the host's namespace (`vanish`). It refuses to know what runs in a namespace.
"""

from __future__ import annotations

import subprocess


def bridge(number: int) -> str:
    """The bridge is up; the address this machine has on it."""
    name, address = f"bgh{number}", f"10.88.{number}.1"
    ip(
        f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set {name} up",
        f"address add {address}/24 dev {name}",
    )
    return address


def cable(number: int, index: int) -> tuple[str, str]:
    """A new namespace on the bridge, in place of the one of before: (its name, its address)."""
    name, veth, address = (
        f"bgh{number}-{index}",
        f"bgh{number}v{index}",
        f"10.88.{number}.{index + 10}",
    )
    uncable(number, index)
    ip(
        f"netns add {name}",
        f"link add {veth} type veth peer name eth0 address 02:88:00:00:{number:02x}:{index:02x}"
        f" netns {name}",
        f"link set {veth} master bgh{number} up",
    )
    ip(
        "link set lo up",
        f"address add {address}/24 dev eth0",
        "link set eth0 up",
        namespace=name,
    )
    return name, address


def uncable(number: int, index: int) -> None:
    """The end on the bridge goes first: that of the namespace goes some time after it."""
    for command in (
        ["ip", "link", "delete", f"bgh{number}v{index}"],
        ["ip", "netns", "delete", f"bgh{number}-{index}"],
    ):
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def plug(number: int, index: int, plugged: bool) -> None:
    ip(f"link set bgh{number}v{index} {'up' if plugged else 'down'}")


def vanish(namespace: str, *, arriving: str = "", leaving: str = "") -> None:
    """Drop what an nftables match says ("ip saddr 10.88.1.1"); "" drops nothing."""
    rules = [
        f"add rule inet trouble {chain} {match} drop"
        for chain, match in (("arriving", arriving), ("leaving", leaving))
        if match
    ]
    text = [
        "add table inet trouble",
        "flush table inet trouble",
        *(
            f"add chain inet trouble {chain} {{ type filter hook {hook} priority raw; }}"
            for chain, hook in (("arriving", "input"), ("leaving", "output"))
        ),
        *rules,
    ]
    _fed([*inside(namespace), "nft", "-f", "-"], "\n".join(text) + "\n")


def ip(*commands: str, namespace: str = "") -> None:
    """All of the commands in one process, which stops at the first that fails."""
    _fed(
        [*(inside(namespace) if namespace else ()), "ip", "-batch", "-"], "\n".join(commands) + "\n"
    )


def inside(namespace: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{namespace}")


def _fed(command: list[str], text: str) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{text}")
