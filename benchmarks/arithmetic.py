"""Medians and ratios. No I/O, so that the figures of the report can be tested."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "median_ratio", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of one figure over the rounds."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return median, minimum and maximum, or None for no values at all."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))


def median_ratio(values: Mapping[int, float], reference: Mapping[int, float]) -> float | None:
    """Return how many times the reference a figure is.

    Args:
        values: round -> figure.
        reference: round -> figure of the peer compared with.

    Returns:
        The median of the ratios within each round: the two runs of a round are neighbours in time,
        so what else the machine did then falls on both. When no round has both, the ratio of the
        medians; None when one side has nothing, or the reference is zero.
    """
    ratios = [
        value / reference[number]
        for number, value in values.items()
        if number in reference and reference[number] != 0
    ]
    if ratios:
        return statistics.median(ratios)
    if not values or not reference:
        return None
    divisor = statistics.median(reference.values())
    return statistics.median(values.values()) / divisor if divisor else None
