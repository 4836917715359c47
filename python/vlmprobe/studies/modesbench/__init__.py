"""How good failure modes are, over sets of planted faults; see docs/modes.md and `vlmprobe.cli.modesbench`.

settings    the answerers and verifiers under which it is measured
run         one run: a fault set asked about by the default prober, its modes found, and all that is counted of them
instances   uniform questions about other pictures, with the faults that they reach
profile     a list of weaknesses against the planted ones, as EvalTree defines it
rivals      other lists of weaknesses from the same failures: plain topics, a table by skill
shrunk      examples that were shrunk, held against the truth
summary     the numbers over all sets
"""
