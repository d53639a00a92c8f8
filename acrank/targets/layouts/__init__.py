"""What a folder or file means: one file a layout, each opened by a function that returns a `Target`."""
