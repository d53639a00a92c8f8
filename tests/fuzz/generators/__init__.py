"""What goes wrong, by entry point: each module adds its moves to `MOVES`."""
