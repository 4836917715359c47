"""Who asks: the questioner, how it samples, what is asked before, and the face of anything that asks."""
