"""Adapters to AWS, HTTP and stores: they translate arguments, results and errors only.

Their Protocols are in `ports`, and `bootstrap` makes them.
"""
