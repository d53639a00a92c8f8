"""Tasks: what a head, its loss and its quality are."""
