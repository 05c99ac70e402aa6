"""An independent witness of the pretend cluster: what went wrong at any moment, and what was done, counted its own way.

It is told of every change of who runs where, and looks at load on a grid of time. "Worse" always means worse than when
the world began, or than after an injected fault or a call of `settle`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cluster.guest import Guest
from cluster.host import Host
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, Near, Pin, Rule, Spread
from simulator.migration import JobResult, Migration


class Holding(StrEnum):
    """A QEMU process of a guest on a host. Only `RUNNING` executes the guest."""

    RUNNING = "running"
    ARRIVING = "arriving"


class ViolationKind(StrEnum):
    """What must never happen."""

    RUNS_TWICE = "runs_twice"
    GUEST_LOST = "guest_lost"
    MEMORY_OVER = "memory_over"
    RULE_BROKEN = "rule_broken"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not happen and did: when (world seconds), about whom, and in one sentence."""

    at_s: float
    kind: ViolationKind
    subject: str
    text: str


@dataclass
class Tally:
    """What was done and how full things got. Times in seconds, load beyond capacity in core-seconds."""

    moves_done: int = 0
    moves_failed: int = 0
    moved_mib: float = 0.0
    most_at_once: int = 0
    most_out_of: Counter[str] = field(default_factory=Counter)
    most_into: Counter[str] = field(default_factory=Counter)
    overload_s: dict[str, float] = field(default_factory=dict)
    unserved_core_s: float = 0.0
    wanted_core_s: float = 0.0
    highest_cpu_ratio: float = 0.0
    longest_downtime_ms: int = 0


class Watcher:
    """Sees every change and keeps `violations` and a `tally`."""

    def __init__(
        self, hosts: Iterable[Host], guests: Iterable[Guest], rules: Sequence[Rule], rejoin_within_s: float = 120.0
    ) -> None:
        self.violations: list[Violation] = []
        self.tally = Tally()
        self._hosts = {host.id: host for host in hosts}
        self._guests = {guest.id: guest for guest in guests}
        self._counts = [
            _RuleCount(rule, self._guests, self._hosts) for rule in rules if rule.enforcement is not Enforcement.SOFT
        ]
        self._rejoin_within_s = rejoin_within_s
        self._memory_at_start: dict[str, int] = {}
        self._now_wrong: set[tuple[ViolationKind, str]] = set()
        self._apart_since: dict[str, float] = {}

    def settle(self, holdings: Mapping[str, Mapping[str, Holding]]) -> None:
        """Take the present state as the one that may not get worse."""
        self._memory_at_start = {host: self._memory_mib(on) for host, on in holdings.items()}
        self.settle_rules(holdings)

    def settle_rules(self, holdings: Mapping[str, Mapping[str, Holding]]) -> None:
        """Take what is broken now as what may not get worse: an injected loss is nobody's fault."""
        places, running = _places(holdings)
        for count in self._counts:
            count.at_start = count.broken(places, running)

    def changed(
        self, at_s: float, holdings: Mapping[str, Mapping[str, Holding]], guest: str = "", touched: Sequence[str] = ()
    ) -> None:
        """Look at who is where after a change, of one guest on the hosts touched where it is known to be no more."""
        if guest and not self._counts:
            on_now = {host for host, on in holdings.items() if on.get(guest) is Holding.RUNNING}
            self._judge_place(at_s, guest, on_now)
            self._judge_memory(at_s, {host: holdings[host] for host in touched})
            return
        places, running = _places(holdings)
        for one, hosts in running.items():
            self._judge_place(at_s, one, hosts)
        self._judge_memory(at_s, holdings)
        for count in self._counts:
            self._judge_rule(at_s, count, count.broken(places, running))

    def _judge_place(self, at_s: float, guest: str, hosts: set[str]) -> None:
        text = f"guest {guest} runs on {', '.join(sorted(hosts))} at once"
        self._judge(at_s, ViolationKind.RUNS_TWICE, guest, len(hosts) > 1, text)

    def _judge_memory(self, at_s: float, holdings: Mapping[str, Mapping[str, Holding]]) -> None:
        for host, on in holdings.items():
            used, whole = self._memory_mib(on), self._hosts[host].memory_mib - self._hosts[host].reserved.memory_mib
            over = used > max(whole, self._memory_at_start.get(host, 0))
            self._judge(at_s, ViolationKind.MEMORY_OVER, host, over, f"host {host} holds {used} MiB of {whole} MiB")

    def waited(self, at_s: float, holdings: Mapping[str, Mapping[str, Holding]]) -> None:
        """Look again at what was apart, since some time has passed."""
        if self._apart_since:
            places, running = _places(holdings)
            for count in self._counts:
                if count.rule.title in self._apart_since:
                    self._judge_rule(at_s, count, count.broken(places, running))

    def lost(self, at_s: float, guest: str, why: str) -> None:
        """Record a guest that died by no injected fault."""
        self._judge(at_s, ViolationKind.GUEST_LOST, guest, True, f"guest {guest} was lost: {why}")

    def migrating(self, under_way: Iterable[Migration]) -> None:
        """Note how many migrations there are at once."""
        now = list(under_way)
        self.tally.most_at_once = max(self.tally.most_at_once, len(now))
        for most, ends in (
            (self.tally.most_out_of, [one.source for one in now]),
            (self.tally.most_into, [one.target for one in now]),
        ):
            for host, number in Counter(ends).items():
                most[host] = max(most[host], number)

    def ended(self, result: JobResult) -> None:
        """Count a migration that is over."""
        self.tally.moved_mib += result.mib
        if result.error:
            self.tally.moves_failed += 1
        else:
            self.tally.moves_done += 1
            self.tally.longest_downtime_ms = max(self.tally.longest_downtime_ms, result.downtime_ms)

    def load(self, over_s: float, host: str, wanted_millicores: float) -> None:
        """Account a host's load over the last `over_s` seconds."""
        whole = self._hosts[host].cpu_millicores
        ratio = wanted_millicores / whole if whole else 0.0
        self.tally.highest_cpu_ratio = max(self.tally.highest_cpu_ratio, ratio)
        self.tally.wanted_core_s += wanted_millicores / 1000 * over_s
        if wanted_millicores > whole:
            self.tally.overload_s[host] = self.tally.overload_s.get(host, 0.0) + over_s
            self.tally.unserved_core_s += (wanted_millicores - whole) / 1000 * over_s

    def _judge_rule(self, at_s: float, count: _RuleCount, broken: int) -> None:
        """Judge one rule. What has to be together may be apart while its group moves, but not for long."""
        title = count.rule.title
        worse = broken > count.at_start
        if isinstance(count.rule, (Affinity, Near)):
            if not worse:
                self._apart_since.pop(title, None)
            elif at_s - self._apart_since.setdefault(title, at_s) < self._rejoin_within_s:
                return
        text = f"rule {title} has {broken} broken, {count.at_start} at the start"
        self._judge(at_s, ViolationKind.RULE_BROKEN, title, worse, text)

    def _judge(self, at_s: float, kind: ViolationKind, subject: str, wrong: bool, text: str) -> None:
        """Record a violation when it begins, not again while it lasts."""
        key = (kind, subject)
        if wrong and key not in self._now_wrong:
            self._now_wrong.add(key)
            self.violations.append(Violation(at_s, kind, subject, text))
        elif not wrong:
            self._now_wrong.discard(key)

    def _memory_mib(self, on: Iterable[str]) -> int:
        return sum(self._guests[guest].memory_mib + self._guests[guest].overhead_mib for guest in on)


Places = Mapping[str, set[str]]


def _places(holdings: Mapping[str, Mapping[str, Holding]]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return each guest's hosts, arriving included, and the hosts it runs on."""
    places: dict[str, set[str]] = {}
    running: dict[str, set[str]] = {}
    for host, on in holdings.items():
        for guest, holding in on.items():
            places.setdefault(guest, set()).add(host)
            if holding is Holding.RUNNING:
                running.setdefault(guest, set()).add(host)
    return places, running


class _RuleCount:
    """One rule with its guests and cells worked out once, and how to count what is broken of it."""

    def __init__(self, rule: Rule, guests: Mapping[str, Guest], hosts: Mapping[str, Host]) -> None:
        self.rule = rule
        self.at_start = 0
        self._guests = sorted(one.id for one in guests.values() if rule.guests.matches(one))
        domain = getattr(rule, "domain", "host")
        self._cell = {one.id: one.domain(domain) for one in hosts.values()}
        self._named: set[str] = set()
        if isinstance(rule, (Pin, Forbid)):
            self._named = {one.id for one in hosts.values() if rule.hosts.matches(one)}
        elif isinstance(rule, Near):
            self._named = {one.id for one in guests.values() if rule.to.matches(one)}

    def broken(self, places: Places, running: Places) -> int:
        """Count: a guest under way is on both hosts where hosts exclude, and where it runs where they attract."""
        match self.rule:
            case AntiAffinity():
                in_cell = Counter(cell for guest in self._guests for cell in self._cells(places, guest))
                return sum(number * (number - 1) // 2 for number in in_cell.values())
            case Affinity():
                at = [cells for guest in self._guests if (cells := self._cells(running, guest))]
                return sum(1 for i, one in enumerate(at) for other in at[i + 1 :] if not one & other)
            case Spread():
                cells = {cell for guest in self._guests for cell in self._cells(running, guest)}
                return max(0, self.rule.at_least - len(cells)) if cells else 0
            case Pin():
                return sum(1 for guest in self._guests if places.get(guest, set()) - self._named)
            case Forbid():
                return sum(1 for guest in self._guests if places.get(guest, set()) & self._named)
            case Near():
                return sum(1 for guest in self._guests if not self._has_neighbour(running, guest))
            case _:
                return 0

    def _has_neighbour(self, running: Places, guest: str) -> bool:
        cells = self._cells(running, guest)
        return not cells or any(cells & self._cells(running, other) for other in self._named - {guest})

    def _cells(self, where: Places, guest: str) -> set[str]:
        return {self._cell[host] for host in where.get(guest, ())}
