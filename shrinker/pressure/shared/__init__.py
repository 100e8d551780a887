"""The workers of one container: processes under one limit share a shortage.

``shares`` divides, without side effects.  ``table`` is the shared memory.  ``seats``
puts both in front of a worker.  docs/workers.md says what users see of it.
"""
