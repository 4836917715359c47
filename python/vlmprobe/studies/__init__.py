"""Studies over several methods: what is run, what is compared, and what changes with the judge."""
