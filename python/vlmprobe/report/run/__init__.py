"""The page of a run, of any kind: read from its ledger, in sections, as one file."""
