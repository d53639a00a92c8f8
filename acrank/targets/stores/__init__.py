"""Stores: how the images and masks of a target are read from disk."""
