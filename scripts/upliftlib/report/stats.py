# SPDX-License-Identifier: GPL-2.0-only
"""When is a difference a gain?

On real hardware a sample is nanoseconds, and every round takes all arms in turn, so that differences are taken within a
round: what the machine does to all arms alike falls out. Of these differences the median counts, with a 95% interval
from resampling (percentile bootstrap, from a fixed seed: the same samples give the same words).

A gain is claimed only where all of these hold; else it is "no measurable gain":

- there are 30 rounds at least;
- the interval of new against null does not touch 0;
- "off" and "off again", which are the same thing, differ by less than half of it;
- the interval's near end is further from 0 than either end of that of off against off again. The rules above let a
  useless change pass once in a hundred times; with this one none of thousands passed.

What instruction counting gives has no spread: there a difference is claimed if another round gives the same counts, and
the two offs are the same. "The same" is half an instruction an operation: a batch may have one more at its ends. Where
rounds are not the same, as when the kernel had something else to do in the first, a difference has to be more than ten
times of what they differ by.
"""

import functools
import random
from collections.abc import Sequence
from typing import TypedDict

NONE = "no measurable gain"
ROUNDS = 30		# fewer are not enough for a claim
LEVEL = 0.95
RESAMPLES = 2000
SEED = 7
SAME = 0.5		# instructions
CERTAIN = 10		# times what rounds of counting differ by


# {"median", "low", "high"}
Interval = dict[str, float]


class Gain(TypedDict):
    """What an arm saves against null."""
    saves: Interval
    percent: Interval		# of null
    claim: str			# gain, loss or none
    why: str			# for none
    noise: Interval		# off again against off


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle."""
    values, half = sorted(values), len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


@functools.lru_cache(maxsize=8)
def ranks(count: int) -> list[tuple[int, int]]:
    """RESAMPLES times, where among `count` sorted values the middle ones of a random draw stand; always the same."""
    rng = random.Random(SEED)
    half = count // 2
    found = []
    for _ in range(RESAMPLES):
        drawn = sorted(rng.choices(range(count), k=count))
        found.append((drawn[half], drawn[half]) if count % 2 else (drawn[half - 1], drawn[half]))
    return found


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """{"median", "low", "high"} of the median of some values."""
    values = sorted(values)
    medians = sorted((values[one] + values[other]) / 2 for one, other in ranks(len(values)))
    cut = round(len(medians) * (1 - level) / 2)
    return {"median": median(values), "low": medians[cut], "high": medians[-1 - cut]}


def differences(less: Sequence[float], more: Sequence[float]) -> list[float]:
    """Round by round, how much more the second is."""
    return [b - a for a, b in zip(less, more, strict=True)]


def _scaled(found: Interval, by: float) -> Interval:
    return {key: 100 * value / by if by else 0.0 for key, value in found.items()}


def _gain(saves: Interval, percent: Interval, noise: Interval, why: str) -> Gain:
    """A claim, unless there is a reason not to."""
    claim = "none" if why else "gain" if saves["median"] > 0 else "loss"
    return {"saves": saves, "percent": percent, "claim": claim, "why": why, "noise": noise}


def compare(arm: Sequence[float], null: Sequence[float], off: Sequence[float], off_again: Sequence[float],
            least: int = ROUNDS) -> Gain:
    """What an arm saves against null, from samples of each round."""
    saves = interval(differences(arm, null))
    noise = interval(differences(off, off_again))
    apart = max(abs(noise["median"]), abs(median(off) - median(off_again)))
    return _gain(saves, _scaled(saves, median(null)), noise, _doubt(saves, noise, apart, len(null), least))


def _doubt(saves: Interval, noise: Interval, apart: float, rounds: int, least: int) -> str:
    """Why a difference is no gain; "" where it is one."""
    if rounds < least:
        return f"{rounds} rounds are too few: {least} at least"
    if saves["low"] <= 0 <= saves["high"]:
        return "the interval touches null"
    if 2 * apart >= abs(saves["median"]):
        return "the two offs differ by half of it or more"
    if min(abs(saves["low"]), abs(saves["high"])) <= max(abs(noise["low"]), abs(noise["high"])):
        return "not beyond the interval in which the two offs differ"
    return ""


def agree(values: Sequence[float]) -> bool:
    """Are counts of the same thing the same?"""
    return max(values) - min(values) < SAME


def compare_exact(arm: Sequence[float], null: Sequence[float], off: Sequence[float],
                  off_again: Sequence[float]) -> Gain:
    """The same for counted instructions: the least of the rounds is the figure, a second round has to confirm it."""
    gain, apart = min(null) - min(arm), min(off_again) - min(off)
    saves = dict.fromkeys(("median", "low", "high"), gain)
    noise = dict.fromkeys(("median", "low", "high"), apart)
    return _gain(saves, _scaled(saves, min(null)), noise, _doubt_exact(gain, apart, (arm, null, off, off_again)))


def _doubt_exact(gain: float, apart: float, counts: Sequence[Sequence[float]]) -> str:
    """Why a difference of counts is no gain; "" where it is one."""
    spread = max(max(values) - min(values) for values in counts)
    if min(map(len, counts)) < 2:
        return "no second round confirms it"
    if spread >= SAME and abs(gain) <= CERTAIN * spread:
        return "the rounds do not agree: the counts are not exact here"
    if abs(apart) >= SAME and abs(gain) <= CERTAIN * abs(apart):
        return "the two offs differ"
    return "the counts are the same" if abs(gain) < SAME else ""


def summary(values: Sequence[float], exact: bool = False) -> Interval:
    """{"median", "low", "high"} of an arm by itself; for counts the least, and the range if there is one."""
    if exact:
        return {"median": min(values), "low": min(values), "high": min(values) if agree(values) else max(values)}
    return interval(values)
