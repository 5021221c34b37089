"""What rolloutctl needs from outside, as Protocols that adapters and simulated worlds implement.

Nothing here does anything; what keeps a Protocol is in `adapters`.
"""
