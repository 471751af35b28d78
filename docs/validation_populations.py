"""What the page on validation shows of population fits."""

from __future__ import annotations

from functools import partial

import numpy as np
from validation_tables import beside, table

__all__ = ["growth", "other_laws", "phenobarbital", "planned", "theophylline_population", "wang"]


def wang() -> str:
    """Give the objectives of every approximation, and random effects, at held parameters."""
    from tests.truth import test_wang as room

    rows = []
    for (law, estimator), printed in room.PRINTED.items():
        fit = room.held(law, estimator)
        title = str(fit.attrs["objective_name"]).removeprefix("-2 log L, ").removesuffix(", without n log(2 pi)")
        rows.append((f"{law}, {title}", f"{printed:.3f}", *beside(fit.ofv, f"{printed:.3f}", 0.51)))
    fit = room.held("proportional", room.FOCE())
    for i, (ours, printed) in enumerate(zip(fit["etas"]["eta"].values[:, 0], room.ETAS, strict=True), start=1):
        rows.append((f"η of person {i}, FOCE-I", f"{printed:.6f}", *beside(float(ours), f"{printed:.6f}", 0.6)))
    for what, name, printed in (("SD", "shrinkage", "0.8765"), ("variance", "shrinkage_variance", "0.9848")):
        rows.append((f"shrinkage of η ({what} form)", printed, *beside(fit["omega"][name].item(), printed)))
    return table(("", "printed", "pkpd", "digits"), rows)


def theophylline_population() -> str:
    """Give the minimum of FOCE with interaction, and the exact maximum."""
    import pkpd
    from tests.truth import test_theophylline_population as room

    fit = room.fitted(pkpd.FOCE())
    rows = [("objective", "116.8034", *beside(fit.ofv, "116.8034", 1.0))]
    value, error = fit.estimates["value"], fit.estimates["transformed_se"]
    for name, printed in (("ka", "0.4639"), ("cl", "1.0122"), ("v", "3.4598")):
        rows.append((f"ln {name}", printed, *beside(float(np.log(value.sel(parameter=name))), printed, 1.0)))
    for name, printed in (("iiv.ka", "0.4024"), ("iiv.cl", "0.0691"), ("iiv.v", "0.0192"), ("cp.add", "0.6944")):
        rows.append((name, printed, *beside(float(value.sel(parameter=name)), printed, 1.0)))
    held = room.errors_with_omega_held()
    for name, printed in (("ka", "0.1979"), ("cl", "0.0756"), ("v", "0.0429"), ("cp.add", "0.0925")):
        size = 0.6944 if name == "cp.add" else 1.0
        whole, part = (f"{size * float(e[name]):.4f}" for e in ({name: error.sel(parameter=name)}, held))
        label = f"standard error of {name if name == 'cp.add' else f'ln {name}'}"
        rows.append((label, printed, f"{whole}; {part} with Ω held", ""))
    exact = room.fitted(pkpd.Quadrature(nodes=9))
    error_of_sum = exact.verdict["marginal_error"].item()
    rows.append(
        ("exact −2 log L at its maximum", "", f"{exact.verdict['marginal'].item():.4f} ± {error_of_sum:.4f}", "")
    )
    saem = room.fitted(pkpd.SAEM(seed=1))
    rows.append(("the same at the estimates of SAEM (seed 1)", "", f"{saem.ofv:.4f}", ""))
    return table(("", "printed", "pkpd", "digits"), rows)


def phenobarbital() -> str:
    """Give FOCE with interaction on routine data: objectives, estimates, standard errors, shrinkage."""
    from tests.truth.phenobarbital import test_phenobarbital as room

    fit = room.fitted()
    rows = [
        ("objective at the starting values", "587.36644135", *beside(room.at_start().ofv, "587.36644135", 2.0)),
        ("objective at the printed estimates", "586.27605628", *beside(room.held().ofv, "586.27605628", 2.0)),
        ("objective at its minimum", "586.276056", *beside(fit.ofv, "586.276056", 1.0)),
    ]
    values, errors = room.column("value"), room.column("se")
    for name, printed in room.MINIMUM.items():
        rows.append((name, f"{printed:#.6g}", *beside(values[name], f"{printed:#.6g}")))
    for name, printed in room.ERRORS.items():
        rows.append((f"standard error of {name}", f"{printed:#.6g}", *beside(errors[name], f"{printed:#.6g}")))
    return table(("", "printed", "pkpd", "digits"), rows)


def other_laws() -> str:
    """Give the same example under other laws of the residual error."""
    from tests.truth import test_wang as room

    rows = []
    ways = (room.FO, partial(room.FOCE, interaction=False), room.FOCE)
    for law, (text, values) in room.OTHER_LAWS.items():
        model = room.Model(room.TEXT.replace("LAW", text))
        cells = []
        for make, printed in zip(ways, values, strict=True):
            ours = room.pkpd.fit(model, room.seen(), make(max_iterations=0, covariance=None)).ofv
            shown, digits = beside(ours, f"{printed:.3f}", 0.51, more=1)
            cells.append((f"{printed:.3f} · {shown}", digits))
        agree = {digits for _, digits in cells}
        rows.append((law, *(cell for cell, _ in cells), "all" if agree == {"all"} else min(agree)))
    return table(("residual error", "FO", "FOCE", "FOCE-I", "digits"), rows)


def growth() -> str:
    """Give the populations that lme4 and nlme print."""
    from tests.truth import test_growth_curves as room

    exactly = room.FOCE(tolerance=1e-12)  # as far as every processor goes
    fit = room.fitted("orange", exactly)
    ours = room.of(fit)
    rows = [("orange trees: deviance", room.LME4_DEVIANCE, *beside(room.deviance(fit), room.LME4_DEVIANCE))]
    words = {"iiv.asym": "SD of asym", "girth.add": "residual SD"}
    printed_too = (room.LME4 | room.LME4_SDS).items()
    rows += [(f"orange trees: {words.get(n, n)}", t, *beside(ours[n], t, more=1)) for n, t in printed_too]
    printed = {name: float(text) for name, text in (room.NLME | room.NLME_SDS).items()}
    at = room.pkpd.fit(
        room.Model(room.LOBLOLLY),
        room.trees("loblolly"),
        room.FOCE(max_iterations=0, covariance=None),
        start=room.natural(printed),
    )
    text = room.NLME_LOG_LIKELIHOOD
    rows.append(("loblolly pines: log-likelihood at nlme's estimates", text, *beside(-0.5 * room.deviance(at), text)))
    lowest, _ = room.minimum()
    got = room.deviance(room.fitted("loblolly", exactly))
    rows.append(("loblolly pines: least deviance, by a simplex", f"{lowest:.4f}", *beside(got, f"{lowest:.4f}")))
    fit = room.theophylline(room.FOCE(max_iterations=0, covariance=None), at_printed=True)
    text = room.THEOPH_LOG_LIKELIHOOD
    rows.append(("theophylline: log-likelihood at nlme's estimates", text, *beside(-0.5 * room.deviance(fit), text)))
    return table(("", "printed", "pkpd", "digits"), rows)


def planned() -> str:
    """Give the relative standard errors that a study of warfarin is expected to have."""
    from tests.truth import test_information_warfarin as room

    rows = []
    laws = {room.PROPORTIONAL: "proportional", room.COMBINED: "proportional and additive"}
    for (law, full), printed in room.RSE.items():
        data, kind = room.known(law, full).data, "full" if full else "block-diagonal"
        for name, want in zip(room.NAMES, printed, strict=False):
            residual = name.startswith("cp.")
            ours = float(data["rse"].sel(parameter=name)) * (2 if residual else 1)
            label = f"{laws[law]}, {kind}: {name}" + (" as a variance" if residual else "")
            rows.append((label, f"{want:.6f}", *beside(ours, f"{want:.6f}", more=1)))
    return table(("RSE, %", "printed", "pkpd", "digits"), rows)
