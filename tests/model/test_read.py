"""Reading a model file: what it gives, and every message with its line."""

from __future__ import annotations

import tomllib

import pytest

from pkpd.errors import ModelError, ModelSyntaxError, UnitError
from pkpd.model import Check, Model
from pkpd.model.expression import to_text


def test_what_a_file_gives(text):
    model = Model(text)
    assert (model.title, model.time_unit, model.amount_unit, model.tags) == (
        "Ketamine, two compartments", "h", "mg", ("ketamine", "pk"),
    )  # fmt: skip
    assert model.source == {"mark": "secondary"}
    assert list(model.parameters) == ["cl", "v1", "q2", "v2", "fo", "ka"]
    assert to_text(model.parameters["cl"].times) == "(WT / 70) ** 0.75"
    assert model.parameters["q2"].rse == 0.1 and model.parameters["v2"].fixed
    assert model.constants["mm"].value == 237.73
    assert model.covariates["WT"].reference == 70
    assert list(model.states) == ["depot", "central", "peripheral1"]
    assert [one.into for one in model.routes["oral"].inputs] == ["depot", "central"]
    assert model.outputs["cp"].residual_names == ("cp.prop",)
    assert model.checks == (
        Check(dose="35 mg iv over 40 min", that="cmax(cp)", equals=0.25305, unit="mg/L", rtol=0.01, where="nowhere",
              covariates={"WT": 70.0}),
    )  # fmt: skip


def test_text_path_and_mapping_are_the_same(text, tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(text, encoding="utf-8")
    assert Model(text) == Model(path) == Model(str(path)) == Model(tomllib.loads(text))
    assert Model(path).name == "model"


def test_a_file_names_its_model(text, tmp_path):
    path = tmp_path / "ketamine_nobody2020.toml"
    path.write_text(text, encoding="utf-8")
    assert Model(path).name == "ketamine_nobody2020"
    assert Model('name = "other"\n' + text).name == "other"


def test_windows_line_ends(text):
    assert Model(text.replace("\n", "\r\n")) == Model(text)


GOLDEN = [
    (
        "- q2 * (cp - peripheral1 / v2)\nd/dt(peri",
        "- q2 * (ccp - peripheral1 / v2)\nd/dt(peri",
        ModelSyntaxError,
        "line 35, column 50: `ccp` is not defined.\n"
        "    d/dt(central)     = ka * depot - cl * cp - q2 * (ccp - peripheral1 / v2)\n"
        "                                                     ^\n"
        "  Defined here: cp, cm, depot, central, peripheral1, cl, v1, q2, v2, fo, ka, mm, WT. "
        "Did you mean `cp`?",
    ),
    (
        "unit = \"L/h\", iiv",
        "unit = \"L/min\", iiv",
        UnitError,
        "line 35, column 32: `ka * depot` is in mg/h, and `cl * cp` is in mg/min: they differ by a factor of 60.\n"
        "    d/dt(central)     = ka * depot - cl * cp - q2 * (cp - peripheral1 / v2)\n"
        "                                   ^\n"
        "  Convert in the open: multiply `cl * cp` by a row in [constants] such as "
        'scale = { value = 60, unit = "min/h" }.',
    ),
    (
        "label = \"clearance\"",
        "lable = \"clearance\"",
        ModelError,
        "line 19, column 50: `lable` is not a key of [parameters.cl].\n"
        '    cl = { typical = 84.0, unit = "L/h", iiv = 0.06, lable = "clearance", times = "(WT / 70) ** 0.75" }\n'
        "                                                     ^\n"
        "  Keys: typical, unit, lower, upper, transform, shape, iiv, iov, shift, fixed_iiv, fixed_iov, times, fixed, "
        "rse, label, source. "
        "Did you mean `label`?",
    ),
    (
        "(WT / 70) ** 0.75",
        "(WTT / 70) ** 0.75",
        ModelSyntaxError,
        "line 19, column 81: `WTT` is not a covariate, and times is made of covariates.\n"
        '    cl = { typical = 84.0, unit = "L/h", iiv = 0.06, label = "clearance", times = "(WTT / 70) ** 0.75" }\n'
        "                                                                                    ^\n"
        "  Defined here: WT. Did you mean `WT`?",
    ),
    (
        "cmt = 2 }",
        'cmt = 2, lag = "1 ^ 2" }',
        ModelSyntaxError,
        "line 27, column 44: `^` is not a power here.\n"
        '    iv = { into = "central", cmt = 2, lag = "1 ^ 2" }\n'
        "                                               ^\n"
        "  Use ** for powers.",
    ),
    (
        "[routes]",
        "[rotes]",
        ModelError,
        "line 26, column 1: `rotes` is not a key of a model file.\n"
        "    [rotes]\n"
        "    ^\n"
        "  Keys: units, title, reference, tags, source, name, include, covariates, constants, parameters, routes, "
        "states, outputs, needs, priors, mixture, omega, checks, dynamics. Did you mean `routes`?",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "kind", "message"), GOLDEN, ids=[new[:20] for _, new, _, _ in GOLDEN])
def test_golden_messages(change, old, new, kind, message):
    with pytest.raises(kind) as caught:
        Model(change(old, new))
    assert str(caught.value) == message


WRONG = [
    ("84.0", '"84"', "`typical` is the text '84'.", "A number was expected."),
    ("84.0", "true", "`typical` is true.", "A number was expected."),
    ("84.0", "nan", "typical is nan.", "finite"),
    ("84.0", "1" + "0" * 400, "`typical` is too large a number.", "1.8e308"),
    ("typical = 84.0", "typicl = 84.0", "`typicl` is not a key of [parameters.cl].", "Did you mean `typical`?"),
    ("typical = 84.0, ", "", "`cl` has no `typical`.", "A parameter has a typical value"),
    ("value = 237.73, ", "", "`mm` has no `value`.", "A constant is a number"),
    ("cmt = 2", "cmt = 2.5", "`cmt` is the number 2.5.", "A whole number was expected."),
    ("fixed = true", "fixed = 1", "`fixed` is the number 1.", "true or false was expected."),
    ('into = "central", cmt = 2', "cmt = 2", "route iv: it leads nowhere.", "inputs"),
    ('into = "central", c', 'into = "centrl", c', "`centrl`, where the route leads, is no", "Did you mean `central`"),
    ('{ into = "depot", ', "{ ", "`0` has no `into`.", "An input leads into a state."),
    ("[units]", "[units]\nmass = 'kg'", "`mass` is not a key of [units].", "Keys: time, amount."),
    ('mark = "secondary"', 'marks = "secondary"', "`marks` is not a key of [source].", "Did you mean `mark`?"),
    ("cm = { unit", "cx = { unit", "`cx` is not computed by the equations.", "Defined here: cp, cm"),
    ('dose = "35 mg iv over 40 min"\n', "", "`0` has no `dose`.", "A check says"),
    ('time = "h"', 'time = "mg"', "the unit of time is mg.", "Such as h, min or d."),
    ('unit = "mg/mmol"', 'unit = "mg/mmoll"', "`mmoll` is not a unit.", "Did you mean `mmol`?"),

    ("cm = cp / mm ", "cm = cp / mm + depot(0) ", "`depot` is not a function.", "Functions:"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "rest"), WRONG, ids=[what for _, _, what, _ in WRONG])
def test_what_is_wrong_is_said(change, old, new, what, rest):
    with pytest.raises(ModelError) as caught:
        Model(change(old, new))
    message = str(caught.value)
    assert what in message and rest in message and "line " in message


def test_everything_wrong_is_said_at_once(change):
    text = change("84.0", '"84"').replace("(cp -", "(cpp -").replace("cmt = 2", "cmt = 0").replace("dvid", "dvd")
    with pytest.raises(ModelError) as caught:
        Model(text)
    where = [finding.where for finding in caught.value.findings]
    assert where == [
        "line 19, column 8",
        "line 27, column 1",
        "line 40, column 23",
        "line 35, column 50",
        "line 36, column 27",
    ]


def test_a_broken_row_does_not_make_its_name_undefined(change):
    with pytest.raises(ModelError) as caught:
        Model(change("84.0", '"84"'))
    assert "not defined" not in str(caught.value)


def test_toml_that_is_none(change):
    with pytest.raises(ModelSyntaxError) as caught:
        Model(change("[routes]", "[routes"))
    assert "line 26, column 8: this is not TOML" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        Model("nowhere.toml")
    with pytest.raises(ModelError, match="is a directory"):
        Model(tmp_path)
    with pytest.raises(ModelError, match="is not a path"):
        Model("a\0b")
    path = tmp_path / "latin.toml"
    path.write_bytes("title = 'Zürich'".encode("latin-1"))
    with pytest.raises(ModelSyntaxError, match="not UTF-8"):
        Model(path)


def test_messages_name_the_file(change, tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(change("cp = central / v1", "cp = centrl / v1"), encoding="utf-8")
    with pytest.raises(ModelSyntaxError) as caught:
        Model(path)
    assert str(caught.value).startswith(f"{path}:32:6: `centrl` is not defined.")


def test_dotted_names_are_quoted(change):
    with pytest.raises(ModelError, match=r'in quotes: "drug\.cl" = …'):
        Model(change("[parameters]", "[parameters]\ndrug.cl = { typical = 1 }"))


def test_equations_on_the_line_of_their_key():
    with pytest.raises(ModelSyntaxError) as caught:
        Model("[dynamics]\nequations = 'x = 2 * y'\n")
    assert "line 2, column 22: `y` is not defined.\n    equations = 'x = 2 * y'\n" in str(caught.value)
