"""The sequential judge's mathematics: evidence that may be looked at every minute. Pure floats.

An e-process is the capital of somebody who bets, at fair odds, that the rule is broken: while it
holds, the chance that the capital ever grows a hundredfold is at most one in a hundred (Ville).
"""
