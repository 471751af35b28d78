"""Routes and their inputs."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError
from pkpd.model import Input, Number, Route


def test_expressions_of_an_input():
    one = Input(into="gut", bioavailability=Number(0.5), duration=Number(2.0))
    assert list(one.expressions()) == [("bioavailability", Number(0.5)), ("duration", Number(2.0))]


def test_rate_and_duration_exclude_each_other():
    with pytest.raises(ModelError, match="both rate and duration"):
        Input(into="gut", rate=Number(1.0), duration=Number(2.0))


def test_a_route_leads_somewhere_and_counts_from_one():
    with pytest.raises(ModelError, match="leads nowhere"):
        Route(name="iv", inputs=())
    with pytest.raises(ModelError, match="cmt is 0"):
        Route(name="iv", inputs=(Input(into="central"),), cmt=0)
