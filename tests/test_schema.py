"""The table of names that results may hold."""

from __future__ import annotations

import re

from pkpd.schema import DIMENSIONS, GROUPS, VARIABLES, describe


def test_every_group_and_dimension_is_explained():
    for variable in VARIABLES.values():
        assert variable.group in GROUPS
        assert set(variable.dims) <= set(DIMENSIONS)
        assert variable.meaning


def test_records_have_the_names_of_nonmem():
    names = [name for group, name in VARIABLES if group == "records"]
    assert all(re.fullmatch("[A-Z]+", name) for name in names)
    assert {"ID", "TIME", "DV", "DVID", "PRED", "IPRED", "RES", "IRES", "WRES", "IWRES", "CWRES", "NPDE"} <= set(names)


def test_describe():
    assert describe("records", "TIME", "h") == {"long_name": "time", "units": "h"}
    assert "units" not in describe("estimates", "value")
    assert describe("records", "IWRES")["units"] == "1"
