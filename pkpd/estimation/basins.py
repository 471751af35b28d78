"""From starts to the minimum of a population's objective: which starts, again where one leads nowhere, what was found.

The given values come first, unless a first look doubts them; then places found from the data
(:mod:`pkpd.estimation.seek`). Nothing is random. What is not done in silence: every start and its end is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from pkpd.estimation.collapse import collapse
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.outer import Outer
from pkpd.estimation.precision import Precision
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.seek import Place, Scan, glance, seek
from pkpd.likelihood.population import Population

__all__ = ["Basin", "End", "Minimum", "Search"]

#: Objectives closer together than this are those of one basin; a second search must gain as much to be taken.
_SAME = 1e-3
#: Places looked for when the given values lead nowhere; how many of them are searched from.
_PLACES, _AGAIN = 4, 2
#: Half the side, in decades, of the box of further starts where fewer places than starts are found.
_BOX = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where one search began and ended.

    Parameters
    ----------
    label : str
        What it began from.
    start : (X,) float
    descent : Descent
    """

    label: str
    start: np.ndarray
    descent: Descent


@dataclass(frozen=True, slots=True, kw_only=True)
class Basin:
    """Ends of equal objective."""

    objective: float
    ends: tuple[End, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """The best that several searches have found.

    Parameters
    ----------
    descent : Descent
        The best.
    collapsed : (X,) bool
        What has run to 0 and is held there.
    ends : tuple of End
        Of all searches.
    notes : tuple of str
        What was done besides one search from the given values, and why.
    above : float
        How far the objective lies above that of one person for all, where that is known; no minimum can.
    """

    descent: Descent
    collapsed: np.ndarray
    ends: tuple[End, ...]
    notes: tuple[str, ...] = ()
    above: float = -np.inf

    @property
    def basins(self) -> tuple[Basin, ...]:
        """The best first; ends that are not at a minimum make none."""
        found: list[Basin] = []
        settled = [end for end in self.ends if end.descent.settled]
        for end in sorted(settled, key=lambda end: end.descent.point.objective):
            value = end.descent.point.objective
            if found and value - found[-1].objective <= _SAME:
                found[-1] = replace(found[-1], ends=(*found[-1].ends, end))
            else:
                found.append(Basin(objective=value, ends=(end,)))
        return tuple(found)

    @property
    def at_best(self) -> int:
        """How many searches ended at the best objective."""
        return sum(end.descent.point.objective <= self.descent.point.objective + _SAME for end in self.ends)


@dataclass(slots=True)
class Search:
    """Searches from several starts.

    Parameters
    ----------
    population, quantities, outer
        What is searched.
    tolerance, most
        See :func:`pkpd.estimation.descend.descend`.
    starts : int
        How many are asked for.
    watch : callable, optional
        Told of every iteration.
    """

    population: Population
    quantities: Quantities
    outer: Outer
    tolerance: float
    most: int
    starts: int = 1
    watch: Callable[..., None] | None = None
    ends: list[End] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: list[Place] | None = None

    @property
    def given(self) -> np.ndarray:
        """The given values, (X,)."""
        return self.population.start

    def descend(self, start: np.ndarray, lower: np.ndarray | None = None, upper: np.ndarray | None = None) -> Descent:
        """Search from one start, within bounds that may be narrower than those of the quantities."""
        low, high = self.quantities.limits()
        self.outer.last = None
        return descend(
            self.outer, start, low if lower is None else lower, high if upper is None else upper,
            tolerance=self.tolerance, most=self.most, watch=self.watch, size=self.quantities.size(start),
        )  # fmt: skip

    def run(self) -> Minimum:
        """Search from all starts, and give the best end."""
        if self.most == 0:
            end = End(label="the given values", start=self.given, descent=self.descend(self.given))
            return Minimum(descent=end.descent, collapsed=np.zeros(len(self.given), dtype=bool), ends=(end,))
        doubts = glance(self.population, self.quantities).reasons
        queue = [("the given values", self.given)] if not doubts else []
        if doubts or self.starts > 1:
            queue += [("values found from the data", place.x) for place in self._seek(max(self.starts, _PLACES))]
        if not queue:
            queue = [("the given values", self.given)]
        elif doubts:
            self.notes.append(
                f"Starts: not from the given values, because {' and '.join(doubts)}; from {self._say(queue[0][1])}, "
                "found from the data."
            )
        self._fill(queue)
        for label, start in queue[: self.starts]:
            self._search(label, start)
        best = self._best()
        if not self.settled(best) and best.iterations < self.most:
            best = self.again(f"the search from {self.ends[0].label} did not settle")
        return self._finish(best)

    def settled(self, descent: Descent) -> bool:
        """Whether a search ended at a minimum that nothing disproves."""
        return descent.settled and np.isfinite(descent.point.objective) and self._above(descent) <= _SAME

    def again(self, why: str) -> Descent:
        """Search from places found from the data, until one settles that is as good; give the best end."""
        before, tried = self._best(), len(self.ends)
        begun = [end.start for end in self.ends]
        for place in self._seek(_PLACES)[:_AGAIN]:
            if any(np.array_equal(place.x, start) for start in begun):
                continue
            self._search("values found from the data", place.x)
            if self.settled(self._best()):
                break
        if len(self.ends) > tried:
            best = self._best()
            gain = before.point.objective - best.point.objective
            better = "which ended better" if not np.isfinite(gain) else (
                f"which ended lower by {gain:.4g}" if gain > _SAME else "which ended no lower"
            )  # fmt: skip
            self.notes.append(
                f"Starts: because {why}, searched again from {self._say(self.ends[-1].start)}, found from the data, "
                f"{better}."
            )
        return self._best()

    def refine(self, found: Minimum, known: Precision | None, held: np.ndarray) -> Minimum | None:
        """Go on where the observed information at an end says that it is no minimum; None if there is no way."""
        if self.most == 0 or known is None or not known.open:
            return None
        x, before = found.descent.x, found.descent.point.objective
        scale = np.sqrt(np.abs(np.diagonal(known.r)))
        if np.isfinite(known.eigenvalues).all() and scale.size and scale.min() > 0:
            values, vectors = np.linalg.eigh(known.r / np.outer(scale, scale))
            if values[0] < -1e-6:
                way = np.zeros(len(x))
                way[~held] = vectors[:, 0] / scale
                way /= np.abs(way / self.quantities.size(x)).max()
                lower, upper = self.quantities.limits()
                looks = [(self.outer(np.clip(x + s * way, lower, upper)).objective, s) for s in (-0.5, 0.5)]
                descent = self.descend(x + min(looks)[1] * way)
                if descent.point.objective < before - _SAME:
                    self.notes.append(
                        f"Starts: the first end was a saddle (eigenvalue {values[0]:.2g}); the search went on from "
                        f"there, down by {before - descent.point.objective:.4g}."
                    )
                    self.ends.append(End(label="a saddle", start=x, descent=descent))
        if len(self._seek(_PLACES)):
            self.again("the observed information is not positive definite where the search ended")
        best = self._best()
        return self._finish(best) if best.point.objective < before - _SAME else None

    def _search(self, label: str, start: np.ndarray) -> None:
        self.ends.append(End(label=label, start=start, descent=self.descend(start)))

    def _best(self) -> Descent:
        """Of equal ends the first; a settled one before others that are no better."""
        least = min(end.descent.point.objective for end in self.ends)
        if not np.isfinite(least):
            return self.ends[0].descent
        near = [end.descent for end in self.ends if end.descent.point.objective <= least + 0.5 * _SAME]
        return next((descent for descent in near if descent.settled), near[0])

    def _finish(self, best: Descent) -> Minimum:
        """Deal with what runs to 0, and tell what was found."""
        best, gone, said = collapse(self.population, self.quantities, best, self.outer, self.descend)
        ends = list(self.ends)
        if best is not self._best():
            of = next(i for i, end in enumerate(ends) if end.descent is self._best())
            ends[of] = replace(ends[of], descent=best)
            self.ends = ends
        found = Minimum(
            descent=best, collapsed=gone, ends=tuple(ends), notes=(*self.notes, *said), above=self._above(best)
        )
        if len(ends) == 1:
            return found
        listed = "; ".join(
            f"{basin.objective:.4f} ({len(basin.ends)} of {len(ends)} searches, {self._say(basin.ends[0].descent.x)})"
            for basin in found.basins
        )
        count = len(found.basins)
        if not count:
            return replace(found, notes=(*found.notes, f"Basins: none of {len(ends)} searches ended at a minimum."))
        rest = len(ends) - sum(len(basin.ends) for basin in found.basins)
        lost = f"; {rest} ended at no minimum" if rest else ""
        summary = f"Basins: {count} minim{'um' if count == 1 else 'a'} of -2 log L: {listed}{lost}."
        return replace(found, notes=(*found.notes, summary))

    def _above(self, descent: Descent) -> float:
        """How far an end lies above the best objective of one person for all."""
        if not self.places or self.population.priors.names:
            return -np.inf
        return descent.point.objective - min(place.objective for place in self.places)

    def _seek(self, most: int) -> list[Place]:
        if self.places is None:
            self.places = seek(self.population, self.quantities, most)
        return self.places

    def _fill(self, queue: list[tuple[str, np.ndarray]]) -> None:
        """Add starts around the first where fewer were found than are asked for."""
        missing = self.starts - len(queue)
        if missing <= 0:
            return
        k, first = len(self.population.effects.typical), queue[0][1]
        around = Scan.of(self.population, self.quantities).box(first[:k], _BOX)[:missing]
        queue += [("values around the first", np.concatenate([z, first[k:]])) for z in around]

    def _say(self, x: np.ndarray) -> str:
        """Say the values of the model's parameters."""
        own = self.quantities.coordinates
        values = self.quantities.natural(x)
        named = [f"{own.names[k]} = {values[k]:.4g}" for k in range(own.count) if own.free[k]]
        return ", ".join(named[:8]) + (" …" if len(named) > 8 else "")
