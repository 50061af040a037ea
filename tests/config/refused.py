"""Site files that are refused, as data: what is changed in a sound file, and what is said about it.

Each is one change of `BASE` (or a file of its own) and the lines of the answer, without the file's name.
The reference page shows them too, so that what it says about mistakes is what is really said.
"""

# ruff: noqa: E501  (data: one case, one line)

from __future__ import annotations

from dataclasses import dataclass

BASE = """\
site: shop
services:
  api:
    artifact: dist/api-{version}.tar.gz
    run: [bin/api, --port, "{port}"]
    env: {LOG_LEVEL: info}
    instances: {count: 2, ports: {blue: 8110, green: 8120}}
    probes: [{http: /healthz}]
    behind: {switch: edge, path: /api}
  web:
    artifact: dist/web-{version}.tar.gz
    run: [bin/web, --port, "{port}"]
    instances: {count: 2, ports: {blue: 8130, green: 8140}}
    probes: [{tcp: true}]
    probing: {every: 1s, within: 30s}
    behind: {switch: edge, path: /}
    uses: {api: same}
switches:
  edge: {envoy: {listen: "127.0.0.1:8080"}}
rollout:
  soak: 60s
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A change of `BASE` (`old` becomes `new`), or a whole file where `old` is empty."""

    about: str
    old: str
    new: str
    says: tuple[str, ...]
    shape: bool = False  # something the JSON Schema refuses too

    @property
    def text(self) -> str:
        if not self.old:
            return self.new
        assert BASE.count(self.old) == 1, self.old
        return BASE.replace(self.old, self.new)


def _shape(about: str, old: str, new: str, *says: str) -> Refused:
    return Refused(about, old, new, says, shape=True)


def _case(about: str, old: str, new: str, *says: str) -> Refused:
    return Refused(about, old, new, says)


# fmt: off
KEYS = (
    _shape("an unknown key", "count: 2, ports: {blue: 8110", "conut: 2, ports: {blue: 8110", '7: unknown key `conut` under services.api.instances; did you mean `count`?'),
    _shape("an unknown key far from any", "  soak: 60s", "  colour: red", '21: unknown key `colour` under rollout; known here: `gates`, `soak`, `hold`, `meanwhile`, `standby`, `tries`, `keep`, `drain` or `lease`'),
    _shape("a misspelled key that is required", "    run: [bin/api", "    rnu: [bin/api", '5: unknown key `rnu` under services.api; did you mean `run`?'),
    _shape("a key that is missing", '    run: [bin/api, --port, "{port}"]\n', "", '3: `run` is missing under services.api; write how it is started: `run: [bin/app, --port, "{port}"]`'),
    _shape("a service without instances", "    instances: {count: 2, ports: {blue: 8110, green: 8120}}\n", "", '3: `instances` is missing under services.api; write `instances: {count: 2, ports: {blue: 8110, green: 8120}}`'),
    _case("a key written twice", "site: shop\n", "site: shop\nsite: shop\n", '2: site is written twice, first on line 1; keep one of them'),
    _case("two services of one name", "  web:\n", "  api:\n", '10: services.api is written twice, first on line 3; keep one of them'),
    _shape("a key without a value", "    env: {LOG_LEVEL: info}", "    env:", '6: services.api.env has no value; write one, or remove the line'),
    _shape("no services", "", "site: shop\nservices: {}\n", '2: services is empty; write `services:` with at least one'),
    _shape("a service that is no mapping", "", "site: shop\nservices:\n  web: bin/web\n", "3: services.web should be keys with values, not 'bin/web'"),
    _shape("services as a list", "", "site: shop\nservices:\n  - web\n", '2: services should be keys with values, not a list; write `services:` with at least one'),
    _case("a key that is a list", "site: shop\n", "site: shop\n? [a, b]\n: c\n", '2: a key under the top that is not a text; a text that begins with `{` or `[` needs quotes'),
    _case("a key whose name is a template", "{LOG_LEVEL: info}", "{{port}: info}", '6: a key under services.api.env that is not a text; a text that begins with `{` or `[` needs quotes'),
)
SOUND_ON_HOSTS = """\
site: shop
services:
  web:
    artifact: dist/web-{version}.tar.gz
    run: [bin/web, --port, "{port}"]
    instances: {on: [web1, web2], ports: {blue: 8110, green: 8120}}
    probes: [{tcp: true}]
    unit: {Service: {MemoryMax: 1G}}
hosts:
  web1: {address: web1.example, user: deploy, how: sudo}
  web2: {address: 192.0.2.12}
"""


def _hosts(about: str, old: str, new: str, *says: str, shape: bool = False) -> Refused:
    """One change of the sound file on hosts."""
    assert SOUND_ON_HOSTS.count(old) == 1, old
    return Refused(about, "", SOUND_ON_HOSTS.replace(old, new), says, shape)


_ADDRESS = "write `web1.example` or an IP address"
_LOCAL = "  api: {artifact: 'a/{version}', run: [a], probes: [{tcp: true}], instances: {ports: {blue: 1, green: 2}}}\n"
HOSTS = (
    _hosts("hosts that are not named", "[web1, web2]", "hosts", "6: services.web.instances.on does not say which hosts; name them: `on: [web1, web2]`", shape=True),
    _hosts("a host that is not there", "[web1, web2]", "[web1, web3]", "6: services.web.instances.on names the host `web3`, which this file does not have; did you mean `web2`?"),
    _hosts("hosts that are no names", "[web1, web2]", "[Web1, Web2]", "6: services.web.instances.on[0] is no name: 'Web1'; names are like `web` or `web-2`: a-z, 0-9 and `-`, a letter first, at most 31", "6: services.web.instances.on[1] is no name: 'Web2'; names are like `web` or `web-2`: a-z, 0-9 and `-`, a letter first, at most 31", shape=True),
    _hosts("a host that is named twice", "[web1, web2]", "[web1, web1]", "6: services.web.instances.on names web1 twice; there is one on each host"),
    _hosts("a count on hosts", "{on: [web1, web2], ", "{on: [web1, web2], count: 2, ", "6: services.web.instances.count: there is one on each host; remove it"),
    _hosts("some on hosts, some here", "services:\n", "services:\n" + _LOCAL, "3: services.api is on this machine, and services.web is on hosts; put all of them on hosts, or none; both is not kept by this version"),
    _hosts("one port twice on a host", "blue: 8110", "blue: 8120", "6: services.web.instances.ports.green (8120) takes ports of services.web.instances.ports.blue (8120) on line 6; each instance needs a port of its own"),
    _hosts("an inner address on hosts", "    probes:", "    uses: {web: same}\n    probes:", "7: services.web.uses: inner addresses on hosts need a switch of the kind `haproxy` or `nginx`; name what it calls in `env`", "7: services.web uses itself; remove it"),
    _hosts("an address that is an option", "web1.example", '"-oProxyCommand=id"', f"10: hosts.web1.address is no address of a host: '-oProxyCommand=id'; {_ADDRESS}", shape=True),
    _hosts("an address with a space", "web1.example", '"a b"', f"10: hosts.web1.address is no address of a host: 'a b'; {_ADDRESS}", shape=True),
    _hosts("an address with a line end", "web1.example", '"a\\nb"', f"10: hosts.web1.address is no address of a host: 'a\\nb'; {_ADDRESS}", shape=True),
    _hosts("an address that climbs", "web1.example", '"a..b"', f"10: hosts.web1.address is no address of a host: 'a..b'; {_ADDRESS}", shape=True),
    _hosts("an address of a shell", "web1.example", '"$(id)"', f"10: hosts.web1.address is no address of a host: '$(id)'; {_ADDRESS}", shape=True),
    _hosts("a user that is an option", "user: deploy", 'user: "-l"', "10: hosts.web1.user is no name of a user: '-l'; write it as `ssh` takes it", shape=True),
    _hosts("a way that is none", "how: sudo", "how: doas", "10: hosts.web1.how is 'doas'; write `root`, `user` or `sudo`", shape=True),
    _hosts("a host with a rack", "how: sudo", "rack: r1", "10: `hosts.web1.rack` is not kept by this version; remove it", shape=True),
    _hosts("a key of a unit that is bg's", "MemoryMax: 1G", "ExecStart: id", "8: services.web.unit.Service.ExecStart is bg's own; see `run:` and `env:`"),
    _hosts("a unit with a second line", "MemoryMax: 1G", 'MemoryMax: "1\\nUser=root"', "8: services.web.unit.Service.MemoryMax is not one line; write one line for each"),
    _shape("hosts that are not said", "{count: 2, ports: {blue: 8110", "{on: hosts, count: 2, ports: {blue: 8110", '7: services.api.instances.on does not say which hosts; name them: `on: [web1, web2]`'),
    _case("a unit on this machine", "    behind: {switch: edge, path: /api}", "    unit: {Service: {MemoryMax: 1G}}", '9: services.api.unit is for services on hosts; remove it'),
)
SOUND_BEHIND_HAPROXY = """\
site: shop
services:
  web:
    artifact: dist/web-{version}.tar.gz
    run: [bin/web, --port, "{port}"]
    instances: {on: [web1, web2], ports: {blue: 8110, green: 8120}}
    probes: [{tcp: true}]
    behind: {switch: edge}
switches:
  edge: {haproxy: {on: [proxy1, proxy2], url: "http://shop.example"}}
hosts: {web1: {}, web2: {}, proxy1: {}, proxy2: {}}
"""


def _proxies(about: str, old: str, new: str, *says: str, shape: bool = False) -> Refused:
    """One change of the sound file behind HAProxy."""
    assert SOUND_BEHIND_HAPROXY.count(old) == 1, old
    return Refused(about, "", SOUND_BEHIND_HAPROXY.replace(old, new), says, shape)


_EDGE = '{haproxy: {on: [proxy1, proxy2], url: "http://shop.example"}}'
_NGINX = _EDGE.replace("haproxy", "nginx")
_MORE = f"  edge: {_EDGE}\n"
HAPROXY = (
    _proxies("a switch of no kind", _EDGE, "{}", '10: switches.edge does not say what it is; write `envoy`, `haproxy` or `nginx`: `envoy: {listen: "127.0.0.1:8080"}`', shape=True),
    _proxies("a switch of two kinds", "{haproxy:", '{envoy: {listen: "127.0.0.1:8080"}, haproxy:', "10: switches.edge is `envoy` and `haproxy` at once; keep one of them", shape=True),
    _proxies("a kind that is misspelled", "{haproxy:", "{haprxy:", "10: unknown key `haprxy` under switches.edge; did you mean `haproxy`?", shape=True),
    _proxies("switches of two kinds", _MORE, _MORE + '  back: {envoy: {listen: "127.0.0.1:8080"}}\n', "11: switches.back is of the kind `envoy`, and switches.edge on line 10 is of the kind `haproxy`; make them one kind: two kinds cannot be switched in one instant"),
    _proxies("HAProxies on no host", "on: [proxy1, proxy2], ", "", "10: `on` is missing under switches.edge.haproxy; name the hosts: `on: [proxy1, proxy2]`", shape=True),
    _proxies("HAProxies that nobody reaches", ', url: "http://shop.example"', "", '10: `url` is missing under switches.edge.haproxy; write where people reach it: `url: "http://shop.example"`', shape=True),
    _proxies("a proxy that is not there", "[proxy1, proxy2]", "[proxy1, proxy3]", "10: switches.edge.haproxy.on names the host `proxy3`, which this file does not have; did you mean `proxy2`?"),
    _proxies("a proxy that is named twice", "[proxy1, proxy2]", "[proxy1, proxy1]", "10: switches.edge.haproxy.on names proxy1 twice; there is one on each"),
    _proxies("a URL without a scheme", "http://shop.example", "shop.example", "10: switches.edge.haproxy.url is no URL that people reach; write `http://shop.example`, without a path", shape=True),
    _proxies("a URL with a path", "http://shop.example", "http://shop.example/shop", "10: switches.edge.haproxy.url is no URL that people reach; write `http://shop.example`, without a path", shape=True),
    _proxies("a URL of another kind", "http://shop.example", "tcp://shop.example:80", "10: switches.edge.haproxy.url is no URL that people reach; write `http://shop.example`, without a path", shape=True),
    _proxies("a URL with an impossible port", "http://shop.example", "http://shop.example:80800", "10: switches.edge.haproxy.url is no URL that people reach; write `http://shop.example`, without a path"),
    _proxies("a socket that is no path", "{haproxy: {on:", "{haproxy: {socket: admin.sock, on:", "10: switches.edge.haproxy.socket is no path on a host: 'admin.sock'; write `/etc/haproxy/bg`, from the first `/` on", shape=True),
    _proxies("a folder of maps that climbs", "{haproxy: {on:", "{haproxy: {maps: /etc/../root, on:", "10: switches.edge.haproxy.maps is no path on a host: '/etc/../root'; write `/etc/haproxy/bg`, from the first `/` on", shape=True),
    _proxies("a service here behind a HAProxy there", "{on: [web1, web2], ports", "{ports", "6: services.web is on this machine, and switches.edge leads to hosts only; name hosts: `instances: {on: [web1], …}`"),
    _proxies("one HAProxy as two switches", _MORE, _MORE + '  back: {haproxy: {on: [proxy2], url: "http://shop.example:81"}}\n', "11: switches.back.haproxy.socket: /run/haproxy/admin.sock on proxy2 is that of switches.edge; one HAProxy is one switch; tell services apart by path or host"),
    _proxies("an instance on the port of a proxy", _EDGE, '{haproxy: {on: [web1], url: "http://shop.example:8110"}}', "10: switches.edge.haproxy.url (8110) takes ports of services.web.instances.ports.blue (8110) on line 6; each instance needs a port of its own"),
)
NGINX = (
    _proxies("a hold at nginx", _EDGE, _NGINX + "\nrollout: {hold: 2s}", "11: rollout.hold: switches.edge is nginx, and nginx cannot stop time; remove it, or switch with `haproxy`, which can"),
    _proxies("an nginx beside a HAProxy", _MORE, f"{_MORE}  back: {_NGINX.replace('example', 'example:81')}\n", "11: switches.back is of the kind `nginx`, and switches.edge on line 10 is of the kind `haproxy`; make them one kind: two kinds cannot be switched in one instant"),
    _proxies("one nginx as two switches", _MORE, f"  edge: {_NGINX}\n  back: {_NGINX.replace('example', 'example:81')}\n", "11: switches.back.nginx.config: /etc/nginx/nginx.conf on proxy1 is that of switches.edge; one nginx is one switch; tell services apart by path or host"),
    _proxies("a runtime socket of nginx", _EDGE, _NGINX.replace("{on", "{socket: /run/x, on"), "10: unknown key `socket` under switches.edge.nginx; known here: `on`, `url`, `config` or `maps`", shape=True),
    _proxies("a configuration that is no path", _EDGE, _NGINX.replace("{on", "{config: nginx.conf, on"), "10: switches.edge.nginx.config is no path on a host: 'nginx.conf'; write `/etc/haproxy/bg`, from the first `/` on", shape=True),
)
LATER = (
    _shape("invariants but a count", "site: shop\n", "site: shop\ninvariants: [{service: api, serving: 2, resilient: 1}]\n", '2: `invariants[0].resilient` is not kept by this version; remove it'),
    _shape("policies", "site: shop\n", "site: shop\npolicies: policies.lp\n", '2: `policies` is not kept by this version; remove it'),
    _shape("another switch", '{envoy: {listen: "127.0.0.1:8080"}}', '{gateway: {listen: "127.0.0.1:8080"}}', '19: `switches.edge.gateway` is not kept by this version; remove it'),
    _shape("another journal", "site: shop\n", "site: shop\njournal: postgresql://bg:pw@db/bg\n", '2: journal: `postgresql` is not kept by this version; write `sqlite`'),
    _shape("shares", "  soak: 60s", "  shares: [10, 50]", '21: `rollout.shares` is not kept by this version; remove it'),
    _shape("another kind of probe", "{tcp: true}", "{grpc: true}", '14: `services.web.probes[0].grpc` is not kept by this version; remove it'),
)
VALUES = (
    _shape("a word where a number belongs", "count: 2, ports: {blue: 8110", "count: two, ports: {blue: 8110", "7: services.api.instances.count should be a whole number, not 'two'"),
    _shape("too few", "count: 2, ports: {blue: 8110", "count: 0, ports: {blue: 8110", '7: services.api.instances.count is 0; it is at least 1'),
    _shape("a port that is none", "blue: 8110", "blue: 81100", '7: services.api.instances.ports.blue is 81100; it is at most 65535'),
    _shape("a port with a leading 0", "blue: 8110", "blue: 08110", "7: services.api.instances.ports.blue should be a whole number, not '08110'; write the number without quotes and without a 0 in front"),
    _shape("a port like a time", "blue: 8110", "blue: 22:22", "7: services.api.instances.ports.blue should be a whole number, not '22:22'; write the first port of blue"),
    _shape("a time without a unit", "  soak: 60s", "  soak: 60", '21: rollout.soak has no unit; write `60s` for seconds; units are ms, s, m, h and d'),
    _shape("a time in other words", "  soak: 60s", "  soak: 1 minute", "21: rollout.soak is no duration: '1 minute'; write `500ms`, `30s`, `10m`, `24h` or `2d`"),
    _case("a time beyond all measure", "  soak: 60s", "  soak: 9999d", '21: rollout.soak is longer than ten years; write `24h` or `2d`'),
    _shape("a standby in other words", "  soak: 60s", "  standby: forever", "21: rollout.standby is no duration: 'forever'; write `keep`, or a time like `1h`"),
    _shape("a hold without a unit", "  soak: 60s", "  hold: 2", '21: rollout.hold has no unit; write `2s` for seconds; units are ms, s, m, h and d'),
    _shape("too many who may wait", "  soak: 60s", "  hold: {for: 2s, waiting: 100000}", '21: rollout.hold.waiting is 100000; it is at most 16000'),
    _shape("what lasts, in other words", "  soak: 60s", "  hold: {for: 2s, streams: cut}", "21: rollout.hold.streams is 'cut'; write `exclude` or `wait`"),
    _shape("a word that is not one of these", "  soak: 60s", "  meanwhile: repalce", "21: rollout.meanwhile is 'repalce'; did you mean `replace`?"),
    _shape("a gate that is off", "  soak: 60s", "  gates: {cutover: off}", "21: rollout.gates.cutover is 'off'; write `none`"),
    _shape("a command as one text", 'run: [bin/api, --port, "{port}"]', 'run: bin/api --port {port}', '5: services.api.run is one text, and there is no shell to take it apart; write a list: `[bin/api, --port, "{port}"]`'),
    _shape("a command with a password as one text", 'run: [bin/api, --port, "{port}"]', "run: bin/api --db pg://u:hunter2@db", '5: services.api.run is one text, and there is no shell to take it apart; write a list: `[bin/app, --port, "{port}"]`'),
    _shape("an empty command", 'run: [bin/api, --port, "{port}"]', "run: []", '5: services.api.run is empty; write how it is started: `run: [bin/app, --port, "{port}"]`'),
    _shape("a command in a command", 'run: [bin/api, --port, "{port}"]', "run: [bin/api, [--port]]", '5: services.api.run[1] should be a text, not a list'),
    _shape("a name with capitals", "site: shop", "site: Shop", "1: site is no name: 'Shop'; names are like `web` or `web-2`: a-z, 0-9 and `-`, a letter first, at most 31"),
    _shape("a service's name with capitals", "  web:\n", "  Web:\n", "10: services.Web is no name: 'Web'; names are like `web` or `web-2`: a-z, 0-9 and `-`, a letter first, at most 31"),
    _shape("a variable that cannot be one", "LOG_LEVEL: info", "LOG-LEVEL: info", "6: services.api.env.LOG-LEVEL is no name for a variable: 'LOG-LEVEL'; use A-Z, a-z, 0-9 and `_`"),
    _shape("an address without a port", 'listen: "127.0.0.1:8080"', "listen: localhost", '19: switches.edge.envoy.listen is not an address with a port; write `"127.0.0.1:8080"`'),
    _shape("a port without an address", 'listen: "127.0.0.1:8080"', "listen: 8080", '19: switches.edge.envoy.listen is not an address with a port; write `"127.0.0.1:8080"`'),
    _case("an address with an impossible port", 'listen: "127.0.0.1:8080"', 'listen: "127.0.0.1:80800"', '19: switches.edge.envoy.listen is not an address with a port; write `"127.0.0.1:8080"`'),
    _shape("a path that ends with a slash", "path: /api", "path: /api/", "9: services.api.behind.path is no path to route by: '/api/'; write `/` or `/api`"),
    _shape("a host with a scheme", "path: /api", 'host: "https://shop.example"', "9: services.api.behind.host is no host name: 'https://shop.example'; write `shop.example`, without scheme and port"),
    _shape("a probe without a path", "{http: /healthz}", "{http: healthz}", "8: services.api.probes[0].http is no path to ask for: 'healthz'; write `/healthz`, from the first `/` on"),
    _shape("a status that is none", "{http: /healthz}", "{http: /healthz, expect: {status: 20}}", '8: services.api.probes[0].expect.status is 20; it is at least 100'),
    _shape("tcp that is false", "{tcp: true}", "{tcp: false}", '14: services.web.probes[0].tcp is false; write `true`'),
    _shape("a probe that is a word", "[{tcp: true}]", "[tcp]", "14: services.web.probes[0] should be keys with values, not 'tcp'"),
    _shape("probes that are no list", "[{tcp: true}]", "{tcp: true}", '14: services.web.probes should be a list, not keys with values; a release that cannot be proven is never switched to; write `probes: [{tcp: true}]` at least'),
)
TOGETHER = (
    _case("an invariant of no service", "site: shop\n", "site: shop\ninvariants: [{service: wbe, serving: 1}]\n", "2: invariants[0].service names the service `wbe`, which this file does not have; did you mean `web`?"),
    _case("more serving than there are", "site: shop\n", "site: shop\ninvariants: [{service: api, serving: 3}]\n", "2: invariants[0] asks for 3 of api, which has 2; write 2 at most"),
    _case("two invariants of one service", "site: shop\n", "site: shop\ninvariants: [{service: api, serving: 1}, {service: api, serving: 2}]\n", "2: invariants[1] asks of api once more; remove it"),
    _case("colors on one port", "blue: 8110, green: 8120", "blue: 8110, green: 8110", '7: services.api.instances.ports.green (8110–8111) takes ports of services.api.instances.ports.blue (8110–8111) on line 7; each instance needs a port of its own'),
    _case("colors that overlap", "blue: 8110, green: 8120", "blue: 8110, green: 8111", '7: services.api.instances.ports.green (8111–8112) takes ports of services.api.instances.ports.blue (8110–8111) on line 7; each instance needs a port of its own'),
    _case("services that overlap", "blue: 8130", "blue: 8121", '13: services.web.instances.ports.blue (8121–8122) takes ports of services.api.instances.ports.green (8120–8121) on line 7; each instance needs a port of its own'),
    _case("an instance on a switch's port", 'listen: "127.0.0.1:8080"', 'listen: "0.0.0.0:8141"', '19: switches.edge.envoy.listen (8141) takes ports of services.web.instances.ports.green (8140–8141) on line 13; each instance needs a port of its own'),
    _case("two switches on one port", "rollout:\n", '  back: {envoy: {listen: "127.0.0.1:8080"}}\nrollout:\n', '20: switches.back.envoy.listen (8080) takes ports of switches.edge.envoy.listen (8080) on line 19; each instance needs a port of its own'),
    _case("more instances than ports", "green: 8140", "green: 65535", '13: services.web.instances.ports.green (65535–65536) goes beyond the last port, 65535; choose a lower first port'),
    _case("a switch that is not there", "{switch: edge, path: /api}", "{switch: egde, path: /api}", '9: services.api.behind.switch names the switch `egde`, which this file does not have; did you mean `edge`?'),
    _case("a service that is not there", "uses: {api: same}", "uses: {apo: same}", '17: services.web.uses.apo names the service `apo`, which this file does not have; did you mean `api`?'),
    _case("a service that uses itself", "uses: {api: same}", "uses: {api: same, web: same}", '17: services.web uses itself; remove it'),
    _case("one path for two services", "path: /api", "path: /", '16: services.web.behind takes the requests of services.api: both are / at edge; give one another path or host'),
    _case("bg's own name", "", BASE.replace("  web:\n", "  envoy:\n"), '10: `envoy` is a name bg uses itself; choose another'),
    _case("an artifact outside", "dist/api-{version}.tar.gz", "../dist/api-{version}.tar.gz", '4: services.api.artifact leaves the folder of the site; write a path below it'),
    _case("an artifact somewhere else", "dist/api-{version}.tar.gz", "/srv/api-{version}.tar.gz", '4: services.api.artifact leaves the folder of the site; write a path below it'),
    _case("an artifact without a version", "dist/api-{version}.tar.gz", "dist/api.tar.gz", '4: services.api.artifact has to hold `{version}` once, and no other template; write `releases/{version}`'),
    _case("a program outside its release", "[bin/api,", "[../bin/api,", "5: services.api.run leaves the folder of its release; write a path inside it, an absolute one, or a command's name"),
    _case("a secret's file outside", "LOG_LEVEL: info", "DB_PASSWORD: {file: ../secrets/db}", '6: services.api.env.DB_PASSWORD leaves the folder of the site; write a path below it, or an absolute one'),
    _case("a soak that cannot end", "  soak: 60s", "  soak: {for: 10m, within: 1m}", '21: rollout.soak: well for 10m cannot be had within 1m; make `within` larger'),
    _case("a gate that is never open", "  soak: 60s", "  gates: {cutover: {timeout: 0s}}", '21: rollout.gates.cutover.timeout is nothing; write a time, or `cutover: none` for no gate'),
    _case("a hold that is none", "  soak: 60s", "  hold: 0s", '21: rollout.hold is not between 50ms and 30s; write `2s`, or remove it for no hold'),
    _case("a hold nobody bears", "  soak: 60s", "  hold: {for: 5m}", '21: rollout.hold is not between 50ms and 30s; write `2s`, or remove it for no hold'),
    _case("a lease nobody can keep", "  soak: 60s", "  lease: 100ms", '21: rollout.lease is shorter than a second; write `10s`'),
)
PROBES = (
    _shape("no probes", "    probes: [{tcp: true}]\n", "", '10: `probes` is missing under services.web; a release that cannot be proven is never switched to; write `probes: [{tcp: true}]` at least'),
    _shape("an empty list of probes", "[{tcp: true}]", "[]", '14: services.web.probes is empty; a release that cannot be proven is never switched to; write `probes: [{tcp: true}]` at least'),
    _shape("a probe of no kind", "[{tcp: true}]", "[{}]", '14: services.web.probes[0] has no way to look; write one of `http: /healthz`, `tcp: true` or `exec: [bin/check]`'),
    _shape("a probe of two kinds", "[{tcp: true}]", "[{tcp: true, http: /}]", '14: services.web.probes[0] is http and tcp at once; write one of `http: /healthz`, `tcp: true` or `exec: [bin/check]`'),
    _shape("an expectation that nobody meets", "[{tcp: true}]", "[{tcp: true, expect: {status: 200}}]", '14: services.web.probes[0].expect is for http probes only; remove it'),
    _case("no deadline", "within: 30s", "within: 0s", '15: services.web.probing.within: 0 is no deadline; write a time, like `30s`'),
    _shape("a deadline of none", "within: 30s", "within: none", "15: services.web.probing.within is no duration: 'none'; write `500ms`, `30s`, `10m`, `24h` or `2d`"),
    _case("a look longer than all looks", "within: 30s", "within: 5s, timeout: 10s", '15: services.web.probing: one look may take longer (10s) than all of them (5s); make `timeout` smaller or `within` larger'),
    _case("more looks than fit", "within: 30s", "within: 5s, well: 10", '15: services.web.probing: 10 looks, one every 1s, do not fit within 5s; make `within` larger'),
)
TEMPLATES = (
    _case("an unknown word in a command", 'run: [bin/api, --port, "{port}"]', 'run: [bin/api, --port, "{prot}"]', '5: unknown word `{prot}` in services.api.run[2]; did you mean `{port}`?'),
    _case("an unknown word in a variable", "LOG_LEVEL: info", 'LOG_LEVEL: "{level}"', '6: unknown word `{level}` in services.api.env.LOG_LEVEL; known are `{port}`, `{color}`, `{version}`, `{instance}` or `{release}`'),
    _case("an unknown word in a probe", "{http: /healthz}", '{http: /healthz, expect: {json: {v: "{vers}"}}}', '8: unknown word `{vers}` in services.api.probes[0].expect.json.v; did you mean `{version}`?'),
    _case("a service that is not in uses", "LOG_LEVEL: info", 'WEB: "{web.url}"', '6: `{web.url}` in services.api.env.WEB, and api does not use web; write `uses: {web: same}`'),
    _case("a word of a service that there is not", "LOG_LEVEL: info", 'WEB: "{api.port}"', '6: unknown word `{api.port}` in services.api.env.WEB; did you mean `{port}`?'),
)
SECRETS = (
    _case("a password", "LOG_LEVEL: info", "DB_PASSWORD: hunter2", '6: services.api.env.DB_PASSWORD is a secret written into the file; write `{file: …}`, `{env: …}` or `{command: […]}`; `{value: …}` if it is none'),
    _case("a token that is a number", "LOG_LEVEL: info", "API_TOKEN: 123456", '6: services.api.env.API_TOKEN is a secret written into the file; write `{file: …}`, `{env: …}` or `{command: […]}`; `{value: …}` if it is none'),
    _case("a URL with a password", "LOG_LEVEL: info", 'DB: "postgres://shop:hunter2@db/shop"', '6: services.api.env.DB is a URL with a password in it; write `{file: …}`, `{env: …}` or `{command: […]}`'),
    _case("a URL with a password in a command", "[bin/api, --port", '[bin/api, --db, "pg://shop:hunter2@db", --port', '5: services.api.run[2] is a URL with a password in it; take it from a variable in `env`'),
    _shape("a secret from nowhere", "LOG_LEVEL: info", "DB_PASSWORD: {}", '6: services.api.env.DB_PASSWORD comes from nowhere; write `{file: …}`, `{env: …}` or `{command: […]}`'),
    _shape("a secret from two places", "LOG_LEVEL: info", "DB_PASSWORD: {file: a, env: B}", '6: services.api.env.DB_PASSWORD comes from 2 places; write `{file: …}`, `{env: …}` or `{command: […]}`'),
    _shape("a misspelled place", "LOG_LEVEL: info", "DB_PASSWORD: {flie: secrets/db}", '6: unknown key `flie` under services.api.env.DB_PASSWORD; did you mean `file`?'),
)
STEPS = (
    _shape('a step with a command as one text', "rollout:\n", 'steps: {own: {do: puppet apply site.pp, at: at-close}}\nrollout:\n', '20: steps.own.do is one text, and there is no shell to take it apart; write a list: `[puppet, apply, site.pp]`'),
    _shape('a step with no place', "rollout:\n", 'steps: {own: {do: [x]}}\nrollout:\n', '20: `at` is missing under steps.own; write where it stands: `before-start`, `before-cutover`, `after-cutover` or `at-close`'),
    _shape('a step with another place', "rollout:\n", 'steps: {own: {do: [x], at: before}}\nrollout:\n', "20: steps.own.at is 'before'; did you mean `before-start`?"),
    _shape('a step with nothing to do', "rollout:\n", 'steps: {own: {at: at-close}}\nrollout:\n', '20: `do` is missing under steps.own; write what is run: `do: [bin/migrate, up]`'),
    _shape('no undo, in a word', "rollout:\n", 'steps: {own: {do: [x], at: at-close, undo: none}}\nrollout:\n', '20: steps.own.undo says nothing about the way back; write `leave` where what it did may stay'),
    _case('a step with a host that is not there', "rollout:\n", 'steps: {own: {do: [x], at: at-close, on: [web9]}}\nrollout:\n', '20: steps.own.on names the host `web9`, which this file does not have; write them under `hosts:`'),
    _case('the hosts of no service', "rollout:\n", 'steps: {own: {do: [x], at: at-close, on: hosts}}\nrollout:\n', '20: steps.own.on: nobody knows of which service; write `of: SERVICE`, or name the hosts'),
    _case('the hosts of a service that is here', "rollout:\n", 'steps: {own: {do: [x], at: at-close, on: hosts, of: web}}\nrollout:\n', '20: steps.own.on: web is on this machine, not on hosts; write `on: controller`, or name the hosts'),
    _case('a step with a service that is not there', "rollout:\n", 'steps: {own: {do: [x], at: at-close, of: wbe}}\nrollout:\n', '20: steps.own.of names the service `wbe`, which this file does not have; did you mean `web`?'),
    _case('longer than an hour', "rollout:\n", 'steps: {own: {do: [x], at: at-close, timeout: 2h}}\nrollout:\n', '20: steps.own.timeout is not more than 0 and at most 1h; write `5m`'),
    _case('a step with a word of a service', "rollout:\n", 'steps: {own: {do: ["{version}"], at: at-close}}\nrollout:\n', '20: unknown word `{version}` in steps.own.do[0]; it is about no service in particular: write `of: SERVICE`'),
    _case('a host where there is none', "rollout:\n", 'steps: {own: {do: ["{host}"], at: at-close}}\nrollout:\n', '20: unknown word `{host}` in steps.own.do[0]; it runs on this machine: write `on: [HOST]`'),
    _case('a step with a secret', "rollout:\n", 'steps: {own: {do: [x], at: at-close, env: {DB_PASSWORD: hunter2}}}\nrollout:\n', '20: steps.own.env.DB_PASSWORD is a secret written into the file; write `{file: …}`, `{env: …}` or `{command: […]}`; `{value: …}` if it is none'),
)
YAML = (
    _case("an empty file", "", "", 'the file is empty; `bgctl init` writes a first one'),
    _case("nothing but comments", "", "# soon\n\n", 'the file is empty; `bgctl init` writes a first one'),
    _case("a list", "", "- site: shop\n", '1: the file is a list, not keys with values; begin with `site: NAME`'),
    _case("one text", "", "shop\n", '1: the file is one text, not keys with values; begin with `site: NAME`'),
    _case("a tab", "  soak: 60s", "\tsoak: 60s", '21: a tab in the indentation; YAML wants spaces'),
    _case("a bracket left open", "[bin/api, --port", "[bin/api, --port, [", '5: not YAML: did not find expected node content; close what was opened before; a text with `{…}` or `,` in it needs quotes'),
    _case("a colon too many", "site: shop", "site: shop: two", '1: not YAML: mapping values are not allowed in this context; a text with `: ` in it needs quotes, and keys side by side the same indentation'),
    _case("a wrong indentation", "  soak: 60s", "  soak: 60s\n drain: 5s", '22: not YAML: did not find expected key; look at the indentation of this line and the one before'),
    _case("a template without quotes", '"{port}"]\n    env', "{port}]\n    env", '5: services.api.run[2]: {port} without quotes; write `"{port}"`'),
    _case("two documents", "rollout:", "---\nrollout:", '20: a second document begins (`---`); a site is one document'),
    _case("an alias of nothing", "site: shop", "site: *shop", '1: not YAML: found undefined alias; `*name` repeats what `&name` marks; a text that begins with `*` needs quotes'),
    _case("a tag", "site: shop", "site: !!python/name:os.system shop", '1: the tag `tag:yaml.org,2002:python/name:os.system`; a site file has no tags; remove it'),
    _case("a character that is none", "site: shop", "site: sh\x07op", '1: a character that YAML does not allow; remove it'),
    _case("an alias of itself", "site: shop\n", "site: shop\nx: &x [*x]\n", '2: aliases that multiply or contain themselves; write it out'),
    _case("a merge of itself", "    env: {LOG_LEVEL: info}", "    env: &env {<<: *env}", '6: `<<` takes over the keys of a mapping; `<<: *base`'),
    _case("a merge of a text", "    env: {LOG_LEVEL: info}", "    env: {<<: text}", '6: `<<` takes over the keys of a mapping; `<<: *base`'),
)
REFUSED = {
    "Keys": KEYS,
    "What this version does not keep": LATER,
    "Values": VALUES,
    "What has to fit together": TOGETHER,
    "Probes": PROBES,
    "Templates": TEMPLATES,
    "Secrets": SECRETS,
    "Hosts": HOSTS,
    "HAProxy": HAPROXY,
    "nginx": NGINX,
    "Steps of your own": STEPS,
    "YAML": YAML,
}
