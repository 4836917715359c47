"""The training step and the evaluation, a stage a file."""
