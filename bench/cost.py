"""What the mechanism costs: CPU of Envoy per request, against the same Envoy with one plain route.

Both at full load from wrk, in front of the same nginx, in pairs taken by turns: the median of the
pairs' ratios. The plain one has no runtime keys, no shares, no retries: a prefix, and a cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.flip_place import EPOCH, answering, begun, ended, free_ports, output, site_of
from bench.reloads import found
from bench.table import Row
from orchestrator.adapters.envoy import binary, config, files
from orchestrator.adapters.envoy.places import Places
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.processes import LocalProcesses
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
            ours, plain = free_ports(20), free_ports(20)
            site = site_of(Path(folder) / "ours", ours, count=1)
            backend = await _backend(stack, Path(folder), nginx, site)
            pids = {
                ours: await _ours(stack, site),
                plain: await _plain(stack, Path(folder) / "plain", plain, backend),
            }
            costs = [await _pair(wrk, pids, turn) for turn in range(pairs)]
    ratio = statistics.median(cost[ours] / cost[plain] for cost in costs)
    told = ", ".join(f"{cost[ours]:.1f}/{cost[plain]:.1f}" for cost in costs)
    note = f"median of {pairs} pairs, µs ours/plain: {told}"
    return Row(NAME, f"{ratio:.3f} ×", f"≤ {MOST} ×", ratio <= MOST, note)


async def _pair(wrk: str, pids: dict[int, int], turn: int) -> dict[int, float]:
    """Microseconds of CPU per request, by port; which comes first changes."""
    cost = {}
    for port in sorted(pids, reverse=bool(turn % 2)):
        before = _cpu_s(pids[port])
        argv = [wrk, "-t1", "-c32", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/"]
        said = await output(argv, Path("/"))
        requests = int(re.findall(r"(\d+) requests in", said)[0])
        if "Non-2xx" in said or not requests:
            raise RuntimeError(f"port {port}: {said}")
        cost[port] = 1e6 * (_cpu_s(pids[port]) - before) / requests
    return cost


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _ours(stack: AsyncExitStack, site: Site) -> int:
    processes = LocalProcesses(f"{site.state}/run")
    switch = EnvoySwitch(site, LocalFence(f"{site.state}/fence"), processes)
    stack.push_async_callback(processes.stop, "envoy/edge")
    await switch.ensure(EPOCH)
    await switch.send({"web": Share(100, 0)}, {}, EPOCH)
    switch.close()
    (seen,) = processes.look("envoy/edge")
    assert seen.pid
    return seen.pid


async def _plain(stack: AsyncExitStack, folder: Path, port: int, backend: int) -> int:
    """The same configuration, but for its one route and its one cluster of one port."""
    site = site_of(folder, port, count=1)
    at = str(folder / "envoy" / "edge")
    wanted = config.files(site, site.switches[0], Places(site, str(folder)).all(), at)
    files.make_folder(f"{at}/runtime")
    empty = {"@type": "type.googleapis.com/envoy.service.runtime.v3.Runtime", "name": "bg"}
    runtime = {"version_info": "1", "resources": [{**empty, "layer": {}}]}
    files.write(f"{at}/{config.RUNTIME}", json.dumps(runtime))
    files.write(f"{at}/{config.BOOTSTRAP}", wanted.bootstrap)
    files.write(f"{at}/{config.CLUSTERS}", wanted.clusters.replace(str(port + 1), str(backend)))
    files.write(f"{at}/{config.LISTENERS}", wanted.listeners)
    files.write(f"{at}/{config.PROBE}", wanted.probe)
    table = json.loads(wanted.routes)
    route = {"match": {"prefix": "/"}, "route": {"cluster": "web_blue", "timeout": "0s"}}
    table["resources"][0]["virtual_hosts"] = [
        {"name": "anyone", "domains": ["*"], "routes": [route]}
    ]
    files.write(f"{at}/{config.ROUTES}", json.dumps(table))
    argv = config.command(binary.find_envoy(site.switches[0]), site.switches[0], at)
    process = await begun(list(argv), Path(at))
    stack.push_async_callback(ended, process)
    await answering(port)
    await asyncio.sleep(0.5)
    return process.pid


async def _backend(stack: AsyncExitStack, folder: Path, nginx: str, site: Site) -> int:
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
    return port
