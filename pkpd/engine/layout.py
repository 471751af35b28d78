"""Where each array lies in the work space of the solver, for a program, a method and a schedule of given sizes."""

from __future__ import annotations

from typing import NamedTuple

from pkpd.engine.workspace import (
    COLLOCATION,
    FIELDS,
    LANE_DOUBLES,
    LANE_INTEGERS,
    MEMORY,
    STAGES,
    TABLEAU,
    WIDTH,
    Sizes,
)


class Layout(NamedTuple):
    """Sizes of the problem, and where each array begins in ``w`` (doubles) or ``q`` (integers)."""

    n: int
    solved: int
    size: int
    integrated: int
    wrt: int
    parameters: int
    covariates: int
    lines: int
    observables: int
    stored: int
    entries: int
    switches: int
    tail: int
    pair: int
    mode_length: int
    steady_feed: int
    pattern: int
    closure: int
    stride: int
    stages: int
    # doubles
    shape: int
    tableau: int
    one: int
    inverse: int
    place: int
    p: int
    c: int
    slopes: int
    amount: int
    h: int
    t: int
    ts: int
    y: int
    ynew: int
    tolerance: int
    inflow: int
    k: int
    stage: int
    zero: int
    error: int
    norm: int
    coefficients: int
    mask: int
    observed: int
    ways: int
    lags: int
    jacobian: int
    shift: int
    factors: int
    turns: int
    pairs: int
    rates: int
    right: int
    coupled: int
    flags: int
    switch_time: int
    linear: int
    theta: int
    span: int
    scale: int
    squared: int
    e: int
    e2: int
    f: int
    f2: int
    nothing: int
    modal: int
    modes: int
    amplitudes: int
    advanced: int
    event_time: int
    event_key: int
    dose: int
    window_time: int
    kept: int
    guess: int
    begun: int
    moved: int
    residuals: int
    images: int
    basis: int
    small: int
    step: int
    stop: int
    old_error: int
    last_step: int
    floor: int
    steady_end: int
    steady_span: int
    doubles: int
    # integers
    event_kind: int
    event_index: int
    window_kind: int
    window_dose: int
    subject: int
    halvings: int
    pointer: int
    count: int
    running: int
    fresh: int
    tried: int
    stiff_count: int
    mild_count: int
    rejected: int
    found: int
    since: int
    too_fast: int
    left: int
    steady: int
    steady_item: int
    window_pointer: int
    window_count: int
    cycles: int
    integers: int


def make_layout(size: Sizes, method: int, stored: int, events: int, doses: int, steady: bool) -> Layout:
    """Lay out the work space for a program of `size` (`pkpd.engine.lower.Sizes`)."""
    n, wrt = size.states, size.sensitivities
    events += size.switches
    total = size.augmented
    stages = STAGES[method]
    collocates = method == COLLOCATION
    stride = 3 + 3 * wrt
    ways = size.inputs if steady else 0
    fields: dict[str, int] = {}
    position = 0
    rows = {
        "shape": 1,
        "tableau": TABLEAU,
        "one": 1,
        "inverse": 1,
        "place": 1,
        "p": size.parameters,
        "c": size.covariates,
        "slopes": size.lines,
        "amount": 2,
        "h": size.hoisted,
        "t": 1,
        "ts": 1,
        "y": total,
        "ynew": total,
        "tolerance": total + 1,
        "inflow": total,
        "k": max(total, size.integrated * stages),
        "stage": total,
        "zero": total,
        "error": total,
        "norm": 3,
        "coefficients": 8,
        "mask": 1,
        "observed": size.observables * (1 + wrt),
        "ways": size.inputs * FIELDS * (1 + wrt),
        "lags": size.inputs * FIELDS * (1 + wrt) if size.covariates else 0,
        "jacobian": size.jacobian + size.integrated,
        "shift": 1,
        "factors": size.factors,
        "turns": 2 if collocates else 0,
        "pairs": (stages // 2) * size.pair if collocates else 0,
        "rates": stages * size.integrated if collocates else 0,
        "right": max(total, stages * size.integrated) if collocates else total,
        "coupled": total,
        "flags": size.switches,
        "switch_time": size.switches * (1 + wrt),
        "linear": 2 + size.pattern * (1 + size.active),
        "theta": 1,
        "span": 1,
        "scale": 1,
        "squared": 1,
        "e": size.expanded,
        "e2": size.closure,
        "f": size.closure * size.active,
        "f2": size.closure * size.active,
        "nothing": size.closure,
        "modal": 1,
        "modes": size.mode_length,
        "amplitudes": 2 * (n - size.solved),
        "advanced": n,
        "event_time": events,
        "event_key": events,
        "dose": doses * stride,
        "window_time": 2 * ways,
        "kept": 2 * total if ways else 0,
        "guess": total if ways else 0,
        "begun": total if ways else 0,
        "moved": total if ways else 0,
        "residuals": (MEMORY + 1) * total if ways else 0,
        "images": (MEMORY + 1) * total if ways else 0,
        "basis": MEMORY * total if ways else 0,
        "small": MEMORY * (MEMORY + 2) if ways else 0,
    }
    rows |= dict.fromkeys(LANE_DOUBLES, 1)
    for name, count in rows.items():
        fields[name] = position
        position += count * WIDTH
    doubles = position
    position = 0
    counts = {
        "event_kind": events,
        "event_index": events,
        "window_kind": 2 * ways,
        "window_dose": 2 * ways,
        "subject": 1,
        "halvings": 1,
    }
    for name, count in (counts | dict.fromkeys(LANE_INTEGERS, 1)).items():
        fields[name] = position
        position += count * WIDTH
    return Layout(
        n=n,
        solved=size.solved,
        size=total,
        integrated=size.integrated,
        wrt=wrt,
        parameters=size.parameters,
        covariates=size.covariates,
        lines=size.lines,
        observables=size.observables,
        stored=stored,
        entries=size.jacobian,
        switches=size.switches,
        tail=size.solved * WIDTH,
        pair=size.pair * WIDTH,
        mode_length=size.mode_length,
        steady_feed=size.steady_feed,
        pattern=size.pattern,
        closure=size.closure,
        stride=stride,
        stages=stages,
        doubles=doubles,
        integers=position,
        **fields,
    )
