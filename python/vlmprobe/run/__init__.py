"""What a run needs besides the loop: its folder, its ledger's pages, checkpoints, overlap, canaries."""
