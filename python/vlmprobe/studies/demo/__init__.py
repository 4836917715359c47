"""The demo's experiment, and what it found."""
