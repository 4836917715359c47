"""From the failures of a run to a short ranked list of named failure modes; see docs/modes.md and `vlmprobe.cli.modes`.

concepts, asked        what a run knows of a question; its judged questions, each pair of picture and question once
rules, naming          a conjunction of one to three parts, which takes questions; the same in plain words
halves                 the pictures in two halves: modes are found on one and rated on the other
exact, search, cover   exact tests and q-values; all conjunctions; the few that tell the failures best
rating, mode, find     what holds; what is known of a mode; the whole way from questions to modes
planned, cases         questions that are known before they are asked, in a run of their own, none paid twice
confirm                fresh questions for each rule
shrink, pairs, dose    the smallest case that fails; pairs that differ by a word; failing against an edit's strength
edits, closer          of pictures; the three at once
unseen                 how many kinds nobody has seen, and when one may stop
record                 modes in the ledger and in `modes.json`
"""
