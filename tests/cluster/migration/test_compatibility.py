"""Who can go where: each thing a guest may need, met and not, and what a host does not say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.migration.compatibility import unmet, why_cannot_run

GUEST = Guest("g1", "h1", 2, 2048, Usage(500))
HOST = Host("h2", 8000, 16384)


@pytest.mark.parametrize(
    ("needs", "offers", "why"),
    [
        (("cpu_feature:avx512f",), ("cpu_feature:avx2",), "host h2 has no CPU feature avx512f"),
        (("cpu_feature:avx2",), ("cpu_feature:avx2",), None),
        (("cpu_feature:avx2",), ("tpm:emulator",), None),
        (("firmware:/usr/share/a.fd",), ("firmware:/usr/share/b.fd",), "host h2 has no firmware /usr/share/a.fd"),
        (("tpm:emulator",), ("tpm:passthrough",), "host h2 has no TPM of kind emulator"),
        (("cpus:9",), ("cpus:8",), "host h2 has no CPU 8, to which the guest is pinned"),
        (("cpus:8",), ("cpus:8",), None),
        (("cpus:9",), ("cpus:16",), None),
        (("numa_nodes:2",), ("numa_nodes:1",), "host h2 has no NUMA node 1, to which the guest is pinned"),
        (("pool:/vms",), ("pool:/vms",), None),
        (("pool:/vms",), ("tpm:a",), "host h2 has no storage pool at /vms, to which the guest's disk could be copied"),
        (("dongle:red",), ("dongle:blue",), "host h2 does not offer dongle red"),
        (("cpu_feature:avx2",), (), None),
    ],
)
def test_needs_and_offers(needs: tuple[str, ...], offers: tuple[str, ...], why: str | None) -> None:
    """Of a kind that the host says nothing of, it is taken to have everything."""
    assert why_cannot_run(replace(GUEST, needs=needs), replace(HOST, offers=offers)) == why


@pytest.mark.parametrize(
    ("guest", "host", "why"),
    [
        ({"cpu_model": "a"}, {"cpu_models": ("b",)}, "host h2 has no CPU model a"),
        ({"machine": "pc"}, {"machines": ("q35",)}, "host h2 has no machine type pc"),
        ({"storage": ("ceph",)}, {"storage": ()}, "host h2 does not reach storage ceph"),
        ({"networks": ("prod",)}, {"networks": ("lab",)}, "host h2 does not reach network prod"),
        ({"cpu_model": "a", "storage": ("ceph",)}, {}, None),
    ],
)
def test_what_is_named_on_its_own(guest: dict[str, object], host: dict[str, object], why: str | None) -> None:
    """`None` of a host reaches everything; an empty list reaches nothing."""
    assert why_cannot_run(replace(GUEST, **guest), replace(HOST, **host)) == why  # type: ignore[arg-type]


SETS = st.lists(st.sampled_from(["a:1", "a:2", "b:1", "cpus:4", "cpus:8"]), unique=True)


@given(SETS, SETS, SETS)
def test_more_offers_of_known_kinds_never_lack_more(needs: list[str], offers: list[str], more: list[str]) -> None:
    """Of the kinds a host speaks of, more only helps; who needs what is offered lacks nothing."""
    kinds = {one.partition(":")[0] for one in offers}
    more = [one for one in more if one.partition(":")[0] in kinds]
    assert set(unmet(needs, [*offers, *more])) <= set(unmet(needs, offers))
    assert unmet(offers, offers) == ()
