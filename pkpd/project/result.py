"""The numbers of an analysis as one tree: the chosen fit, and beside it what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.project.analysis import Analysis

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["lay_out"]


def lay_out(analysis: Analysis) -> xr.DataTree:
    """Give the tree of the chosen fit with the groups ``comparison``, ``attribution`` and ``what_if`` added.

    :func:`pkpd.load_fit` reads the file as the chosen fit.
    """
    import xarray as xr

    tree = analysis.chosen.fit.tree.copy()
    tree["comparison"] = xr.DataTree(_comparison(analysis))
    if analysis.study.plan.attribution is not None:
        tree["attribution"] = xr.DataTree(_attribution(analysis))
    for one in analysis.imagined:
        asked = analysis.study.plan.what_if
        assert asked is not None
        tail = (1 - asked.interval) / 2
        coords: dict[str, Any] = {"arm": list(one.arms), "time": one.times}
        variables: dict[str, Any] = {}
        for name, point, draws, text in (
            ("own", one.own, one.own_draws, "change by the drug alone"),
            ("total", one.total, one.total_draws, "change with everything else"),
        ):
            low, high = np.quantile(draws, [tail, 1 - tail], axis=1)
            for suffix, values in (("", point), ("_lower", low), ("_upper", high)):
                variables[name + suffix] = (("arm", "time"), values, {"units": "%", "long_name": text})
        made = xr.Dataset(variables, coords, {"uncertainty": one.uncertainty, "interval": asked.interval})
        made["time"].attrs["units"] = analysis.chosen.model.time_unit
        tree[f"what_if_{one.scenario.name}"] = xr.DataTree(made)
    return tree


def _comparison(analysis: Analysis) -> xr.Dataset:
    import xarray as xr

    keys = list(analysis.compared)
    fits = [analysis.compared[key] for key in keys]
    return xr.Dataset(
        {
            "sum_of_squares": ("candidate", [one.misfit for one in fits], {"long_name": "weighted sum of squares"}),
            "free": ("candidate", [len(one.free) for one in fits]),
            "rank": ("candidate", [int(one.fit.verdict["rank"]) for one in fits]),
            "status": ("candidate", [one.fit.status for one in fits]),
            "lowest_at": ("candidate", [analysis.lowest[key][0] for key in keys]),
            "lowest": ("candidate", [analysis.lowest[key][1] for key in keys], {"units": "%"}),
            "curve": (("candidate", "time"), np.array([analysis.curves[key] for key in keys]), {"units": "%"}),
        },
        {"candidate": keys, "time": ("time", analysis.times, {"units": analysis.chosen.model.time_unit})},
    )


def _attribution(analysis: Analysis) -> xr.Dataset:
    import xarray as xr

    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    assert asked is not None
    sds = sorted((plan.spread.sd, *plan.spread.others))
    named = {key: analysis.shares[key] for key in analysis.compared}
    for one, variants in analysis.sensitivity:
        if one.attribute == "interval":
            named |= {f"{one.name}: {v.case.name}": v.shares for v in variants if v.fitted is not None}
    ends = np.array([[[share.interval(asked.level, sd) for sd in sds] for share in s] for s in named.values()])
    return xr.Dataset(
        {
            "whole": (("fit", "when"), [[share.whole for share in s] for s in named.values()], {"units": "%"}),
            "part": (
                ("fit", "when"),
                [[share.part if share.determined else np.nan for share in s] for s in named.values()],
                {"units": "%", "long_name": f"part of {asked.drug}"},
            ),
            "lower": (("fit", "when", "sd"), ends[..., 0], {"units": "%"}),
            "upper": (("fit", "when", "sd"), ends[..., 1], {"units": "%"}),
        },
        {"fit": list(named), "when": list(asked.labels), "sd": sds},
        {"level": asked.level},
    )
