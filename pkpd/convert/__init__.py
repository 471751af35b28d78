"""Other people's formats: results of a fit as other programs write theirs."""

from pkpd.convert.nonmem import write_nonmem

__all__ = ["write_nonmem"]
