"""What a run of chaos is about: a small cluster with little room to spare, and settings under which much happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from cluster.config.settings import (
    BudgetScope,
    BudgetSettings,
    CollectSource,
    GateSettings,
    LinkSettings,
    MigrationSettings,
    Mode,
    ReserveSettings,
    Settings,
)
from cluster.guest import Guest, MigrationPolicy, Usage
from cluster.host import Host, PowerModel
from cluster.rules import AntiAffinity, Pin, Rule, Selector
from simulator.guests import SimGuest, SteadyLoad, Writes

TIMEOUT_S = 45.0
LEASE_S = 15.0


def make_settings(random: Random, hosts: Sequence[Host]) -> Settings:
    """Return settings under which much happens in little time, now and then with budgets and rate limits."""
    plain = Settings()
    links, budgets = _budgets(random, hosts)
    rates = replace(plain.rates, cluster_per_hour=6) if random.random() < 0.15 else plain.rates
    return replace(
        plain,
        links=links,
        budgets=budgets,
        rates=rates,
        scheduler=replace(plain.scheduler, mode=Mode.ACT, interval_s=10.0, lease_s=LEASE_S, plan_expires_s=120.0),
        gate=GateSettings(
            quiet_start_s=0.0,
            guest_cooldown_s=15.0,
            stale_hosts_ratio=0.6,
            least_gain_ratio=0.0,
            manual_move_cooldown_s=20.0,
        ),
        collect=replace(plain.collect, source=CollectSource.SIMULATED, interval_s=8.0, smoothing_s=0.0, stale_s=30.0),
        reserve=ReserveSettings(memory_mib=0, memory_ratio=0.0),
        migration=MigrationSettings(
            mbit_s=random.choice((None, 800.0)),
            out_per_host=random.choice((1, 1, 2)),
            in_per_host=random.choice((1, 1, 2)),
            per_cluster=random.choice((1, 2, 4)),
            timeout_s=TIMEOUT_S,
        ),
    )


def _budgets(random: Random, hosts: Sequence[Host]) -> tuple[tuple[LinkSettings, ...], tuple[BudgetSettings, ...]]:
    """Return no budget, or some by chance with the link they are about, tight enough to bind two migrations at once."""
    if random.random() < 0.5:
        return (), ()
    uplink = LinkSettings("uplink", 4000.0, tuple(host.id for host in hosts[:2]))
    mbit_s = random.choice((500.0, 900.0))
    budgets = [
        BudgetSettings(BudgetScope.HOST_OUT, mbit_s),
        BudgetSettings(BudgetScope.HOST_IN, mbit_s),
        BudgetSettings(BudgetScope.LINK, mbit_s, "uplink"),
        BudgetSettings(BudgetScope.CLUSTER, mbit_s * 1.5),
    ]
    return (uplink,), tuple(random.sample(budgets, random.randint(1, 3)))


def make_cluster(random: Random) -> tuple[list[Host], list[SimGuest], tuple[Rule, ...]]:
    """Return three to five hosts with little room to spare, their guests, and a rule or two that hold."""
    link_mbit_s = random.choice((1000.0, 2500.0, 10000.0))
    names = [f"h{number}" for number in range(random.randint(3, 5))]
    guests = []
    for number in range(random.randint(2, 3) * len(names)):
        gib = random.choice((1, 1, 1, 2, 4))
        on = random.choice(names)
        facts = Guest(
            id=f"g{number}",
            host=on,
            name=f"g{number}",
            vcpus=2,
            memory_mib=gib * 1024,
            usage=Usage(None, memory_mib=gib * 700),
            migration=MigrationPolicy(max_downtime_ms=300),
        )
        stubborn = random.random() < 0.06
        writes = Writes(hot_mib=gib * 300.0, hot_mib_s=3000.0) if stubborn else Writes(40.0, 10.0, 2.0)
        guests.append(SimGuest(facts, SteadyLoad(random.randrange(100, 900)), writes))
    held = {name: sum(one.facts.memory_mib for one in guests if one.facts.host == name) for name in names}
    hosts = [
        Host(
            id=name,
            cpu_millicores=32000,
            memory_mib=max(4096, held[name] + 1024 * random.choice((0, 1, 2, 4, 8))),
            migration_mbit_s=link_mbit_s,
            power=PowerModel(
                controllable=True, watts=((0.0, 100.0), (1.0, 200.0)), sleep_watts=5.0, wake_s=20.0, sleep_s=8.0
            ),
        )
        for name in names
    ]
    return hosts, guests, tuple(_rules(random, hosts, guests))


def _rules(random: Random, hosts: list[Host], guests: list[SimGuest]) -> list[Rule]:
    rules: list[Rule] = []
    first = {one.facts.host: one.facts.id for one in guests}
    if random.random() < 0.5 and len(first) > 1:
        rules.append(AntiAffinity(name="apart", guests=Selector(ids=tuple(sorted(first.values())[:3]))))
    if random.random() < 0.3:
        one = random.choice(guests).facts
        other = random.choice(hosts).id
        rules.append(Pin(name="pinned", guests=Selector(ids=(one.id,)), hosts=Selector(ids=tuple({one.host, other}))))
    return rules
