"""rolloutctl: moves traffic from an old path to a new one in steps, and back when it must.

One sentence: `decide(rollout, seen, now) -> Decision` (core) is pure and total; everything else
feeds it (adapters read the target and its metrics) or obeys it (runner, then adapters again).
"""
