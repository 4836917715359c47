"""From questions to named skills: primitives, topics, skills and meta-skills.

    built = build([method], labeller, embedder)
    built.taxonomy.write("taxonomy.json")

`vlmprobe.taxonomy.build` has the stages in a row, `assign` applies a taxonomy to other questions, and `document`
is the file that holds one.
"""
