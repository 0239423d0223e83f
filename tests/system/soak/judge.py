"""Whether a series of samples is flat: robust against single outliers, and sure of a leak.

    python3 tests/system/soak/judge.py     tries the judge itself
"""

import random
import statistics

# The part of the time, at the beginning, in which caches fill.
WARM_UP = 0.3


def growth(samples):
    """How much of (time, value) is gained from the first to the last by the median of all slopes (Theil and Sen)."""
    step = max(1, len(samples) // 200)
    thinned = samples[::step]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(thinned)
        for later in thinned[index + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) * (samples[-1][0] - samples[0][0]) if slopes else 0.0


def verdict(samples, part, floor):
    """None if the values stay within `part` of their median, and `floor` at least; else what they did instead."""
    end = samples[-1][0]
    settled = [sample for sample in samples if sample[0] >= end * WARM_UP]
    if len(settled) < 20:
        return f"only {len(settled)} samples were taken"
    median = statistics.median(value for _, value in settled)
    allowed = max(part * median, floor)
    gained = growth(settled)
    if gained > allowed:
        return f"grew by {gained:,.0f} in {end * (1 - WARM_UP):,.0f} s about a median of {median:,.0f}; allowed: {allowed:,.0f}"
    return None


def try_it():
    dice = random.Random(7)
    noise = lambda: dice.gauss(0, 1e6)
    times = [second * 2.0 for second in range(150)]
    flat = [(time, 60e6 + noise()) for time in times]
    warming = [(time, 60e6 - 30e6 * max(0.0, 1 - time / 80) + noise()) for time in times]
    spikes = [(time, value + (40e6 if index % 17 == 0 else 0)) for index, (time, value) in enumerate(flat)]
    leaking = [(time, 60e6 + 40e3 * time + noise()) for time in times]
    stairs = [(time, 60e6 + 3e6 * (time // 50) + noise()) for time in times]
    counted = [(time, 30 + time // 40) for time in times]
    for name, series in {"flat": flat, "warming": warming, "spikes": spikes}.items():
        assert verdict(series, 0.06, 4e6) is None, (name, verdict(series, 0.06, 4e6))
    for name, series in {"leaking": leaking, "stairs": stairs}.items():
        assert verdict(series, 0.06, 4e6), name
    assert verdict(counted, 0, 3) and verdict(flat[:10], 0.06, 4e6)


if __name__ == "__main__":
    try_it()
    print("the judge is right")
