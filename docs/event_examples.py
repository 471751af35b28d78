"""The examples of the page on events: each is written once, shown on the page, run by the engine and drawn."""

from __future__ import annotations

from event_models import CLEARANCE, EFFECT, ENDOGENOUS, FED, PARALLEL, SWITCH, TRANSIT
from event_runs import Example, Mark

EXAMPLES: dict[str, Example] = {
    "order": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE  II  ADDL
            1   0     1     1    60   5     .   .
            1   0     1     1    60   .     12  1
            1   12    0     .    .    .     .   .
            1   12    4     1    80   .     .   .
            1   12    0     .    .    .     .   .
        """,
        labels={"1": ""},
        marks=(
            Mark("1", 0, 5, end=12, lane=0),
            Mark("1", 0, 60, lane=1),
            Mark("1", 12, 60, lane=1, text="60 mg, additional"),
            Mark("1", 12, 80, lane=2, text="80 mg, after the reset"),
        ),
        alt="At 12 h an infusion ends and an additional dose arrives; the first observation sees both. The reset and "
        "the dose of the next row follow; the second observation sees only that dose.",
    ),
    "bolus": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
            2   0     1     2    100
        """,
        labels={"1": "into central (iv)", "2": "into depot (oral)"},
        sentences={"1": "100 mg iv", "2": "100 mg oral"},
        marks=(Mark("1", 0, 100), Mark("2", 0, 100)),
        alt="A bolus into the central compartment jumps and falls; one into the depot rises and falls.",
    ),
    "infusion": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     1    100  10
            2   0     1     1    100  25
        """,
        labels={"1": "10 mg/h", "2": "25 mg/h"},
        sentences={"1": "100 mg iv over 10 h", "2": "100 mg iv at 25 mg/h"},
        marks=(Mark("1", 0, 10, end=10), Mark("2", 0, 25, end=4)),
        alt="Two infusions of 100 mg: at 10 mg/h they last 10 h, at 25 mg/h 4 h.",
    ),
    "bioavailability": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     4    100  10
            2   0     1     5    100  -2
        """,
        labels={"1": "rate given (RATE 10)", "2": "duration modelled (RATE −2)"},
        sentences={"1": "100 mg part at 10 mg/h", "2": "100 mg slow"},
        marks=(Mark("1", 0, 10, end=5), Mark("2", 0, 5, end=10)),
        alt="With bioavailability 0.5 an infusion of 100 mg at 10 mg/h lasts 5 h, one over 10 h runs at 5 mg/h.",
    ),
    "lag": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     3    100  .
            2   0     1     3    100  10
        """,
        labels={"1": "bolus", "2": "infusion"},
        sentences={"1": "100 mg late", "2": "100 mg late over 10 h"},
        marks=(Mark("1", 6, 100, given=0), Mark("2", 6, 10, end=16, given=0)),
        alt="Given at 0, with a lag of 6 h: the bolus arrives at 6 h, the infusion runs from 6 to 16 h.",
    ),
    "additional": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL
            1   0     1     1    100  12  3
        """,
        sentences={"1": "100 mg iv every 12 h x 4"},
        marks=tuple(Mark("1", 12.0 * i, 100) for i in range(4)),
        until=60,
        step=12,
        alt="Four doses, one every 12 h.",
    ),
    "steady": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL  SS
            1   0     1     1    100  12  5     1
            2   0     1     1    100  12  5     .
        """,
        labels={"1": "SS = 1", "2": "the same doses from nothing"},
        sentences={"1": "100 mg iv every 12 h x 6 at steady state", "2": "100 mg iv every 12 h x 6"},
        marks=(
            *(Mark("1", 12.0 * i, 100, past=True, text="") for i in (-2, -1)),
            *(Mark("1", 12.0 * i, 100, text=None if i == 0 else "") for i in range(6)),
            *(Mark("2", 12.0 * i, 100, text=None if i == 0 else "") for i in range(6)),
        ),
        start=-24,
        until=84,
        step=12,
        alt="With SS 1 the first dose finds the steady state; the same doses from nothing reach it after some days; "
        "after the last additional dose both wash out.",
    ),
    "steady-on-top": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL  SS
            1   0     1     1    150  .   .     .
            1   12    1     1    60   12  2     2
            2   0     1     1    150  .   .     .
            2   12    1     1    60   12  2     1
        """,
        labels={"1": "SS = 2: added to what is there", "2": "SS = 1: in place of what is there"},
        sentences={
            "1": "150 mg iv; 60 mg iv every 12 h x 3 plus steady state at 12 h",
            "2": "150 mg iv; 60 mg iv every 12 h x 3 at steady state at 12 h",
        },
        marks=(
            *(Mark(who, 0, 150) for who in "12"),
            *(Mark(who, 12.0 * i, 60) for who in "12" for i in (1, 2, 3)),
        ),
        until=48,
        alt="At 12 h a steady state of 60 mg every 12 h begins: with SS 2 on top of what is left of 150 mg, with SS 1 "
        "instead of it.",
    ),
    "endless": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE  SS
            1   0     1     1    0    10    1
        """,
        marks=(Mark("1", -12, 10, end=0, past=True, text="10 mg/h, always"),),
        start=-12,
        until=36,
        alt="An infusion of 10 mg/h that has always run ends at its record; 5 mg/L then fall.",
    ),
    "overlap": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE  II  ADDL  SS
            1   0     1     1    100  5     12  2     1
        """,
        sentences={"1": "100 mg iv over 20 h every 12 h x 3 at steady state"},
        marks=(
            *(Mark("1", 12.0 * i, 5, end=12.0 * i + 20, past=True, text="", lane=i % 2) for i in (-3, -2, -1)),
            *(Mark("1", 12.0 * i, 5, end=12.0 * i + 20, text="" if i < 2 else None, lane=i % 2) for i in range(3)),
        ),
        start=-24,
        until=60,
        step=12,
        alt="Infusions of 20 h every 12 h overlap: one or two run at any time, also at the record of the steady state.",
    ),
    "late-train": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL  SS
            1   0     1     3    40   4   2     1
        """,
        sentences={"1": "40 mg late every 4 h x 3 at steady state"},
        marks=(
            *(Mark("1", 4.0 * i + 6, 40, given=4.0 * i, past=True, text="") for i in (-4, -3, -2, -1)),
            *(Mark("1", 4.0 * i + 6, 40, given=4.0 * i, text="" if i < 2 else "40 mg each") for i in range(3)),
        ),
        start=-10,
        until=24,
        step=4,
        alt="Doses every 4 h that arrive 6 h late: the train is endless, so that doses given before the record arrive "
        "after it, and the concentration goes on as it always did.",
    ),
    "modelled": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     6    100  -1
            2   0     1     7    100  -2
        """,
        labels={"1": "RATE −1: rin = 20 mg/h", "2": "RATE −2: dur = 10 h"},
        sentences={"1": "100 mg pump", "2": "100 mg patch"},
        marks=(Mark("1", 0, 20, end=5), Mark("2", 0, 10, end=10)),
        alt="With RATE -1 the model's rate of 20 mg/h holds, and 100 mg last 5 h; with RATE -2 its duration of 10 h.",
    ),
    "together": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     1    50   .
            1   0     1     1    80   10
            1   0     1     2    100  .
            2   0     1     2    100  .
        """,
        labels={"1": "bolus, infusion and oral dose at once", "2": "the oral dose alone"},
        sentences={"1": "50 mg iv bolus; 80 mg iv over 8 h at 0 h; 100 mg oral at 0 h", "2": "100 mg oral"},
        marks=(
            Mark("1", 0, 50, text="50 mg iv", lane=0),
            Mark("1", 0, 10, end=8, lane=1),
            Mark("1", 0, 100, text="100 mg oral", lane=2),
            Mark("2", 0, 100, text="100 mg oral", lane=3),
        ),
        alt="A bolus, an infusion and an oral dose at one time: their curves add.",
    ),
    "observations": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL
            1   0     1     1    100  .   .
            1   12    0     .    .    .   .
            1   12    1     1    100  .   .
            1   12    0     .    .    .   .
            2   0     1     1    100  12  1
            2   12    0     .    .    .   .
        """,
        labels={"1": "two records of a dose", "2": "an additional dose (ADDL)"},
        marks=(Mark("1", 0, 100), Mark("1", 12, 100), Mark("2", 0, 100), Mark("2", 12, 100)),
        alt="At 12 h a row before the dose's row sees the trough, a row after it the peak; an additional dose is seen "
        "by every row of its time.",
    ),
    "other": Example(
        model=CLEARANCE,
        rows="""
            ID  TIME  EVID  CMT  AMT  CRCL
            1   0     1     1    100  100
            1   6     2     .    .    100
            1   24    0     .    .    25
            2   0     1     1    100  100
            2   24    0     .    .    25
        """,
        labels={"1": "with the row of EVID 2", "2": "without it"},
        marks=(Mark("1", 0, 100), Mark("2", 0, 100)),
        alt="With a row of EVID 2 at 6 h, clearance falls then; without it, it is low from the dose on.",
    ),
    "reset": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT  RATE
            1   0     1     1    240  12
            1   5     1     3    100  .
            1   8     3     .    .    .
            2   0     1     1    240  12
            2   5     1     3    100  .
        """,
        labels={"1": "with the reset at 8 h", "2": "without it"},
        marks=(
            Mark("1", 0, 12, end=8, text="  12 mg/h, stopped", lane=0),
            Mark("1", 11, 0, given=5, text="100 mg, cancelled", lane=1),
            Mark("2", 0, 12, end=20, lane=2, text="12 mg/h"),
            Mark("2", 11, 100, given=5, lane=3),
        ),
        lines={8: ""},
        alt="A reset at 8 h empties the body, stops the infusion and cancels the lagged dose on its way.",
    ),
    "reset-dose": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
            1   8     4     1    60
            2   0     1     1    100
            2   8     1     1    60
        """,
        labels={"1": "EVID 4", "2": "EVID 1"},
        marks=tuple(Mark(who, time, amount) for who in "12" for time, amount in ((0, 100), (8, 60))),
        alt="With EVID 4 the dose at 8 h finds an empty body, with EVID 1 what is left of the first.",
    ),
    "initial": Example(
        model=ENDOGENOUS,
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     0     .    .
            1   6     1     1    60
            1   10    3     .    .
            1   18    1     1    60
        """,
        marks=(Mark("1", 6, 60), Mark("1", 18, 60)),
        lines={10: "reset"},
        until=36,
        alt="A substance of the body starts at its own level, returns to it after a dose, and stands there again after "
        "a reset.",
    ),
    "carry": Example(
        model=CLEARANCE,
        rows="""
            ID  TIME  EVID  CMT  AMT  CRCL
            1   0     1     1    100  100
            1   12    0     .    .    20
            1   24    0     .    .    80
        """,
        marks=(Mark("1", 0, 100),),
        alt="Creatinine clearance of 100, 20 and 80 mL/min at 0, 12 and 24 h, carried back, on, and along lines.",
    ),
    "additional-covariate": Example(
        model=FED,
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL  FOOD
            1   0     1     1    100  12  3     0
            1   18    0     .    .    .   .     1
            1   30    0     .    .    .   .     0
            1   48    0     .    .    .   .     0
        """,
        marks=tuple(Mark("1", 12.0 * i, a, text=f"{a} mg") for i, a in enumerate((100, 50, 100, 100))),
        until=48,
        step=6,
        alt="Of four doses every 12 h the second, in the interval that ends at a row with food, goes in with half.",
    ),
    "switch": Example(
        model=SWITCH,
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
        """,
        marks=(Mark("1", 0, 100),),
        lines={8: "t = tsw"},
        alt="The half-life changes at a parameter tsw of 8 h; the derivative of the concentration with respect to tsw "
        "is zero before and agrees with differences after.",
    ),
    "parallel": Example(
        model=PARALLEL,
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
            2   0     1     2    40
            3   0     1     3    60
        """,
        labels={"1": "dual: both", "2": "40 mg first-order", "3": "60 mg zero-order, late"},
        sentences={"1": "100 mg dual", "2": "40 mg fast", "3": "60 mg slow"},
        marks=(
            Mark("1", 0, 40, lane=0),
            Mark("1", 3, 7.5, end=11, given=0, lane=1),
            Mark("2", 0, 40, lane=2),
            Mark("3", 3, 7.5, end=11, given=0, lane=3),
        ),
        alt="A dose of 100 mg: 40 mg at once into the depot, 60 mg over 8 h into plasma after a lag of 3 h.",
    ),
    "transit": Example(
        model=TRANSIT,
        rows="""
            ID  TIME  EVID  CMT  AMT  II  ADDL
            1   0     1     1    100  24  1
            2   0     1     2    100  24  1
        """,
        labels={"1": "through four transits", "2": "one step of the same mean"},
        sentences={"1": "100 mg capsule every 24 h x 2", "2": "100 mg solution every 24 h x 2"},
        marks=tuple(Mark(who, 24.0 * i, 100) for who in "12" for i in (0, 1)),
        until=48,
        step=6,
        alt="Through a chain of four stages the rise begins late and is steep; one step of the same mean time rises "
        "at once.",
    ),
    "effect-state": Example(
        model=EFFECT,
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
            1   48    1     2    20
            2   0     1     1    100
        """,
        labels={"1": "with 20 g/L transfused at 48 h", "2": "without"},
        marks=(Mark("1", 0, 100), Mark("1", 48, 20, text="20 g/L"), Mark("2", 0, 100)),
        until=168,
        step=24,
        floor=80,
        alt="A transfusion at 48 h lifts haemoglobin, which a drug has lowered, by 20 g/L at once.",
    ),
    "legacy": Example(
        rows="""
            ID  TIME  EVID   AMT
            1   0     10101  10
            1   10    10101  -10
            1   18    101    60
        """,
        marks=(Mark("1", 0, 10, end=10), Mark("1", 18, 60)),
        until=30,
        alt="10101 with 10 turns an infusion on, with -10 off; 101 is a bolus.",
    ),
    "occasions": Example(
        rows="""
            ID  TIME  EVID  CMT  AMT
            1   0     1     1    100
            1   18    0     .    .
            1   0     4     2    100
            1   6     0     .    .
            1   18    0     .    .
        """,
        marks=(Mark("1", 0, 100, text="100 mg iv"), Mark("1", 18, 100, text="100 mg oral")),
        lines={18: "TIME starts again"},
        until=36,
        alt="The second occasion starts at TIME 0 again with EVID 4: on the clock that runs on it begins at 18 h.",
    ),
}
