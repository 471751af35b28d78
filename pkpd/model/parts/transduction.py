"""Transit transduction: a signal that takes its time through a chain of stages."""

from __future__ import annotations

from itertools import pairwise

from pkpd.errors import ModelError
from pkpd.model.model import Model, Need
from pkpd.model.output import Output
from pkpd.model.parameter import Constant, Parameter


def transit_transduction(
    stages: int, driver: str = "effect", *, unit: str = "1", output: str = "delayed", time: str = "h"
) -> Model:
    """Give a chain of equal stages behind a signal, with the mean transit time ``mtt`` in all.

    Sun, Jusko 1998, J Pharm Sci 87:732.

    Parameters
    ----------
    stages
        How many, 1 or more.
    driver, unit
        The signal that enters, and its unit.
    output
        Name of what leaves the last stage.
    time
        Unit.

    Returns
    -------
    Model
        States ``stage1`` …; parameter ``mtt``; constant ``stages``.

    Raises
    ------
    ModelError
        Fewer than one stage.
    """
    if stages < 1:
        raise ModelError(f"stages is {stages}.", where="transit_transduction", expected="1 or more.")
    chain = [driver, *(f"stage{number}" for number in range(1, stages + 1))]
    lines = [f"d/dt({after}) = ({before} - {after}) * stages / mtt" for before, after in pairwise(chain)]
    return Model(
        name="transit_transduction",
        title=f"Signal transduction through {stages} transit stage{'s' if stages > 1 else ''}",
        reference="Sun YN, Jusko WJ. J Pharm Sci 1998;87:732-737. doi:10.1021/js970414z",
        time_unit=time,
        needs=[Need(name=driver, unit=unit)],
        constants=[Constant(name="stages", value=float(stages), label="stages of the chain")],
        parameters=[Parameter(name="mtt", typical=24.0, unit=time, label="mean transit time of the chain")],
        equations="\n".join([f"{output} = stage{stages}", *lines]),
        outputs=[Output(name=output, unit=unit, label="delayed signal")],
    )
