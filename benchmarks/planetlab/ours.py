"""Trimtab itself on a day of PlanetLab: the real loop under a preset, over the same pretend cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.planetlab.setting import FIRST_S, begin, core_mips, world
from benchmarks.planetlab.trace import DAY_S
from cluster.config.loader import load_settings
from scheduler.replay.replaying import Pace, Replaying
from simulator.accounting import Account, AccountLedger
from simulator.loads import FloatArray
from simulator.published_accounting import Published, PublishedLedger

PRESET = Path(__file__).parent / "preset.toml"
WAKE_S, SLEEP_S, SLEEP_WATTS = 180.0, 30.0, 6.0
"""A server's suspend to RAM and back, where power transitions count."""


@dataclass(frozen=True, slots=True)
class Day:
    """What came of a day: migrations begun, figures both ways, what the world's witness saw, seconds it took."""

    moves: int
    published: Published
    account: Account
    wrong: int


def run_ours(
    use: FloatArray,
    day: str,
    overrides: tuple[str, ...] = (),
    *,
    with_ram: bool = False,
    real_power: bool = False,
    say: Callable[[datetime, str], None] | None = None,
) -> Day:
    """Return what comes of a day under the preset with `section.key=value` overrides.

    `with_ram`: memory counts, as where the guests begin. `real_power`: hosts take their time to sleep and wake and draw
    what they do meanwhile; else switching is free, as in the runs compared with.
    """
    settings = load_settings(PRESET, overrides).settings
    published = PublishedLedger(core_mips(), FIRST_S)
    account = AccountLedger(core_millicores=core_mips(), from_s=FIRST_S)
    cluster, clock = world(
        use,
        day,
        begin(len(use)),
        (published, account),
        with_ram=with_ram,
        wake_s=WAKE_S if real_power else 0.0,
        sleep_s=SLEEP_S if real_power else 0.0,
        sleep_watts=SLEEP_WATTS if real_power else 0.0,
    )
    replay = Replaying(cluster, settings, clock, pace=Pace(), listener=say)
    replay.run(DAY_S)
    tally = cluster.tally()
    return Day(tally.moves_done + tally.moves_failed, published.figures(), account.figures(), len(cluster.violations()))
