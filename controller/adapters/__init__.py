"""Adapters to AWS, HTTP and stores: they translate arguments, results and errors only.

What is asked of them is in `ports`, and who makes them in `bootstrap`.
"""
