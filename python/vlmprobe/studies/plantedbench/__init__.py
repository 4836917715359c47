"""PlantedBench: how many planted faults a way of asking finds, at what cost; see `vlmprobe.cli.plantedbench`."""
