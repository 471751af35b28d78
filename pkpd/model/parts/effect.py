"""Effects of a concentration: delayed by an effect compartment, linear, Emax, sigmoid."""

from __future__ import annotations

from pkpd.model.model import Model, Need
from pkpd.model.output import Output
from pkpd.model.parameter import Parameter


def effect_compartment(driver: str = "cp", *, unit: str = "mg/L", time: str = "h") -> Model:
    """Give an effect compartment: ``ce`` follows `driver` with the rate constant ``ke0``.

    Sheiner et al. 1979, doi:10.1002/cpt1979253358.
    """
    return Model(
        name="effect_compartment",
        title="Effect compartment",
        reference="Sheiner LB et al. Clin Pharmacol Ther 1979;25:358-371. doi:10.1002/cpt1979253358",
        time_unit=time,
        needs=[Need(name=driver, unit=unit)],
        parameters=[Parameter(name="ke0", typical=0.5, unit=f"1/{time}", label="equilibration rate constant")],
        equations=f"d/dt(ce) = ke0 * ({driver} - ce)",
    )


def linear(driver: str = "cp", *, effect: str = "effect", unit: str = "mg/L", effect_unit: str = "1") -> Model:
    """Give an effect in proportion to `driver`: ``slope * driver``.

    After :func:`effect_compartment` the driver is its state: ``linear("ce")``.
    """
    slope = f"{effect_unit}/({unit})" if effect_unit != "1" else f"1/({unit})"
    return Model(
        name="linear",
        title="Linear effect",
        needs=[Need(name=driver, unit=unit)],
        parameters=[
            Parameter(name="slope", typical=1.0, unit=slope, transform="none", label="effect per concentration")
        ],
        equations=f"{effect} = slope * {driver}",
        outputs=[Output(name=effect, unit=effect_unit, label="effect")],
    )


def emax(driver: str = "cp", *, effect: str = "effect", unit: str = "mg/L", effect_unit: str = "1") -> Model:
    """Give a saturable effect: ``emax * driver / (ec50 + driver)``.

    After :func:`effect_compartment` the driver is its state: ``emax("ce")``.
    """
    return Model(
        name="emax",
        title="Emax effect",
        needs=[Need(name=driver, unit=unit)],
        parameters=_emax_parameters(unit, effect_unit),
        equations=f"{effect} = emax * {driver} / (ec50 + {driver})",
        outputs=[Output(name=effect, unit=effect_unit, label="effect")],
    )


def sigmoid(driver: str = "cp", *, effect: str = "effect", unit: str = "mg/L", effect_unit: str = "1") -> Model:
    """Give a sigmoid effect: ``emax * driver ** gamma / (ec50 ** gamma + driver ** gamma)``.

    After :func:`effect_compartment` the driver is its state: ``sigmoid("ce")``.
    """
    steepness = Parameter(name="gamma", typical=2.0, label="steepness")
    return Model(
        name="sigmoid",
        title="Sigmoid Emax effect",
        needs=[Need(name=driver, unit=unit)],
        parameters=[*_emax_parameters(unit, effect_unit), steepness],
        equations=f"{effect} = emax * {driver} ** gamma / (ec50 ** gamma + {driver} ** gamma)",
        outputs=[Output(name=effect, unit=effect_unit, label="effect")],
    )


def _emax_parameters(unit: str, effect_unit: str) -> list[Parameter]:
    return [
        Parameter(name="emax", typical=1.0, unit=effect_unit, transform="none", label="largest effect"),
        Parameter(name="ec50", typical=1.0, unit=unit, label="concentration of half the largest effect"),
    ]
