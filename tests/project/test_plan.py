"""A fit.toml is read strictly."""

from __future__ import annotations

import pytest

from pkpd.errors import FitFileError
from pkpd.project.plan import Plan


def test_a_sound_plan_is_read(folder):
    plan = Plan.read(folder / "fit.toml")
    assert plan.candidates["nothing"].fix == {"effect": 0.0, "k": 0.1}
    assert plan.sensitivity[0].cases[2].rows == "all"
    assert plan.what_if is not None and plan.what_if.scenarios[0].arms["10 mg"] == "10 mg iv"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 7", "sede = 7", "Did you mean `seed`"),
        ('model = "linear"', 'model = "linaer"', "Did you mean `linear`"),
        ('rows = "known"', 'rows = "none"', "there is no `none`"),
        ("sd = 10", "sd = 0", "the SD is 0"),
        ('labels = ["6 h"]', "labels = []", "1 times have 0 labels"),
        ('rows = "all"', 'rows = "few"', "case `all`"),
        ('candidates = ["nothing"]', 'candidates = ["something"]', "what_if.candidates"),
        ("seed = 7", "seed = ", "this is not TOML"),
    ],
)
def test_what_has_no_meaning_is_refused(folder, old, new, said):
    path = folder / "fit.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FitFileError) as error:
        Plan.read(path)
    assert said in str(error.value)


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(FitFileError, match=r"there is no fit\.toml"):
        Plan.read(tmp_path / "fit.toml")
