"""Other ways from C into a shrinker's methods, all keeping the same contract.

A method gets an object of its own for the call: ``nr_to_scan`` is read only,
``nr_scanned`` takes an ``int`` from 0 to 2**64 - 1 and nothing else, and neither can
be used when the call is over.  It returns an ``int`` or the result class of its own
kind, anything else is an error, and after an error C is told 0 or STOP.

Each peer makes a ``struct shrinker`` of a cache.  They say nothing of what the
package has to do besides: knowing when a registration has gone, and bringing
exceptions to whoever started the walk.
"""
