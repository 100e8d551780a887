"""A running kernel: recording its passes, and a live table of them (Linux, root).

``tracefs`` switches events on in a buffer of its own, and puts everything back.
``recorder`` writes what the buffer holds to a file, ``live`` adds it up; ``objects``
reads debugfs and cgroups.  ``shrinker.cli`` prints.
"""
