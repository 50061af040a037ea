"""What is in flight, from Envoy's numbers: no request is overlooked, no stream is taken for one."""

from __future__ import annotations

from orchestrator.adapters.envoy.flight import Flight, counted, gate_is_ready


def numbers(**more: int) -> dict[str, str]:
    """`web_blue=2`: two requests in flight there; `outer=3`: three came in."""
    said = {
        "cluster.web_blue.upstream_rq_active": 0,
        "cluster.web_blue.upstream_rq_pending_active": 0,
        "cluster.web_blue.upstream_rq_retry": 0,
        "cluster.other_blue.upstream_rq_active": 0,
        "cluster.web_blue.stream.upstream_rq_active": 0,
        "cluster.bg.gate.upstream_rq_active": 0,
        "http.outer.downstream_rq_active": 0,
        "http.inner/web/blue/api.downstream_rq_active": 0,
        "http.outer.ext_authz.failure_mode_allowed": 0,
        "http.admin.downstream_rq_active": 1,
        "http.probe.downstream_rq_active": 2,
    }
    said |= {name.replace("__", "."): value for name, value in more.items()}
    return {name: str(value) for name, value in said.items()}


def seen(**more: int) -> Flight:
    return counted(numbers(**more), ("web",))


def test_nothing_is_nothing_whatever_bg_itself_asks() -> None:
    assert seen() == Flight(0, 0, 0, 0, 0, 0)


def test_a_request_is_counted_while_it_waits_for_a_connection_and_while_it_is_worked_on() -> None:
    flight = seen(
        cluster__web_blue__upstream_rq_active=2,
        cluster__web_blue__upstream_rq_pending_active=1,
        http__outer__downstream_rq_active=3,
    )
    assert (flight.requests, flight.loose) == (3, 0)


def test_who_waits_at_the_gate_is_in_flight_nowhere() -> None:
    flight = seen(cluster__bg__gate__upstream_rq_active=7, http__outer__downstream_rq_active=7)
    assert (flight.requests, flight.loose, flight.waiting) == (0, 0, 7)


def test_a_request_between_two_tries_is_at_no_service_and_seen_all_the_same() -> None:
    flight = seen(http__outer__downstream_rq_active=1, cluster__web_blue__upstream_rq_retry=1)
    assert (flight.requests, flight.loose, flight.retried) == (0, 1, 1)


def test_what_others_do_is_not_waited_for() -> None:
    flight = seen(cluster__other_blue__upstream_rq_active=4, http__outer__downstream_rq_active=4)
    assert (flight.requests, flight.loose) == (0, 0)


def test_a_stream_is_counted_apart() -> None:
    said = numbers(http__outer__downstream_rq_active=1)
    said["cluster.web_blue.stream.upstream_rq_active"] = "1"
    flight = counted(said, ("web",))
    assert (flight.requests, flight.streams, flight.loose) == (0, 1, 0)


def test_a_leak_is_counted_once() -> None:
    said = numbers()
    said["http.outer.ext_authz.failure_mode_allowed"] = "3"
    assert counted(said, ("web",)).leaked == 3


def test_the_gate_is_ready_once_envoy_sees_it_and_nobody_is_left_from_before() -> None:
    there = "cluster.bg.gate.membership_healthy"
    draining = "listener_manager.total_filter_chains_draining"
    assert not gate_is_ready({})
    assert not gate_is_ready({there: "0", draining: "0"})
    assert not gate_is_ready({there: "1", draining: "1"})
    assert gate_is_ready({there: "1", draining: "0"})
