"""HTTP intake and queries. Edge processes speak HTTP; one core process owns the engine; frames travel between them.

process.py  `quanheng serve`: starts and stops both sides
core.py     the only process that owns the writer: collects requests into groups, commits, answers
wire.py     the frames between edge and core
link.py     the edge's connections to the core
intake.py   the hot path of the edge: bytes of a request in, bytes of an answer out
http.py     the Litestar application around it: documentation, queries, metrics
limits.py   request rates per client; config.py the one configuration file
"""
