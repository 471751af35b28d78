"""What fits and studies have in common: a tree of labelled arrays, and the file that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pkpd.errors import FitError, suggestion

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Result"]


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """A tree of labelled arrays, one group a subject of its own; the root's attribute ``format`` says of what kind."""

    #: What it is called in messages.
    noun: ClassVar[str]
    #: What the root's attribute ``format`` says.
    format: ClassVar[str]

    tree: xr.DataTree

    def __getitem__(self, group: str) -> xr.Dataset:
        """Give a group of the tree."""
        if group not in self.tree.children:
            raise FitError(
                f"there is no group `{group}`.",
                where=self.noun,
                expected=f"Groups: {', '.join(self.tree.children)}.",
                remedy=suggestion(group, self.tree.children),
            )
        return self.tree[group].to_dataset()

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the root."""
        return {str(name): value for name, value in self.tree.attrs.items()}

    def save(self, path: str | Path) -> None:
        """Write to a netCDF file, whole or not at all.

        Raises
        ------
        FitFileError
            The file cannot be written.
        """
        from pkpd.estimation.file import write

        write(self.tree, Path(path), noun=self.noun)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read from a netCDF file.

        Raises
        ------
        FitFileError
            There is no such file, or it does not hold a whole result of this kind.
        """
        from pkpd.estimation.file import read

        return cls(tree=read(Path(path), noun=cls.noun, form=cls.format))

    def identical(self, other: Result) -> bool:
        """Whether everything is the same, attributes included."""
        return self.tree.identical(other.tree)
