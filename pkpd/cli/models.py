"""``pkpd models``: the library on the screen."""

from __future__ import annotations

import re
import sys

from pkpd.cli.screen import aligned
from pkpd.errors import ModelError

_YEAR = re.compile(r"\b(?:18|19|20)\d\d\b")
_DOI = re.compile(r"\bdoi:\s*(\S+?)\.?(?=\s|$)", re.IGNORECASE)


def models(word: str | None = None, /) -> int:
    """List the shipped models: name, drug, structure, mark of the source, reference.

    The mark says how the numbers were read: full text, abstract, secondary (somebody else's transcription) or
    recalled.

    Parameters
    ----------
    word
        Only models that mention this word: `pkpd models ketamine`. The full name of a model shows its parameters,
        equations and source.
    """
    from pkpd import library

    if word in library.names():
        _show_one(word)
        return 0
    entries = library.catalogue(word)
    if not entries:
        raise ModelError(
            f"No shipped model mentions `{word}`.",
            where="pkpd models",
            expected=f"A word of its name, title, tags or reference. Models: {', '.join(library.names())}.",
            remedy="`pkpd models` lists them all.",
        )
    titles = ["name", "drug", "structure", "source", "reference"]
    rows = [
        [entry.name, entry.drug or "–", entry.structure, entry.mark, short_reference(entry.reference)]
        for entry in entries
    ]
    if not sys.stdout.isatty():
        print(aligned(titles, rows, left=len(titles)))
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.columns[0].no_wrap = True
    table.columns[-1].overflow = "fold"
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
    return 0


def _show_one(name: str) -> None:
    from pkpd import library

    model = library.load(name)
    print(model)
    facts = {"reference": model.reference, "file": str(library.find(name)), **dict(model.source)}
    print("\nSource")
    for key, text in facts.items():
        if text:
            print(f"  {key}: " + " ".join(str(text).split()))


def short_reference(text: str) -> str:
    """First author, year and DOI of a reference; the beginning of the text where it has none.

    Examples
    --------
    >>> short_reference("Kamp J et al. Anesthesiology 2020;133:1192-1213. doi:10.1097/ALN.0000000000003577")
    'Kamp 2020, doi:10.1097/ALN.0000000000003577'
    """
    year, doi = _YEAR.search(text), _DOI.search(text)
    if year is None or doi is None:
        return text if len(text) <= 60 else text[:57].rstrip() + "…"
    words = text.split()
    # A particle belongs to the name: van Rongen, de la Rosa.
    end = next((i for i, word in enumerate(words) if word[0].isupper()), 0) + 1
    return f"{' '.join(words[:end]).rstrip(',')} {year[0]}, doi:{doi[1]}"
