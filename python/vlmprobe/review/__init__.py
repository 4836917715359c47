"""A finished run seen again: by another verifier, with another reward, by people."""
