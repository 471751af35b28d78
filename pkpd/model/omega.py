"""Omega: how the differences between people go together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import ModelError
from pkpd.model.output import Output
from pkpd.model.parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the variances are called.
_KINDS = {"people": "iiv", "occasions": "iov"}
#: Rows that may have a random effect.
Varying = Parameter | Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Parameters whose random effects are correlated: ETAs between people, or KAPPAs between occasions.

    Parameters
    ----------
    parameters
        Names, two or more; that of an output stands for the logarithm of its SD.
    covariance
        Lower triangle of the covariance matrix, one row a parameter: ``((0.06,), (0.01, 0.04))``.
    fixed
        True if a fit shall not move it.
    between
        ``"people"`` or ``"occasions"``.

    Raises
    ------
    ModelError
        The triangle has another shape, or no covariance matrix looks like this.
    """

    parameters: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    fixed: bool = False
    between: str = "people"

    @property
    def kind(self) -> str:
        """``"iiv"`` or ``"iov"``."""
        return _KINDS[self.between]

    @property
    def elements(self) -> tuple[tuple[str, str, str], ...]:
        """Kind, row and column of each element of the lower triangle, row by row."""
        names = self.parameters
        return tuple((self.kind, row, column) for i, row in enumerate(names) for column in names[: i + 1])

    def __post_init__(self) -> None:
        where = f"omega of {', '.join(self.parameters)}"
        size = len(self.parameters)
        if self.between not in _KINDS:
            raise ModelError(f"between is {self.between!r}.", where=where, expected="people or occasions.")
        if len(set(self.parameters)) != size or size < 2:
            raise ModelError("a block needs two or more different parameters.", where=where)
        if [len(row) for row in self.covariance] != list(range(1, size + 1)):
            raise ModelError(
                f"its rows have {', '.join(str(len(row)) for row in self.covariance)} values.",
                where=where,
                expected=f"The lower triangle has rows of {', '.join(str(n + 1) for n in range(size))} values.",
            )
        if not all(math.isfinite(value) for row in self.covariance for value in row):
            raise ModelError("a value is not finite.", where=where)
        try:
            np.linalg.cholesky(self.matrix())
        except np.linalg.LinAlgError:
            raise ModelError(
                "this is not a covariance matrix: it is not positive definite.",
                where=where,
                expected="Variances are above 0 and correlations between -1 and 1.",
                remedy="Check the covariances; a correlation r is r * sqrt(variance * variance).",
            ) from None

    def matrix(self) -> NDArray[np.float64]:
        """Give the covariance matrix, shape (parameters, parameters)."""
        full = np.zeros((len(self.parameters),) * 2)
        for i, row in enumerate(self.covariance):
            full[i, : i + 1] = row
            full[: i + 1, i] = row
        return full


@dataclass(frozen=True, slots=True, kw_only=True)
class Omega:
    """Variances and covariances of the ETAs: blocks, and a diagonal for the rest.

    Parameters
    ----------
    blocks
        Correlated parameters.
    diagonal
        (name, variance) of parameters outside the blocks, 0 left out.
    """

    blocks: tuple[Block, ...] = ()
    diagonal: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        names = [name for block in self.blocks for name in block.parameters] + [name for name, _ in self.diagonal]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ModelError(
                f"{', '.join(twice)} has its variance twice.",
                where="omega",
                expected="A parameter stands in one block, or has iiv of its own.",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that differ between people, blocks first."""
        blocks = tuple(name for block in self.blocks for name in block.parameters)
        return blocks + tuple(name for name, _ in self.diagonal)

    def matrix(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Give the covariance matrix of the ETAs of `names`, shape (names, names); 0 for those that do not differ."""
        position = {name: index for index, name in enumerate(names)}
        full = np.zeros((len(names), len(names)))
        for name, variance in self.diagonal:
            if name in position:
                full[position[name], position[name]] = variance
        for block in self.blocks:
            matrix = block.matrix()
            for i, row in enumerate(block.parameters):
                for j, column in enumerate(block.parameters):
                    if row in position and column in position:
                        full[position[row], position[column]] = matrix[i, j]
        return full


def variance_names(rows: Mapping[str, Varying], blocks: Sequence[Block]) -> dict[str, tuple[str, ...]]:
    """Give kind, row and column of each variance and covariance by its name; see `pkpd.model.Model.variance_names`."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in _KINDS.values():
        omega = omega_of(rows, blocks, kind)
        found |= {_name(kind, name, name): (kind, name, name) for name in omega.names}
        for block in omega.blocks:
            found |= {_name(*element): element for element in block.elements if element[1] != element[2]}
    return found


def omega_of(rows: Mapping[str, Varying], blocks: Sequence[Block], kind: str) -> Omega:
    """Give the variances and covariances between people (``"iiv"``) or between occasions (``"iov"``)."""
    own = tuple(block for block in blocks if block.kind == kind)
    in_blocks = {name for block in own for name in block.parameters}
    each = ((name, getattr(row, kind, 0.0)) for name, row in rows.items() if name not in in_blocks)
    return Omega(blocks=own, diagonal=tuple((name, value) for name, value in each if value > 0))


def with_block_variances(rows: Mapping[str, Varying], blocks: Sequence[Block]) -> dict[str, Varying]:
    """Give the rows with `iiv` and `iov` as their block says it, so that a row always tells its variances."""
    found = dict(rows)
    for block in blocks:
        kind = block.kind
        for name, line in zip(block.parameters, block.covariance, strict=True):
            if name not in found:
                continue
            row = found[name]
            where = f"{'output' if isinstance(row, Output) else 'parameter'} {name}"
            if not hasattr(row, kind):
                raise ModelError(
                    f"`{name}` stands in a block between occasions.", where=where,
                    expected="Parameters; residual errors differ between people only.", remedy="Take it out.",
                )  # fmt: skip
            if getattr(row, f"fixed_{kind}"):
                raise ModelError(
                    f"`{name}` has fixed_{kind}, and its variance stands in a block.",
                    where=where,
                    expected="A block is fixed as a whole.",
                    remedy="Say fixed = true in the block, or take the parameter out of it.",
                )
            mine = getattr(row, kind)
            if mine and not math.isclose(mine, line[-1], rel_tol=1e-9):
                raise ModelError(
                    f"`{name}` has {kind} = {mine:g}, and the variance {line[-1]:g} in its block.",
                    where=where,
                    remedy="Give its variance once, or the same.",
                )
            found[name] = replace(row, **{kind: line[-1]})
    return found


def with_variances(
    rows: Mapping[str, Varying], blocks: Sequence[Block], values: Mapping[tuple[str, ...], float]
) -> tuple[dict[str, Varying], tuple[Block, ...]]:
    """Give the rows and blocks of a model with other variances and covariances, by kind, row and column."""
    found = dict(rows)
    for (kind, row, column), value in values.items():
        if row == column:
            found[row] = replace(found[row], **{kind: value})
    changed = []
    for block in blocks:
        at = iter(block.elements)
        triangle = tuple(tuple(values.get(next(at), old) for old in row) for row in block.covariance)
        changed.append(block if triangle == block.covariance else replace(block, covariance=triangle))
    return found, tuple(changed)


def with_fixed(
    rows: Mapping[str, Varying], blocks: Sequence[Block], names: Mapping[str, tuple[str, ...]], fixed: bool
) -> tuple[dict[str, Varying], tuple[Block, ...]]:
    """Give the rows and blocks of a model where a fit leaves some variances, or moves them again.

    `names` holds kind, row and column of each by its name. A block is fixed as a whole or not at all: ModelError.
    """
    found, changed, left = dict(rows), [], set(names.values())
    for block in blocks:
        own = set(block.elements)
        if own & left and not own <= left:
            said = ", ".join(name for name, element in names.items() if element in own)
            every = ", ".join(_name(*element) for element in block.elements)
            raise ModelError(
                f"of the block of {', '.join(block.parameters)}, only {said} would be {'fixed' if fixed else 'free'}.",
                where="omega",
                expected=f"All of a block, or nothing: {every}.",
                remedy="Name them all, or take the block apart.",
            )
        changed.append(replace(block, fixed=fixed) if own & left else block)
        left -= own
    for kind, row, _ in left:
        found[row] = replace(found[row], **{f"fixed_{kind}": fixed})
    return found, tuple(changed)


def _name(kind: str, row: str, column: str) -> str:
    return f"{kind}.{row}" if row == column else f"{kind}.{row},{column}"
