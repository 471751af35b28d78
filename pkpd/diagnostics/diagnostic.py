"""What a diagnostic is: one question, what it needs, how it is computed, drawn and captioned.

A diagnostic is a frozen object in a file of its own. `compute` gives everything that is drawn as one
:class:`xarray.Dataset`; `draw` and `caption` know that Dataset alone, so that what was computed once can be saved,
drawn again, and drawn differently.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case
    from pkpd.diagnostics.needs import Need

__all__ = ["Diagnostic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic(ABC):
    """One question to a fit. Its options are fields of the subclass.

    Class attributes
    ----------------
    title : str
        A few words, for headings.
    question : str
        What is asked, in a sentence.
    needs : tuple of Need
        What a fit must have.
    source : str
        Where the method is described.
    """

    title: ClassVar[str]
    question: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ()
    source: ClassVar[str] = ""

    def unmet(self, case: Case) -> list[str]:
        """Say what the fit lacks, a sentence each; empty where the question can be asked."""
        return [reason for need in self.needs if (reason := need(case))]

    @abstractmethod
    def compute(self, case: Case) -> xr.Dataset:
        """Give everything that is drawn and said."""

    def pages(self, found: xr.Dataset) -> int:
        """How many figures there are."""
        return 1

    @abstractmethod
    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw one page."""

    @abstractmethod
    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and what it says here."""
