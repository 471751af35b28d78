"""Disposition: where the drug goes once it is in the blood."""

from __future__ import annotations

from pkpd.errors import ModelError
from pkpd.model.model import Model
from pkpd.model.output import Output
from pkpd.model.parameter import Parameter
from pkpd.model.route import Input, Route


def disposition(compartments: int = 1, *, time: str = "h", amount: str = "mg", volume: str = "L") -> Model:
    """Give linear disposition with one, two or three compartments and an intravenous route.

    Parameters
    ----------
    compartments
        1, 2 or 3.
    time, amount, volume
        Units; the concentration `cp` is in amount / volume.

    Returns
    -------
    Model
        States ``central``, ``peripheral1``, ``peripheral2``; parameters ``cl``, ``v1``, ``q2``, ``v2``, ``q3``,
        ``v3``; route ``iv``; output ``cp``, without residual error.

    Raises
    ------
    ModelError
        Another number of compartments.
    """
    if compartments not in (1, 2, 3):
        raise ModelError(f"compartments is {compartments}.", where="disposition", expected="1, 2 or 3.")
    flow = f"{volume}/{time}"
    parameters = [
        Parameter(name="cl", typical=5.0, unit=flow, label="clearance"),
        Parameter(name="v1", typical=20.0, unit=volume, label="central volume"),
    ]
    away, lines = "", []
    for number in range(2, compartments + 1):
        state = f"peripheral{number - 1}"
        parameters.append(Parameter(name=f"q{number}", typical=10.0, unit=flow, label=f"clearance to and from {state}"))
        parameters.append(Parameter(name=f"v{number}", typical=50.0, unit=volume, label=f"volume of {state}"))
        exchange = f"q{number} * (cp - {state} / v{number})"
        away += f" - {exchange}"
        lines.append(f"d/dt({state}) = {exchange}")
    return Model(
        name="disposition",
        title=f"Linear disposition, {compartments} compartment{'s' if compartments > 1 else ''}",
        time_unit=time,
        amount_unit=amount,
        parameters=parameters,
        routes=[Route(name="iv", inputs=(Input(into="central"),), label="intravenous")],
        equations="\n".join(["cp = central / v1", f"d/dt(central) = -cl * cp{away}", *lines]),
        outputs=[Output(name="cp", unit=f"{amount}/{volume}", label="concentration in plasma")],
    )
