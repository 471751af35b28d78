"""Kinds of observation that are no measured amount: scores, categories, yes or no, counts, events, own likelihoods.

Each is said in one key of an output, and holds the parameters of its law with their values before a fit:

====================  ====================================================================  ============================
key of the output     an observation is                                                     parameters
====================  ====================================================================  ============================
``score``             one of equal steps between a floor and a ceiling                      ``sd`` or ``precision``,
                                                                                            ``floor``, ``ceiling``
``categories``        one of several levels in their order                                  ``cut1``, ``gap2``, ...
``binary``            0 or 1                                                                none
``count``             0, 1, 2, ...                                                          ``dispersion``, ``zeros``
``event``             1 where an event happens, 0 where none has happened since the last    none
``likelihood``        anything: the output is its log likelihood                            none
====================  ====================================================================  ============================
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pkpd.errors import ModelError

if TYPE_CHECKING:
    from pkpd.model.rows import Row

__all__ = ["KINDS", "Binary", "Categories", "Count", "Event", "Kind", "Likelihood", "Score", "read_kind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What all kinds have in common: a key, parameters, and their transforms."""

    key: ClassVar[str]
    scales: ClassVar[frozenset[str]] = frozenset()  # parameters whose logarithm an `iiv` of the output acts on

    @property
    def values(self) -> dict[str, float]:
        """The parameters of the law that exist: ``{"sd": 0.5}``."""
        return {}

    def with_value(self, term: str, value: float) -> Kind:
        """Give the same with another value of one parameter."""
        return replace(self, **{term: value})  # type: ignore[arg-type]

    @property
    def words(self) -> str:
        """The law in words and numbers."""
        raise NotImplementedError

    def _refuse(self, what: str, expected: str, remedy: str = "Correct it, or leave it out for what is usual.") -> None:
        raise ModelError(what, where=f"an output with {self.key}", expected=expected, remedy=remedy)

    def _choose(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            self._refuse(f"{name} is {getattr(self, name)!r}.", f"One of {', '.join(map(repr, choices))}.")

    def _share(self, name: str) -> None:
        if not 0 <= getattr(self, name) < 1:
            self._refuse(f"{name} is {getattr(self, name):g}.", "A share of the observations: 0 or more, below 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Kind):
    """A score with a floor and a ceiling, read in equal steps.

    The n = (upper - lower) / step + 1 values divide a range from half a step below `lower` to half a step above `upper`
    into n equal bins, u = 0, 1/n, ..., 1; an observation is the bin in which something continuous has fallen:

    ===================  =============================================================================================
    law                  what falls into a bin
    ===================  =============================================================================================
    ``logit-normal``     logit(u) is normal around the logit of the prediction, with SD `sd`
    ``bounded integer``  probit(u) is normal around the probit of the prediction, with SD `sd`
    ``beta``             u follows a beta law with the prediction as its mean, with `precision` a + b
    ``normal``           the score itself is normal around the prediction, with SD `sd` in its unit; what falls
                         beyond the range counts as its end
    ===================  =============================================================================================

    All are probabilities of the same values, so that their objectives can be compared. A share `floor` of the
    observations is at the lowest value and a share `ceiling` at the highest whatever the prediction.

    Wellhagen GJ, Kjellsson MC, Karlsson MO. A bounded integer model for rating and composite scale data. AAPS Journal
    2019;21:74. doi:10.1208/s12248-019-0343-9. Lesaffre E, Rizopoulos D, Tsonaka R. The logistic transform for bounded
    outcome scores. Biostatistics 2007;8:72-85. doi:10.1093/biostatistics/kxj034

    Parameters
    ----------
    lower, upper, step
        Of the values, in the unit of the output.
    law
        See above.
    scale
        ``"score"``: the equations give the score, which has to stay within the range; ``"latent"``: they give its logit
        (its probit for ``bounded integer``), which may be any number.
    sd, precision
        Of the law before a fit; the one that it needs. Unless given: 0.5, 0.3 (``bounded integer``), a tenth of the
        range (``normal``), a precision of 20.
    floor, ceiling
        Shares before a fit; 0 for none, never estimated then.
    """

    key: ClassVar[str] = "score"
    scales: ClassVar[frozenset[str]] = frozenset({"sd", "precision"})

    lower: float
    upper: float
    step: float = 1.0
    law: str = "logit-normal"
    scale: str = "score"
    sd: float | None = None
    precision: float | None = None
    floor: float = 0.0
    ceiling: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower < self.upper):
            self._refuse(f"its range is {self.lower:g} to {self.upper:g}.", "lower < upper.", "Exchange them.")
        steps = (self.upper - self.lower) / self.step if self.step > 0 else math.nan
        if not (steps >= 1 and abs(steps - round(steps)) < 1e-6):
            self._refuse(
                f"step is {self.step:g}, and the range {self.lower:g} to {self.upper:g}.",
                "A step above 0 that divides the range.",
                "Give the distance between neighbouring scores, or the range in which they lie.",
            )
        self._choose("law", ("logit-normal", "bounded integer", "beta", "normal"))
        self._choose("scale", ("score", "latent"))
        needed, other = ("precision", "sd") if self.law == "beta" else ("sd", "precision")
        if getattr(self, other) is not None:
            self._refuse(
                f"the law is {self.law}, and {other} is given.", f"{needed}, and no {other}.", f"Leave out {other}."
            )
        if getattr(self, needed) is None:
            tenth = (self.upper - self.lower) / 10
            usual = {"logit-normal": 0.5, "bounded integer": 0.3, "beta": 20.0, "normal": tenth}
            object.__setattr__(self, needed, usual[self.law])
        if not (math.isfinite(getattr(self, needed)) and getattr(self, needed) > 0):
            self._refuse(f"{needed} is {getattr(self, needed):g}.", "A number above 0.")
        self._share("floor")
        self._share("ceiling")
        if self.floor + self.ceiling >= 1:
            self._refuse(f"floor and ceiling are {self.floor:g} and {self.ceiling:g}.", "Less than 1 together.",
                         "Start from smaller shares.")  # fmt: skip

    @property
    def count(self) -> int:
        """How many values there are."""
        return round((self.upper - self.lower) / self.step) + 1

    @property
    def values(self) -> dict[str, float]:
        """The parameters of the law that exist."""
        own = {"precision": self.precision} if self.law == "beta" else {"sd": self.sd}
        own |= {name: getattr(self, name) for name in ("floor", "ceiling") if getattr(self, name) > 0}
        return {name: float(value) for name, value in own.items() if value is not None}

    @property
    def words(self) -> str:
        """The law in words and numbers."""
        name = {"logit-normal": "coarsened logit-normal", "normal": "coarsened normal"}.get(self.law, self.law)
        shown = f"precision {self.precision:.4g}" if self.law == "beta" else f"SD {self.sd:.4g}"
        shown += "".join(f", {100 * getattr(self, end):.3g} % at the {end}" for end in ("floor", "ceiling")
                         if getattr(self, end) > 0)  # fmt: skip
        latent = f"; equations on the {'probit' if self.law == 'bounded integer' else 'logit'} scale"
        return f"score {self.lower:g} to {self.upper:g} in steps of {self.step:g}, {name}, {shown}" + latent * (
            self.scale == "latent"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories(Kind):
    """Levels in their order: P(level <= k) = F(cut k - prediction), so that a higher prediction makes higher levels.

    F is the logistic law (proportional odds) or the normal one. The first cut is `cut1`, and ``gap2``, ``gap3``, ...
    are what is between a cut and the next one. McCullagh P. Regression models for ordinal data. J R Stat Soc B
    1980;42:109-142. doi:10.1111/j.2517-6161.1980.tb01109.x

    Parameters
    ----------
    levels
        Two or more values of DV, rising.
    cuts
        Before a fit, one fewer, rising.
    link
        ``"logit"`` or ``"probit"``.
    """

    key: ClassVar[str] = "categories"

    levels: tuple[float, ...]
    cuts: tuple[float, ...]
    link: str = "logit"

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or any(not a < b for a, b in zip(self.levels, self.levels[1:], strict=False)):
            self._refuse(f"levels are {list(self.levels)}.", "Two or more values, rising.",
                         "Sort them, and name each once.")  # fmt: skip
        if len(self.cuts) != len(self.levels) - 1 or any(
            not (math.isfinite(a) and a < b) for a, b in zip(self.cuts, (*self.cuts[1:], math.inf), strict=True)
        ):
            self._refuse(f"cuts are {list(self.cuts)}, for {len(self.levels)} levels.",
                         "One cut fewer than levels, rising.", "Sort them; any values will do to begin.")  # fmt: skip
        self._choose("link", ("logit", "probit"))

    @property
    def values(self) -> dict[str, float]:
        """The first cut, and the gaps between cuts."""
        gaps = zip(self.cuts, self.cuts[1:], strict=False)
        return {"cut1": self.cuts[0]} | {f"gap{k}": b - a for k, (a, b) in enumerate(gaps, start=2)}

    def with_value(self, term: str, value: float) -> Kind:
        """Give the same with another first cut or gap."""
        cuts: list[float] = []
        for name, old in self.values.items():
            own = value if name == term else old
            cuts.append(own + cuts[-1] if cuts else own)
        return replace(self, cuts=tuple(cuts))

    @property
    def words(self) -> str:
        """The law in words and numbers."""
        name = "proportional odds" if self.link == "logit" else "ordered probit"
        return (
            f"ordered levels {', '.join(f'{x:g}' for x in self.levels)}, {name}, "
            f"cuts {', '.join(f'{x:.4g}' for x in self.cuts)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Kind):
    """Yes (1) or no (0).

    Parameters
    ----------
    scale
        What the equations give: the ``"probability"`` of a 1, its ``"logit"``, or its ``"probit"``.
    """

    key: ClassVar[str] = "binary"

    scale: str = "probability"

    def __post_init__(self) -> None:
        self._choose("scale", ("probability", "logit", "probit"))

    @property
    def words(self) -> str:
        """The law in words."""
        return "yes or no" + (f"; equations on the {self.scale} scale" if self.scale != "probability" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Kind):
    """A number of events; the prediction is its mean m.

    Parameters
    ----------
    law
        ``"poisson"``, with variance m, or ``"negative binomial"``, with variance m + dispersion * m**2.
    dispersion
        Before a fit.
    zeros
        Share of observations that are 0 whatever the prediction, before a fit; 0 for none, never estimated then. With
        it, the mean of the observations is (1 - zeros) m.
    """

    key: ClassVar[str] = "count"
    scales: ClassVar[frozenset[str]] = frozenset({"dispersion"})

    law: str = "poisson"
    dispersion: float | None = None
    zeros: float = 0.0

    def __post_init__(self) -> None:
        self._choose("law", ("poisson", "negative binomial"))
        wanted = self.law == "negative binomial"
        if wanted != (self.dispersion is not None) or not (self.dispersion is None or 0 < self.dispersion < math.inf):
            self._refuse(f"the law is {self.law}, and dispersion {self.dispersion}.",
                         "A dispersion above 0 for the negative binomial law, none for Poisson's.",
                         "Write dispersion = 0.5, or leave law and dispersion out.")  # fmt: skip
        self._share("zeros")

    @property
    def values(self) -> dict[str, float]:
        """The parameters of the law that exist."""
        own = {} if self.dispersion is None else {"dispersion": self.dispersion}
        return own | ({"zeros": self.zeros} if self.zeros > 0 else {})

    @property
    def words(self) -> str:
        """The law in words and numbers."""
        shown = "Poisson count"
        if self.dispersion is not None:
            shown = f"negative binomial count, dispersion {self.dispersion:.4g}"
        return shown + (f", {100 * self.zeros:.3g} % more zeros" if self.zeros else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Kind):
    """An event in time; the prediction is its hazard, per unit of time.

    A record with DV 1 is an event at its TIME, one with DV 0 says that none has happened since the subject's record
    before (or since it has been observed); an event that happened at an unknown time since then has CENS 1. Events may
    repeat.
    """

    key: ClassVar[str] = "event"

    @property
    def words(self) -> str:
        """The law in words."""
        return "time to event; the equations give the hazard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood(Kind):
    """Whatever the equations say: the output is the natural logarithm of the likelihood of the record's ``DV``."""

    key: ClassVar[str] = "likelihood"

    @property
    def words(self) -> str:
        """The law in words."""
        return "log likelihood given by the equations"


#: Every kind by the key of an output that says it.
KINDS: dict[str, type[Kind]] = {kind.key: kind for kind in (Score, Categories, Binary, Count, Event, Likelihood)}


def read_kind(row: Row) -> Kind | None:
    """Take the kind of observation from the row of an output; None for a measured amount."""
    from pkpd.model.rows import Row

    given = [key for key in KINDS if key in row.content]
    row.asked.update(dict.fromkeys(KINDS))
    if not given:
        return None
    key = given[0]
    if len(given) > 1:
        row.wrong(key, f"{' and '.join(given)} are given.", expected="An observation is of one kind.",
                  remedy=f"Leave {' or '.join(given)} out, or make another output of it.")  # fmt: skip
        return None
    # All kinds that need nothing can be said by `true`.
    content = {} if row.content[key] is True else row.content[key]
    own = Row(row.reading, (*row.path, key), content)
    made = own.make(KINDS[key], **_READERS[key](own))
    own.close()
    row.fine = row.fine and own.fine
    return made


def _read_score(row: Row) -> dict[str, Any]:
    for name in ("lower", "upper"):
        row.needed(name, "A score has a range and steps: score = { lower = 0, upper = 100, step = 1, sd = 0.5 }.")
    return {
        "lower": row.number("lower", 0.0),
        "upper": row.number("upper", 1.0),
        "step": row.number("step", 1.0),
        "law": row.text("law", "logit-normal"),
        "scale": row.text("scale", "score"),
        "sd": row.number("sd"),
        "precision": row.number("precision"),
        "floor": row.number("floor", 0.0),
        "ceiling": row.number("ceiling", 0.0),
    }


def _read_categories(row: Row) -> dict[str, Any]:
    for name in ("levels", "cuts"):
        row.needed(name, "Categories have levels and cuts: categories = { levels = [0, 1, 2], cuts = [-1, 1] }.")
    return {"levels": row.numbers("levels"), "cuts": row.numbers("cuts"), "link": row.text("link", "logit")}


def _read_binary(row: Row) -> dict[str, Any]:
    return {"scale": row.text("scale", "probability")}


def _read_count(row: Row) -> dict[str, Any]:
    return {
        "law": row.text("law", "poisson"),
        "dispersion": row.number("dispersion"),
        "zeros": row.number("zeros", 0.0),
    }


def _read_nothing(row: Row) -> dict[str, Any]:
    return {}


_READERS = {
    "score": _read_score,
    "categories": _read_categories,
    "binary": _read_binary,
    "count": _read_count,
    "event": _read_nothing,
    "likelihood": _read_nothing,
}
