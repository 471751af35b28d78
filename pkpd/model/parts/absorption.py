"""Absorption: how a dose that is not given into a vein gets there."""

from __future__ import annotations

from itertools import pairwise

from pkpd.errors import ModelError
from pkpd.model.expression import Name
from pkpd.model.model import Model
from pkpd.model.parameter import Parameter
from pkpd.model.route import Input, Route


def absorption(
    route: str = "oral",
    *,
    into: str = "central",
    transits: int = 0,
    lag: bool = False,
    bioavailability: bool = False,
    time: str = "h",
    amount: str = "mg",
) -> Model:
    """Give first-order absorption, with transit stages, a lag or a bioavailability if wanted.

    Parameters
    ----------
    route
        Name of the route.
    into
        State that receives the drug; the part adds to its derivative.
    transits
        Stages between depot and `into`, all with the rate constant `ka`.
    lag
        True for a lag time `tlag`.
    bioavailability
        True for a bioavailability `fo` between 0 and 1.
    time, amount
        Units.

    Returns
    -------
    Model
        State ``depot`` and ``transit1`` …; parameter ``ka``, and ``tlag`` and ``fo`` if wanted; the route.

    Raises
    ------
    ModelError
        `transits` is negative.
    """
    if transits < 0:
        raise ModelError(f"transits is {transits}.", where="absorption", expected="0 or more.")
    parameters = [Parameter(name="ka", typical=1.0, unit=f"1/{time}", label="absorption rate constant")]
    if lag:
        parameters.append(Parameter(name="tlag", typical=0.25, unit=time, label="lag time"))
    if bioavailability:
        parameters.append(
            Parameter(name="fo", typical=0.5, lower=0.0, upper=1.0, transform="logit", label="bioavailability")
        )
    stages = ["depot", *(f"transit{number}" for number in range(1, transits + 1))]
    lines = ["d/dt(depot) = -ka * depot"]
    lines += [f"d/dt({after}) = ka * ({before} - {after})" for before, after in pairwise(stages)]
    lines.append(f"d/dt({into}) = ka * {stages[-1]}")
    entry = Input(
        into="depot",
        lag=Name("tlag") if lag else None,
        bioavailability=Name("fo") if bioavailability else None,
    )
    return Model(
        name="absorption",
        title="First-order absorption" + (f" through {transits} transit stages" if transits else ""),
        time_unit=time,
        amount_unit=amount,
        parameters=parameters,
        routes=[Route(name=route, inputs=(entry,))],
        equations="\n".join(lines),
    )
