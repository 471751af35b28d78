"""Including models in a model under a name: ``ketamine.cp`` is `cp` of what is included as ``ketamine``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pkpd.errors import ModelError, PkpdError, suggestion
from pkpd.model.join import Parts, explicit_units, in_time_unit, join, join_texts, rename
from pkpd.model.rows import Reading, Row

MAX_CHAIN = 8
CONVERSION = "per_time"


def include(
    reading: Reading,
    included: Mapping[str, Any],
    host: Parts,
    resolve: Callable[[str], str] | None,
    chain: tuple[str, ...],
) -> Parts:
    """Give the parts of a model together with those it includes; what is wrong becomes findings of `reading`.

    Every name of an included model gets its prefix, but covariates, which are shared. An included model with
    another time unit is converted by the constant ``<name>.per_time``. Its checks stay behind, and so do its numbers
    for CMT and DVID.
    """
    whole: Parts | None = None
    for name, content in included.items():
        path = ("include", name)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            reading.find(path, f"`{name}` cannot be the name of an included model.", expected="Lower case, no dot.")
            continue
        row = Row(reading, path, {"model": content} if isinstance(content, str) else content)
        try:
            part = _part(row, name, host, resolve, chain)
            if part is not None:
                whole = part if whole is None else join(whole, part)
        except PkpdError as error:
            reading.take(path, error)
            reading.broken.add("*")
        row.close()
    if whole is None:
        return host
    try:
        joined = join(whole, host)
    except PkpdError as error:
        reading.take(("include",), error)
        reading.broken.add("*")
        return host
    joined.pop("name", None)
    joined["reference"] = join_texts(host["reference"], whole["reference"])
    return {**joined, **{key: host[key] for key in ("title", "tags", "source", "name") if key in host}}


def _part(
    row: Row, name: str, host: Parts, resolve: Callable[[str], str] | None, chain: tuple[str, ...]
) -> Parts | None:
    row.needed("model", 'Say which model: ketamine = "ketamine_kamp2020".')
    model_name = row.text("model")
    fixed, outputs, varies = row.flag("fixed"), row.flag("outputs", True), row.flag("variability", True)
    values, wiring = row.table("set"), row.table("needs")
    if not row.fine:
        return None
    parts = _read(row.reading, model_name, resolve, chain)
    own = {*parts["parameters"], *parts["constants"]}
    for key, value in values.items():
        if key not in own or type(value) not in (int, float):
            row.wrong("set", f"`{key}` cannot be set to {value!r}.", expected=f"Numbers for: {', '.join(sorted(own))}.",
                      remedy=suggestion(key, own))  # fmt: skip
            return None
    for key, target in wiring.items():
        if key not in parts["needs"] or not isinstance(target, str):
            row.wrong("needs", f"`{key}` is not needed by {model_name}.",
                      expected=f"It needs: {', '.join(parts['needs']) or 'nothing'}.")  # fmt: skip
            return None
    parameters = {
        key: replace(
            p,
            typical=float(values.get(key, p.typical)),
            fixed=p.fixed or fixed,
            iiv=p.iiv if varies else 0.0,
            iov=p.iov if varies else 0.0,
            fixed_iiv=varies and (p.fixed_iiv or (fixed and p.iiv > 0)),
            fixed_iov=varies and (p.fixed_iov or (fixed and p.iov > 0)),
            source=p.source or parts["reference"],
        )
        for key, p in parts["parameters"].items()
    }
    blocks = tuple(replace(block, fixed=block.fixed or fixed) for block in parts["blocks"]) if varies else ()
    blocked = {name for block in blocks for name in block.parameters}
    parameters = {
        key: replace(p, fixed_iiv=False, fixed_iov=False) if key in blocked else p for key, p in parameters.items()
    }
    parts["blocks"] = blocks
    constants = {key: replace(c, value=float(values.get(key, c.value))) for key, c in parts["constants"].items()}
    parts = explicit_units({**parts, "parameters": parameters, "constants": constants})
    parts = in_time_unit(parts, host["time_unit"], CONVERSION)
    parts["routes"] = {key: replace(route, cmt=None) for key, route in parts["routes"].items()}
    if not outputs:
        errors = {name for output in parts["outputs"].values() for name in output.residual_names}
        parts["priors"] = {key: prior for key, prior in parts["priors"].items() if key not in errors}
    parts["outputs"] = {key: replace(one, dvid=None) for key, one in parts["outputs"].items()} if outputs else {}
    # what the host declares is what holds for everybody
    parts["covariates"] = {
        key: host["covariates"].get(key, one) if _same_unit(key, one, host) else one
        for key, one in parts["covariates"].items()
    }
    parts.update(amount_unit=host["amount_unit"], checks=(), title="", tags=(), source={})
    return rename(parts, _prefixes(parts, name, wiring))


def _same_unit(key: str, covariate: Any, host: Parts) -> bool:
    return key in host["covariates"] and host["covariates"][key].unit == covariate.unit


def _prefixes(parts: Parts, name: str, wiring: Mapping[str, str]) -> dict[str, str]:
    local: dict[str, None] = {}
    for key in ("constants", "parameters", "routes", "states", "outputs", "needs", "derivatives", "initials"):
        local.update(dict.fromkeys(parts[key]))
    local.update(dict.fromkeys(one for one, _ in parts["assignments"]))
    return {one: wiring.get(one, f"{name}.{one}") for one in local}


def _read(reading: Reading, model_name: str, resolve: Callable[[str], str] | None, chain: tuple[str, ...]) -> Parts:
    from pkpd.model.model import Model
    from pkpd.model.read import read_fields

    if model_name in chain or len(chain) >= MAX_CHAIN:
        raise ModelError(
            f"models include each other: {' > '.join((*chain, model_name))}.",
            expected=f"At most {MAX_CHAIN} inside each other, and never in a circle.",
        )
    beside = _beside(reading, model_name)
    if beside is not None:
        fields = read_fields(beside, resolve=resolve, chain=(*chain, model_name))
    elif resolve is not None:
        fields = read_fields(_with_break(resolve(model_name)), resolve=resolve, file=f"{model_name}.toml",
                             chain=(*chain, model_name))  # fmt: skip
    else:
        raise ModelError(
            f"the model `{model_name}` is not known.",
            remedy="Put its file beside this one, or say how names are resolved.",
        )
    return Model(**fields).parts


def _beside(reading: Reading, model_name: str) -> Path | None:
    """Give the path of a file in the folder of the including file; a path never leads out of the reader's hands."""
    if reading.folder is None:
        return None
    written = model_name if model_name.endswith(".toml") else f"{model_name}.toml"
    path = Path(written)
    if path.is_absolute() or ".." in path.parts:
        raise ModelError(f"`{model_name}` leads out of the folder of this file.", remedy="Put the file beside it.")
    found = reading.folder / path
    return found if found.is_file() or model_name.endswith(".toml") else None


def _with_break(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"
