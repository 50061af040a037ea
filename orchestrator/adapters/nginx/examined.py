"""What `check` asks of every nginx before anything is sent through it.

It looks and changes nothing. The one rule: each gets its own sentence, the very one that a deploy
would be refused with, and one that is wrong hides no other.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from orchestrator.adapters.nginx.proxy import Proxy
from orchestrator.adapters.nginx.remarks import remark
from orchestrator.core.model import Site
from orchestrator.ports.trouble import Trouble
from orchestrator.proxies.far import Far

Found = tuple[bool, str]
"""Whether it is wrong, and what."""


async def examined(site: Site, far: Far) -> tuple[Found, ...]:
    """And of each switch, what it cannot promise."""
    proxies = [Proxy(site, spec, host, far) for spec in site.proxies for host in spec.hosts]
    found = await asyncio.gather(*map(_one, proxies))
    for proxy in proxies:
        with suppress(Trouble):  # said above, where it is one
            await proxy.look(None)
    told = (
        remark(s.name, tuple(cut for p in proxies if p.spec is s for cut in p.cuts))
        for s in site.proxies
    )
    return (*found, *((False, one) for one in told))


async def _one(proxy: Proxy) -> Found:
    try:
        wrong = await proxy.wrong(None)
    except Trouble as trouble:
        wrong = trouble.why
    if wrong:
        return True, wrong
    return False, f"{proxy.host}: nginx has every line that {proxy.spec.name} needs"
