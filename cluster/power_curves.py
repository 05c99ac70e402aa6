"""Power curves of servers: SPECpower figures by model, and what a curve says at a load. Pure.

The figures are results of SPECpower_ssj2008 as published at spec.org/power_ssj2008: average active power in watts at
active idle and at target loads of 10 %, 20 %, ... 100 %. They are of the machine as it was tested; a host's own, with
other memory, disks and power supplies, may differ by some tens of per cent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from types import MappingProxyType

Curve = tuple[tuple[float, float], ...]
"""(CPU load ratio, watts) with the load rising strictly from 0."""

UNKNOWN: Curve = ((0.0, 100.0), (1.0, 300.0))
"""What is assumed of a host of which no curve is known: a common two-socket server."""


def _curve(watts: str) -> Curve:
    return tuple((step / 10, float(one)) for step, one in enumerate(watts.split()))


BY_MODEL: Mapping[str, Curve] = MappingProxyType(
    {
        "HP ML110 G4 Xeon 3040": _curve("86 89.4 92.6 96 99.5 102 106 108 112 114 117"),
        "HP ML110 G5 Xeon 3075": _curve("93.7 97 101 105 110 116 121 125 129 133 135"),
        "Dell R720 2x E5-2660": _curve("52.3 75.4 86.6 98.3 112 124 140 161 178 201 231"),
        "Dell R730 2x E5-2699v4": _curve("44.6 84.8 102 120 136 150 163 181 205 238 272"),
        "Dell R740 2x Platinum 8280": _curve("49.8 114 137 159 182 208 240 277 319 376 432"),
        "Dell R7515 EPYC 7742": _curve("99.5 117 130 141 151 164 186 205 220 236 246"),
        "Dell R6525 2x EPYC 7702": _curve("81.6 188 214 236 258 280 305 331 358 382 404"),
        "HPE DL380 Gen10+ 2x Platinum 8380": _curve("143 199 228 256 282 313 350 400 458 577 647"),
        "HPE DL385 Gen10+ 2x EPYC 7773X": _curve("101 207 237 265 292 328 359 417 451 507 548"),
    }
)
"""Curve by server model."""


def watts_at(curve: Curve, load_ratio: float) -> float:
    """Return the watts at a load, straight between the points, flat beyond the last; 0 for an empty curve."""
    if not curve:
        return 0.0
    right = bisect_left(curve, (load_ratio, -1.0))
    if right == 0 or load_ratio <= curve[0][0]:
        return curve[0][1]
    if right == len(curve):
        return curve[-1][1]
    (low, below), (high, above) = curve[right - 1], curve[right]
    return below + (above - below) * (load_ratio - low) / (high - low)
