"""Many machines: one sequencer orders and logs, partitions fold what their entities did, deciders judge.

Only `ray_field` and `ray_actors` know Ray, and only `opening` imports them, when a cluster is asked for.
"""
