"""What lmfit sees."""

from __future__ import annotations

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.objective import Objective
from pkpd.estimation.search import lmfit_names, search
from pkpd.likelihood import make_problem
from pkpd.model import Parameter


def test_names_say_the_scale_and_are_never_taken_twice():
    own = [
        Parameter(name="ketamine.cl", typical=1.0),
        Parameter(name="ketamine_cl", typical=1.0),
        Parameter(name="frac", typical=0.5, lower=0, upper=1, transform="logit"),
        Parameter(name="e0", typical=1.0, transform="none"),
        Parameter(name="data", typical=1.0, transform="none"),
    ]
    names = lmfit_names(Coordinates(parameters=tuple(own), count=5, free=np.ones(5, dtype=bool)))
    assert names == ("log_ketamine_cl", "log_ketamine_cl_", "logit_frac", "e0", "data_")


def test_both_methods_and_what_comes_back(two_exponentials, decline):
    problem = make_problem(two_exponentials.fix("a2"), decline)
    coordinates = Coordinates.of(problem, residuals_free=False)
    start = coordinates.forward(coordinates.initial)[coordinates.free]
    found = []
    for method in ("leastsq", "least_squares"):
        objective = Objective(problem, coordinates)
        z, result = search(objective, start, method=method, scale_covar=True)
        found.append(z)
        assert result.var_names == ["log_a1", "log_l1", "log_l2"]
        assert not result.params["log_a2"].vary
        assert objective.evaluations > 5
        assert len(objective.path) >= 3
        np.testing.assert_allclose(result.eval(), objective.predict(z))
    np.testing.assert_allclose(*found, rtol=1e-7)
