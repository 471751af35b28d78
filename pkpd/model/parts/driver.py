"""A kinetic-pharmacodynamic driver: what is left of a dose, where no concentration was measured."""

from __future__ import annotations

from pkpd.model.model import Model
from pkpd.model.parameter import Parameter
from pkpd.model.route import Input, Route


def kinetic_driver(route: str = "dose", *, time: str = "h", amount: str = "mg") -> Model:
    """Give a virtual compartment that a dose leaves with ``kde``; ``driving = kde * driver`` drives the effect.

    Jacqmin et al. 2007, doi:10.1007/s10928-006-9035-z: the effect follows the rate at which the drug leaves, so the
    potency of an effect joined to it is in amount / time.
    """
    return Model(
        name="kinetic_driver",
        title="Kinetic-pharmacodynamic driver",
        reference="Jacqmin P et al. J Pharmacokinet Pharmacodyn 2007;34:57-85. doi:10.1007/s10928-006-9035-z",
        time_unit=time,
        amount_unit=amount,
        parameters=[Parameter(name="kde", typical=0.1, unit=f"1/{time}", label="rate constant of the driver")],
        routes=[Route(name=route, inputs=(Input(into="driver"),))],
        equations="driving = kde * driver\nd/dt(driver) = -driving",
    )
