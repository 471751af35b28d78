"""Omega: blocks, the diagonal, and what is no covariance matrix."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError
from pkpd.model import Block, Model, Omega, Parameter

BLOCK = Block(parameters=("v1", "vp"), covariance=((0.0842,), (0.0226, 0.0260)))


def test_matrix_follows_the_names_asked_for():
    omega = Omega(blocks=(BLOCK,), diagonal=(("cl", 0.04),))
    assert omega.names == ("v1", "vp", "cl")
    assert omega.matrix(["cl", "vp", "ka", "v1"]).tolist() == [
        [0.04, 0, 0, 0],
        [0, 0.0260, 0, 0.0226],
        [0, 0, 0, 0],
        [0, 0.0226, 0, 0.0842],
    ]


@pytest.mark.parametrize(
    ("names", "covariance", "message"),
    [
        (("a", "b"), ((1.0,), (2.0, 1.0)), "not positive definite"),
        (("a", "b"), ((1.0,), (1.0,)), "rows have 1, 1 values"),
        (("a",), ((1.0,),), "two or more different"),
        (("a", "a"), ((1.0,), (0.0, 1.0)), "two or more different"),
        (("a", "b"), ((1.0,), (float("nan"), 1.0)), "not finite"),
    ],
)
def test_blocks_that_cannot_be(names, covariance, message):
    with pytest.raises(ModelError, match=message):
        Block(parameters=names, covariance=covariance)


def test_a_variance_stands_once():
    with pytest.raises(ModelError, match="v1 has its variance twice"):
        Omega(blocks=(BLOCK,), diagonal=(("v1", 0.04),))


def rows(**iiv):
    return [Parameter(name=name, typical=1.0, iiv=iiv.get(name, 0.0)) for name in ("cl", "v1", "vp")]


def test_a_model_gathers_its_omega():
    model = Model(parameters=rows(cl=0.09), blocks=[BLOCK])
    assert model.parameters["vp"].iiv == 0.0260
    assert model.omega == Omega(blocks=(BLOCK,), diagonal=(("cl", 0.09),))
    with pytest.raises(ModelError, match=r"iiv = 0\.5, and the variance 0\.0842"):
        Model(parameters=rows(v1=0.5), blocks=[BLOCK])
    with pytest.raises(ModelError, match="`v1` is not a parameter"):
        Model(parameters=rows()[:1], blocks=[BLOCK])


TEXT = """
[parameters]
v1 = { typical = 1, iiv = 0.25 }
vp = { typical = 1, iiv = 0.04 }
[[omega]]
parameters = ["v1", "vp"]
correlation = [[1], [0.12, 1]]
"""


def test_correlations_in_a_file():
    block = Model(TEXT).blocks[0]
    assert block.covariance[0] == (0.25,) and block.covariance[1] == pytest.approx((0.12 * 0.5 * 0.2, 0.04))
    with pytest.raises(ModelError, match="either covariance or correlation"):
        Model(TEXT.replace("correlation", "# correlation"))
    with pytest.raises(ModelError, match="need the lower triangle, and iiv"):
        Model(TEXT.replace(", iiv = 0.04", ""))
    with pytest.raises(ModelError, match="rows of numbers"):
        Model(TEXT.replace("[[1], [0.12, 1]]", "[1, 2]"))


def test_variances_have_names():
    model = Model("""
    title = "three that differ"
    [parameters]
    a = { typical = 1.0, iiv = 0.2 }
    b = { typical = 1.0, iiv = 0.3 }
    c = { typical = 1.0, iiv = 0.1, iov = 0.05 }
    [[omega]]
    parameters = ["a", "b"]
    covariance = [[0.2], [0.1, 0.3]]
    [dynamics]
    equations = "y = a + b + c"
    [outputs]
    y = { add = 1 }
    """)
    assert list(model.variance_names) == ["iiv.a", "iiv.b", "iiv.c", "iiv.b,a", "iov.c"]
    changed = model.set({"iiv.a": 0.5, "iiv.b,a": 0.2, "iov.c": 0.01, "iiv.c": 0.4})
    assert changed.omega.matrix(["a", "b", "c"]).tolist() == [[0.5, 0.2, 0], [0.2, 0.3, 0], [0, 0, 0.4]]
    assert (changed.parameters["a"].iiv, changed.parameters["c"].iov) == (0.5, 0.01)
    with pytest.raises(ModelError, match="not positive definite"):
        model.set({"iiv.b,a": 0.9})
    with pytest.raises(ModelError, match=r"`iiv\.d` is not a parameter"):
        model.set({"iiv.d": 0.9})
