"""Identifiability: which parameters the model, the design and the data can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.dense import individual_values, make_grid
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import whole_numbers
from pkpd.errors import PkpdError
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.identify import BLIND, SHARE, Identification, identify
from pkpd.plots.style import COLOURS, INK, figure
from pkpd.streams import addresses, normals

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case
    from pkpd.likelihood import Problem
    from pkpd.model import Parameter

__all__ = ["Identifiability", "in_combinations"]

#: The dense design: people at most, times of each, sets of values of the parameters, and how far these lie (log scale).
_PEOPLE, _TIMES, _SETS, _WIDE = 12, 60, 6, 0.35
#: A direction along which one standard error is a longer step than this is sloppy; a pair is known by its ratio or
#: product if that is known so much better than either.
_SLOPPY, _BETTER = 0.5, 0.5
#: Directions that are drawn.
_DIRECTIONS = 12


def estimated(case: Case) -> str:
    """Parameters of the model that were estimated."""
    if needs.found(case) or needs.one_for_all(case) or needs.the_data(case):
        return ""  # said already
    if not _parameters(case):
        return "No parameter of the model was estimated."
    try:
        case.population  # noqa: B018 - made when it is asked for
    except PkpdError as error:
        return " ".join(str(error).split())
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiability(Diagnostic):
    """Which parameters can be told apart: by the model itself, by the real design, and by these data.

    Of the model: the rank of the sensitivities of all observed outputs on a dense design (the doses and covariates of
    the first people of the data, 60 times and more each), at random values around the estimates. It is generic: full
    rank anywhere is full rank almost everywhere, and the parameters are then locally identifiable; there may still be
    separate values that predict the same, as in flip-flop kinetics. Less than full rank at all values is a structural
    lack, whatever the design. Of the design: the same at the records of the data, weighted by the residual error; full
    only in the first is a lack of the design. Of the data: directions in which the estimates are known least, from
    their covariance where the fit has one.

    What is estimated are the parameters of the typical person; random effects are no part of it.
    """

    title: ClassVar[str] = "Identifiability"
    question: ClassVar[str] = "Which parameters can the model, the design and the data tell apart?"
    needs: ClassVar = (needs.found, needs.one_for_all, needs.the_data, estimated)
    source: ClassVar[str] = (
        "Jacquez JA, Greif P. Numerical parameter identifiability and estimability. Math Biosci 1985;77:201-227. "
        "doi:10.1016/0025-5564(85)90098-7. Gutenkunst RN, et al. Universally sloppy parameter sensitivities in systems "
        "biology models. PLoS Comput Biol 2007;3:e189. doi:10.1371/journal.pcbi.0030189"
    )

    def compute(self, case: Case) -> xr.Dataset:
        """Give singular values of both designs, directions with their standard errors, and shares of priors."""
        import xarray as xr

        rows = _parameters(case)
        names = [p.name for p in rows]
        problem, _, typical = individual_values(case)
        dense, dense_values = _of_model(case, problem, typical, rows)
        real, real_values, weakest = _of_design(case, problem, typical, rows)
        covariance, how = self._covariance(case, names, real)
        directions, errors = _directions(covariance, rows) if np.isfinite(covariance).all() else weakest
        table = case.fit.estimates
        share = np.full(len(names), np.nan)
        if "prior_share" in table:
            share = table["prior_share"].sel(parameter=names).values.astype(float)
        attrs = {
            "count": len(names),
            "rank_model": dense.rank,
            "rank_design": real.rank,
            "condition": real.condition,
            "words_model": "\n".join(_words(dense, rows)),
            "words_design": "\n".join(_words(real, rows)),
            "words_data": "\n".join(_sloppy(directions, errors, names) + _pairs(covariance, rows)),
            "null_of_fit": str(case.fit.verdict["null_directions"].values) if case.fit.verdict["null_directions"].ndim
            == 0 else "",
            "how": how,
            "blind": BLIND,
        }  # fmt: skip
        return xr.Dataset(
            {
                "singular_model": ("number", dense_values, {"long_name": "singular value, dense design"}),
                "singular_design": ("number", real_values, {"long_name": "singular value, records of the data"}),
                "direction": (("number", "parameter"), directions, {"long_name": "share of each in a direction"}),
                "error": ("number", errors, {"long_name": "standard error along the direction"}),
                "se": (
                    "parameter",
                    np.sqrt(np.diagonal(covariance)),
                    {"long_name": "standard error, estimation scale"},
                ),
                "prior_share": ("parameter", share, {"long_name": "share of information from priors"}),
            },
            {"parameter": np.array(names), "number": np.arange(1, len(names) + 1)},
            attrs,
        )

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw singular values, directions, and shares of priors."""
        count = found.sizes["parameter"]
        shown = int(min(count, _DIRECTIONS))
        prior = bool(np.isfinite(found["prior_share"].values).any())
        wide = [1.0, 1.5, 0.6][: 2 + prior]
        drawing = figure(1, 2 + prior, width=7.0, height=float(np.clip(2.3 + 0.26 * max(shown, count), 3.2, 8)),
                         width_ratios=wide)  # fmt: skip
        axes = drawing.axes
        self._singular(axes[0], found)
        self._directions(drawing, axes[1], found, shown)
        if prior:
            share = 100 * found["prior_share"].values
            axes[2].barh(np.arange(count), np.nan_to_num(share), color=COLOURS["orange"], height=0.7)
            axes[2].set_yticks(range(count), found["parameter"].values.tolist(), fontsize=8)
            axes[2].invert_yaxis()
            axes[2].set_xlim(0, 100)
            axes[2].grid(visible=False, axis="y")
            axes[2].set_xlabel("from priors (%)")
            axes[2].set_title("information", fontsize=9.5)
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say in words what can be told apart."""
        attrs = found.attrs
        count, of_model, of_design = int(attrs["count"]), int(attrs["rank_model"]), int(attrs["rank_design"])
        lines = {key: [line for line in str(attrs[f"words_{key}"]).split("\n") if line]
                 for key in ("model", "design", "data")}  # fmt: skip
        words = []
        if of_model < count:
            words.append(
                f"The model itself is not identifiable: on a dense design {of_model} of {count} directions of its "
                f"parameters can be seen. {' '.join(lines['model'])}"
            )
        else:
            words.append(
                f"The model is structurally identifiable, locally: on a dense design all {count} directions of its "
                "parameters can be seen. Separate sets of values that predict the same are not excluded."
            )
        if of_design < of_model:
            words.append(
                f"The design of the data sees {of_design} of these {of_model} directions: {' '.join(lines['design'])}"
            )
        elif of_model == count:
            words.append(f"So does the design of the data (condition number {attrs['condition']:.3g}).")
        if lines["data"]:
            words.append(f"From {attrs['how']}: {' '.join(lines['data'])}")
        elif of_design == count:
            words.append(f"No direction is sloppy, by {attrs['how']}.")
        share = found["prior_share"].values
        most = [f"{name} {100 * s:.0f} %" for name, s in zip(found["parameter"].values, share) if s > 0.005]
        if most:
            words.append(f"Share of the information that is due to priors: {', '.join(most)}.")
        return " ".join(words)

    def _covariance(self, case: Case, names: list[str], real: Identification) -> tuple[np.ndarray, str]:
        """Covariance of the parameters on the estimation scale: that of the estimates, or of the weighted design."""
        own = case.fit.covariance["covariance"]
        if own.ndim == 2:
            found = own.sel(parameter=names, parameter_=names).values
            if np.isfinite(found).all() and (np.diagonal(found) > 0).all():
                return found, "the covariance of the estimates"
        return real.covariance, "the sensitivities at the records, as if nobody differed from the typical person"

    def _singular(self, ax: Axes, found: xr.Dataset) -> None:
        number = found["number"].values
        for name, colour, mark, label in (
            ("singular_model", COLOURS["sky"], "s", "dense design"),
            ("singular_design", COLOURS["blue"], "o", "these records"),
        ):
            values = found[name].values / found[name].values[0]
            ax.plot(
                number, np.maximum(values, 1e-10), marker=mark, markersize=5, color=colour, linewidth=1.0, label=label
            )
        ax.axhline(found.attrs["blind"], color=INK, linewidth=0.9, linestyle="--")
        ax.text(0.98, found.attrs["blind"] * 1.2, "not seen below", ha="right", va="bottom", fontsize=7.5,
                transform=ax.get_yaxis_transform())  # fmt: skip
        ax.set_yscale("log")
        ax.set_ylim(5e-11 if found.attrs["rank_model"] < found.attrs["count"] else 2e-7, 3)
        ax.set_xlim(0.5, len(number) + 0.5)
        whole_numbers(ax)
        ax.set_xlabel("direction")
        ax.set_ylabel("singular value over the largest")
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8, handletextpad=0.4)

    def _directions(self, drawing: Figure, ax: Axes, found: xr.Dataset, shown: int) -> None:
        table, errors = found["direction"].values[:shown], found["error"].values[:shown]
        names = found["parameter"].values.tolist()
        ax.imshow(table, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        if len(names) <= 10:
            for i, j in np.ndindex(*table.shape):
                if abs(table[i, j]) >= 0.15:
                    ax.text(j, i, f"{table[i, j]:+.1f}", ha="center", va="center", fontsize=7.5,
                            color="white" if abs(table[i, j]) > 0.7 else INK)  # fmt: skip
        ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > 5 else 0, fontsize=8)
        ax.set_yticks(range(shown), [f"SE {100 * e:.3g} %" if e < 1e3 else "open" for e in errors], fontsize=8)
        ax.grid(visible=False)
        ax.set_title("directions, known least on top", fontsize=9.5)


def in_combinations(direction: np.ndarray, parameters: list[Parameter], z: np.ndarray) -> str:
    """Say what is known though a direction is open: ratios, products, sums or differences; nothing if it is neither.

    Parameters
    ----------
    direction : (F,) float
        On the estimation scale: along it no prediction changes.
    parameters : list of Parameter
    z : (F,) float
        Where.
    """
    moving = np.flatnonzero(np.abs(direction) > SHARE)
    if len(moving) < 2:
        return ""
    own = [parameters[k] for k in moving]
    if all(p.transform == "log" for p in own):
        power = direction[moving] / direction[moving[-1]]
        if np.allclose(np.abs(power), 1, atol=0.01):
            last = own[-1].name
            said = [f"{p.name}/{last}" if s > 0 else f"{p.name}*{last}" for p, s in zip(own[:-1], power[:-1])]
            return f"Only {_listed(said)} {'is' if len(said) == 1 else 'are'} known."
    natural = direction[moving] * np.array([p.d_inverse(v) for p, v in zip(own, z[moving])])
    if len(moving) == 2 and np.isclose(abs(natural[0]), abs(natural[1]), rtol=0.01):
        sign = "+" if natural[0] * natural[1] < 0 else "-"
        what = "sum" if sign == "+" else "difference"
        return f"Only the {what} {own[0].name} {sign} {own[1].name} is known."
    return ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _parameters(case: Case) -> list[Parameter]:
    """The model's parameters that were estimated, at the estimates."""
    table = case.fit.estimates
    free = set(table["parameter"].values[~table["fixed"].values].tolist())
    return [p for name, p in case.fit.model.parameters.items() if name in free]


def _coordinates(rows: list[Parameter]) -> Coordinates:
    return Coordinates(parameters=tuple(rows), count=len(rows), free=np.ones(len(rows), dtype=bool))


def _identified(weighted: np.ndarray, rows: list[Parameter], z: np.ndarray) -> tuple[Identification, np.ndarray]:
    """Give what sensitivities (m, F) on the estimation scale see, and their singular values, columns of length 1."""
    weighted = weighted[np.isfinite(weighted).all(axis=1)]
    if len(weighted) < len(rows):  # there is nothing in what was not observed
        weighted = np.vstack([weighted, np.zeros((len(rows) - len(weighted), len(rows)))])
    own = _coordinates(rows)
    seen = identify(weighted, np.zeros(len(weighted)), own, own.size(z))
    length = np.linalg.norm(weighted, axis=0)
    scaled = weighted / np.where(length > 0, length, 1.0)
    return seen, np.linalg.svd(scaled, compute_uv=False)


def _of_model(
    case: Case, problem: Problem, typical: np.ndarray, rows: list[Parameter]
) -> tuple[Identification, np.ndarray]:
    """What a dense design sees, at the best of some random values of the parameters."""
    names = list(problem.program.parameters)
    place = [names.index(p.name) for p in rows]
    people = np.arange(min(_PEOPLE, len(problem.subjects)))
    outputs = sorted({int(k) for k in problem.observations.output})
    grid = make_grid(problem.take(people), _TIMES, outputs)
    centre = np.array([p.forward(p.typical) for p in rows], dtype=float)
    size = _coordinates(rows).size(centre)
    who = addresses([p.name for p in rows])
    best: tuple[Identification, np.ndarray] | None = None
    for number in range(_SETS):
        step = normals(0, "values of parameters", who, np.full(len(rows), number), 1)[:, 0] * _WIDE * (number > 0)
        z = np.array([_inside(p, v) for p, v in zip(rows, centre + step * np.where(size > 0, size, 1.0))])
        values = np.repeat(typical[:1], len(people), axis=0)
        values[:, place] = [p.inverse(v) for p, v in zip(rows, z)]
        f, df = grid.predict(values, sensitivities=tuple(p.name for p in rows), threads=case.threads)
        assert df is not None
        scale = np.ones(len(f))
        for k in outputs:
            mine = grid.output == k
            scale[mine] = np.nanmax(np.append(np.abs(f[mine]), 1e-300))
        slopes = np.array([p.d_inverse(v) for p, v in zip(rows, z)])
        found = _identified(df * slopes / scale[:, None], rows, z)
        if best is None or found[0].rank > best[0].rank:
            best = found
    assert best is not None
    return best


def _of_design(
    case: Case, problem: Problem, typical: np.ndarray, rows: list[Parameter]
) -> tuple[Identification, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """What the records see at the typical values, weighted by the residual error."""
    names = list(problem.program.parameters)
    place = [names.index(p.name) for p in rows]
    df = problem.predict(typical, sensitivities=[p.name for p in rows], threads=case.threads).df
    assert df is not None
    slopes = np.column_stack([p.d_inverse(p.forward(typical[:, k])) for p, k in zip(rows, place)])
    sd = case.records["SD"] if "SD" in case.records else np.ones(len(df))
    sd = np.where(np.isfinite(sd) & (sd > 0), sd, 1.0)
    z = np.array([p.forward(p.typical) for p in rows], dtype=float)
    weighted = df * slopes[problem.observations.subject] / sd[:, None]
    seen = np.isfinite(weighted).all(axis=1)
    return *_identified(weighted, rows, z), _weakest(weighted[seen], rows, z)


def _inside(parameter: Parameter, z: float) -> float:
    """A value between the bounds."""
    value = float(parameter.inverse(z))
    return z if parameter.lower < value < parameter.upper else float(parameter.forward(parameter.typical))


def _words(seen: Identification, rows: list[Parameter]) -> list[str]:
    """What a design does not see, and what it knows all the same."""
    z = np.array([p.forward(p.typical) for p in rows], dtype=float)
    return [*seen.words, *filter(None, (in_combinations(direction, rows, z) for direction in seen.null.T))]


def _size(rows: list[Parameter], z: np.ndarray) -> np.ndarray:
    """What counts as a change of each parameter by all of itself, on the estimation scale."""
    size = np.asarray(_coordinates(rows).size(z))
    return np.where(size > 0, size, 1.0)


def _directions(covariance: np.ndarray, rows: list[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors of the covariance (relative changes), known least first, and standard errors along them."""
    size = _size(rows, np.array([p.forward(p.typical) for p in rows], dtype=float))
    values, vectors = np.linalg.eigh(covariance / np.outer(size, size))
    order = np.argsort(-values)
    return _pointed(vectors[:, order].T), np.sqrt(np.maximum(values[order], 0.0))


def _weakest(weighted: np.ndarray, rows: list[Parameter], z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same where there is no covariance: singular vectors, unseen ones first; infinite errors along these."""
    whole = np.vstack([weighted * _size(rows, z), np.zeros((len(rows), len(rows)))])
    _, values, vectors = np.linalg.svd(whole, full_matrices=False)
    with np.errstate(divide="ignore"):
        errors = np.where(values > BLIND * values.max(initial=0.0), 1 / values, np.inf)
    return _pointed(vectors[::-1]), errors[::-1]


def _pointed(vectors: np.ndarray) -> np.ndarray:
    """Give vectors, rows, whose largest entry is above 0."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def _sloppy(directions: np.ndarray, errors: np.ndarray, names: list[str]) -> list[str]:
    """Say the directions in which little is known."""
    found = []
    for direction, error in zip(directions, errors):
        if not _SLOPPY < error < np.inf:
            continue
        step = 100 * error * direction
        parts = [f"{names[k]} {step[k]:+.0f} %" for k in np.argsort(-np.abs(direction)) if abs(direction[k]) > 0.2]
        found.append(f"Sloppy: one standard error along is {', '.join(parts)}.")
    return found


def _pairs(covariance: np.ndarray, rows: list[Parameter]) -> list[str]:
    """Pairs whose ratio or product is known much better than either of them."""
    found = []
    for i, j in combinations(range(len(rows)), 2):
        if rows[i].transform != "log" or rows[j].transform != "log" or not np.isfinite(covariance[[i, j]]).all():
            continue
        alone = np.sqrt([covariance[i, i], covariance[j, j]])
        for sign, between in ((-1, "/"), (1, "*")):
            together = np.sqrt(max(covariance[i, i] + covariance[j, j] + 2 * sign * covariance[i, j], 0.0))
            if together < _BETTER * alone.min() and alone.min() > 0.2:
                a, b = rows[i].name, rows[j].name
                found.append(
                    f"{a}{between}{b} is known to {100 * together:.2g} %, {a} to {100 * alone[0]:.2g} % and {b} to "
                    f"{100 * alone[1]:.2g} %."
                )
    return found
