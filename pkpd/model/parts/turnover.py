"""Indirect responses: a drug that changes how fast a response is made or lost."""

from __future__ import annotations

from pkpd.errors import ModelError
from pkpd.model.model import Model, Need
from pkpd.model.output import Output
from pkpd.model.parameter import Parameter

_RIGHT_SIDES = {
    1: "kin * (1 - {effect}) - kout * response",
    2: "kin - kout * (1 - {effect}) * response",
    3: "kin * (1 + {effect}) - kout * response",
    4: "kin - kout * (1 + {effect}) * response",
}
_TITLES = {1: "production inhibited", 2: "loss inhibited", 3: "production stimulated", 4: "loss stimulated"}


def indirect_response(
    kind: int, driver: str = "cp", *, unit: str = "mg/L", response_unit: str = "1", time: str = "h"
) -> Model:
    """Give one of the four basic indirect responses, at rest before the drug.

    Dayneka, Garg, Jusko 1993, doi:10.1007/BF01061691.

    Parameters
    ----------
    kind
        1 inhibits production, 2 inhibits loss, 3 stimulates production, 4 stimulates loss.
    driver, unit
        The concentration that acts, and its unit.
    response_unit, time
        Units.

    Returns
    -------
    Model
        State and output ``response``, starting at ``r0``; parameters ``r0``, ``kout``, and ``imax``, ``ic50`` or
        ``emax``, ``ec50``. Production is ``kin = r0 * kout``.

    Raises
    ------
    ModelError
        Another kind.
    """
    if kind not in _RIGHT_SIDES:
        raise ModelError(f"kind is {kind}.", where="indirect_response", expected="1, 2, 3 or 4.")
    if kind <= 2:
        strength = [
            Parameter(name="imax", typical=0.5, lower=0.0, upper=1.0, transform="logit", label="largest inhibition"),
            Parameter(name="ic50", typical=1.0, unit=unit, label="concentration of half the largest inhibition"),
        ]
        effect = f"imax * {driver} / (ic50 + {driver})"
    else:
        strength = [
            Parameter(name="emax", typical=1.0, label="largest stimulation"),
            Parameter(name="ec50", typical=1.0, unit=unit, label="concentration of half the largest stimulation"),
        ]
        effect = f"emax * {driver} / (ec50 + {driver})"
    return Model(
        name="indirect_response",
        title=f"Indirect response {'I' * kind if kind < 4 else 'IV'}: {_TITLES[kind]}",
        reference="Dayneka NL, Garg V, Jusko WJ. J Pharmacokinet Biopharm 1993;21:457-478. doi:10.1007/BF01061691",
        time_unit=time,
        needs=[Need(name=driver, unit=unit)],
        parameters=[
            Parameter(name="r0", typical=10.0, unit=response_unit, label="response without drug"),
            Parameter(name="kout", typical=0.1, unit=f"1/{time}", label="rate constant of loss"),
            *strength,
        ],
        equations=f"""
            kin = r0 * kout
            d/dt(response) = {_RIGHT_SIDES[kind].format(effect=effect)}
            response(0) = r0
        """,
        outputs=[Output(name="response", unit=response_unit, label="response")],
    )
