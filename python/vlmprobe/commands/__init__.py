"""The subcommands of `vlmprobe`, a module each; `vlmprobe.cli` lists them."""
