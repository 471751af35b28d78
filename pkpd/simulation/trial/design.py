"""The design of a trial: arms, sequences of periods, visits, people; read, checked, printed and turned into data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.data import Dataset, Regimen
from pkpd.errors import DataError, Finding, raise_all
from pkpd.simulation.trial.check import thin_places
from pkpd.simulation.trial.read import normalised

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.model import Model

__all__ = ["Dropout", "Trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """How people leave before the end, completely at random. Who leaves misses everything after.

    Parameters
    ----------
    visit : float
        Probability, at every visit but the first, of not coming to it.
    rate : float
        Hazard of leaving, per unit of time since the first visit or dose.
    between : float
        Probability, between a period and the next, of not beginning the next.
    """

    visit: float = 0.0
    rate: float = 0.0
    between: float = 0.0


@dataclass(frozen=True, kw_only=True, repr=False)
class Trial:
    """A trial as it is planned: parallel groups, or a crossover.

    Parameters
    ----------
    arms : mapping of str to str or Regimen
        What is given in a period, by name; text as for :meth:`pkpd.Regimen.read`, or ``"no dose"``. Times count from
        the start of the period.
    sequences : mapping of str to sequence of str
        The arms that a person gets, period by period. Parallel groups are sequences of one period.
    n : int or mapping of str to int
        How many people there are in each sequence.
    visits : mapping of str to sequence of (float or str)
        When each output is observed, in every period, counted from its start: numbers in `time_unit`, or text with
        a unit (``"-1 h"``, ``"40 min"``, ``"day 3"``). A visit at the time of a dose comes before it.
    washout : float, str or sequence of them, optional
        Time from the last dose of a period to the first of the next: one for all, or one for each gap.
    covariates : mapping, optional
        A number for all, or how people differ: ``{"normal": [mean, sd]}``, ``{"lognormal": [median, sd of the
        logarithm]}``, ``{"uniform": [low, high]}``, ``{"share": probability of 1}`` or ``{"values": [...]}`` (one of
        them by chance); ``"within": [low, high]`` beside it cuts a distribution off. What follows the design:
        ``{"arm": {arm: value}}``, ``{"previous": {arm of the period before: value}}`` (0 for arms not named),
        ``{"period": [value in the first, ...]}``.
    dropout : Dropout or mapping, optional
        How people leave; nobody does when left out.
    lloq : mapping of str to float, optional
        Lower limit of quantification by output, in its unit: observations below are censored.
    reset_between_periods : bool
        False: the state flows on from one period into the next. True: everything is reset before each period.
    units : mapping of str to str, optional
        Of outputs and covariates; those not said are the model's, and kg for WT.
    time_unit : str
        Of numbers that are times.
    title : str

    Raises
    ------
    DataError
        The design cannot be; all that is wrong is listed.

    Examples
    --------
    >>> trial = Trial(
    ...     arms={"drug": "100 mg iv bolus", "placebo": "no dose"},
    ...     sequences={"DP": ("drug", "placebo"), "PD": ("placebo", "drug")},
    ...     n=6, visits={"score": [0, "2 h", "day 1"]}, washout="2 weeks",
    ... )
    >>> trial.people
    12
    >>> trial.data()
    Dataset(the trial: 12 subjects, 84 rows, 12 doses, 0 observations)
    """

    arms: Mapping[str, Any]
    sequences: Mapping[str, Sequence[str]]
    n: Mapping[str, int] | int
    visits: Mapping[str, Sequence[float | str]]
    washout: float | str | Sequence[float | str] | None = None
    covariates: Mapping[str, Any] = field(default_factory=dict)
    dropout: Dropout | Mapping[str, float] = field(default_factory=Dropout)
    lloq: Mapping[str, float] = field(default_factory=dict)
    reset_between_periods: bool = False
    units: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "h"
    title: str = ""
    regimens: Mapping[str, Regimen] = field(init=False, compare=False)
    times: Mapping[str, tuple[float, ...]] = field(init=False, compare=False)
    gaps: tuple[float, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        findings: list[Finding] = []
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        if isinstance(given["dropout"], Mapping):
            given["dropout"] = self._dropout(given["dropout"], findings)
        for name, value in normalised(given, findings).items():
            object.__setattr__(self, name, value)
        if findings:
            raise_all(DataError, findings)

    @staticmethod
    def _dropout(given: Mapping[str, float], findings: list[Finding]) -> Dropout:
        known = [one.name for one in fields(Dropout)]
        for name in given:
            if name not in known:
                findings.append(
                    Finding(
                        code="dropout",
                        where="Trial, dropout",
                        what=f"`{name}` has no meaning here.",
                        expected=f"Keys: {', '.join(known)}.",
                        remedy="Write one of these.",
                    )
                )
        return Dropout(**{name: value for name, value in given.items() if name in known})

    # ------------------------------------------------------------------------------------------------- what it says

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many people there are in each sequence."""
        assert isinstance(self.n, Mapping)
        return self.n

    @property
    def leaving(self) -> Dropout:
        """How people leave."""
        assert isinstance(self.dropout, Dropout)
        return self.dropout

    @property
    def people(self) -> int:
        """How many people there are in all."""
        return sum(self.sizes.values())

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the people: that of the sequence and a number, so that one more moves nobody else."""
        return tuple(f"{name}-{i + 1}" for name in self.sequences for i in range(self.sizes[name]))

    def starts(self, sequence: str) -> tuple[float, ...]:
        """When each period of a sequence starts, in `time_unit` from the first."""
        found = [0.0]
        for arm, gap in zip(self.sequences[sequence], self.gaps, strict=False):
            found.append(found[-1] + self.regimens[arm].last + gap)
        return tuple(found[: len(self.sequences[sequence])])

    def check(self) -> list[Finding]:
        """Give what deserves a look: sequences of one person, periods without a visit before the dose, ..."""
        return thin_places(self)

    # ------------------------------------------------------------------------------------------------- what it makes

    def data(self, *, seed: int | None = None, replicate: int = 1) -> Dataset:
        """Give the trial as data whose observations are still to be made (MDV 1): for a design, or to predict.

        Parameters
        ----------
        seed : int, optional
            Needed where covariates or dropout are left to chance.
        replicate : int
            Which trial of that seed, counted from 1.

        Raises
        ------
        UsageError
            There is no seed where one is needed.
        """
        from pkpd.simulation.trial.rows import realise

        return realise(self, seed=seed, replicate=replicate)

    def simulate(
        self,
        model: Model | Fit,
        *,
        seed: int,
        replicate: int = 1,
        uncertainty: bool = False,
        threads: int | None = None,
    ) -> Dataset:
        """Give data as the trial might bring them: people, occasions and residual errors drawn.

        A person's numbers depend on the seed, the replicate and the person's name: those of one more sequence, or of
        more people in one, change no other's.

        Parameters
        ----------
        model : Model or Fit
            Where the truth comes from; a fit at its estimates.
        seed : int
        replicate : int
            Which trial of that seed, counted from 1.
        uncertainty : bool
            Whether typical values are drawn too, once for the whole trial, as :func:`pkpd.simulate` does; variances
            stay what they are.
        threads : int, optional
            The numbers do not depend on it.

        Returns
        -------
        Dataset
            Ready to be fitted: DV in the units of the trial, CENS 1 and DV at the limit below `lloq`.

        Raises
        ------
        UsageError
            There is no seed, or nothing is known of the uncertainty asked for.
        MismatchError
            Trial and model do not go together; all that is wrong is listed.
        SolveError
            The model has no value for somebody.
        """
        from pkpd.simulation.trial.observed import simulate_trial

        return simulate_trial(self, model, seed=seed, replicate=replicate, uncertainty=uncertainty, threads=threads)

    # ------------------------------------------------------------------------------------------------- text

    @classmethod
    def read(cls, source: str | Path) -> Trial:
        """Read a trial from a TOML file, or from TOML text; its keys are the parameters of :class:`Trial`.

        Raises
        ------
        DataError
            There is no such file, it is not TOML, or the design cannot be.
        """
        from pkpd.simulation.trial.text import read_table

        return cls(**read_table(source))

    @property
    def text(self) -> str:
        """The trial as TOML; :meth:`read` gives an equal one back."""
        from pkpd.simulation.trial.text import to_toml

        return to_toml(self)

    def write(self, path: str | Path) -> None:
        """Write the TOML text to a file."""
        Path(path).write_text(self.text, encoding="utf-8")

    def __repr__(self) -> str:
        from pkpd.simulation.trial.text import headline

        return f"Trial({headline(self)})"

    def __str__(self) -> str:
        from pkpd.simulation.trial.text import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from pkpd.simulation.trial.text import to_html

        return to_html(self)

    def __hash__(self) -> int:
        return hash(self.text)
