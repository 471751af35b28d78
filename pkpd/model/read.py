"""Reading a model file: TOML for the tables, the grammar for the equations, all findings at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pkpd.errors import Finding, ModelError, ModelSyntaxError, PkpdError, raise_all
from pkpd.model.equation import Place, Source, parse_equations
from pkpd.model.include import include
from pkpd.model.kind import read_kind
from pkpd.model.locate import Located
from pkpd.model.mixture import read_class
from pkpd.model.model import Check, Model, Need, State
from pkpd.model.omega import Block, Varying
from pkpd.model.output import Output
from pkpd.model.parameter import Constant, Covariate, Parameter
from pkpd.model.prior import read_prior
from pkpd.model.route import INPUT_EXPRESSIONS, Input, Route
from pkpd.model.rows import Reading, Row

MAX_CHARACTERS = 300_000  # of a file
MAX_LINE = 10_000
# Python's TOML reader takes a time that grows with the square of the dots in a key.
_MANY_DOTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"]*"|'[^']*')\s*\.\s*){12}""")
SOURCE_KEYS = ("mark", "from", "population", "sampling", "remarks")


def read(
    content: str | Path | Mapping[str, Any],
    *,
    resolve: Callable[[str], str] | None = None,
    file: str | None = None,
) -> Model:
    """Read a model.

    Parameters
    ----------
    content
        TOML text, the path of a TOML file, or the mapping that such a file holds. A text of one line without ``=``
        is a path.
    resolve
        Gives the text of an included model by its name.
    file
        Name of the text, for messages; the path if there is one.

    Raises
    ------
    ModelError
        The file cannot be read, or the model cannot be; all findings are listed, with file and line.
    """
    return Model(**read_fields(content, resolve=resolve, file=file))


def read_fields(
    content: str | Path | Mapping[str, Any],
    *,
    resolve: Callable[[str], str] | None = None,
    file: str | None = None,
    chain: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Read a model into what :class:`pkpd.model.model.Model` is made of; `chain` names the models that include it."""
    folder: Path | None = None
    if isinstance(content, Path) or (isinstance(content, str) and "\n" not in content and "=" not in content):
        path = Path(content)
        file, folder = file or str(path), path.parent
        content = _open(path)
    located: Located | None = None
    if isinstance(content, str):
        content = content.replace("\r\n", "\n")
        table = _toml(content, file)
        located = Located(content, file)
    else:
        table = content
    reading = Reading(located, file, folder)
    fields = _fields(reading, table, resolve, chain)
    fields.setdefault("name", Path(file).stem if file else "model")
    return fields


def _open(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CHARACTERS:
            raise _too_large(str(path), path.stat().st_size)
        return path.read_bytes().decode()
    except OSError as error:
        raise ModelError(
            f"the file cannot be read: {(error.strerror or 'unknown reason').lower()}.",
            where=str(path)[:200],
            remedy="Check the path, or give the model as text.",
        ) from None
    except UnicodeDecodeError as error:
        raise ModelSyntaxError(
            f"byte {error.start} is not UTF-8.", where=str(path), remedy="Save the file as UTF-8 text."
        ) from None
    except ValueError:
        raise ModelError("this is not a path.", where=repr(str(path)[:80])) from None


def _toml(text: str, file: str | None) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise _too_large(file, len(text))
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise ModelSyntaxError(
                f"this line has {len(line)} characters.",
                where=Source(text="", file=file).where(number, 1),
                expected=f"A line has at most {MAX_LINE}.",
                remedy="Break it, or check that this is a model file.",
            )
        if match := _MANY_DOTS.search(line):
            raise ModelSyntaxError(
                "here stand too many names joined by dots.",
                where=Source(text="", file=file).where(number, match.start() + 1),
                expected="At most 12 are read.",
            )
    text = text.removeprefix("\ufeff")  # a byte order mark, as some editors write it
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        what = str(error)[: match.start()] if match else str(error)
        lines = text.split("\n")
        place = Place(len(lines), len(lines[-1]) + 1)
        if match and match.group(1):
            place = Place(int(match.group(1)), int(match.group(2)))
        finding = Source(text=text, file=file).finding(
            "toml", f"this is not TOML: {what[:1].lower()}{what[1:120]}.", place,
            expected='Rows look like `cl = { typical = 3.0, unit = "L/h" }`.',
        )  # fmt: skip
        raise_all(ModelSyntaxError, [finding])
    except RecursionError:
        raise ModelSyntaxError("the tables or lists are nested too deeply.", where=file) from None
    except ValueError:  # what is left of it: a whole number of more than 4300 digits
        raise ModelSyntaxError("a number has too many digits.", where=file) from None


def _too_large(file: str | None, size: int) -> ModelSyntaxError:
    return ModelSyntaxError(
        f"a model file of {size} characters is too large.", where=file, expected=f"At most {MAX_CHARACTERS} are read."
    )


def _fields(
    reading: Reading, table: Mapping[str, Any], resolve: Callable[[str], str] | None, chain: tuple[str, ...]
) -> dict[str, Any]:
    top = Row(reading, (), table)
    units = Row(reading, ("units",), top.table("units"))
    fields: dict[str, Any] = {
        "title": top.text("title"),
        "reference": top.text("reference"),
        "tags": tuple(tag for tag in top.rows("tags") if isinstance(tag, str)),
        "source": _source(Row(reading, ("source",), top.table("source"))),
        "time_unit": units.text("time", "h"),
        "amount_unit": units.text("amount", "mg"),
    }
    if name := top.text("name"):
        fields["name"] = name
    units.close()
    for key in units.content:
        reading.mark(("units", key))
    makers: dict[str, Callable[[Row, str], Any]] = {
        "covariates": _covariate,
        "constants": _constant,
        "parameters": _parameter,
        "routes": _route,
        "states": _state,
        "outputs": _output,
        "needs": _need,
        "priors": read_prior,
        "mixture": read_class,
    }
    included = dict(top.table("include"))
    for key, maker in makers.items():
        made: dict[str, Any] = {}
        for name, content in top.table(key).items():
            row = Row(reading, (key, name), content)
            made[name] = maker(row, name)
            row.close()
            if made[name] is None:
                reading.broken.add(name)
        fields[key] = {name: row for name, row in made.items() if row is not None}
    fields["blocks"] = _blocks(reading, top.rows("omega"), {**fields["outputs"], **fields["parameters"]})
    fields["checks"] = _checks(reading, top.rows("checks"))
    _dynamics(reading, Row(reading, ("dynamics",), top.table("dynamics")), fields)
    top.close()
    fields["places"] = reading.places
    if included:
        fields = include(reading, included, fields, resolve, chain)
    if reading.findings:
        from pkpd.model.naming import name_findings

        raise_all(ModelSyntaxError if _only_syntax(reading.findings) else ModelError,
                  [*reading.findings, *name_findings(fields, reading.broken)])  # fmt: skip
    return fields


def _only_syntax(findings: list[Finding]) -> bool:
    return all(finding.code in ("syntax", "toml") for finding in findings)


def _source(row: Row) -> dict[str, str]:
    values = {key: row.text(key) for key in SOURCE_KEYS}
    row.close()
    return {key: value for key, value in values.items() if value}


def _covariate(row: Row, name: str) -> Covariate | None:
    return row.make(
        Covariate,
        name=name,
        unit=row.text("unit", "1"),
        reference=row.number("reference"),
        label=row.text("label"),
    )


def _constant(row: Row, name: str) -> Constant | None:
    row.needed("value", 'A constant is a number: `mm = { value = 237.73, unit = "g/mol" }`.')
    return row.make(
        Constant,
        name=name,
        value=row.number("value", 0.0),
        unit=row.text("unit", "1"),
        label=row.text("label"),
        source=row.text("source"),
    )


def _parameter(row: Row, name: str) -> Parameter | None:
    row.needed("typical", 'A parameter has a typical value: `cl = { typical = 3.0, unit = "L/h" }`.')
    return row.make(
        Parameter,
        name=name,
        typical=row.number("typical", 1.0),
        unit=row.text("unit", "1"),
        lower=row.number("lower", -float("inf")),
        upper=row.number("upper", float("inf")),
        transform=row.text("transform", "log"),
        shape=row.number("shape"),
        iiv=row.number("iiv", 0.0),
        iov=row.number("iov", 0.0),
        shift=row.expression("shift"),
        fixed_iiv=row.flag("fixed_iiv"),
        fixed_iov=row.flag("fixed_iov"),
        times=row.expression("times"),
        fixed=row.flag("fixed"),
        rse=row.number("rse"),
        label=row.text("label"),
        source=row.text("source"),
    )


def _route(row: Row, name: str) -> Route | None:
    listed = row.rows("inputs")
    inputs: list[Input | None] = []
    if "into" in row.content:
        if listed:
            row.wrong("inputs", "both into and inputs are given.", remedy="Give one of them.")
        inputs.append(_input(row))
    for number, content in enumerate(listed):
        part = Row(row.reading, (*row.path, "inputs", str(number)), content)
        part.needed("into", "An input leads into a state.")
        inputs.append(_input(part))
        part.close()
        row.fine = row.fine and part.fine
    for key in ("into", *INPUT_EXPRESSIONS):
        row.asked.setdefault(key)
    return row.make(
        Route,
        name=name,
        inputs=tuple(one for one in inputs if one is not None),
        cmt=row.whole("cmt"),
        unit=row.text("unit"),
        label=row.text("label"),
    )


def _input(row: Row) -> Input | None:
    expressions = {key: row.expression(key) for key in INPUT_EXPRESSIONS}
    into = row.text("into")
    if not row.fine:
        return None
    try:
        return Input(into=into, **expressions)
    except PkpdError as error:
        row.fine = False
        row.reading.take(row.path, error)
        return None


def _state(row: Row, name: str) -> State | None:
    return row.make(State, name=name, unit=row.text("unit"), label=row.text("label"))


def _need(row: Row, name: str) -> Need | None:
    return row.make(Need, name=name, unit=row.text("unit", "1"), label=row.text("label"))


def _output(row: Row, name: str) -> Output | None:
    return row.make(
        Output,
        name=name,
        unit=row.text("unit", "1"),
        dvid=row.whole("dvid"),
        label=row.text("label"),
        add=row.number("add", 0.0),
        prop=row.number("prop", 0.0),
        power=row.number("power"),
        log=row.number("log"),
        combined=row._get("combined", int, "1 or 2", 2),
        fixed_error=row.flag("fixed_error"),
        t=row.number("t"),
        iiv=row.number("iiv", 0.0),
        fixed_iiv=row.flag("fixed_iiv"),
        kind=read_kind(row),
    )


def _blocks(reading: Reading, listed: list[Any], varying: Mapping[str, Varying]) -> tuple[Block, ...]:
    blocks = []
    for number, content in enumerate(listed):
        row = Row(reading, ("omega", str(number)), content)
        names = [name for name in row.rows("parameters") if isinstance(name, str)]
        covariance, correlation = row.rows("covariance"), row.rows("correlation")
        fixed, between = row.flag("fixed"), row.text("between", "people")
        kind = "iov" if between == "occasions" else "iiv"
        row.close()
        if bool(covariance) == bool(correlation):
            row.wrong("parameters", "a block needs either covariance or correlation.",
                      expected="Rows of the lower triangle: [[0.06], [0.01, 0.04]].")  # fmt: skip
            continue
        values = covariance or correlation
        if not all(isinstance(line, list) and all(type(v) in (int, float) for v in line) for line in values):
            row.wrong("parameters", "a block is made of rows of numbers.",
                      expected="Rows of the lower triangle: [[0.06], [0.01, 0.04]].")  # fmt: skip
            continue
        triangle = tuple(tuple(float(value) for value in line) for line in values)
        if correlation:
            missing = [name for name in names if getattr(varying.get(name), kind, 0.0) <= 0]
            if missing or [len(line) for line in triangle] != list(range(1, len(names) + 1)):
                row.wrong("correlation", f"correlations need the lower triangle, and {kind} of {', '.join(names)}.",
                          expected=f"[[1], [0.12, 1]] for two parameters that have {kind}.")  # fmt: skip
                continue
            sd = [getattr(varying[name], kind) ** 0.5 for name in names]
            triangle = tuple(
                tuple(value * sd[i] * sd[j] for j, value in enumerate(line)) for i, line in enumerate(triangle)
            )
        block = row.make(Block, parameters=tuple(names), covariance=triangle, fixed=fixed, between=between)
        if block is not None:
            blocks.append(block)
    return tuple(blocks)


def _checks(reading: Reading, listed: list[Any]) -> tuple[Check, ...]:
    checks = []
    for number, content in enumerate(listed):
        row = Row(reading, ("checks", str(number)), content)
        for key in ("dose", "that", "equals"):
            row.needed(key, "A check says dose, that and equals.")
        covariates = row.table("covariates")
        for name, value in covariates.items():
            if type(value) not in (int, float):
                row.wrong("covariates", f"the covariate `{name}` is not a number.")
        check = row.make(
            Check,
            dose=row.text("dose"),
            that=row.text("that"),
            equals=row.number("equals", 0.0),
            unit=row.text("unit", "1"),
            rtol=row.number("rtol", 1e-3),
            where=row.text("where"),
            covariates={name: float(value) for name, value in covariates.items()} if row.fine else {},
        )
        row.close()
        if check is not None:
            checks.append(check)
    return tuple(checks)


def _dynamics(reading: Reading, row: Row, fields: dict[str, Any]) -> None:
    text = row.text("equations")
    row.close()
    at = reading.located.text_place(("dynamics", "equations"), text) if reading.located and text else Place(1, 1)
    fields.update(assignments=(), derivatives={}, initials={})
    try:
        equations = parse_equations(text, file=reading.file, line=at.line, column=at.column, within=reading.whole)
    except PkpdError as error:
        reading.take(("dynamics", "equations"), error)
        reading.broken.add("*")  # some names are unknown: say nothing of undefined ones
        return
    fields.update(assignments=equations.assignments, derivatives=equations.derivatives, initials=equations.initials)
    assert equations.source is not None
    for key, place in equations.places.items():
        reading.places[key] = (equations.source, place)
