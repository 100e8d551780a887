"""Parts of frameworks as shrinkers.  Each module needs its framework installed."""
