"""What rolloutctl needs from outside, as Protocols that adapters and simulated worlds implement."""
