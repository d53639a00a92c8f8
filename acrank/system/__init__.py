"""The machine, its files and its random streams: what every other room may use."""
