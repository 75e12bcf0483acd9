"""One module for each contestant.

``LIBRARIES`` names what a contestant imports, so that the child imports it before the clock
starts; the functions are what is timed. The driver imports none of them.
"""
