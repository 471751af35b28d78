"""The shipped models and fits: find them, list them, load them.

A wheel carries them inside the package; a checkout of the repository has them beside it, in ``models/`` and ``fits/``.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.errors import ModelError, suggestion

if TYPE_CHECKING:
    from pkpd.model import Model

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One shipped model, as its file says, without being compiled.

    Parameters
    ----------
    name : str
        What :func:`load` takes.
    path : Path
    title, reference : str
    tags : tuple of str
    drug : str
        The first of its tags; empty for a template, which is of no drug.
    structure : str
        The title without the drug.
    mark : str
        How its numbers were read: full text, abstract, secondary.
    """

    name: str
    path: Path
    title: str
    reference: str
    tags: tuple[str, ...]
    drug: str
    structure: str
    mark: str

    def mentions(self, word: str) -> bool:
        """Whether a word stands somewhere in the entry."""
        text = " ".join((self.name, self.title, self.reference, self.mark, *self.tags))
        return word.casefold() in text.casefold()


def folder(kind: str) -> Path:
    """Give the folder of the shipped ``"models"`` or ``"fits"``.

    Raises
    ------
    ModelError
        The installation has none.
    """
    for place in (_PACKAGE / "_library" / kind, _PACKAGE.parent / kind):
        if place.is_dir():
            return place
    raise ModelError(
        f"The library of {kind} is missing.",
        where=str(_PACKAGE),
        expected=f"A folder {kind}/ in the package, or beside it in a checkout.",
        remedy="Install the package again.",
    )


def names() -> tuple[str, ...]:
    """Names of the shipped models, sorted."""
    return tuple(sorted(path.stem for path in folder("models").glob("*.toml")))


def find(name: str | os.PathLike[str]) -> Path:
    """Find the file of a model.

    Parameters
    ----------
    name : str or path
        The name of a shipped model, or the path of a TOML file.

    Raises
    ------
    ModelError
        There is no such model or file.
    """
    text = os.fspath(name)
    if text.endswith(".toml") or os.sep in text or (os.altsep and os.altsep in text):
        path = Path(text)
        if path.is_file():
            return path
        near = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        raise ModelError(
            "There is no such file." if not path.is_dir() else "This is a folder.",
            where=text,
            expected="The path of a model file"
            + (f"; {path.parent} holds {', '.join(near)}." if near else ", such as warfarin.toml."),
            remedy=suggestion(path.name, near) or "Check the path, or take a shipped model by its name.",
        )
    known = names()
    if text in known:
        return folder("models") / f"{text}.toml"
    if Path(text + ".toml").is_file():
        remedy = f"For the file in this folder write {text}.toml."
    else:
        remedy = suggestion(text, known) or "`pkpd models` lists them; a file of your own is given by its path."
    raise ModelError(
        f"There is no model `{text}`.",
        where="library",
        expected=f"Shipped models: {', '.join(known)}.",
        remedy=remedy,
    )


def read(name: str | os.PathLike[str]) -> str:
    """Read the text of a model file, for :func:`find`'s names.

    Raises
    ------
    ModelError
        There is no such model, or its file is not text.
    """
    path = find(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"The file cannot be read: {error}.",
            where=str(path),
            expected="A TOML file in UTF-8.",
            remedy="Check the file and its permissions.",
        ) from error


def load(name: str | os.PathLike[str]) -> Model:
    """Load a shipped model by its name, or a model file by its path.

    Models that the file includes are found in the library.

    Parameters
    ----------
    name : str or path
        Such as ``"ketamine_kamp2020"`` or ``"mine.toml"``.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        There is no such model, or its file is wrong.

    Examples
    --------
    >>> load("theophylline_boeckmann1994").time_unit
    'h'
    """
    from pkpd.model import Model

    return Model(find(name), resolve=read)


def catalogue(word: str | None = None) -> tuple[Entry, ...]:
    """Give the shipped models, sorted by name; those that mention a word, where one is given."""
    entries = (_entry(folder("models") / f"{name}.toml") for name in names())
    return tuple(entry for entry in entries if word is None or entry.mentions(word))


def find_fit(name: str | os.PathLike[str]) -> Path:
    """Find the folder of a fit: a path that exists, or the name of a shipped one.

    Raises
    ------
    ModelError
        There is no such folder.
    """
    path = Path(name)
    if path.is_dir():
        return path
    shipped = {place.parent.name: place.parent for place in folder("fits").glob("*/fit.toml")}
    if os.fspath(name) in shipped:
        return shipped[os.fspath(name)]
    raise ModelError(
        "There is no such folder.",
        where=str(name),
        expected=f"A folder with a fit.toml, or a shipped fit: {', '.join(sorted(shipped)) or 'none'}.",
        remedy=suggestion(path.name, shipped) or "Check the path; `pkpd new` makes a folder.",
    )


def copy_fit(name: str | os.PathLike[str], target: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Copy the inputs of a fit (not its results) to a new folder, to start one of your own.

    Parameters
    ----------
    name : str or path
        As for :func:`find_fit`.
    target : path
        A folder that does not exist, or is empty.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    ModelError
        There is no such fit, the folder holds something, or it cannot be written to.
    """
    source, place = find_fit(name), Path(target)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ModelError(
            "There is something here already.",
            where=str(place),
            expected="A folder that does not exist yet, or is empty.",
            remedy="Choose another name.",
        )
    inputs = sorted(path for path in source.iterdir() if path.suffix in (".toml", ".csv", ".md"))
    made = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        for path in inputs:
            shutil.copyfile(path, place / path.name)
    except OSError as error:
        for path in inputs:
            with suppress(OSError):
                (place / path.name).unlink()
        if made:
            with suppress(OSError):
                place.rmdir()
        raise ModelError(
            f"The folder cannot be written to: {error.strerror or error}.",
            where=str(place),
            expected="A place where a folder can be made.",
            remedy="Choose another place, or change its permissions.",
        ) from error
    return tuple(place / path.name for path in inputs)


def _entry(path: Path) -> Entry:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The file cannot be read: {error}.",
            where=str(path),
            expected="A TOML file in UTF-8.",
            remedy="Install the package again.",
        ) from error
    title = str(content.get("title", ""))
    tags = tuple(str(tag) for tag in content.get("tags", ()))
    drug = tags[0] if tags and tags[0] != "template" else ""
    first, _, rest = title.partition(", ")
    structure = rest if "compartment" in rest and first.casefold() == drug.casefold() else title
    source = content.get("source")
    return Entry(
        name=path.stem,
        path=path,
        title=title,
        reference=str(content.get("reference", "")),
        tags=tags,
        drug=drug,
        structure=structure,
        mark=str(source.get("mark", "")) if isinstance(source, dict) else "",
    )
