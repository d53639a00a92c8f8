"""Layouts of folders and files: one module per layout, with a function that opens it as a `Target`."""
