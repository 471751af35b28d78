"""Second derivatives of predictions, for estimators that need them.

The route is stated so that its accuracy can be: central differences, with one step of Richardson's extrapolation, of
first derivatives, which are exact to the solver's tolerance. All subjects take the step of one parameter together.
What is left is about 1e-8 of the size of a derivative where the model is solved exactly, and some 1e-6 where it is
integrated, at the tight tolerance used here; the two halves of the symmetric matrix are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pkpd.engine.predict import predict
from pkpd.engine.prediction import Prediction

if TYPE_CHECKING:
    from pkpd.engine.program import Program
    from pkpd.engine.schedule import Schedule

Floats = npt.NDArray[np.float64]
#: Step beside the value of a parameter; half of it is tried too.
_STEP = 2e-3


def predict_second(
    program: Program,
    schedule: Schedule,
    values: npt.ArrayLike,
    *,
    sensitivities: bool | Sequence[str] = True,
    rtol: float = 1e-11,
    threads: int | None = None,
    method: str = "auto",
) -> tuple[Prediction, Floats]:
    """Predict all observations, with first and second derivatives.

    Parameters
    ----------
    program, schedule, values, sensitivities, rtol, threads, method
        As for `predict`; the tolerance is tight, because differences are taken.

    Returns
    -------
    prediction : Prediction
        With ``df``.
    d2f : (records, wrt, wrt) or (records, observables, wrt, wrt) array
        NaN where the subject failed.
    """

    def first(table: Floats) -> Prediction:
        return predict(program, schedule, table, sensitivities=sensitivities, rtol=rtol, threads=threads, method=method)

    centre = np.broadcast_to(np.asarray(values, float), (len(schedule.subjects), len(program.parameters)))
    prediction = first(centre)
    assert prediction.df is not None
    columns = []
    for name in prediction.wrt:
        j = program.parameters.index(name)
        # A parameter at zero is stepped on the scale of one, and so is every kappa: it stands on a transformed scale.
        kappa = j >= len(program.model.parameters)
        size = np.where(kappa | (centre[:, j] == 0.0), 1.0, np.abs(centre[:, j]))
        slopes = []
        for step in (_STEP, 0.5 * _STEP):
            up, down = centre.copy(), centre.copy()
            up[:, j] += step * size
            down[:, j] -= step * size
            width = (up[:, j] - down[:, j])[schedule.record_subject]
            change = _df(first(up)) - _df(first(down))
            slopes.append(change / width.reshape(-1, *[1] * (change.ndim - 1)))
        columns.append((4.0 * slopes[1] - slopes[0]) / 3.0)
    d2f = np.stack(columns, axis=-1) if columns else np.zeros((*prediction.df.shape, 0))
    return prediction, 0.5 * (d2f + np.swapaxes(d2f, -1, -2))


def _df(prediction: Prediction) -> Floats:
    assert prediction.df is not None
    return prediction.df
