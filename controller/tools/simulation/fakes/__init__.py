"""Fake clients of AWS, with the parameters and errors of botocore's models.

What they answer follows from the world's traffic and targets.
"""
