"""What the mechanism costs: CPU of Envoy per request, against one plain route of the same Envoy.

One process with two listeners, of the same cluster and in front of the same nginx: the outer one as
bg lays it, and one whose table is a prefix and a cluster, without runtime keys, shares or retries.
Each at full load from wrk, in pairs taken by turns: the median of the pairs' ratios. (Two processes
would differ by up to a tenth for no reason but where their memory lies.)
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.flip_place import answering, begun, ended, free_ports, output, site_of
from bench.reloads import found
from bench.table import Row
from orchestrator.adapters.envoy import binary, config, files
from orchestrator.adapters.envoy.places import Places
from orchestrator.adapters.envoy.runtime import Setting, text_of
from orchestrator.core.model import Color, Share, Site

MOST = 1.05
SECONDS = 2
NAME = "CPU per request at full load, against plain routes"


async def measured(pairs: int) -> Row:
    nginx, wrk = found("nginx"), found("wrk")
    if not nginx or not wrk:
        return Row(NAME, "not measured", note="needs nginx and wrk")
    with tempfile.TemporaryDirectory(prefix="bg-cost-") as folder:
        async with AsyncExitStack() as stack:
            ours = free_ports(20)
            plain = ours + 19
            site = site_of(Path(folder), ours, count=1)
            await _backend(stack, Path(folder), nginx, site)
            pid = await _envoy(stack, Path(folder), site, plain)
            costs = [
                {port: await _cost_us(wrk, pid, port) for port in order}
                for order in [(ours, plain), (plain, ours)] * ((pairs + 1) // 2)
            ]
    ratio = statistics.median(cost[ours] / cost[plain] for cost in costs)
    told = ", ".join(f"{cost[ours]:.1f}/{cost[plain]:.1f}" for cost in costs)
    note = f"median of {len(costs)} pairs, µs ours/plain: {told}"
    return Row(NAME, f"{ratio:.3f} ×", f"≤ {MOST} ×", ratio <= MOST, note)


async def _cost_us(wrk: str, pid: int, port: int) -> float:
    """Microseconds of CPU per request."""
    before = _cpu_s(pid)
    argv = [wrk, "-t1", "-c32", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/"]
    said = await output(argv, Path("/"))
    requests = int(re.findall(r"(\d+) requests in", said)[0])
    if "Non-2xx" in said or not requests:
        raise RuntimeError(f"port {port}: {said}")
    return 1e6 * (_cpu_s(pid) - before) / requests


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _envoy(stack: AsyncExitStack, folder: Path, site: Site, plain: int) -> int:
    """As bg would run it, with one listener more."""
    spec, at = site.switches[0], str(folder / "envoy" / "edge")
    wanted = config.files(site, spec, Places(site, str(folder)).all(), at)
    setting = Setting().kept_for(site, spec).changed({"web": Share(100, 0)}, {})
    files.make_folder(f"{at}/runtime")
    files.write(f"{at}/{config.RUNTIME}", text_of(setting))
    files.write(f"{at}/{config.BOOTSTRAP}", wanted.bootstrap)
    files.write(f"{at}/{config.CLUSTERS}", wanted.clusters)
    files.write(f"{at}/{config.LISTENERS}", _with_plain(wanted.listeners, plain))
    files.write(f"{at}/{config.ROUTES}", wanted.routes)
    files.write(f"{at}/{config.PROBE}", wanted.probe)
    process = await begun(list(config.command(binary.find_envoy(spec), spec, at)), Path(at))
    stack.push_async_callback(ended, process)
    for port in (spec.port, plain):
        await answering(port)
    return process.pid


def _with_plain(listeners: str, port: int) -> str:
    """The outer listener a second time, at another port, with its one route inside."""
    document = json.loads(listeners)
    other = json.loads(json.dumps(document["resources"][0]))
    other["name"] = "plain"
    other["address"]["socket_address"]["port_value"] = port
    connections = other["filter_chains"][0]["filters"][0]["typed_config"]
    connections["stat_prefix"] = "plain"
    del connections["rds"]
    route = {"match": {"prefix": "/"}, "route": {"cluster": "web_blue", "timeout": "0s"}}
    host = {"name": "anyone", "domains": ["*"], "routes": [route]}
    connections["route_config"] = {"name": "plain", "virtual_hosts": [host]}
    document["resources"].append(other)
    return json.dumps(document)


async def _backend(stack: AsyncExitStack, folder: Path, nginx: str, site: Site) -> None:
    port = site.service("web").placement.port(Color.BLUE, 0)
    temp = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "backend.conf"
    file.write_text(
        f"worker_processes 1; pid {folder}/nginx.pid; events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; {temp} keepalive_requests 100000000;\n"
        f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }} }}\n'
    )
    argv = [nginx, "-p", str(folder), "-c", str(file), "-e", "error.log", "-g", "daemon off;"]
    process = await begun(argv, folder)
    stack.push_async_callback(ended, process)
    await answering(port)
