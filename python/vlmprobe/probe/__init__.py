"""A probe: one file that says what is asked about which pictures, and what becomes of it."""
