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

NONE = "no measurable gain"
ROUNDS = 30		# fewer are not enough for a claim
LEVEL = 0.95
RESAMPLES = 2000
SEED = 7
SAME = 0.5		# instructions
CERTAIN = 10		# times what rounds of counting differ by


def median(values):
    """The middle one, or the mean of the two in the middle."""
    values, half = sorted(values), len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


@functools.lru_cache(maxsize=8)
def ranks(count):
    """RESAMPLES times, where among `count` sorted values the middle ones of a random draw stand; always the same."""
    rng = random.Random(SEED)
    half = count // 2
    found = []
    for _ in range(RESAMPLES):
        drawn = sorted(rng.choices(range(count), k=count))
        found.append((drawn[half], drawn[half]) if count % 2 else (drawn[half - 1], drawn[half]))
    return found


def interval(values, level=LEVEL):
    """{"median", "low", "high"} of the median of some values."""
    values = sorted(values)
    medians = sorted((values[one] + values[other]) / 2 for one, other in ranks(len(values)))
    cut = round(len(medians) * (1 - level) / 2)
    return {"median": median(values), "low": medians[cut], "high": medians[-1 - cut]}


def differences(less, more):
    """Round by round, how much more the second is."""
    return [b - a for a, b in zip(less, more, strict=True)]


def _scaled(found, by):
    return {key: 100 * value / by if by else 0.0 for key, value in found.items()}


def _result(gain, percent, claim, why, **more):
    return {"saves": gain, "percent": percent, "claim": claim, "why": why, **more}


def compare(arm, null, off, off_again, least=ROUNDS):
    """What an arm saves against null, from samples of each round.

    {"saves": {"median", "low", "high"}, "percent": the same of null, "noise": off again against off, "claim": gain,
    loss or none, "why": for a none}
    """
    saves = interval(differences(arm, null))
    noise = interval(differences(off, off_again))
    percent = _scaled(saves, median(null))
    size = abs(saves["median"])
    apart = max(abs(noise["median"]), abs(median(off) - median(off_again)))
    near = min(abs(saves["low"]), abs(saves["high"]))
    if len(null) < least:
        why = f"{len(null)} rounds are too few: {least} at least"
    elif saves["low"] <= 0 <= saves["high"]:
        why = "the interval touches null"
    elif 2 * apart >= size:
        why = "the two offs differ by half of it or more"
    elif near <= max(abs(noise["low"]), abs(noise["high"])):
        why = "not beyond the interval in which the two offs differ"
    else:
        return _result(saves, percent, "gain" if saves["median"] > 0 else "loss", "", noise=noise)
    return _result(saves, percent, "none", why, noise=noise)


def agree(values):
    """Are counts of the same thing the same?"""
    return max(values) - min(values) < SAME


def compare_exact(arm, null, off, off_again):
    """The same for counted instructions: the least of the rounds is the figure, a second round has to confirm it."""
    counts = {"arm": arm, "null": null, "off": off, "off_again": off_again}
    gain = min(null) - min(arm)
    saves = dict.fromkeys(("median", "low", "high"), gain)
    noise = dict.fromkeys(("median", "low", "high"), min(off_again) - min(off))
    percent = _scaled(saves, min(null))
    spread = max(max(values) - min(values) for values in counts.values())
    if min(len(values) for values in counts.values()) < 2:
        why = "no second round confirms it"
    elif spread >= SAME and abs(gain) <= CERTAIN * spread:
        why = "the rounds do not agree: the counts are not exact here"
    elif abs(noise["median"]) >= SAME and abs(gain) <= CERTAIN * abs(noise["median"]):
        why = "the two offs differ"
    elif abs(gain) < SAME:
        why = "the counts are the same"
    else:
        return _result(saves, percent, "gain" if gain > 0 else "loss", "", noise=noise)
    return _result(saves, percent, "none", why, noise=noise)


def summary(values, exact=False):
    """{"median", "low", "high"} of an arm by itself; for counts the least, and the range if there is one."""
    if exact:
        return {"median": min(values), "low": min(values), "high": min(values) if agree(values) else max(values)}
    return interval(values)
