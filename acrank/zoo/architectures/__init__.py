"""Networks without their weights: from timm, other libraries, acrank itself, and a user's factories."""
