"""Every diagnostic of the package: discovered, never typed."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import pkpd
from pkpd import diagnostics as room
from pkpd.diagnostics import Case, Diagnosis, Diagnostic, answer
from pkpd.errors import MismatchError
from pkpd.plots import house_style

KINDS = [getattr(room, name) for name in room.DIAGNOSTICS]
#: Which fit the model again, many times.
LONG = (room.Influence, room.ProfileCurves)


def made(kind: type[Diagnostic]) -> Diagnostic:
    """A diagnostic with what it must be told."""
    names = {field.name for field in dataclasses.fields(kind)}
    given = {"seed": 1, "n": 60}
    return kind(**{name: value for name, value in given.items() if name in names})


def svg(figure: Figure) -> bytes:
    out = io.BytesIO()
    with house_style():
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def test_all_of_them_are_listed():
    listed = {name for name in room.__all__ if isinstance(getattr(room, name), type)}
    own = {n for n in listed if issubclass(getattr(room, n), Diagnostic) and n != "Diagnostic"}
    assert own == set(room.DIAGNOSTICS)
    assert own <= set(pkpd.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_says_what_it_asks(kind):
    assert kind.question.endswith("?") and kind.title
    assert kind.__dataclass_params__.frozen
    assert "Parameters" in kind.__doc__ or not dataclasses.fields(kind)
    assert all(need.__doc__ for need in kind.needs)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_is_computed_once_saved_and_drawn_again(kind, any_fit, tmp_path):
    if kind in LONG and "Laplace" in str(any_fit.attrs["estimator"]):
        pytest.skip("it fits the model again, many times")
    case, one = Case(fit=any_fit, threads=1), made(kind)
    reasons = one.unmet(case)
    if reasons:
        assert all(reason.endswith(".") for reason in reasons)
        with pytest.raises(MismatchError, match="cannot be asked"):
            answer(case, one)
        return
    found = answer(case, one)
    assert found.pages >= 1
    assert str(found)
    path = tmp_path / "found.nc"
    found.save(path)
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        again = Diagnosis(diagnostic=one, data=opened.load())
    assert again.pages == found.pages
    for page in range(min(found.pages, 3)):
        assert len(found.caption(page)) > 30
        assert found.caption(page) == again.caption(page)
        drawing = found.figure(page)
        assert any(found.data.attrs["run"] in text.get_text() for text in drawing.texts)
        assert svg(drawing) == svg(again.figure(page))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_numbers_do_not_depend_on_threads(kind, population):
    one = made(kind)
    if one.unmet(Case(fit=population)):
        pytest.skip("it cannot be asked of this fit")
    single, double = (answer(Case(fit=population, threads=threads), one).data for threads in (1, 2))
    assert single.identical(double)


def test_every_lists_what_can_be_asked(any_fit):
    listed = room.every(any_fit)
    assert set(listed) == set(KINDS)
    for kind, reasons in listed.items():
        assert reasons == made(kind).unmet(Case(fit=any_fit))


def test_what_is_wrong_is_said(population):
    with pytest.raises(pkpd.UsageError, match="GoodnessOfFit is a class"):
        pkpd.diagnose(population, room.GoodnessOfFit)
    with pytest.raises(pkpd.UsageError, match="is no diagnostic"):
        pkpd.diagnose(population, "goodness")
    with pytest.raises(pkpd.UsageError, match="first argument"):
        pkpd.diagnose(np.zeros(3), room.GoodnessOfFit())
    with pytest.raises(pkpd.UsageError, match="no page 7"):
        pkpd.diagnose(population, room.GoodnessOfFit()).figure(7)
    other = population.data.exclude([int(population.data.columns["ROW"][5])])
    with pytest.raises(MismatchError, match="not what was fitted"):
        pkpd.diagnose(population, room.GoodnessOfFit(), data=other)
