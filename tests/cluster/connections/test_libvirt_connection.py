"""The connection with deadlines, on libvirt's own test driver: what hangs is left behind, what fails is told apart."""

from __future__ import annotations

import threading
import time

import pytest

from cluster.clock import SystemClock
from cluster.connections.libvirt_connection import (
    NO_DOMAIN,
    RETRY_HUNG_S,
    DeadlineError,
    LibvirtConnection,
    LibvirtError,
    is_remote,
)
from cluster.errors import HostUnreachableError
from tests.collectors.fakes import FakeClock

libvirt = pytest.importorskip("libvirt")

URI = "test:///default"
NOBODY = "qemu+tcp://127.0.0.1:1/system"


def connect(deadline_s: float = 5.0, **options: int) -> LibvirtConnection:
    """A connection to libvirt's test driver."""
    return LibvirtConnection(URI, deadline_s, SystemClock(), name="kvm-1", **options)


def wait_for(connection: LibvirtConnection, hung: int) -> None:
    """Wait until so many calls hang."""
    until_s = time.monotonic() + 5
    while connection.hung_calls != hung and time.monotonic() < until_s:
        time.sleep(0.01)
    assert connection.hung_calls == hung


def test_a_call_gets_what_libvirt_says() -> None:
    """The function runs on an open connection, and its value comes back; the connection is kept."""
    connection = connect()
    assert connection.call("list domains", lambda one: [domain.name() for domain in one.listAllDomains()]) == ["test"]
    assert connection.call("see itself", id) == connection.call("see itself", id)
    connection.close()
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    connection.close()


def test_an_answer_that_is_an_error_carries_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    """A missing domain is an error of libvirt's, told apart by code, in one line, and nothing is printed."""
    connection = connect()
    with pytest.raises(LibvirtError, match="host kvm-1: cannot find web-1: ") as caught:
        connection.call("find web-1", lambda one: one.lookupByName("web-1"))
    assert caught.value.code == NO_DOMAIN
    assert caught.value.no_such_domain
    assert "\n" not in str(caught.value)
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    connection.close()
    assert capfd.readouterr().err == ""


def test_other_exceptions_pass_through() -> None:
    """What a function itself raises reaches its caller as it is, and the connection goes on."""
    connection = connect()
    with pytest.raises(ZeroDivisionError):
        connection.call("divide", lambda _: 1 // 0)
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    connection.close()


def test_a_call_that_hangs_is_left_behind() -> None:
    """The caller waits for its deadline only, and the next call is answered while the first still hangs."""
    connection, let_go = connect(), threading.Event()
    began_s = time.monotonic()
    with pytest.raises(DeadlineError, match=r"host kvm-1: no answer within 0\.1 s while it was to hang"):
        connection.call("hang", lambda _: let_go.wait(10), deadline_s=0.1)
    assert time.monotonic() - began_s < 1
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    assert connection.hung_calls == 1
    let_go.set()
    wait_for(connection, 0)
    connection.close()


def test_calls_waiting_behind_a_hung_one_are_not_lost() -> None:
    """Another thread's call, queued behind one that hangs, is made as soon as that is given up."""
    connection, let_go, found = connect(), threading.Event(), list[int]()

    def hang() -> None:
        with pytest.raises(DeadlineError):
            connection.call("hang", lambda _: let_go.wait(10), deadline_s=0.3)

    first = threading.Thread(target=hang)
    first.start()
    time.sleep(0.1)
    found.append(connection.call("count", lambda one: int(one.numOfDomains())))
    first.join()
    let_go.set()
    assert found == [1]
    connection.close()


def test_a_call_given_up_in_the_queue_is_never_made() -> None:
    """A call whose deadline passes while it waits does not happen later behind its caller's back."""
    connection, let_go, made = connect(), threading.Event(), list[str]()
    slow = threading.Thread(target=lambda: connection.call("wait", lambda _: let_go.wait(10)))
    slow.start()
    time.sleep(0.1)
    with pytest.raises(DeadlineError):
        connection.call("act", lambda _: made.append("acted"), deadline_s=0.1)
    let_go.set()
    slow.join()
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    assert made == []
    connection.close()


def test_hung_calls_are_capped() -> None:
    """With as many calls hanging as allowed no thread more is started, until one of them returns."""
    connection, let_go = connect(most_hung=2), threading.Event()
    for _ in range(2):
        with pytest.raises(DeadlineError):
            connection.call("hang", lambda _: let_go.wait(10), deadline_s=0.05)
    before = threading.active_count()
    with pytest.raises(HostUnreachableError, match="2 calls hang"):
        connection.call("count", lambda one: int(one.numOfDomains()))
    assert threading.active_count() == before
    let_go.set()
    wait_for(connection, 0)
    connection.close()


def test_a_host_whose_calls_hang_for_ever_is_tried_again_at_long_intervals() -> None:
    """A machine that hung and was then switched off ends no call; when it is back it must be seen without a restart."""
    clock, let_go = FakeClock(), threading.Event()
    connection = LibvirtConnection(URI, 5.0, clock, name="kvm-1", most_hung=2)
    for _ in range(2):
        with pytest.raises(DeadlineError):
            connection.call("hang", lambda _: let_go.wait(10), deadline_s=0.05)
    clock.sleep(RETRY_HUNG_S + 1)
    with pytest.raises(DeadlineError):
        connection.call("hang", lambda _: let_go.wait(10), deadline_s=0.05)
    with pytest.raises(HostUnreachableError, match="3 calls hang"):
        connection.call("count", lambda one: int(one.numOfDomains()))
    clock.sleep(RETRY_HUNG_S + 1)
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    assert connection.call("count", lambda one: int(one.numOfDomains())) == 1
    let_go.set()
    connection.close()


def test_a_host_that_refuses_is_tried_less_and_less() -> None:
    """After a few failures calls fail at once, saying when the next try is; that one is made."""
    clock = FakeClock()
    connection = LibvirtConnection(NOBODY, 5.0, clock, name="kvm-9")
    pauses = []
    for _ in range(8):
        with pytest.raises(HostUnreachableError, match="host kvm-9: cannot connect to"):
            connection.call("count", lambda one: int(one.numOfDomains()))
        began_s = clock.elapsed_s
        while True:
            try:
                connection.call("count", lambda one: int(one.numOfDomains()))
            except HostUnreachableError as error:
                if "next try in" not in str(error):
                    break
                clock.sleep(0.5)
        pauses.append(clock.elapsed_s - began_s)
    assert pauses == sorted(pauses)
    assert pauses[0] == 0
    assert 16 <= pauses[-1] <= 30
    connection.close()


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("qemu:///system", False),
        ("test:///default", False),
        ("qemu+unix:///system?socket=/run/x", False),
        ("qemu+tls://kvm-1.example.org/system", True),
        ("qemu+ssh://root@kvm-1/system", True),
    ],
)
def test_remote_uris_are_told_apart(uri: str, remote: bool) -> None:
    """A URI with a host in it is another machine's."""
    assert is_remote(uri) is remote
