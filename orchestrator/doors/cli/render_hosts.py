"""Each host with what is on it, in 80 columns, and as data for programs."""

from __future__ import annotations

from typing import Any

from orchestrator.core.chronicle import Chronicle, Gone
from orchestrator.core.words import sentence
from orchestrator.doors.cli.paper import Ink, Paper, capital, harmless
from orchestrator.doors.cli.render_status import taken_out
from orchestrator.ports.hosts import HostSeen, OnHost, Wrong

Steps = tuple[tuple[str, str], ...]

HEAD = ("host", "on it", "epoch", "agent", "python", "systemd")
IN_A_WORD = {
    Wrong.DOWN: "down",
    Wrong.KEY: "its host key",
    Wrong.FOREIGN: "another journal",
    Wrong.LOST: "lost",
    Wrong.GONE: "taken out",
    Wrong.TROUBLE: "trouble",
}


def table(seen: tuple[HostSeen, ...], chronicle: Chronicle, now: float, paper: Paper) -> str:
    """A line for each color that is on a host; what is wrong with one stands below its line."""
    rows = [(host, _cells(host)) for host in seen]
    short = [HEAD, *(lines[0] for _, lines in rows)]
    widths = [max(len(row[column]) for row in short) for column in range(len(HEAD))]
    widths[1] = max(len(line[1]) for lines in ((HEAD,), *(x for _, x in rows)) for line in lines)
    widths[1] = min(widths[1], paper.width - sum(widths) + widths[1] - 2 * (len(HEAD) - 1))
    text = [paper.ink(Ink.FAINT, _row(HEAD, widths))]
    for host, lines in rows:
        text += [_row(line, widths) for line in lines]
        if wrong := what_is_wrong(host, chronicle, now, paper):
            said = sentence(capital(wrong, (host.name,)))
            text += [paper.ink(Ink.BAD, line) for line in paper.wrapped(said, first="  ")]
    return "\n".join(text)


def what_is_wrong(host: HostSeen, chronicle: Chronicle, now: float, paper: Paper) -> str:
    """In words; empty where nothing is. Who was taken out is not asked to be well."""
    gone = next((gone for gone in chronicle.gone if gone.host == host.name), None)
    if gone is not None:
        still = "" if host.wrong in (None, Wrong.GONE) else f"; {host.why}"
        return taken_out(gone, now, paper) + still
    return host.why


def _cells(host: HostSeen) -> list[tuple[str, ...]]:
    on = [_on(one) for one in host.on]
    on += [f"a proxy of {switch}" for switch in host.proxy_of]
    on = on if on and host.wrong is not Wrong.DOWN else [_nothing(host)]
    known = (
        str(host.youngest or "-"),
        *(t or "-" for t in (host.agent, host.python, host.systemd)),
    )
    first = (host.name, on[0], *known)
    return [first, *(("", line, "", "", "", "") for line in on[1:])]


def _nothing(host: HostSeen) -> str:
    return IN_A_WORD[host.wrong] if host.wrong is not None else "nothing"


def _on(one: OnHost) -> str:
    version = one.release.label if one.release else "unknown"
    state = "runs" if one.running else "starts again and again" if one.kept else "stopped"
    return f"{one.service} {one.color.value} {version} {state}"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    fitted = (
        (cell if len(cell) <= width else cell[: width - 1] + "…").ljust(width)
        for cell, width in zip(map(harmless, cells), widths, strict=True)
    )
    return "  ".join(fitted).rstrip()


# -- What to do about it -------------------------------------------------------------------


def next_steps(seen: tuple[HostSeen, ...], chronicle: Chronicle) -> Steps:
    """One for each thing that is wrong, each once."""
    steps: dict[str, str] = {}
    for host in seen:
        if host.name in chronicle.away:
            if host.wrong in (None, Wrong.GONE):
                steps[f"bgctl readmit {host.name}"] = "take it back"
            continue
        match host.wrong:
            case Wrong.DOWN:
                steps[f"bgctl without {host.name}"] = "go on without it, if it is gone"
            case Wrong.FOREIGN:
                steps["bgctl adopt"] = "take the site over, if its journal is lost"
            case Wrong.GONE:
                steps[f"bgctl readmit {host.name}"] = "take it back"
            case Wrong.LOST:
                steps["bgctl reconcile"] = "bring it to where the others are"
            case Wrong.KEY | Wrong.TROUBLE:
                steps["bgctl check"] = "says what to do"
            case None:
                pass
    return tuple(steps.items())


def data(seen: tuple[HostSeen, ...], chronicle: Chronicle) -> list[dict[str, Any]]:
    gone = {one.host: one for one in chronicle.gone}
    return [
        {
            "name": host.name,
            "address": host.address,
            "wrong": host.wrong.value if host.wrong else None,
            "why": host.why,
            "taken_out": _gone_data(gone.get(host.name)),
            "on": [
                {
                    "service": one.service,
                    "color": one.color.value,
                    "version": one.release.version if one.release else None,
                    "digest": one.release.digest if one.release else None,
                    "running": one.running,
                }
                for one in host.on
            ],
            "proxy_of": list(host.proxy_of),
            "epoch": host.youngest,
            "journal": host.journal or None,
            "agent": host.agent or None,
            "python": host.python or None,
            "systemd": host.systemd or None,
            "user": host.user or None,
            "how": host.how or None,
            "free": host.free,
        }
        for host in seen
    ]


def _gone_data(gone: Gone | None) -> dict[str, Any] | None:
    if gone is None:
        return None
    return {"by": gone.by, "since": gone.since_s, "why": gone.why}
