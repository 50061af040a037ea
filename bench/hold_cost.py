"""What the gate costs while nobody holds: CPU of Envoy per request, against the same without it.

One process with two listeners of the same clusters: the outer one as bg lays it for a site that
holds, and one as for a site that does not. In pairs taken by turns.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from bench import cost
from bench.flip_place import answering, begun, ended, free_ports, site_of
from bench.reloads import found
from bench.table import Row
from orchestrator.adapters.envoy import binary, config, files
from orchestrator.adapters.envoy.places import Places
from orchestrator.adapters.envoy.runtime import Setting, text_of
from orchestrator.core.model import Hold, Policy, Share, Site

MOST = 1.05
NAME = "not holding: CPU per request at full load, against no gate"


async def measured(pairs: int) -> Row:
    nginx, wrk = found("nginx"), found("wrk")
    if not nginx or not wrk:
        return Row(NAME, "not measured", note="needs nginx and wrk")
    with tempfile.TemporaryDirectory(prefix="bg-cost-") as folder:
        async with AsyncExitStack() as stack:
            ours = free_ports(20)
            plain = ours + 19
            site = replace(site_of(Path(folder), ours, count=1), policy=Policy(hold=Hold()))
            await cost._backend(stack, Path(folder), nginx, site)
            pid = await _envoy(stack, Path(folder), site, plain)
            costs = [
                {port: await cost._cost_us(wrk, pid, port) for port in order}
                for order in [(ours, plain), (plain, ours)] * ((pairs + 1) // 2)
            ]
    ratio = statistics.median(one[ours] / one[plain] for one in costs)
    told = ", ".join(f"{one[ours]:.1f}/{one[plain]:.1f}" for one in costs)
    note = f"median of {len(costs)} pairs, µs with/without: {told}"
    return Row(NAME, f"{ratio:.3f} ×", f"≤ {MOST} ×", ratio <= MOST, note)


async def _envoy(stack: AsyncExitStack, folder: Path, site: Site, plain: int) -> int:
    spec, at = site.switches[0], str(folder / "envoy" / "edge")
    ports = Places(site, str(folder)).all()
    wanted = config.files(site, spec, ports, at)
    without = config.files(replace(site, policy=Policy()), spec, ports, at)
    setting = Setting().kept_for(site, spec).changed({"web": Share(100, 0)}, {})
    files.make_folder(f"{at}/runtime")
    files.write(f"{at}/{config.RUNTIME}", text_of(setting))
    files.write(f"{at}/{config.BOOTSTRAP}", wanted.bootstrap)
    files.write(f"{at}/{config.CLUSTERS}", wanted.clusters)
    files.write(f"{at}/{config.LISTENERS}", _both(wanted, without, plain))
    files.write(f"{at}/{config.ROUTES}", wanted.routes)
    files.write(f"{at}/{config.PROBE}", wanted.probe)
    process = await begun(list(config.command(binary.find_envoy(spec), spec, at)), Path(at))
    stack.push_async_callback(ended, process)
    for port in (spec.port, plain):
        await answering(port)
    return process.pid


def _both(wanted: config.Files, without: config.Files, port: int) -> str:
    """The listeners, and the outer one of the other kind at another port, with its table inside."""
    document = json.loads(wanted.listeners)
    other = json.loads(without.listeners)["resources"][0]
    other["name"] = "plain"
    other["address"]["socket_address"]["port_value"] = port
    connections = other["filter_chains"][0]["filters"][0]["typed_config"]
    connections["stat_prefix"] = "plain"
    del connections["rds"]
    table = json.loads(without.routes)["resources"][0]
    connections["route_config"] = {k: v for k, v in table.items() if k != "@type"}
    document["resources"].append(other)
    return json.dumps(document)
