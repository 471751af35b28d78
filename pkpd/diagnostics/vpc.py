"""Visual predictive check: whether data drawn from the model look like those that were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.bins import bin_edges, check_bins
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.records import GROUPINGS, groups_of, measured_outputs
from pkpd.diagnostics.regression_quantiles import regression_quantiles
from pkpd.diagnostics.shares import Share, shares_of
from pkpd.diagnostics.vpc_drawing import caption_of, draw_page, pages_of
from pkpd.errors import MismatchError, UsageError
from pkpd.model.kind import Score
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["VPC"]

_AXES = {"TIME": "time", "TAD": "time after dose", "PRED": "typical prediction"}
_GRID = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class VPC(Diagnostic):
    """Quantiles of the observations, beside those of data drawn from the model at the same design.

    A page for each output. Below its panel stand the shares of what is no size: records below a limit of
    quantification, scores at their floor and ceiling, levels, zeros. What is censored counts as below (or above)
    everything else, in the data and in what is drawn alike; a quantile that lies there is not drawn.

    Parameters
    ----------
    seed : int
    n : int
        Data sets that are drawn.
    x : "TIME", "TAD" or "PRED"
        The axis; TAD is the time after the last dose.
    bins : "auto", "none", int or sequence of float
        ``"auto"`` finds groups of records that lie close together; a number asks for so many; edges are taken as they
        are; ``"none"`` draws regression quantiles on splines in place of bins.
    corrected : bool
        Prediction-corrected (Bergstrand 2011): observations are multiplied by the median typical prediction of their
        bin over their own, so that people with other doses or covariates may lie in one bin. Not of scores and levels,
        which have bounds.
    by : "auto", "none", "ARM", "PERIOD", "SEQUENCE", "OCC" or the name of a covariate
        A panel for each of its values (the first one of a subject, for a covariate; halves around the median where
        it has more than six).
    quantiles : tuple of float or "auto"
        ``"auto"``: 5, 50 and 95 % where bins hold 20 observations or more, otherwise 10, 50 and 90 %.
    interval : float
        Of the bands: in which share of the drawn data sets a quantile lies within.
    """

    title: ClassVar[str] = "Visual predictive check"
    question: ClassVar[str] = "Would data drawn from this model look like the data that were seen?"
    needs: ClassVar = (needs.replicates,)
    source: ClassVar[str] = (
        "Holford N. The visual predictive check. PAGE 14 (2005) 738. Bergstrand M, Hooker AC, Wallin JE, Karlsson MO. "
        "Prediction-corrected visual predictive checks. AAPS Journal 2011;13:143-151. doi:10.1208/s12248-011-9255-z"
    )

    seed: int
    n: int = 1000
    x: Literal["TIME", "TAD", "PRED"] = "TIME"
    bins: str | int | Sequence[float] = "auto"
    corrected: bool = False
    by: str = "auto"
    quantiles: tuple[float, ...] | Literal["auto"] = "auto"
    interval: float = 0.95

    def __post_init__(self) -> None:
        check_seed(self.seed, why="data are drawn at random", where="VPC(seed=...)")
        check_bins(self.bins, "VPC(bins=...)")
        sound = self.quantiles == "auto" or (
            isinstance(self.quantiles, tuple) and 0 < len(self.quantiles) and all(0 < q < 1 for q in self.quantiles)
        )
        for name, right, expected in (
            ("n", isinstance(self.n, (int, np.integer)) and self.n >= 20, "20 data sets or more."),
            ("x", self.x in _AXES, f"One of {', '.join(_AXES)}."),
            ("quantiles", sound, 'Shares between 0 and 1, such as (0.05, 0.5, 0.95), or "auto".'),
            ("interval", isinstance(self.interval, float) and 0 < self.interval < 1, "A share between 0 and 1."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"VPC({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give, for each bin, quantiles and shares of the observations and of what is drawn."""
        sight = _Sight.of(self, case)
        cells = sight.cells()
        levels = np.array(self._levels(cells))
        seen = [self._curves(cell, sight.y[None], sight, levels) for cell in cells]
        sims: list[list[np.ndarray]] = [[] for _ in cells]
        shares: list[list[np.ndarray]] = [[] for cell in cells for _ in cell.shares]
        for y in case.replicates(self.n, self.seed):
            scaled = sight.scaled(y)
            k = 0
            for c, cell in enumerate(cells):
                sims[c].append(self._curves(cell, scaled, sight, levels))
                for share in cell.shares:
                    shares[k].append(share.of(y[:, cell.rows], case, cell.rows))
                    k += 1
        return self._laid_out(case, sight, cells, levels, seen, [np.concatenate(one) for one in sims],
                              [np.concatenate(one) for one in shares])  # fmt: skip

    def pages(self, found: xr.Dataset) -> int:
        """One for each output, and for each four strata of it."""
        return len(pages_of(found))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw the strata of an output: observed quantiles over bands, points, and shares below."""
        return draw_page(found, page)

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and how many observed quantiles lie outside their band."""
        return caption_of(found, page)

    def _levels(self, cells: list[_Cell]) -> tuple[float, ...]:
        if self.quantiles != "auto":
            return tuple(sorted(self.quantiles))
        sizes = [cell.rows.size for cell in cells if cell.sized]
        tail = 0.05 if not sizes or np.median(sizes) >= 20 else 0.1
        return (tail, 0.5, 1 - tail)

    def _curves(self, cell: _Cell, y: np.ndarray, sight: _Sight, levels: np.ndarray) -> np.ndarray:
        """Quantiles of some data sets in a bin, (R, Q, places): one place, or those of a curve without bins."""
        if not cell.sized:
            return np.full((len(y), len(levels), len(cell.middle)), np.nan)
        own = y[:, cell.rows]
        if cell.knots:
            found = regression_quantiles(sight.x[cell.rows], own, levels, cell.middle, cell.knots)
            low, high = (side(np.where(np.isfinite(own), own, np.nan), axis=1) for side in (np.nanmin, np.nanmax))
            return np.where((found < low[:, None, None]) | (found > high[:, None, None]), np.nan, found)
        with np.errstate(invalid="ignore"):
            found = np.quantile(own, levels, axis=1).T[..., None]
        return np.where(np.isfinite(found), found, np.nan)

    def _laid_out(
        self,
        case: Case,
        sight: _Sight,
        cells: list[_Cell],
        levels: np.ndarray,
        seen: list[np.ndarray],
        sims: list[np.ndarray],
        shares: list[np.ndarray],
    ) -> xr.Dataset:
        import xarray as xr

        tail = (1 - self.interval) / 2
        at = [tail, 0.5, 1 - tail]
        places: dict[str, list[Any]] = {name: [] for name in ("output", "stratum", "left", "right", "middle", "count")}
        observed, bands = [], []
        for cell, own, drawn in zip(cells, seen, sims):
            for k, middle in enumerate(cell.middle):
                row = (cell.output, cell.stratum, cell.left, cell.right, middle, cell.rows.size)
                for column, value in zip(places.values(), row):
                    column.append(value)
                observed.append(own[0, :, k])
                bands.append(_interval(drawn[:, :, k], at))
        parts: dict[str, list[Any]] = {
            name: [] for name in ("part_output", "part_stratum", "part", "part_middle", "part_observed", "part_count",
                                  "part_lower", "part_median", "part_upper")
        }  # fmt: skip
        pairs = [(cell, share) for cell in cells for share in cell.shares]
        for (cell, share), drawn in zip(pairs, shares):
            middle = float(np.median(cell.middle))
            own = share.observed(case, cell.rows)
            row = (cell.output, cell.stratum, share.name, middle, own, cell.rows.size, *np.quantile(drawn, at))
            for column, value in zip(parts.values(), row):
                column.append(value)
        bands_ = np.array(bands).reshape(-1, len(at), len(levels))
        variables: dict[str, Any] = {name: ("bin", np.array(column)) for name, column in places.items()}
        variables |= {
            "observed": (("bin", "quantile"), np.array(observed).reshape(-1, len(levels)), {"long_name": "observed"}),
            **{
                name: (("bin", "quantile"), bands_[:, k], {"long_name": f"{name} of the quantile in drawn data"})
                for k, name in enumerate(("lower", "median", "upper"))
            },
            **{
                name: ("share", np.array(column, dtype=object if not column else None))
                for name, column in parts.items()
            },
            **sight.columns(),
        }
        variables = {name: value for name, value in variables.items() if value[0] != "share" or len(pairs)}
        attrs = {
            "x": self.x,
            "x_name": _AXES[self.x],
            "x_unit": sight.unit,
            "n": self.n,
            "seed": self.seed,
            "interval": self.interval,
            "binless": int(self.bins == "none"),
            "corrected": "\n".join(sight.corrected),
            "left_out": sight.left_out,
            "outputs": "\n".join(case.outputs),
            "units": "\n".join(output.unit for output in case.outputs.values()),
        }
        return xr.Dataset(variables, {"quantile": levels}, attrs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """Records of an output and stratum that are looked at together.

    `middle` are the places at which quantiles are wanted, `knots` those of a spline without bins (0 with bins), `sized`
    says whether observations have a size.
    """

    output: str
    stratum: str
    left: float
    right: float
    middle: np.ndarray
    rows: np.ndarray
    sized: bool
    shares: tuple[Share, ...]
    knots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """The records as a check looks at them: x, what is on the other axis, strata, factors of a correction.

    Parameters
    ----------
    check : VPC
    case : Case
    x : (n,) float
    y : (n,) float
        Scaled observations; infinite where censored.
    factor : (n,) float
        Of a correction; 1 without one, NaN for records that are left out.
    stratum : (n,) str
    unit : str
    corrected : tuple of str
        Outputs that are corrected.
    edges : dict
        Edges of the bins by output and stratum.
    left_out : int
    """

    check: VPC
    case: Case
    x: np.ndarray
    y: np.ndarray
    factor: np.ndarray
    stratum: np.ndarray
    unit: str
    corrected: tuple[str, ...]
    edges: dict[tuple[str, str], np.ndarray]
    left_out: int

    @classmethod
    def of(cls, check: VPC, case: Case) -> _Sight:
        records, lower = case.records, case.limits[0]
        n = len(records["DV"])
        x = records["TIME"] if check.x == "TIME" else case.after_dose if check.x == "TAD" else records["PRED"]
        stratum = groups_of(case, check.by, np.arange(n)) if check.by in ("auto", "none", *GROUPINGS.columns) else (
            case.covariate_groups(check.by, "VPC(by=...)"))  # fmt: skip
        sized = measured_outputs(case)
        able = [name for name in sized if not isinstance(case.outputs[name].kind, Score)]
        if check.corrected and not able:
            raise MismatchError(
                f"no output can be corrected: {', '.join(case.outputs)} have bounds or levels.",
                where="VPC(corrected=True)",
                expected="An output that is an amount or a count.",
                remedy="Leave `corrected` out, and take a panel for each dose or covariate: by=...",
            )
        edges, factor = {}, np.ones(n)
        drawn = np.isfinite(x) & ~np.isin(records["DVID"], case.not_drawn)
        for name in case.outputs:
            for group in np.unique(stratum[(records["DVID"] == name) & drawn]):
                rows = np.flatnonzero((records["DVID"] == name) & drawn & (stratum == group))
                edges[name, str(group)] = bin_edges(x[rows], "auto" if check.bins == "none" else check.bins)
                if check.corrected and name in able:
                    which = np.digitize(x[rows], edges[name, str(group)])
                    pred = records["PRED"][rows]
                    for k in np.unique(which):
                        mine = rows[which == k]
                        with np.errstate(divide="ignore", invalid="ignore"):
                            own = np.median(pred[which == k]) / records["PRED"][mine]
                        factor[mine] = np.where(np.isfinite(own) & (own > 0), own, np.nan)
        unit = case.time_unit if check.x != "PRED" else ""
        below = case.censored & np.isfinite(lower) & ~(records["DV"] > lower)
        y = np.where(case.censored, np.where(below, -np.inf, np.inf), records["DV"])
        out = ~drawn | ~np.isfinite(factor)
        return cls(check=check, case=case, x=x, y=y * np.where(out, np.nan, factor), factor=factor, stratum=stratum,
                   unit=unit, corrected=tuple(able) if check.corrected else (), edges=edges,
                   left_out=int(out.sum()))  # fmt: skip

    def scaled(self, y: np.ndarray) -> np.ndarray:
        """Give drawn records (R, n) as the observations are: limits as infinities, corrected."""
        lower, upper = self.case.limits
        return np.where(y < lower, -np.inf, np.where(y > upper, np.inf, y)) * self.factor

    def cells(self) -> list[_Cell]:
        """Give every bin with records; without bins, every stratum, and its bins for the shares alone."""
        found, records, sized = [], self.case.records, measured_outputs(self.case)
        for (name, group), edges in self.edges.items():
            here = (records["DVID"] == name) & (self.stratum == group) & np.isfinite(self.x) & np.isfinite(self.factor)
            rows = np.flatnonzero(here)
            if not rows.size:
                continue
            shares = shares_of(self.case, name)
            common: dict[str, Any] = {"output": name, "stratum": group}
            if self.check.bins == "none" and name in sized:
                places = np.unique(self.x[rows])
                grid = np.linspace(places[0], places[-1], _GRID) if len(places) > 1 else places
                knots = int(np.clip(len(places) // 2, 1, 7))
                found.append(_Cell(**common, left=places[0], right=places[-1], middle=grid, rows=rows, sized=True,
                                   shares=(), knots=knots))  # fmt: skip
                if not shares:
                    continue
            for left, right in pairwise(edges.tolist()):
                mine = rows[(self.x[rows] >= left) & (self.x[rows] < right)]
                if mine.size:
                    middle = np.array([np.mean(self.x[mine])])
                    found.append(_Cell(**common, left=left, right=right, middle=middle, rows=mine, shares=shares,
                                       sized=name in sized and self.check.bins != "none"))  # fmt: skip
        if not found:
            raise MismatchError(
                "no bin holds a record.", where="VPC(bins=...)",
                expected=f"Edges between {np.nanmin(self.x):g} and {np.nanmax(self.x):g}.", remedy='Take bins="auto".',
            )  # fmt: skip
        return found

    def columns(self) -> dict[str, Any]:
        """Give the records as they are drawn."""
        records, limits = self.case.records, self.case.limits
        limit = np.where(np.isneginf(self.y), limits[0], limits[1])
        return {
            "record_x": ("record", self.x, {"long_name": _AXES[self.check.x], "units": self.unit}),
            "record_y": ("record", np.where(np.isinf(self.y), limit, self.y), {"long_name": "observation"}),
            "record_censored": ("record", np.isinf(self.y)),
            "record_output": ("record", records["DVID"]),
            "record_stratum": ("record", self.stratum),
            "record_id": ("record", records["ID"]),
        }


def _interval(drawn: np.ndarray, at: list[float]) -> np.ndarray:
    """Ends and middle of what was drawn, (3, Q); NaN where more than half of it is no number."""
    share = np.isnan(drawn).mean(axis=0)
    if not share.any():
        return np.quantile(drawn, at, axis=0)
    found = np.full((len(at), drawn.shape[1]), np.nan)
    some = share < 0.5
    if some.any():
        found[:, some] = np.nanquantile(drawn[:, some], at, axis=0)
    return found
