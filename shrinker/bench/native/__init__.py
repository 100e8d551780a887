"""Native passes and walks, as ratios to two loops measured beside them."""
