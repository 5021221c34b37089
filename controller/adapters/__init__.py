"""Adapters to AWS, HTTP and stores: they translate arguments, results and errors only."""
