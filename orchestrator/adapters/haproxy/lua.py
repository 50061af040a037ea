"""The dozen lines of Lua that let a request wait in HAProxy while time is stopped.

A request waits as long as the deadline of its service lies ahead, so a hold ends without anyone; a
deadline of 0 ends it at once. The one rule: a request that went on although nobody let it go is
noted (`lapsed`), for then nothing may flip. Each thread notes for itself, so nothing is raced.
"""

from __future__ import annotations

from orchestrator.adapters.haproxy import names
from orchestrator.core.model import ProxySpec, Site

BUCKET_MS = 5  # how long somebody waited is noted to this; the poll is as coarse

_TEXT = """\
-- Written by bg. Requests wait here while time is stopped; the deadline is the driver's to renew.
local holds = Map.new("{holds}", Map._str)
local waits = Map.new("{waits}", Map._str)
local noted = {{}}
local function note(name, more)
  local key = core.thread .. "." .. name
  noted[key] = (noted[key] or 0) + more
  core.set_map("{waits}", key, tostring(noted[key]))
end
local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000
end
core.register_action("{action}", {{ "http-req" }}, function(txn)
  local service, began = txn:get_var("{service}"), now_ms()
  note("waiting", 1)
  while true do
    local deadline = tonumber(holds:lookup(service) or "0") or 0
    if deadline == 0 then break end
    if now_ms() >= deadline then note("lapsed", 1) break end
    core.msleep({poll})
  end
  note("waiting", -1)
  note("waited-" .. (now_ms() - began) // {bucket}, 1)
end)
"""


def action(site: Site) -> str:
    return f"bg_hold_{names.plain(site)}"


def text(site: Site, spec: ProxySpec) -> str:
    """The file; empty where the site never holds."""
    if site.policy.hold is None:
        return ""
    return _TEXT.format(
        holds=names.holds_map(site, spec),
        waits=names.waits_map(site, spec),
        action=action(site),
        service=names.variable(site, "service"),
        poll=BUCKET_MS,
        bucket=BUCKET_MS,
    )
