"""Reference times among events."""

from __future__ import annotations

import numpy as np

from pkpd.data import Dose, Events
from pkpd.likelihood.observations import between, with_references


def events(**options) -> Events:
    people = [("a", Dose(10, time=1.0), [1, 2], {"WT": {0.0: 70, 2.0: 80}}), ("b", Dose(20), [1, 5], {"WT": 50})]
    return Events.from_regimens(people, outputs=["cp"], **options)


def test_a_reference_stands_before_everything_at_its_time():
    before = events()
    after, kept, added = with_references(before, [(0, 1.0, 0), (1, 0.0, 0), (1, 3.0, 0)])
    assert len(after) == len(before) + 3
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, added])), np.arange(len(after)))
    np.testing.assert_array_equal(after.time[added], [1.0, 0.0, 3.0])
    np.testing.assert_array_equal(after.evid[added], 0)
    np.testing.assert_array_equal(after.time[kept], before.time)
    np.testing.assert_array_equal(after.amt[kept], before.amt)
    assert after.evid[added[0] + 1] == 1  # the dose at that time comes after
    np.testing.assert_array_equal(after.subject[added], [0, 1, 1])
    assert added[1] == after.start[1]


def test_references_take_the_covariates_in_force():
    for carry, want in (("nocb", 80.0), ("locf", 70.0)):
        after, _, added = with_references(events(carry=carry), [(0, 1.5, 0)])
        assert after.covariate_values[added[0], 0] == want


def test_before_the_first_row():
    after, _, added = with_references(events(), [(0, -3.0, 0)])
    assert added[0] == 0
    assert after.time[0] == -3.0
    assert after.covariate_values[0, 0] == 70


def test_intervals_of_censored_records():
    # CENS, DV, LLOQ, ULOQ -> lower, upper
    none = np.nan
    cases = [
        (0, 2.0, 1.0, 9.0, 2.0, 2.0),
        (1, 1.0, none, none, -np.inf, 1.0),  # below DV
        (1, none, 1.0, 9.0, -np.inf, 1.0),  # below LLOQ
        (1, 1.0, 1.0, 9.0, -np.inf, 1.0),
        (1, 0.0, 1.0, none, -np.inf, 1.0),  # DV is a placeholder
        (1, 2.0, 1.0, none, 1.0, 2.0),  # between
        (-1, 9.0, none, none, 9.0, np.inf),
        (-1, none, 1.0, 9.0, 9.0, np.inf),
        (-1, 12.0, 1.0, 9.0, 9.0, np.inf),
        (-1, 8.0, 1.0, 9.0, 8.0, 9.0),
    ]
    cens, dv, lloq, uloq, lower, upper = (np.array(column, dtype=float) for column in zip(*cases))
    got = between(cens.astype(int), dv, lloq, uloq)
    np.testing.assert_array_equal(got, (lower, upper))
