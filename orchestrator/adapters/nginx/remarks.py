"""What an nginx cannot promise, in words, with what was counted. Pure."""

from __future__ import annotations

MEASURED = "29 of 52,394 requests in 30 reloads"


def still_sent(switch: str, host: str) -> str:
    """Of a host that was taken out."""
    return (
        f"{switch} is nginx: {host} was taken out, but requests go there as long as it answers,"
        " until its `server` lines end in `down`, or are gone, and nginx is reloaded"
    )


def remark(switch: str, cuts: tuple[int, ...] = ()) -> str:
    """`cuts`: connections that each of the last reloads closed while somebody was speaking."""
    begin = (
        f"{switch} is nginx: a flip is a reload, and a reload may cut keep-alive connections:"
        " a request that is just arriving on one gets no answer"
    )
    if not cuts:
        return f"{begin} (about 1 per flip under load: {MEASURED} when it was measured)"
    reloads = "the last reload" if len(cuts) == 1 else f"the last {len(cuts)} reloads"
    if not any(cuts):
        return f"{begin} (none at your load so far: 0 were cut in {reloads} of a proxy)"
    about = f"at most about {sum(cuts) / len(cuts):.2g} per flip at your load"
    return f"{begin} ({about}: {sum(cuts)} were cut in {reloads} of a proxy, as its host counts)"
