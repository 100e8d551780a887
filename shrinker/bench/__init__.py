"""What ``shrinker bench`` runs; docs/benchmark.md tells how to read it."""
