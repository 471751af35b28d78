"""Tolerance: an effect that fades while the drug stays."""

from __future__ import annotations

from pkpd.model.model import Model, Need
from pkpd.model.output import Output
from pkpd.model.parameter import Parameter


def tolerance(
    effect: str = "effect",
    driver: str = "cp",
    *,
    output: str = "tolerated",
    unit: str = "mg/L",
    effect_unit: str = "1",
    time: str = "h",
) -> Model:
    """Give an effect that a slow modulator of `driver` weakens: ``effect / (1 + modulator / m50)``.

    Porchet, Benowitz, Sheiner 1988, J Pharmacol Exp Ther 244:231. The modulator follows `driver` with the rate
    constant ``ktol``; at ``m50`` it halves the effect.
    """
    return Model(
        name="tolerance",
        title="Tolerance",
        reference="Porchet HC, Benowitz NL, Sheiner LB. J Pharmacol Exp Ther 1988;244:231-236",
        time_unit=time,
        needs=[Need(name=effect, unit=effect_unit), Need(name=driver, unit=unit)],
        parameters=[
            Parameter(name="ktol", typical=0.1, unit=f"1/{time}", label="rate constant of tolerance"),
            Parameter(name="m50", typical=1.0, unit=unit, label="modulator that halves the effect"),
        ],
        equations=f"""
            {output} = {effect} / (1 + modulator / m50)
            d/dt(modulator) = ktol * ({driver} - modulator)
        """,
        outputs=[Output(name=output, unit=effect_unit, label="effect under tolerance")],
    )
