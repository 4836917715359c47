"""From the failures of a run to a short ranked list of named failure modes; see `vlmprobe.cli.modes`.

concepts   what a run knows of a question: its words, and what the right answer was
asked      the judged questions of a run, each pair of picture and question once
halves     the pictures in two halves: modes are found on one and rated on the other
rules      a conjunction of one to three concepts, which takes questions
exact      exact tests, and q-values over everything that was looked at
search     conjunctions whose questions fail more often than the others
find       the whole way from questions to rated modes
naming     a rule in plain words
"""
