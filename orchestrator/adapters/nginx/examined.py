"""What `check` asks of every nginx before anything is sent through it.

It looks and changes nothing. The one rule: each gets its own sentence, the very one that a deploy
would be refused with, and one that is wrong hides no other.
"""

from __future__ import annotations

import asyncio

from orchestrator.adapters.nginx.proxy import Proxy
from orchestrator.core.model import ProxyKind, Site
from orchestrator.ports.trouble import Trouble
from orchestrator.proxies.far import Far

Found = tuple[bool, str]
"""Whether it is wrong, and what."""


async def examined(site: Site, far: Far) -> tuple[Found, ...]:
    specs = (spec for spec in site.proxies if spec.kind is ProxyKind.NGINX)
    proxies = (Proxy(site, spec, host, far) for spec in specs for host in spec.hosts)
    return tuple(await asyncio.gather(*map(_one, proxies)))


async def _one(proxy: Proxy) -> Found:
    try:
        wrong = await proxy.wrong(None)
    except Trouble as trouble:
        wrong = trouble.why
    if wrong:
        return True, wrong
    return False, f"{proxy.host}: nginx has every line that {proxy.spec.name} needs"
