from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pkpd
from pkpd.errors import DataError, DoseError, MismatchError, ModelError, PkpdError, SolveError, UsageError
from pkpd.simulation import simulate as module_function
from pkpd.simulation import simulate as simulate_again

KETAMINE = pkpd.load("ketamine_kamp2020")
TEXT = """
title = "one compartment"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 5.0, unit = "L/h", iiv = 0.09, rse = 0.1 }
v = { typical = 50.0, unit = "L", iiv = 0.04, times = "WT / 70" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
ONE = pkpd.Model(TEXT)
TIMES = np.array([0.0, 0.5, 2 / 3, 1.0, 6.0, 24.0])


def test_typical_subject_against_published_parameters() -> None:
    # 35 mg over 40 min in the three-compartment model of Kamp 2020: 253.05183 ng/mL at the end of the infusion.
    sim = pkpd.simulate(KETAMINE, "0.5 mg/kg iv over 40 min", times=TIMES, covariates={"WT": 70})
    assert float(sim["cp"].sel(time=2 / 3).item()) == pytest.approx(0.25305183, rel=1e-7)


def test_one_compartment_exactly() -> None:
    sim = pkpd.simulate(ONE, "100 mg iv", times=TIMES, covariates={"WT": 35})
    assert np.allclose(sim["cp"].values.ravel(), 100 / 25 * np.exp(-5 / 25 * TIMES), rtol=1e-7)


def test_labels_and_units() -> None:
    sim = pkpd.simulate(ONE, {"once": "100 mg iv", "none": pkpd.Regimen(())}, times=[0, 1])
    assert sim["cp"].dims == ("arm", "draw", "subject", "time")
    assert sim["cp"].attrs == {"long_name": "drug in plasma", "units": "mg/L", "uncertainty": "none"}
    assert sim["time"].attrs["units"] == "h"
    assert sim["arm"].values.tolist() == ["once", "none"]
    assert sim["regimen"].values.tolist() == ["100 mg iv", "no dose"]
    assert np.all(sim["cp"].sel(arm="none") == 0)
    assert sim["individual"].sel(parameter="cl").item() == 5.0
    assert sim.attrs["model_hash"] == ONE.hash
    assert sim.attrs["seed"] == "none"
    assert sim.attrs["source"] == f"pkpd {pkpd.__version__}"
    assert sim.attrs["covariates"] == "WT = 70 kg (reference)"


def test_arms_are_what_each_is_alone() -> None:
    arms = {"a": "0.5 mg/kg iv over 40 min", "b": pkpd.Dose(70, route="iv"), "c": "10 mg iv every 6 h x 3"}
    weights = np.array([50.0, 70, 110])
    together = pkpd.simulate(KETAMINE, arms, times=TIMES, covariates={"WT": weights})
    assert together.attrs["uncertainty"] == "none"
    for name, regimen in arms.items():
        for subject, weight in enumerate(weights, start=1):
            alone = pkpd.simulate(KETAMINE, regimen, times=TIMES, covariates={"WT": weight})
            own = together["cp"].sel(arm=name, subject=subject)
            assert np.allclose(own.values.ravel(), alone["cp"].values.ravel(), rtol=1e-12, atol=0)


def test_the_text_of_one_regimen_names_its_arm() -> None:
    sim = pkpd.simulate(KETAMINE, "0.5 mg/kg iv over 40 min", times=[1])
    assert sim["arm"].item() == "0.5 mg/kg iv over 40 min"


def test_between_subject_variability_has_the_variances_of_the_model() -> None:
    sim = pkpd.simulate(ONE, "100 mg iv", times=[1], n=20_000, seed=1)
    eta = np.log(sim["individual"].values[0] / [5.0, 50.0])
    assert np.allclose(np.cov(eta.T), [[0.09, 0.0], [0.0, 0.04]], atol=0.002)
    assert np.allclose(eta.mean(axis=0), 0, atol=0.01)
    assert sim.attrs["uncertainty"] == "between-subject variability"
    assert sim["cp"].attrs["uncertainty"] == "between-subject variability"


def test_correlated_blocks() -> None:
    from dataclasses import replace

    from pkpd.model import Block

    parameters = {name: replace(row, iiv=0.0) for name, row in ONE.parameters.items()}
    block = Block(parameters=("cl", "v"), covariance=((0.09,), (0.03, 0.04)))
    model = ONE.replace(parameters=parameters, blocks=(block,))
    sim = pkpd.simulate(model, "100 mg iv", times=[1], n=20_000, seed=1)
    eta = np.log(sim["individual"].values[0] / [5.0, 50.0])
    assert np.allclose(np.cov(eta.T), [[0.09, 0.03], [0.03, 0.04]], atol=0.002)


def test_the_same_people_in_every_arm_and_for_any_number() -> None:
    many = pkpd.simulate(ONE, {"a": "100 mg iv", "b": "100 mg iv"}, times=[0, 1, 6], n=50, seed=4)
    few = pkpd.simulate(ONE, "100 mg iv", times=[0, 1, 6], n=7, seed=4)
    assert np.array_equal(many["cp"].values[0], many["cp"].values[1])
    assert np.array_equal(few["cp"].values[0, 0], many["cp"].values[0, 0, :7])


@pytest.mark.parametrize("chunk", [1, 2, 7, 22, 23, 24, 46, 1000])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_chunks_and_threads_change_no_bit(chunk: int, threads: int) -> None:
    options = {"times": TIMES, "n": 23, "seed": 5, "uncertainty": 3, "covariates": {"WT": np.linspace(50, 90, 23)}}
    arms = {"a": "1 mg/kg iv", "b": "50 mg iv over 1 h"}
    whole = pkpd.simulate(ONE, arms, threads=1, **options)  # type: ignore[arg-type]
    assert whole.identical(pkpd.simulate(ONE, arms, chunk=chunk, threads=threads, **options))  # type: ignore[arg-type]


SATURABLE = pkpd.Model(
    """
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
ka = { typical = 1.0, unit = "1/h", iiv = 4.0 }
vmax = { typical = 20.0, unit = "mg/h", iiv = 0.3 }
km = { typical = 0.5, unit = "mg/L", iiv = 1.0 }
v = { typical = 50.0, unit = "L", iiv = 0.1, times = "WT / 70" }
[routes]
oral = { into = "depot" }
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - vmax * cp / (km + cp)
'''
[outputs]
cp = { unit = "mg/L" }
"""
)
CROWD: dict[str, Any] = {"times": TIMES, "n": 700, "seed": 11, "covariates": {"WT": np.linspace(40, 120, 700)}}
ORAL = {"once": "100 mg oral", "per kg": "1 mg/kg oral every 8 h x 3"}


@pytest.mark.parametrize("chunk, threads", [(None, 2), (None, 8), (699, 2), (97, 2), (96, 8), (3, 1)])
def test_a_crowd_that_differs_widely_comes_out_the_same_to_the_last_bit(chunk: int | None, threads: int) -> None:
    # Some are stiff, some are not: each must take the same steps whoever is solved beside it.
    whole = pkpd.simulate(SATURABLE, ORAL, threads=1, **CROWD)
    assert whole.identical(pkpd.simulate(SATURABLE, ORAL, chunk=chunk, threads=threads, **CROWD))


def test_one_of_a_crowd_alone() -> None:
    whole = pkpd.simulate(SATURABLE, ORAL, **CROWD)
    for number in (1, 350, 700):
        known = whole["individual"].sel(subject=number).values.ravel()
        model = SATURABLE.set(**dict(zip(SATURABLE.parameters, known.tolist())))
        alone = pkpd.simulate(model, ORAL, times=TIMES, covariates={"WT": whole["WT"].sel(subject=number).item()})
        assert np.array_equal(alone["cp"].values.ravel(), whole["cp"].sel(subject=number).values.ravel())


def test_the_order_of_arms_and_subjects_changes_no_bit() -> None:
    arms = {"a": "1 mg/kg iv", "b": "50 mg iv over 1 h", "c": "5 mg iv every 2 h x 5"}
    weights = np.linspace(50, 90, 300)
    there = pkpd.simulate(ONE, arms, times=TIMES, covariates={"WT": weights})
    back = pkpd.simulate(ONE, dict(reversed(arms.items())), times=TIMES, covariates={"WT": weights[::-1]}, chunk=41)
    assert np.array_equal(there["cp"].values, back["cp"].values[::-1, :, ::-1])


def test_draws_of_published_standard_errors() -> None:
    sim = pkpd.simulate(ONE, "100 mg iv", times=[1], seed=2, uncertainty=4000)
    drawn = sim["individual"].values[:, 0]
    assert np.std(np.log(drawn[:, 0])) == pytest.approx(0.1, rel=0.05)
    assert np.all(drawn[:, 1] == 50.0)
    assert sim.attrs["uncertainty"] == "parameter uncertainty"
    assert "No standard error is known of v" in sim.attrs["notes"]


def test_draws_and_subjects_together() -> None:
    sim = pkpd.simulate(ONE, "100 mg iv", times=[1, 2], n=4, seed=2, uncertainty=True)
    assert dict(sim.sizes)["draw"] == 100
    assert sim.attrs["uncertainty"] == "between-subject variability and parameter uncertainty"
    first = pkpd.simulate(ONE, "100 mg iv", times=[1, 2], n=4, seed=2)
    centre = pkpd.simulate(ONE, "100 mg iv", times=[1, 2], seed=2, uncertainty=100)
    eta = np.log(sim["individual"].values[0] / centre["individual"].values[0])
    assert np.allclose(eta, np.log(first["individual"].values[0] / [5.0, 50.0]), atol=1e-12)


def test_variances_of_the_callers_own() -> None:
    sim = pkpd.simulate(KETAMINE, "35 mg iv", times=[1], n=5000, seed=1, variability={"cl": 0.25})
    assert np.std(np.log(sim["individual"].sel(parameter="cl").values)) == pytest.approx(0.5, rel=0.05)
    assert np.all(sim["individual"].sel(parameter="v1").values == 25)


def test_subjects_who_differ_in_covariates_alone() -> None:
    sim = pkpd.simulate(KETAMINE, "35 mg iv", times=[1], n=3, variability=False, covariates={"WT": [50, 70, 90]})
    assert sim.sizes["subject"] == 3
    assert sim["WT"].values.tolist() == [50, 70, 90]


def test_states_and_computed_names_can_be_observed() -> None:
    sim = pkpd.simulate(ONE, "100 mg iv", times=[0, 1], observe=["central", "cp"])
    assert sim["central"].attrs["units"] == "mg"
    assert sim["central"].values.ravel()[0] == pytest.approx(100)
    assert np.allclose(sim["central"] / 50, sim["cp"])
    # 2 h after it starts, the concentration in a periphery has the unit that its equation gives it.
    other = pkpd.simulate(KETAMINE, "35 mg iv", times=[2], observe=["cp2", "cl", "WT"], covariates={"WT": 35})
    assert {name: other[name].attrs["units"] for name in ("cp2", "cl", "WT")} == {
        "cp2": "mg/L",
        "cl": "L/h",
        "WT": "kg",
    }
    assert other["WT"].item() == 35


def test_public_function_is_the_one_of_the_room() -> None:
    assert pkpd.simulate is module_function is simulate_again


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"times": []}, DataError, "empty"),
        ({"times": None}, DataError, "no times"),
        ({"times": [0, np.nan]}, DataError, "Time number 2, nan"),
        ({"times": [-1, 0]}, DataError, "Time number 1, -1, is negative"),
        ({"times": [0, 2, 1]}, DataError, "Time number 3, 1, is not later"),
        ({"times": [[0, 1]]}, DataError, "times are"),
        ({"times": "day"}, DataError, "times are"),
        ({"n": 5}, UsageError, "no seed"),
        ({"n": 5, "seed": 1.5}, UsageError, "seed is 1.5"),
        ({"n": 0, "seed": 1}, UsageError, "n is 0"),
        ({"n": True, "seed": 1}, UsageError, "n is True"),
        ({"uncertainty": True}, UsageError, "no seed"),
        ({"chunk": 0}, UsageError, "chunk is 0"),
        ({"threads": 0}, UsageError, "threads is 0"),
        ({"threads": -2}, UsageError, "threads is -2"),
        ({"threads": 1.5}, UsageError, "threads is 1.5"),
        ({"overwrite": True}, UsageError, "nothing to overwrite"),
        ({"uncertainty": 1, "seed": 1}, UsageError, "uncertainty is 1"),
        ({"covariates": {"wt": 70}}, MismatchError, "Did you mean `WT`"),
        ({"covariates": {"WT": np.nan}}, MismatchError, "finite"),
        ({"covariates": {"WT": "heavy"}}, MismatchError, "'heavy'"),
        ({"covariates": {"WT": [70, np.inf]}}, MismatchError, "inf for subject 2"),
        ({"covariates": {"WT": [60, 70]}, "n": 3, "seed": 1}, MismatchError, "n is 3, but WT has 2"),
        ({"variability": {"kl": 0.1}, "n": 3, "seed": 1}, MismatchError, "no parameter"),
        ({"variability": {"cl": -0.1}, "n": 3, "seed": 1}, ModelError, "0 or more"),
        ({"observe": "cpp"}, ModelError, "Did you mean `cp`"),
    ],
)
def test_wrong_options(options: dict[str, object], error: type[PkpdError], says: str) -> None:
    with pytest.raises(error, match=says):
        pkpd.simulate(ONE, "100 mg iv", **{"times": [0, 1], **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "regimen, error, says",
    [
        ({}, DoseError, "no arm"),
        (35, DoseError, "35 is no regimen"),
        ("", DoseError, "."),
        ("-35 mg iv", DoseError, "35"),
        ("35 mg nasal", PkpdError, "nasal"),
        ("35 L iv", PkpdError, "L"),
        ({"slow": "35 mg iv over 40 mim"}, DoseError, "arm `slow`"),
    ],
)
def test_wrong_regimens(regimen: object, error: type[PkpdError], says: str) -> None:
    with pytest.raises(error, match=says):
        pkpd.simulate(ONE, regimen, times=[0, 1])  # type: ignore[arg-type]


def test_a_dose_per_kg_needs_weights_above_zero() -> None:
    with pytest.raises(MismatchError, match="subject 2"):
        pkpd.simulate(ONE, "1 mg/kg iv", times=[1], covariates={"WT": [70, 0]})


def test_a_dose_per_kg_of_a_model_without_weight() -> None:
    model = ONE.replace(covariates={}, parameters={"cl": ONE.parameters["cl"], "v": _without_factor()})
    with pytest.raises(MismatchError, match=r'covariates=\{"WT"'):
        pkpd.simulate(model, "1 mg/kg iv", times=[1])
    sim = pkpd.simulate(model, "1 mg/kg iv", times=[0], covariates={"WT": 80})
    assert sim["cp"].item() == pytest.approx(80 / 50)
    with pytest.raises(MismatchError, match="no covariate"):
        pkpd.simulate(model, "70 mg iv", times=[1], covariates={"WT": 80})


def _without_factor() -> pkpd.Parameter:
    from dataclasses import replace

    return replace(ONE.parameters["v"], times=None)


def test_subjects_who_would_all_be_the_same() -> None:
    with pytest.raises(UsageError, match="no parameter of `ketamine_kamp2020` varies"):
        pkpd.simulate(KETAMINE, "35 mg iv", times=[1], n=10, seed=1)


def test_uncertainty_that_nobody_published() -> None:
    with pytest.raises(UsageError, match="does not say how well"):
        pkpd.simulate(KETAMINE, "35 mg iv", times=[1], uncertainty=True, seed=1)


def test_neither_model_nor_fit() -> None:
    with pytest.raises(UsageError, match="A str was given"):
        pkpd.simulate("ketamine_kamp2020", "35 mg iv", times=[1])  # type: ignore[arg-type]


def test_equations_that_blow_up() -> None:
    model = pkpd.Model(
        "[parameters]\nk = { typical = 1.0, unit = '1/h/mg' }\n[routes]\niv = { into = 'a' }\n"
        "[dynamics]\nequations = 'd/dt(a) = k * a * a'\n[outputs]\na = { unit = 'mg' }\n"
    )
    with pytest.raises(SolveError, match=r"1 mg iv(.|\n)*t = 1 h \(k = 1\)"):
        pkpd.simulate(model, "1 mg iv", times=[0, 0.5, 2])


def with_output(text: str) -> pkpd.Model:
    return pkpd.Model(
        "[parameters]\nk = { typical = 1.0, unit = '1/h', iiv = 0.5 }\none = { typical = 1.0 }\n"
        "[constants]\nhourly = { value = 1.0, unit = '1/h' }\n"
        "[routes]\niv = { into = 'a' }\n[dynamics]\n"
        f'equations = """\nd/dt(a) = -k * a\nd/dt(clock) = one * hourly\nx = {text}\n"""\n'
        "[outputs]\nx = { unit = '1' }\n"
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text, times, says",
    [
        ("log(one - 2)", [0, 1], r"subject 1 of arm 'first': `x` is nan at t = 0 h"),
        ("log(1.5 - clock)", [0, 1, 2, 3], r"subject 1 of arm 'first': `x` is nan at t = 2 h"),
        ("1 / clock", [0, 1], r"`x` is inf at t = 0 h"),
        ("log(clock)", [0, 1], r"`x` is -inf at t = 0 h"),
    ],
)
def test_outputs_that_are_no_numbers(text: str, times: list[float], says: str) -> None:
    with pytest.raises(SolveError, match=says):
        pkpd.simulate(with_output(text), {"first": "1 mg iv"}, times=times)


@pytest.mark.filterwarnings("error")
def test_variances_that_no_number_holds() -> None:
    with pytest.raises(SolveError, match="cl = inf"):
        pkpd.simulate(ONE, "100 mg iv", times=[0, 1], n=20, seed=1, variability={"cl": 1e7})


def test_who_has_an_output_that_is_no_number() -> None:
    ratio = pkpd.simulate(with_output("k / hourly"), "1 mg iv", times=[1], n=50, seed=3)["x"].values.ravel()
    first = int(np.flatnonzero(ratio > 1)[0]) + 1
    assert first > 1
    with pytest.raises(SolveError, match=rf"subject {first} of arm 'b': `x` is nan at t = 1 h"):
        pkpd.simulate(with_output("log(one - k / hourly)"), {"b": "1 mg iv"}, times=[1, 2], n=50, seed=3)


def test_names_of_those_who_fail_whatever_block_they_are_in() -> None:
    model = pkpd.Model(
        "[parameters]\nk = { typical = 1.0, unit = '1/h/mg', iiv = 1.0 }\n[routes]\niv = { into = 'a' }\n"
        "[dynamics]\nequations = 'd/dt(a) = k * a * a'\n[outputs]\na = { unit = 'mg' }\n"
    )
    k = pkpd.simulate(model, "1 mg iv", times=[0], n=60, seed=2)["individual"].values.ravel()
    blown = np.flatnonzero(k > 5) + 1  # 1 mg blows up at t = 1 / k
    assert len(blown) and blown[0] > 5
    for chunk in (60, 5, 1):
        with pytest.raises(SolveError, match=rf"[Ss]ubject {blown[0]} of arm '1 mg iv'"):
            pkpd.simulate(model, "1 mg iv", times=[0, 0.2], n=60, seed=2, chunk=chunk)


def test_covariates_are_looked_at_as_they_are() -> None:
    # At 1 kg the factor of v1 would be negative; nobody here weighs 1 kg.
    midazolam = pkpd.load("midazolam_brill2014")
    both = pkpd.simulate(midazolam, "3 mg iv", times=[0, 1], covariates={"WT": [120, 130]})
    alone = pkpd.simulate(midazolam, "3 mg iv", times=[0, 1], covariates={"WT": 130})
    assert np.array_equal(both["cp"].values[:, :, 1:], alone["cp"].values)


def test_everybodys_covariates_are_looked_at_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pkpd import engine

    monkeypatch.setattr(engine, "predict", lambda *_, **__: pytest.fail("computed too early"))
    with pytest.raises(MismatchError, match=r"ID subject 9(.|\n)*WT / 70, is -1 at WT = -70"):
        pkpd.simulate(ONE, "3 mg iv", times=[0], covariates={"WT": [70] * 8 + [-70] + [70] * 4}, chunk=2)


@pytest.mark.parametrize(
    "name, dose, covariates, says",
    [
        ("midazolam_brill2014", "3 mg iv", {"WT": 30}, r"`v1`, 1 \+ 0\.0105 \* \(WT - 127\), is -0\.0185"),
        ("ketamine_kamp2020", "3 mg iv", {"WT": -70}, r"the factor of `v1`, WT / 70, is -1 at WT = -70"),
        ("ketamine_kamp2020", "3 mg iv", {"WT": [70, 0, -1]}, r"the factor of `v1`, WT / 70, is 0 at WT = 0"),
        ("ketamine_perezruixo2021", "56 mg nasal", {"AGE": 200}, r"the factor of `qh`.*is -1\.03.* at AGE = 200"),
    ],
)
def test_covariates_beyond_the_model(name: str, dose: str, covariates: dict[str, object], says: str) -> None:
    with pytest.raises(MismatchError, match=says):
        pkpd.simulate(pkpd.load(name), dose, times=[0, 1], covariates=covariates)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"n": 30_000_000_000, "seed": 1}, "960 GB of memory: 30,000,000,000 subjects x 1 draw x 2 times x 1 arm"),
        ({"uncertainty": 10**14, "seed": 1}, "3,200 TB of memory: 1 subject x 100,000,000,000,000 draws"),
    ],
)
def test_more_numbers_than_any_memory_holds(options: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=rf"{says}(.|\n)*half of the memory(.|\n)*to=\"sim.zarr\""):
        pkpd.simulate(ONE, "100 mg iv", times=[0, 1], **options)  # type: ignore[arg-type]


def test_half_of_the_memory_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from pkpd.simulation import size

    # 10 subjects of 4 times and 2 parameters, 8 bytes each.
    monkeypatch.setattr(size, "machine_memory", lambda: 2 * 480)
    assert pkpd.simulate(ONE, "100 mg iv", times=range(4), n=10, seed=1).sizes["subject"] == 10
    monkeypatch.setattr(size, "machine_memory", lambda: 2 * 479)
    with pytest.raises(UsageError, match=r"0\.48 kB of memory"):
        pkpd.simulate(ONE, "100 mg iv", times=range(4), n=10, seed=1)


def test_there_is_memory() -> None:
    from pkpd.simulation.size import machine_memory

    there = machine_memory()
    assert there is not None and there > 10**8


def test_outputs_that_do_not_depend_on_what_varies() -> None:
    notes = pkpd.simulate(with_output("clock + one"), "1 mg iv", times=[0, 1], n=5, seed=1).attrs["notes"]
    assert "x is the same in every subject" in notes and "(k)" in notes
    assert "notes" not in pkpd.simulate(with_output("clock + one"), "1 mg iv", times=[0, 1]).attrs
    assert "notes" not in pkpd.simulate(ONE, "100 mg iv", times=[0, 1], n=5, seed=1).attrs


def test_netcdf_round_trip(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import xarray as xr

    sim = pkpd.simulate(ONE, {"a": "100 mg iv"}, times=[0, 1], n=3, seed=1)
    sim.to_netcdf(tmp_path / "sim.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "sim.nc", engine="h5netcdf") as back:
        assert np.array_equal(back["cp"].values, sim["cp"].values)
        assert back["cp"].attrs["units"] == "mg/L"
        assert back.attrs["uncertainty"] == "between-subject variability"
