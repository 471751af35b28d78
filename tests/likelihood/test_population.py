"""The records of a population at places where there is nothing to compute."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.estimation import FOCE
from pkpd.likelihood import make_problem
from tests.estimation.test_saem import decline, seen


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("argument", [800.0, 720.0, 709.0, -800.0])
@pytest.mark.parametrize("place", [0, 1])
def test_a_value_beyond_all_numbers_is_no_value(place, argument):
    """Its records have no likelihood and no slopes, without a warning; the others keep theirs to the bit."""
    population = FOCE().population(make_problem(decline(), seen(6)))
    w = np.tile(population.effects.arguments(population.effects.start, np.zeros((1, 2))), (6, 1))
    usual = population.slopes(w)
    w[2, place] = argument
    wild = population.slopes(w)
    population.curvature(wild)
    others = population.subject != 2
    assert wild.f[others].tobytes() == usual.f[others].tobytes()
    assert wild.v[others].tobytes() == usual.v[others].tobytes()
    if argument > 710:
        assert np.isnan(wild.f[~others]).all() and np.isnan(wild.v[~others, 0, place]).all()
        assert np.isinf(wild.value[2])
