"""What was known of a quantity before the data: priors on typical values, residual parameters and Omega."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import Finding, ModelError, suggestion
from pkpd.model.finder import Finder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pkpd.model.rows import Row

__all__ = ["Prior", "prior_findings", "read_prior", "renamed"]

KINDS = ("iiv", "iov")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A prior on one quantity of a model, by the name that the quantity has in a fit.

    Typical values and residual parameters are normal on their estimation scale: `value` is natural, and with `sd`
    the SD there (for a logarithm about the relative standard error). A variance (``"iiv.cl"``), or the covariance
    matrix of a block (``"iiv.cl,v"``, in the order of the rows of `value`), is inverse Wishart with the mode `value`
    and `df` degrees of freedom.

    Parameters
    ----------
    name
        Such as ``"cl"``, ``"cp.prop"``, ``"iiv.cl"``, ``"iov.cl"`` or ``"iiv.cl,v"``.
    value
        Where the prior is highest. Of a block the lower triangle: ``((0.06,), (0.01, 0.04))``.
    sd
        Of a normal prior.
    df
        Of an inverse Wishart prior: more than the number of rows less 1.
    source
        Where the figures come from.

    Raises
    ------
    ModelError
        The figures are no prior.
    """

    name: str
    value: float | tuple[tuple[float, ...], ...]
    sd: float | None = None
    df: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        where = f"prior of {self.name}"
        wanted, other = ("df", "sd") if self.of_variance else ("sd", "df")
        given = getattr(self, wanted)
        example = f'"{self.name}" = ' + ("{ value = 0.09, df = 20 }" if self.of_variance else "{ value = 3, sd = 0.2 }")
        if given is None or getattr(self, other) is not None:
            raise ModelError(
                f"it has no {wanted}." if given is None else f"it has {other} as well as {wanted}.",
                where=where,
                expected="A normal prior has sd, one on variances df.",
                remedy=f"Write {example}.",
            )
        rows = self.value if isinstance(self.value, tuple) else ((self.value,),)
        size = len(self.members) if self.of_variance else 1
        if [len(row) for row in rows] != list(range(1, size + 1)):
            raise ModelError(
                f"its value has rows of {', '.join(str(len(row)) for row in rows)} numbers.",
                where=where,
                expected="A number." if size == 1 else f"The lower triangle of a covariance matrix of {size} rows.",
                remedy=f"Write {example}." if size == 1 else "Such as [[0.06], [0.01, 0.04]].",
            )
        if not all(math.isfinite(number) for row in rows for number in row):
            raise ModelError("a value is not finite.", where=where, remedy=f"Write {example}.")
        least = size - 1.0 if self.of_variance else 0.0
        if not (math.isfinite(given) and given > least):
            raise ModelError(
                f"{wanted} is {given:g}.", where=where, expected=f"A finite number above {least:g}.",
                remedy="Leave the prior out if nothing was known.",
            )  # fmt: skip
        if self.of_variance and np.linalg.eigvalsh(self.matrix())[0] <= 0:
            raise ModelError(
                "its value is no covariance matrix: it is not positive definite.",
                where=where,
                expected="Variances above 0 and correlations between -1 and 1.",
                remedy="Check the figures.",
            )

    @property
    def of_variance(self) -> bool:
        """Whether it is on variances."""
        return self.name.split(".", 1)[0] in KINDS and "." in self.name

    @property
    def members(self) -> tuple[str, ...]:
        """The parameters whose variances it is on; for others the name alone."""
        return tuple(self.name.split(".", 1)[1].split(",")) if self.of_variance else (self.name,)

    @property
    def known(self) -> str:
        """How much it knows, in a word: SD or degrees of freedom."""
        return f"df {self.df:g}" if self.of_variance else f"SD {self.sd:g}"

    def matrix(self) -> NDArray[np.float64]:
        """Give the mode as a matrix, (m, m), of a prior on variances."""
        rows = self.value if isinstance(self.value, tuple) else ((self.value,),)
        full = np.zeros((len(rows), len(rows)))
        for i, row in enumerate(rows):
            full[i, : i + 1] = full[: i + 1, i] = row
        return full


def read_prior(row: Row, name: str) -> Prior | None:
    """Read a row of ``[priors]``."""
    row.needed("value", "A prior has a value: `cl = { value = 3.0, sd = 0.2 }`.")
    block = isinstance(row.content.get("value"), list)
    return row.make(
        Prior,
        name=name,
        value=row.triangle("value") if block else row.number("value", 1.0),
        sd=row.number("sd"),
        df=row.number("df"),
        source=row.text("source"),
    )


def renamed(priors: Mapping[str, Prior], new: Callable[[str], str]) -> dict[str, Prior]:
    """Give priors under the new names of what they are on."""
    found = {}
    for name, prior in priors.items():
        if prior.of_variance:
            name = f"{name.split('.', 1)[0]}.{','.join(new(one) for one in prior.members)}"
        elif new(name) == name and "." in name:  # a residual parameter: the name of its output, and the term
            output, _, term = name.rpartition(".")
            name = f"{new(output)}.{term}"
        else:
            name = new(name)
        found[name] = replace(prior, name=name)
    return found


def prior_findings(parts: Mapping[str, Any]) -> Iterator[Finding]:
    """Give priors on what the model does not have, or on values that it cannot take."""
    at = Finder(parts["places"])
    parameters = parts["parameters"]
    residual = {name: output for output in parts["outputs"].values() for name in output.residual_names}
    blocks = {(block.kind, frozenset(block.parameters)) for block in parts["blocks"]}
    inside = {(block.kind, name): block for block in parts["blocks"] for name in block.parameters}
    rows = {**parts["outputs"], **parameters}
    groups = []
    for kind in KINDS:
        varied = [name for name, row in rows.items() if getattr(row, kind, 0.0) > 0 and (kind, name) not in inside]
        groups += [f"{kind}.{name}" for name in varied]
        groups += [f"{kind}.{','.join(block.parameters)}" for block in parts["blocks"] if block.kind == kind]
    known = [*parameters, *residual, *groups]
    seen: dict[frozenset[str], str] = {}
    for name, prior in parts["priors"].items():
        key = ("priors", name)
        kind = name.partition(".")[0]
        is_block = len(prior.members) > 1 and (kind, frozenset(prior.members)) in blocks
        if name not in known and not (is_block and len(set(prior.members)) == len(prior.members)):
            of_block = [inside[kind, one] for one in prior.members if (kind, one) in inside]
            remedy = suggestion(name, known)
            if of_block:
                remedy = f'The prior of a block is one: "{kind}.{",".join(of_block[0].parameters)}".'
            yield at.find(key, "undefined", f"`{name}` is nothing that a prior can be on.",
                          expected=f"Names: {', '.join(known)}.", remedy=remedy)  # fmt: skip
        elif not prior.of_variance and not _allowed(prior, parameters.get(name), residual):
            limits = parameters[name] if name in parameters else None
            expected = (
                f"A value that {name} can take: between {limits.lower:g} and {limits.upper:g}."
                if limits is not None
                else "A residual SD is above 0."
            )
            yield at.find(key, "value", f"the prior of {name} has the value {prior.value:g}.", expected=expected,
                          remedy="Check the unit.")  # fmt: skip
        same = frozenset((name.split(".", 1)[0], *prior.members))
        if same in seen:
            yield at.find(key, "twice", f"`{name}` is the same as `{seen[same]}`.", remedy="Keep one of them.")
        seen[same] = name


def _allowed(prior: Prior, parameter: Any, residual: Mapping[str, Any]) -> bool:
    value = float(prior.value)  # type: ignore[arg-type]
    if parameter is None:
        return value > 0 or prior.name.endswith(".power")
    inside = parameter.lower <= value <= parameter.upper
    return inside and bool(np.isfinite(_forward(parameter, value)))


def _forward(parameter: Any, value: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(parameter.forward(value))
