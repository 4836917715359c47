"""What leaves a run for other programs: regression suites and fine-tuning sets; see docs/suites.md.

references     right answers to the questions of a run that were answered wrongly, and who says so
collect        the failures of a run as the items of a suite
suite          a frozen suite: written once, read with its hash checked
formats/       the same suite as other programs read it
evaluate       a suite's questions asked of an answerer; junit writes the result for continuous integration
train          failures with right answers as a fine-tuning set
"""
