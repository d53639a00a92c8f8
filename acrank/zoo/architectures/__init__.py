"""Networks without their weights: timm, other libraries, acrank's own, and a user's factories."""
