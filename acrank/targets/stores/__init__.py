"""Where the images and masks of a target lie, and how one of them is read."""
