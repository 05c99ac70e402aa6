"""The collector on libvirt's test driver, and with counters that a test makes up."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import CollectSettings, CollectSource, HostLoad, HostSettings, Settings
from cluster.connections.libvirt_connection import DeadlineError, LibvirtConnection, LibvirtError
from cluster.errors import HostUnreachableError, InputError
from cluster.formats.report_file import report_from_json_text, report_to_json_text
from cluster.guest import LocalDisks
from cluster.report import HostUsage, Report
from collectors.capabilities import HostAbilities
from collectors.disks import Pool
from collectors.libvirt_collector import CollectorOptions, LibvirtCollector, LocalSources
from collectors.libvirt_reading import ReadDomain, ReadHost, RunningDomain, RunningDomains
from collectors.registry import make_collector
from tests.collectors.domains import UUID, disk_xml, domain_xml, our_metadata
from tests.collectors.fakes import START, FakeClock

libvirt = pytest.importorskip("libvirt")


class PretendHost(LibvirtConnection):
    """A connection that answers the collector's reading functions out of a test's hands.

    `cpu_ns` is the guest's counter; `hangs` how many of the next bulk calls hang; `definitions_read` is counted.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__("test:///default", 5.0, clock, name="kvm-1")
        self.clock = clock
        self.xml = domain_xml()
        self.read = ReadDomain(self.xml)
        self.cpu_ns = 0
        self.domain_id = 1
        self.state = 1
        self.answers = True
        self.present = True
        self.hangs = 0
        self.hung = 0
        self.pools: dict[str, Pool] = {}
        self.more: dict[str, object] = {}
        self.asked: list[str] = []

    @property
    def hung_calls(self) -> int:
        return self.hung

    def call(self, what: str, function: Callable[[Any], Any], deadline_s: float | None = None) -> Any:
        self.asked.append(what)
        if what == "list its guests" and self.hangs:
            self.hangs -= 1
            self.clock.sleep(deadline_s or 0)
            raise DeadlineError("host kvm-1: no answer")
        return self._answer(what)

    def _answer(self, what: str) -> object:
        match what:
            case "list its guests" | "list its guests without asking their QEMUs":
                stats: dict[str, object] = {"cpu.time": self.cpu_ns, **self.more}
                if self.answers:
                    stats["balloon.rss"] = 1024 * 1024
                domain = RunningDomain(UUID, self.domain_id, "web-1", self.state, 1, stats)
                return RunningDomains({UUID: domain} if self.present else {}, ("inactive-1",))
            case "read its capabilities":
                abilities = HostAbilities("x86_64", "kvm", ("pc-q35-7.2",), ("m1",), "host-passthrough:m/1", 0)
                return ReadHost(8, 16384, abilities, ("prod",), self.pools)
            case "read the definitions of its guests":
                return {UUID: replace(self.read, xml=self.xml)}
            case "read the jobs of its guests":
                return {UUID: ""}
            case "measure a dirty rate":
                return True
            case _:
                raise HostUnreachableError(f"host kvm-1: no {what}")


def collector(host: PretendHost, **options: Any) -> LibvirtCollector:
    """A collector on a pretend host, its load from its guests."""
    return LibvirtCollector(
        "kvm-1", host, host.clock, CollectorOptions(load_from_guests=True, overhead_mib=256, **options)
    )


def test_the_first_report_has_cpu_already() -> None:
    """The first time it looks twice, so that a new agent's first report can be planned with."""
    host = PretendHost(FakeClock())
    seen = collector(host).collect()
    assert seen.guests[0].usage.cpu_millicores == 0
    assert host.asked.count("list its guests") == 2


def test_cpu_over_looks_and_over_a_restart() -> None:
    """CPU is time used over time passed; a restarted guest is unknown for one look and known again after."""
    host = PretendHost(FakeClock())
    eyes = collector(host)
    eyes.collect()

    def look() -> int | None:
        host.clock.sleep(10)
        return eyes.collect().guests[0].usage.cpu_millicores

    host.cpu_ns = 5_000_000_000
    assert look() == 500
    host.cpu_ns, host.domain_id = 1_000_000_000, 2
    assert look() is None
    host.cpu_ns = 11_000_000_000
    assert look() == 1000


def test_definitions_are_read_rarely() -> None:
    """A quiet guest's XML is read once, again after about a minute, and at once for a new run."""
    host = PretendHost(FakeClock())
    eyes = collector(host)
    eyes.collect()
    reads = [host.asked.count("read the definitions of its guests")]
    for _ in range(12):
        host.clock.sleep(10)
        eyes.collect()
    reads.append(host.asked.count("read the definitions of its guests"))
    host.domain_id = 2
    host.clock.sleep(10)
    eyes.collect()
    reads.append(host.asked.count("read the definitions of its guests"))
    assert reads[0] == 1
    assert 2 <= reads[1] <= 4
    assert reads[2] == reads[1] + 1


def test_one_hung_qemu_costs_one_look_a_part_of_its_deadline() -> None:
    """When the bulk call hangs it is made again, and the look is complete within its deadline."""
    host = PretendHost(FakeClock())
    eyes = collector(host, deadline_s=5.0)
    eyes.collect()
    host.clock.sleep(10)
    host.hangs = 1
    began_s = host.clock.elapsed_s
    seen = eyes.collect()
    assert seen.guests[0].usage.cpu_millicores == 0
    assert seen.warnings == ()
    assert host.clock.elapsed_s - began_s <= 5


def test_many_hung_qemus_leave_the_figures_libvirt_has_by_itself() -> None:
    """When the call hangs again and again, figures come without asking QEMUs, and that is said."""
    host = PretendHost(FakeClock())
    eyes = collector(host, deadline_s=5.0)
    eyes.collect()
    for hangs in (2, 0):
        host.clock.sleep(10)
        host.hangs, host.hung, host.cpu_ns = hangs, 6, host.cpu_ns + 10**9
        seen = eyes.collect()
        assert seen.guests[0].usage.cpu_millicores
        if hangs:
            assert "QEMU of some guests" in seen.warnings[0]
    # With many hanging, the QEMUs are left alone for a while.
    assert host.asked.count("list its guests") == 2 + 2 + 0


def test_a_guest_whose_qemu_stays_silent_is_not_movable() -> None:
    """After some looks without an answer from its QEMU a guest cannot be told to move; it can again when it answers."""
    host = PretendHost(FakeClock())
    eyes = collector(host)
    assert eyes.collect().guests[0].movable
    host.answers = False
    why = []
    for _ in range(4):
        host.clock.sleep(10)
        why.append(eyes.collect().guests[0].why_not)
    assert why[0] is None
    assert why[-1] == "its QEMU does not answer"
    assert eyes.collect().guests[0].usage.memory_mib == 1024
    host.answers = True
    host.clock.sleep(10)
    assert eyes.collect().guests[0].movable


def test_local_disks_count_with_their_size() -> None:
    """A guest's local disks are added up by what libvirt says of their size, and keep it where it is."""
    host = PretendHost(FakeClock())
    host.xml = domain_xml(devices=disk_xml("file='/var/lib/a'") + disk_xml("file='/var/lib/b'", target="vdb"))
    host.more = {
        "block.count": 2,
        "block.0.name": "vda",
        "block.0.capacity": 10 << 30,
        "block.1.name": "vdb",
        "block.1.capacity": 1 << 30,
    }
    guest = collector(host).collect().guests[0]
    assert (guest.movable, guest.local_disk_mib) == (False, 11 * 1024)
    assert "disk vda (/var/lib/a) is on this host only" in str(guest.why_not)
    shared = collector(host, shared_paths=("/var/lib",)).collect().guests[0]
    assert (shared.movable, shared.local_disk_mib, shared.storage) == (True, 0, ("/var/lib",))


def test_disks_that_may_be_copied_are_a_need_and_a_capacity() -> None:
    """The guest needs a pool at the same place, its host has what is free there and what guests take."""
    host = PretendHost(FakeClock())
    pool = Pool("vms", "dir", "/vms", available_mib=5000)
    host.pools = {"vms": pool, "nas": Pool("nas", "netfs", "/nas", available_mib=90000)}
    host.xml = domain_xml(devices=disk_xml("file='/vms/a'"))
    host.more = {"block.count": 1, "block.0.name": "vda", "block.0.capacity": 10 << 30}
    seen = collector(host, local_disks=LocalDisks.COPY).collect()
    guest = seen.guests[0]
    assert (guest.movable, guest.local_disks, guest.needs) == (True, ("vda",), ("pool:/vms",))
    assert (seen.host.offers, seen.host.local_disk_mib) == (("pool:/vms",), 5000 + 10240)
    stays = collector(host).collect().guests[0]
    assert (stays.movable, stays.local_disks, stays.needs) == (False, (), ())


def test_a_definition_that_cannot_be_read_hides_no_guest() -> None:
    """A guest takes room whether it is understood or not, so the look fails rather than leave it out."""
    host = PretendHost(FakeClock())
    host.xml = "<domain"
    with pytest.raises(HostUnreachableError, match="definition of guest web-1 cannot be read"):
        collector(host).collect()


def test_host_facts_and_the_load_of_guests() -> None:
    """Capacity comes from libvirt unless overridden; the load is the guests' sum, their overhead counted."""
    host = PretendHost(FakeClock())
    seen = collector(host).collect()
    assert (seen.host.cpu_millicores, seen.host.memory_mib, seen.host.networks) == (8000, 16384, ("prod",))
    assert seen.usage == HostUsage(cpu_millicores=0, memory_available_mib=16384 - 2048 - 256)
    assert seen.inactive == ("inactive-1",)
    small = collector(PretendHost(FakeClock()), cpu_millicores=2000, memory_mib=4096, storage=("rbd:kvm",)).collect()
    assert (small.host.cpu_millicores, small.host.memory_mib, small.host.storage) == (2000, 4096, ("rbd:kvm",))


def test_an_agent_adds_what_its_machine_knows() -> None:
    """On the host itself: the kernel's load, devices, cluster resources, the kill switch and signs of failing."""
    host = PretendHost(FakeClock())
    load = HostUsage(cpu_millicores=1234)
    local = LocalSources(
        usage=lambda: load,
        owners=lambda: {"web-1": "Pacemaker"},
        networks=lambda: ("br0",),
        kill_switch=lambda: True,
        signs_of_failing=lambda: ("too hot",),
    )
    seen = LibvirtCollector("kvm-1", host, host.clock, CollectorOptions(), local).collect()
    assert (seen.usage, seen.host.networks, seen.kill_switch) == (load, ("br0", "prod"), True)
    assert (seen.host.failing, seen.warnings) == (True, ("it fails: too hot",))
    assert seen.guests[0].why_not == "belongs to Pacemaker"


def test_the_test_driver_is_seen_and_its_report_travels() -> None:
    """A real connection to libvirt's test driver gives a report that the store's text form carries unchanged."""
    chosen = Settings(collect=replace(CollectSettings(), host_load=HostLoad.GUESTS))
    eyes = make_collector(chosen, HostSettings("kvm-1", uri="test:///default"), SystemClock())
    seen = eyes.collect()
    eyes.close()
    (guest,) = seen.guests
    assert (guest.name, guest.vcpus, guest.memory_mib, guest.overhead_mib) == ("test", 2, 8192, 256)
    assert guest.usage.cpu_millicores is not None
    report = Report("boot", START, 1, seen)
    assert report_from_json_text(report_to_json_text(report), "report") == report


def test_libvirts_refusal_is_an_unreachable_host() -> None:
    """An error of libvirt's own never gets past the collector as such; it keeps its words."""
    host = PretendHost(FakeClock())
    eyes = collector(host)
    eyes.collect()

    def refuse(what: str) -> object:
        raise LibvirtError("host kvm-1: cannot list its guests: access denied", 88)

    host._answer = refuse  # type: ignore[method-assign]  # the test's hands
    with pytest.raises(HostUnreachableError, match="access denied"):
        eyes.collect()


def test_odd_names_travel_in_reports() -> None:
    """Names that libvirt and people use, and figures not known yet, go through the store's text form."""
    host = PretendHost(FakeClock())
    host.xml = domain_xml(
        devices=disk_xml("protocol='rbd' name='kvm/web-1'", kind="network") + disk_xml("file='/srv/my vms/a'"),
        metadata=our_metadata(
            "<trimtab:label key='plb_affinity_web'/><trimtab:label key='Ünïcode key' value='a: \u201cb\u201d / c'/>"
            "<trimtab:rule kind='spread' name='s p' domain='rack' at_least='2'/>"
        ),
    )
    eyes = collector(host, shared_paths=("/srv/my vms",), storage=("rbd:kvm", "/srv/my vms"))
    eyes.collect()
    host.domain_id = 2
    host.clock.sleep(10)
    seen = eyes.collect()
    assert seen.guests[0].usage.cpu_millicores is None
    assert seen.guests[0].storage == ("/srv/my vms", "rbd:kvm")
    report = Report("remote", START, 1, seen)
    assert report_from_json_text(report_to_json_text(report), "report") == report


@pytest.mark.parametrize(
    ("source", "uri", "local"),
    [
        (CollectSource.AGENTS, "qemu+tls://here.example.org/system", True),
        (CollectSource.AGENTS, "qemu+tcp://127.0.0.1/system", True),
        (CollectSource.AGENTS, "qemu+tls://elsewhere.example.org/system", False),
        (CollectSource.AGENTS, "qemu+tcp://192.0.2.7/system", False),
        (CollectSource.AGENTS, "", True),
        (CollectSource.LIBVIRT, "qemu+tls://here.example.org/system", False),
        (CollectSource.LIBVIRT, "test:///default", True),
    ],
)
def test_an_agent_knows_its_own_machine(
    monkeypatch: pytest.MonkeyPatch, source: CollectSource, uri: str, local: bool
) -> None:
    """An agent whose configured URI names its own machine asks that machine's kernel, too; nobody else does."""
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    chosen = Settings(collect=replace(CollectSettings(), source=source))
    eyes = make_collector(chosen, HostSettings("kvm-1", uri=uri), FakeClock())
    assert isinstance(eyes, LibvirtCollector)
    assert eyes.on_its_host is local


def test_no_collector_is_built_for_simulated_hosts() -> None:
    """A source that is wired elsewhere is refused by name."""
    simulated = Settings(collect=replace(CollectSettings(), source=CollectSource.SIMULATED))
    with pytest.raises(InputError, match=r"collect\.source: found simulated"):
        make_collector(simulated, HostSettings("kvm-1"), FakeClock())
