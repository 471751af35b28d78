"""Courses without a drug: expectation, regression to the mean, natural fluctuation.

Each gives ``fall``, the share of the first score by which the score has fallen at time `t`; a score is then
``s0 * (1 - fall)``, with or without a drug effect.
"""

from __future__ import annotations

from pkpd.model.model import Model
from pkpd.model.parameter import Parameter

_PMAX = Parameter(name="pmax", typical=0.2, transform="none", label="largest fall, share of the first score")


def exponential(*, fall: str = "fall", time: str = "h") -> Model:
    """Give ``pmax * (1 - exp(-kp * t))``; Friede, Kieser, Miller 2000, doi:10.1055/s-0038-1634261."""
    return Model(
        name="placebo_exponential",
        title="Placebo course: exponential",
        reference="Friede T, Kieser M, Miller F. Methods Inf Med 2000;39:12. doi:10.1055/s-0038-1634261",
        time_unit=time,
        parameters=[_PMAX, Parameter(name="kp", typical=0.02, unit=f"1/{time}", label="rate constant of the fall")],
        equations=f"{fall} = pmax * (1 - exp(-kp * t))",
    )


def weibull(*, fall: str = "fall", time: str = "h") -> Model:
    """Give ``pmax * (1 - exp(-(t / td) ** shape))``, as Pilla Reddy et al. review it."""
    return Model(
        name="placebo_weibull",
        title="Placebo course: Weibull",
        time_unit=time,
        parameters=[
            _PMAX,
            Parameter(name="td", typical=60.0, unit=time, label="time of 63 % of the fall"),
            Parameter(name="shape", typical=1.5, label="shape; 1 is the exponential course"),
        ],
        equations=f"{fall} = pmax * (1 - exp(-(t / td) ** shape))",
    )


def inverse_bateman(*, fall: str = "fall", time: str = "h") -> Model:
    """Give a fall that comes with ``kon`` and goes with ``koff``; compared with others in Shang et al. 2009.

    ``amplitude * kon / (kon - koff) * (exp(-koff * t) - exp(-kon * t))``; kon and koff must differ.
    """
    return Model(
        name="placebo_inverse_bateman",
        title="Placebo course: inverse Bateman",
        reference="Shang EY et al. J Pharmacokinet Pharmacodyn 2009;36:63-80",
        time_unit=time,
        parameters=[
            Parameter(name="amplitude", typical=0.3, transform="none", label="size of the fall"),
            Parameter(name="kon", typical=0.05, unit=f"1/{time}", label="rate constant of onset"),
            Parameter(name="koff", typical=0.005, unit=f"1/{time}", label="rate constant of return"),
        ],
        equations=f"{fall} = amplitude * kon / (kon - koff) * (exp(-koff * t) - exp(-kon * t))",
    )
