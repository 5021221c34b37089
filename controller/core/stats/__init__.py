"""The statistics of the judge: evidence that may be looked at every minute. Pure floats.

An e-process is the capital of a player who bets, at fair odds, that a rule is broken: while the
rule is kept, the capital ever grows a hundredfold with a chance of at most one in a hundred
(Ville).
"""
