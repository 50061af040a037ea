"""The switch in memory: one write, one instant; an older epoch is refused."""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Change, Doing
from orchestrator.core.model import Color, Hold, Pin, Share, Site
from orchestrator.core.sight import Astray, Connections, SwitchSeen
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Refused, Superseded, TooLate, Unreachable

HOST = "127.0.0.1"
TARGET = "switch"
PREVIEWS_FROM = 40000
INNER_FROM = 45000


class MemorySwitch:
    """`ports.switch.Switch` on the shares and pins of a world."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._world = doing.world

    async def look(self, epoch: int | None) -> SwitchSeen:
        def look() -> SwitchSeen:
            if epoch is not None and self._world.held_by != self._doing.pid:
                self._end_hold()  # one that a dead driver left
            return self._seen()

        return await self._doing.look("switch.look", "", look, epoch=epoch, target=TARGET)

    async def ensure(self, epoch: int) -> None:
        def ensure() -> bool:
            changed = not self._world.switch_runs or bool(self._world.switch_broken)
            self._world.switch_runs, self._world.switch_broken = True, ""
            return self._stay(tuple(one for one in self._world.astray if one.shut)) or changed

        await self._effect("ensure", "", ensure, epoch)

    async def admit(self, hosts: tuple[str, ...], epoch: int) -> None:
        def admit() -> bool:
            stay = (one for one in self._world.astray if not one.shut or one.host not in hosts)
            return self._stay(tuple(stay))

        await self._effect("admit", ", ".join(hosts), admit, epoch)

    def _stay(self, astray: tuple[Astray, ...]) -> bool:
        changed, self._world.astray = astray != self._world.astray, astray
        return changed

    async def send(
        self,
        shares: dict[str, Share],
        pins: dict[Pin, Color],
        epoch: int,
        *,
        not_after_s: float | None = None,
    ) -> None:
        def send() -> bool:
            if not self._world.switch_runs or self._world.switch_broken:
                raise Unreachable(f"the switch is not there: {self._world.switch_broken or 'off'}")
            if not_after_s is not None and self._world.clock.now() > not_after_s:
                raise TooLate("it took too long, and its time was over before the write")
            before = (dict(self._world.shares), dict(self._world.pins))
            self._world.held = ()
            self._world.shares |= shares
            self._world.pins |= pins
            return before != (self._world.shares, self._world.pins)

        told = [f"{name} {share.blue}/{share.green}" for name, share in shares.items()]
        told += [f"{p.caller} {p.color.value} {p.callee} {c.value}" for p, c in pins.items()]
        await self._effect("send", ", ".join(told), send, epoch)

    async def hold(self, services: tuple[str, ...], hold: Hold, epoch: int) -> float:
        world = self._world

        def stop_time() -> bool:
            if world.site.policy.hold is None:
                raise Refused("the switch was made without a hold: the site file asks for none")
            if not world.switch_runs or world.switch_broken:
                raise Unreachable(f"the switch is not there: {world.switch_broken or 'off'}")
            served = tuple(name for name in services if world.shares.get(name, Share()) != Share())
            world.held, world.held_by = served, self._doing.pid
            return False  # it changes nobody's color, and ends by itself

        began_s = world.clock.now()
        await self._effect("hold", ", ".join(services), stop_time, epoch)
        return began_s

    async def held(self, epoch: int) -> Held:
        def held() -> Held:
            if self._world.held_by != self._doing.pid:
                raise Refused("nothing is held")
            says = self._world.while_held
            return (says.pop(0) if len(says) > 1 else says[0]) if says else Held(0, 0)

        return await self._doing.look("switch.held", "", held, epoch=epoch, target=TARGET)

    async def let_go(self, epoch: int) -> tuple[float, ...]:
        self._doing.still_alive()
        if self._world.held_by != self._doing.pid:
            return ()
        self._world.let_go += 1
        self._world.held_by = 0  # its own gate opens, whoever drives
        try:
            await self._effect("let_go", "", self._end_hold, epoch)
        except (Refused, Superseded, Unreachable):
            pass
        return self._world.waits_s

    def _end_hold(self) -> bool:
        self._world.held, self._world.held_by = (), 0
        return False

    async def remove(self, epoch: int) -> None:
        def remove() -> bool:
            served = [name for name, share in self._world.shares.items() if share != Share()]
            if served:
                raise Refused(f"{', '.join(served)} is served through it")
            changed, self._world.switch_runs = self._world.switch_runs, False
            return changed

        await self._effect("remove", "", remove, epoch)

    def remarks(self) -> tuple[str, ...]:
        """There is nothing that it cannot promise."""
        return ()

    def inner_address(self, pin: Pin) -> tuple[str, int]:
        pins = [
            Pin(service.name, color, use.callee)
            for service in self._world.site.services
            for use in service.uses
            for color in Color
        ]
        return HOST, INNER_FROM + pins.index(pin)

    def outer_address(self, service: str) -> str | None:
        described = self._world.site.service(service)
        if described.behind is None:
            return None
        specs = {spec.name: spec for spec in self._world.site.switches}
        spec = specs[described.behind.switch]
        return f"http://{spec.host}:{spec.port}{described.behind.path}"

    def preview_address(self, service: str, color: Color) -> str | None:
        if self._world.site.service(service).behind is None:
            return None
        return f"http://{HOST}:{preview_port(self._world.site, service, color)}"

    async def _effect(self, verb: str, what: str, change: Change, epoch: int) -> None:
        await self._doing.effect(f"switch.{verb}", what, change, epoch=epoch, target=TARGET)

    def _seen(self) -> SwitchSeen:
        world = self._world
        if world.switch_broken:
            return SwitchSeen(up=False, note=world.switch_broken)
        names = [service.name for service in world.site.services]
        return SwitchSeen(
            shares=tuple((name, world.shares.get(name, Share())) for name in names),
            pins=tuple(sorted(world.pins.items(), key=_by_name)),
            connections=tuple(
                Connections(service, color, count)
                for (service, color), count in world.connections.items()
            ),
            astray=world.astray,
            lingering=world.lingering,
        )


def preview_port(site: Site, service: str, color: Color) -> int:
    index = [s.name for s in site.services].index(service)
    return PREVIEWS_FROM + 2 * index + (color is Color.GREEN)


def _by_name(item: tuple[Pin, Color]) -> tuple[str, str, str]:
    pin = item[0]
    return pin.caller, pin.color.value, pin.callee
