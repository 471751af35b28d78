"""Observations that are drawn again."""

from __future__ import annotations

import numpy as np

import pkpd
from pkpd.estimation.population import population_of
from pkpd.likelihood import make_problem
from pkpd.likelihood.redraw import Redraw, simulate_population


def population(model, data):
    return population_of(make_problem(model, data), censoring="M3", threads=1, where="a test")


def test_many_replicates_are_those_drawn_one_by_one(theophylline):
    model, data = theophylline
    own = population(model, data)
    again = Redraw.of(own, own.start, seed=3, purpose="a test", most=5)
    assert again.at_once == 5
    many = again.draw(range(1, 9))
    one = [
        simulate_population(own, own.start, seed=3, replicate=r, purpose="a test").problem.observations.dv
        for r in range(1, 9)
    ]
    assert np.array_equal(many, one)
    # Whatever is drawn with it, and whoever else is there.
    assert np.array_equal(again.draw([7]), many[6:7])
    few = own.take(np.array([4, 2]))
    rows, _ = own.problem.records_of(np.array([4, 2]))
    assert np.array_equal(Redraw.of(few, own.start, seed=3, purpose="a test", most=9).draw(range(1, 9)), many[:, rows])


def test_classes_of_a_mixture_are_drawn_anew_in_every_replicate():
    model = pkpd.Model(
        """
        [parameters]
        low = { typical = 1, unit = "1", transform = "none", iiv = 1e-8 }
        high = { typical = 5, unit = "1", transform = "none" }
        [mixture]
        lower = { share = 0.3 }
        upper = {}
        [dynamics]
        equations = '''
        y = low if MIXNUM == 1 else high
        '''
        [outputs]
        y = { unit = "1", add = 1e-6 }
        """
    )
    table = {"ID": [str(k) for k in range(400)], "TIME": [0.0] * 400, "DV": [1.0] * 400}
    own = population(model, pkpd.read_data(table))
    drawn = Redraw.of(own, own.start, seed=1, purpose="a test", most=50).draw(range(1, 51))
    share = np.mean(drawn < 3)
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / drawn.size)
    assert not np.array_equal(drawn[0] < 3, drawn[1] < 3)
