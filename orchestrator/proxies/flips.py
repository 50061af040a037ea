"""One change at all proxies of a switch: prepared at each, then flipped at all of them together.

    prepare everywhere · flip everywhere · each re-read by whoever flipped it
    a minority that does not follow is brought along; where it is not, the others are taken back

The one rule: nobody flips before all are prepared, and no mixture outlives the `Patience` at
proxies that can be reached. It refuses to know why anybody is sent where, and by what program.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from orchestrator.ports.trouble import Refused, Superseded, TooLate, Trouble, Unreachable
from orchestrator.proxies.far import named
from orchestrator.proxies.proxy import Prepared, Proxy, Sent

AGAIN_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    follow_s: float  # how long those that do not follow are asked again
    back_s: float  # how long those that did are asked to go back


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be so at one proxy, by key. `held`: flip only while these are held."""

    proxy: Proxy
    entries: Mapping[str, str]
    held: tuple[str, ...] = ()


@dataclass(slots=True)
class _Flip:
    """A change under way."""

    change: Change
    prepared: Prepared
    before: Mapping[str, str]
    done: bool = False
    late: bool = False
    why: str = ""


async def flip(
    changes: Iterable[Change],
    epoch: int,
    *,
    left_s: Callable[[], float],
    patience: Patience,
) -> None:
    """Returns when every proxy has it. `left_s` is asked right before the first write.

    `Refused`, `TooLate`: nothing was changed. `Unreachable`: taken back, or not known.
    """
    flips = await _prepared(tuple(changes), epoch)
    if (time_left_s := left_s()) < 0:
        raise TooLate("it took too long, and its time was over before the write")
    within_s = min(patience.follow_s, time_left_s)
    until = time.monotonic() + within_s
    await _each(flips, partial(_sent, epoch=epoch, within_s=within_s))
    while _followers(flips) and _stragglers(flips) and time.monotonic() < until:
        await asyncio.sleep(AGAIN_S)
        rest_s = max(until - time.monotonic(), AGAIN_S)
        await _each(_stragglers(flips), partial(_once_more, epoch=epoch, within_s=rest_s))
    if left := _stragglers(flips):
        await _give_up(flips, left, epoch, patience)


async def _prepared(changes: tuple[Change, ...], epoch: int) -> list[_Flip]:
    prepared = await all_of(change.proxy.prepare(change.entries, epoch) for change in changes)
    for change, one in zip(changes, prepared, strict=True):
        if not one.process:
            why = named(change.proxy.host, one.why)
            raise Unreachable(f"{why}; nothing was changed anywhere")
    return [
        _Flip(change, one, {key: one.before[key] for key in change.entries})
        for change, one in zip(changes, prepared, strict=True)
    ]


async def _each(flips: list[_Flip], try_it: Callable[[_Flip], Awaitable[Sent]]) -> None:
    answers = await asyncio.gather(*map(try_it, flips), return_exceptions=True)
    for one, answer in zip(flips, answers, strict=True):
        _note(one, answer)


async def _sent(one: _Flip, epoch: int, within_s: float) -> Sent:
    """One that does not answer makes no other wait."""
    proxy, held = one.change.proxy, one.change.held
    async with _bounded(within_s):
        return await proxy.send(one.prepared, epoch, held, within_s=within_s)


async def _once_more(one: _Flip, epoch: int, within_s: float) -> Sent:
    """From the start."""
    async with _bounded(within_s):
        one.prepared = await one.change.proxy.prepare(one.change.entries, epoch)
    if not one.prepared.process:
        raise Unreachable(one.prepared.why)
    return await _sent(one, epoch, within_s)


@asynccontextmanager
async def _bounded(within_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise _NoAnswer(f"no answer within {within_s:.3g} s") from None


class _NoAnswer(Unreachable):
    """Time was over. What was heard before says more."""


def _note(one: _Flip, answer: Sent | BaseException) -> None:
    """A younger driver ends everything; any other trouble is one proxy's."""
    match answer:
        case Sent():
            one.done, one.late, one.why = answer.flipped, answer.late, answer.why
        case Superseded():
            raise answer
        case _NoAnswer() if one.why:
            pass
        case Trouble():
            one.why = answer.why
        case _:
            raise answer


def _stragglers(flips: list[_Flip]) -> list[_Flip]:
    return [one for one in flips if not one.done]


def _followers(flips: list[_Flip]) -> bool:
    """Whether anybody did, and all others still may."""
    return any(one.done for one in flips) and not any(one.late for one in flips)


# -- Taking back -----------------------------------------------------------------------------


async def _give_up(flips: list[_Flip], left: list[_Flip], epoch: int, patience: Patience) -> None:
    what = "; ".join(named(one.change.proxy.host, one.why) for one in left)
    late = all(one.late for one in left)
    if late and len(left) == len(flips):
        raise TooLate(f"time was over before the write ({what})")
    stayed = await _take_back(flips, epoch, patience.back_s)
    if stayed:
        raise Unreachable(
            f"not every proxy followed ({what}), and not all could be taken back:"
            f" {', '.join(stayed)}"
        )
    if late:
        raise TooLate(f"time was over before every proxy had it ({what}); all were taken back")
    raise Unreachable(
        f"not every proxy followed within {patience.follow_s:g} s ({what}); all were taken back"
    )


async def _take_back(flips: list[_Flip], epoch: int, back_s: float) -> list[str]:
    """All of them, also those of which nothing is known. The hosts that stayed."""
    until = time.monotonic() + back_s
    stayed = list(flips)
    while stayed and time.monotonic() < until:
        answers = await asyncio.gather(
            *(_back(one, epoch, back_s) for one in stayed), return_exceptions=True
        )
        if superseded := next((a for a in answers if isinstance(a, Superseded)), None):
            raise superseded
        stayed = [one for one, answer in zip(stayed, answers, strict=True) if answer is not True]
        if stayed:
            await asyncio.sleep(AGAIN_S)
    return [one.change.proxy.host for one in stayed]


async def _back(one: _Flip, epoch: int, back_s: float) -> bool:
    """Where the proxy is away, its file is all there is to take back."""
    proxy = one.change.proxy
    async with _bounded(back_s):
        prepared = await proxy.prepare(one.before, epoch)
        sent = await proxy.send(prepared, epoch, within_s=back_s)
    return sent.flipped or sent.laid


async def all_of(asked: Iterable[Awaitable[T]]) -> list[T]:
    """All answers. The worst trouble of any is raised, once all have answered."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    for kind in (Superseded, Refused, BaseException):
        if worst := next((error for error in failed if isinstance(error, kind)), None):
            raise worst
    return [answer for answer in answers if not isinstance(answer, BaseException)]
