"""What the program needs from outside, as Protocols; adapters and simulated worlds have them."""
