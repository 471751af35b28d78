"""SEQUENCE, PERIOD and ARM of a crossover: what disagrees is refused, what is thin is noted."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.data import read_data
from pkpd.errors import DataError


def crossover(**changed: list) -> dict:
    """Give two people, one in each sequence, who are seen before and after the dose of each of two periods."""
    table: dict[str, list] = {
        "ID": [1] * 6 + [2] * 6,
        "TIME": [0, 0, 24, 336, 336, 360] * 2,
        "EVID": [0, 1, 0] * 4,
        "AMT": [".", 10, "."] * 4,
        "DV": [50, ".", 40] * 4,
        "SEQUENCE": ["AB"] * 6 + ["BA"] * 6,
        "PERIOD": [1, 1, 1, 2, 2, 2] * 2,
        "ARM": ["A"] * 3 + ["B"] * 6 + ["A"] * 3,
    }
    return {**table, **changed}


def put(name: str, row: int, value: object) -> dict:
    table = crossover()
    table[name] = [*table[name][:row], value, *table[name][row + 1 :]]
    return table


def test_a_sound_crossover_has_no_finding_but_that_its_sequences_are_thin() -> None:
    assert read_data(crossover()).notes == (
        "One person alone in sequence AB, BA: what the period does and what this person is like cannot be told apart "
        "there.",
    )


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("SEQUENCE", 4, "BA", "row 4, ID 1, column SEQUENCE: BA, and 1 is in AB before.\n  A person is in one"),
        ("ARM", 5, "A", "row 5, ID 1, column ARM: A in period 2 of sequence AB, which is B in other rows"),
        ("PERIOD", 5, 1, "row 5, ID 1, column PERIOD: 1 comes after 2"),
        ("PERIOD", 0, -1, "row 0, ID 1, column PERIOD: -1 is negative"),
    ],
)
def test_what_disagrees(name: str, row: int, value: object, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read_data(put(name, row, value))
    assert message in str(raised.value)


def test_a_period_without_a_score_before_the_dose_is_noted() -> None:
    table = crossover()
    later = {name: [cell for row, cell in enumerate(column) if row != 3] for name, column in table.items()}
    (note,) = [n for n in read_data(later).notes if "before the dose" in n]
    assert note.startswith("No observation before the dose: 1 period of 1 subject (first: ID 1, PERIOD 2, dose at 336)")
    later["REF"] = [0.0 if cell != "." else "." for cell in later["DV"]]  # a change brings what it is counted from
    assert not [n for n in read_data(later).notes if "before the dose" in n]


def test_means_of_several_people_are_no_lonely_person() -> None:
    assert not read_data(crossover(N=[4] * 12)).notes


def test_period_of_the_data_is_a_covariate_of_a_model_that_names_it() -> None:
    table = crossover(TREATED=[1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1], PREVIOUS=[0, 0, 0, 1, 1, 1] + [0] * 6)
    seen = {name: [cell for cell, evid in zip(cells, table["EVID"]) if evid == 0] for name, cells in table.items()}
    data = read_data(seen)
    pred = pkpd.simulate(pkpd.load("period_carryover"), data)["PRED"].values
    np.testing.assert_allclose(pred, [80, 80, 90, 90, 100, 100, 75, 75])
    assert data.subjects[0].covariates == {"TREATED": 1, "PREVIOUS": 0}
