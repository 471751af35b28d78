"""The models of the examples of the page on events that are not its common one."""

from __future__ import annotations

CLEARANCE = """
title = "Clearance follows the kidney"

[covariates]
CRCL = { unit = "mL/min", reference = 100, label = "creatinine clearance" }

[parameters]
cl = { typical = 4, unit = "L/h", times = "CRCL / 100" }
v  = { typical = 20, unit = "L" }

[routes]
iv = { into = "central", cmt = 1 }

[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
FED = """
title = "Food halves what is absorbed"

[covariates]
FOOD = { label = "1 with food" }

[parameters]
cl  = { typical = 2, unit = "L/h" }
v   = { typical = 20, unit = "L" }
fed = { typical = 0.5, unit = "1", label = "share that is absorbed with food" }

[routes]
oral = { into = "central", cmt = 1, bioavailability = "fed if FOOD > 0 else 1" }

[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
ENDOGENOUS = """
title = "A substance that the body makes"

[parameters]
base = { typical = 3, unit = "mg/L", label = "level without doses" }
k    = { typical = 0.2, unit = "1/h" }
v    = { typical = 20, unit = "L" }

[routes]
iv = { into = "central", cmt = 1 }

[dynamics]
equations = '''
cp = central / v
d/dt(central) = k * (base * v - central)
central(0) = base * v
'''

[outputs]
cp = { unit = "mg/L", label = "substance in plasma" }
"""
SWITCH = """
title = "Elimination that slows down at a time of its own"

[parameters]
k1  = { typical = 0.1, unit = "1/h", label = "elimination before" }
k2  = { typical = 0.02, unit = "1/h", label = "elimination after" }
tsw = { typical = 8, unit = "h", label = "time of the change" }
v   = { typical = 20, unit = "L" }

[routes]
iv = { into = "central", cmt = 1 }

[dynamics]
equations = '''
k = k1 if t < tsw else k2
cp = central / v
d/dt(central) = -k * central
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
PARALLEL = """
title = "First-order and zero-order absorption side by side"

[parameters]
ka    = { typical = 1, unit = "1/h" }
cl    = { typical = 4, unit = "L/h" }
v     = { typical = 20, unit = "L" }
first = { typical = 0.4, transform = "logit", lower = 0, upper = 1, label = "share that is absorbed first-order" }
tlag  = { typical = 3, unit = "h", label = "lag of the rest" }
dur   = { typical = 8, unit = "h", label = "duration of the rest" }

[routes]
dual = { cmt = 1, inputs = [
  { into = "depot", bioavailability = "first" },
  { into = "central", bioavailability = "1 - first", lag = "tlag", duration = "dur" },
] }
fast = { into = "depot", cmt = 2 }
slow = { into = "central", cmt = 3, lag = "tlag", duration = "dur" }

[dynamics]
equations = '''
cp = central / v
d/dt(depot)   = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
TRANSIT = """
title = "Transit absorption"

[parameters]
mtt = { typical = 4, unit = "h", label = "mean time until absorption" }
cl  = { typical = 4, unit = "L/h" }
v   = { typical = 20, unit = "L" }

[routes]
capsule  = { into = "stage1", cmt = 1 }
solution = { into = "depot", cmt = 2 }

[dynamics]
equations = '''
ktr = 4 / mtt
cp = central / v
d/dt(stage1)  = -ktr * stage1
d/dt(stage2)  = ktr * (stage1 - stage2)
d/dt(stage3)  = ktr * (stage2 - stage3)
d/dt(stage4)  = ktr * (stage3 - stage4)
d/dt(depot)   = -depot / mtt
d/dt(central) = ktr * stage4 + depot / mtt - cl * cp
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
EFFECT = """
title = "A drug lowers haemoglobin; a transfusion is a dose of it"

[parameters]
cl   = { typical = 1, unit = "L/h" }
v    = { typical = 20, unit = "L" }
base = { typical = 140, unit = "g/L", label = "haemoglobin without the drug" }
kout = { typical = 0.02, unit = "1/h" }
ic50 = { typical = 1, unit = "mg/L" }

[routes]
iv          = { into = "central", cmt = 1 }
transfusion = { into = "hb", cmt = 2, unit = "g/L" }

[states]
hb = { unit = "g/L", label = "haemoglobin" }

[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
d/dt(hb) = kout * base * (1 - cp / (ic50 + cp)) - kout * hb
hb(0) = base
'''

[outputs]
hb = { unit = "g/L", label = "haemoglobin" }
"""
