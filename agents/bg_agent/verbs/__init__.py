"""The verbs, a module per noun they are about. Each takes a `Call` and returns plain values.

The one rule: a verb raises only what `trouble` has.
"""
