"""What the page on validation shows of population fits."""

from __future__ import annotations

import numpy as np
from validation_tables import beside, table

__all__ = ["theophylline_population", "wang"]


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
