"""What others reached on the challenge's instances, and the challenge's score. Results only, no instance.

Sources: Buljubasic's thesis of 2015 (tables 3.10 and 3.11), the challenge's published results, bounds of Masson et
al. 2013. All runs had 300 s.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """Costs of one instance: the given assignment's, a proven lower bound, best known in 300 s, the winner's run."""

    initial: int
    lower_bound: int
    best_known: int
    winner: int


REFERENCES = {
    "a1_1": Reference(49_528_750, 44_306_501, 44_306_501, 44_306_501),
    "a1_2": Reference(1_061_649_570, 777_531_000, 777_532_896, 777_912_030),
    "a1_3": Reference(583_662_270, 583_005_715, 583_005_717, 583_006_422),
    "a1_4": Reference(632_499_600, 242_406_000, 245_421_266, 262_125_116),
    "a1_5": Reference(782_189_690, 727_578_000, 727_578_309, 727_578_310),
    "a2_1": Reference(391_189_190, 126, 198, 329),
    "a2_2": Reference(1_876_768_120, 537_253_000, 707_237_541, 746_097_632),
    "a2_3": Reference(2_272_487_840, 1_031_400_000, 1_182_260_491, 1_210_644_572),
    "a2_4": Reference(3_223_516_130, 1_680_230_000, 1_680_542_520, 1_680_615_349),
    "a2_5": Reference(787_355_300, 307_403_000, 309_714_522, 318_358_949),
    "b_1": Reference(7_644_173_180, 3_290_754_940, 3_297_378_837, 3_370_468_979),
    "b_2": Reference(5_181_493_830, 1_015_153_860, 1_015_515_249, 1_015_553_800),
    "b_4": Reference(9_209_576_380, 4_677_767_120, 4_677_823_040, 4_677_980_888),
    "b_6": Reference(12_749_861_240, 9_525_841_820, 9_525_857_752, 9_525_910_853),
}


def score(cost: int, reference: Reference) -> float:
    """Return the challenge's score: by how much a cost is over the best known, in per cent of the initial cost."""
    return 100.0 * (cost - reference.best_known) / reference.initial


WINNER_SUM = 7.1
"""Sum of the winner's scores over the ten instances of set A."""
