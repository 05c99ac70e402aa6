"""The lab itself: what the other tests rely on when they say "a host", "a guest" and "its memory went on"."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest

from tests.lab import Lab, LabError, LabHost
from tests.lab.redis import LabRedis

libvirt = pytest.importorskip("libvirt")

pytestmark = pytest.mark.lab

HOSTS_UP_S = 15


def migrate(lab: Lab, name: str, source: LabHost, target: LabHost, mib_s: int = 50) -> None:
    """Live, host to host, capped, defined on the target and no longer on the source."""
    flags = (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PEER2PEER
        | libvirt.VIR_MIGRATE_PERSIST_DEST
        | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    )
    domain = lab.connection(source.name).lookupByName(name)
    domain.migrateToURI3(target.uri, {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: mib_s}, flags)


def dirty_rate_mib_s(lab: Lab, name: str) -> int:
    """Sampled over one second."""
    domain = lab.guests[name].domain()
    domain.startDirtyRateCalc(1, 0)
    deadline = time.monotonic() + 10
    while True:
        time.sleep(0.2)
        (_, figures), *_ = lab.connection(lab.guests[name].host).domainListGetStats(
            [domain], libvirt.VIR_DOMAIN_STATS_DIRTYRATE
        )
        if figures["dirtyrate.calc_status"] == libvirt.VIR_DOMAIN_DIRTYRATE_MEASURED:
            return int(figures["dirtyrate.megabytes_per_second"])
        assert time.monotonic() < deadline, "the dirty rate was never measured"


def cpu_millicores(lab: Lab, name: str, over_s: float = 2.0) -> float:
    """From two readings of the guest's CPU time."""
    domain = lab.guests[name].domain()
    start, spent = time.monotonic(), domain.info()[4]
    time.sleep(over_s)
    return float((domain.info()[4] - spent) / 1e6 / (time.monotonic() - start))


def test_hosts_answer_by_address_each_with_an_identity_of_its_own(lab: Lab) -> None:
    """Three connections over TCP show three host names, three ids and three boots."""
    seen = set()
    for host in lab:
        connection = libvirt.open(host.uri)
        seen.add((connection.getHostname(), host.boot_id))
        assert host.uuid in connection.getCapabilities()
        connection.close()
    assert [name for name, _ in sorted(seen)] == ["lab-1", "lab-2", "lab-3"]
    assert len({boot_id for _, boot_id in seen}) == 3


def test_a_program_runs_inside_the_host_and_gets_its_signals(lab: Lab) -> None:
    """It sees the host's name, boot id and peers, and a SIGTERM reaches the program itself."""
    host = lab.host("lab-2")
    look = "hostname; cat /proc/sys/kernel/random/boot_id; getent hosts lab-3"
    script = f"{look}; trap 'exit 7' TERM; echo on; sleep 60 & wait"
    process = host.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(4)]
    assert lines == [["lab-2"], [host.boot_id], ["10.77.0.3", "lab-3"], ["on"]]
    process.terminate()
    assert process.wait(5) == 7
    process.stdout.close()


def test_the_cpu_dial_shows_in_the_cpu_time(lab: Lab) -> None:
    """A busy guest uses about what its dial says, an idle one next to nothing, and the dial turns while it runs."""
    busy = lab.guest("busy", "lab-1", cpu_millicores=200)
    lab.guest("idle", "lab-1")
    assert 100 <= cpu_millicores(lab, "busy") <= 350
    assert cpu_millicores(lab, "idle", 1.0) < 60
    busy.set_cpu(0)
    assert cpu_millicores(lab, "busy", 1.0) < 60


def test_the_dirty_dial_shows_in_the_dirty_rate(lab: Lab) -> None:
    """A guest that writes all of 32 MiB each second measures far above one that writes nothing."""
    writer = lab.guest("writer", "lab-1", dirty_mib=32, dirty_mib_s=40)
    assert dirty_rate_mib_s(lab, "writer") >= 8
    writer.set_dirty(0)
    assert dirty_rate_mib_s(lab, "writer") <= 4


def test_memory_goes_on_through_a_live_migration(lab: Lab) -> None:
    """Signature kept, counter continued; the guest then runs and is defined on the target only, metadata included."""
    source, target = lab.host("lab-1"), lab.host("lab-2")
    guest = lab.guest("mover", source, dirty_mib_s=4, labels={"app": "web"}, autostart=True)
    before, sent_before = guest.read(), source.link_bytes()[1]
    migrate(lab, "mover", source, target)
    after = guest.read()
    assert after.signature == before.signature == guest.signature
    assert after.counter >= before.counter > 0
    assert lab.where("mover") == lab.defined("mover") == ["lab-2"]
    assert list(lab.qemus("mover")) == ["lab-2"]
    assert '<trimtab:label key="app" value="web"/>' in guest.domain().XMLDesc()
    assert source.link_bytes()[1] - sent_before > 16 << 20
    guest.wait_booted()
    time.sleep(0.2)
    assert guest.read().counter > after.counter


def test_a_restarted_guest_counts_from_the_start(lab: Lab) -> None:
    """So a counter that continued means that memory continued."""
    guest = lab.guest("again", "lab-1")
    time.sleep(1)
    before = guest.read().counter
    guest.destroy()
    lab.connection("lab-1").lookupByName("again").create()
    guest.wait_booted()
    assert guest.read().counter < before


def test_a_host_that_loses_power_takes_its_guests_and_comes_back_without_them(lab: Lab) -> None:
    """Definitions survive, the boot id is new, autostart guests start, the others stay off."""
    host = lab.host("lab-3")
    lab.guest("stays-off", host)
    lab.guest("comes-back", host, autostart=True)
    pids, boot_id = host.qemus(), host.boot_id
    assert len(pids) == 2
    host.kill()
    assert not host.up
    assert lab.where("stays-off") == []
    host.restart()
    assert host.boot_id != boot_id
    assert lab.defined("stays-off") == ["lab-3"]
    lab.guests["comes-back"].wait_booted()
    assert lab.where("stays-off") == []


def test_guests_outlive_their_libvirtd(lab: Lab) -> None:
    """With libvirtd stopped the guest still counts as running; started again it is found again."""
    host = lab.host("lab-1")
    guest = lab.guest("steady", host)
    before = guest.read()
    host.stop_libvirtd()
    assert lab.where("steady") == ["lab-1"]
    with pytest.raises(LabError, match="libvirtd of lab-1 is down"):
        host.open()
    host.start_libvirtd()
    assert guest.read().counter > before.counter


def test_a_cut_host_is_silent_to_the_network_and_still_seen_by_the_lab(lab: Lab) -> None:
    """Packets get no answer at all, while the lab's own look at the host goes on."""
    host = lab.host("lab-2")
    guest = lab.guest("behind", host)
    host.cut_network()
    with pytest.raises(OSError, match=r"timed out|No route"):
        socket.create_connection((host.address, 16509), timeout=1)
    assert guest.read().signature == guest.signature
    host.restore_network()
    socket.create_connection((host.address, 16509), timeout=5).close()


def test_a_capped_link_slows_a_migration(lab: Lab) -> None:
    """16 MiB at 100 Mbit/s take more than a second whatever bandwidth libvirt is allowed."""
    source, target = lab.host("lab-1"), lab.host("lab-2")
    lab.guest("slow", source, filled_mib=24)
    source.limit_link(100)
    start = time.monotonic()
    migrate(lab, "slow", source, target, mib_s=1000)
    assert time.monotonic() - start > 1.8
    assert lab.where("slow") == ["lab-2"]


def test_a_stopped_qemu_hangs_only_itself(lab: Lab) -> None:
    """Its neighbour answers, it still counts as running, and it goes on when its QEMU does."""
    hung, neighbour = lab.guest("hung", "lab-1"), lab.guest("well", "lab-1")
    pid = hung.qemu_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert neighbour.read().signature == neighbour.signature
        assert lab.where("hung") == ["lab-1"]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert hung.read().signature == hung.signature


def test_a_frozen_host_takes_connections_and_says_nothing_until_it_goes_on(lab: Lab) -> None:
    """Its libvirtd answers late; frozen or not, it can lose power and boot again."""
    host = lab.host("lab-3")
    host.pause()
    waiting = subprocess.Popen(["virsh", "-c", host.uri, "hostname"], stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1)
    host.resume()
    assert waiting.communicate(timeout=10)[0].strip() == "lab-3"
    host.pause()
    host.restart()
    assert lab.connection("lab-3").getHostname() == "lab-3"


def test_redis_answers_hosts_and_keeps_its_data_when_killed(lab: Lab, lab_redis: LabRedis) -> None:
    """A host writes; a killed and restarted Redis still has it."""
    command = ["redis-cli", "-u", lab_redis.url, "--raw"]
    assert lab.host("lab-3").run([*command, "set", "who", "lab-3"], stdout=subprocess.DEVNULL).wait(10) == 0
    lab_redis.kill()
    lab_redis.start()
    assert subprocess.check_output([*command, "get", "who"], text=True, timeout=10).strip() == "lab-3"
    settings = subprocess.check_output([*command, "config", "get", "appendfsync", "maxmemory-policy"], text=True)
    assert {"always", "noeviction"} <= set(settings.split())
