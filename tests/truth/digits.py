"""Compare numbers with printed ones; a failure says how many digits agree."""

from __future__ import annotations

import math


def digits_agreeing(got: float, want: float) -> float:
    """Give the number of significant digits in which two numbers agree (NIST's LRE, log relative error)."""
    if got == want:
        return math.inf
    return -math.log10(abs(got - want) / abs(want)) if want else -math.log10(abs(got))


def check_printed(got: dict[str, float], printed: dict[str, str], slack: float = 0.5) -> None:
    """Check that numbers round to what is printed.

    Parameters
    ----------
    got : what was computed, by name.
    printed : what a source prints, as text: its last digit decides the tolerance.
    slack : how many units of the last printed digit a number may be off.
    """
    wrong = []
    for name, text in printed.items():
        unit = 10.0 ** -len(text.partition(".")[2])
        want = float(text)
        if not abs(got[name] - want) <= slack * unit * (1 + 1e-9):
            agree = digits_agreeing(got[name], want)
            wrong.append(f"{name}: {got[name]:.10g}, printed {text}; {agree:.1f} digits agree")
    assert not wrong, "\n".join(wrong)


def check_certified(got: dict[str, float], want: dict[str, float], digits: float) -> None:
    """Check that numbers agree with certified ones in at least this many digits."""
    wrong = []
    for name, value in want.items():
        agree = digits_agreeing(got[name], value)
        if not agree >= digits:
            wrong.append(f"{name}: {got[name]:.12g}, certified {value:.12g}; {agree:.1f} of {digits} digits agree")
    assert not wrong, "\n".join(wrong)
