"""What every part needs: checks of arguments, files, JSON, optional packages, what is shown to people."""
