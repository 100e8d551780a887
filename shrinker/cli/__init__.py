"""The command line: ``shrinker replay``, ``explain`` and ``bench``."""
