"""The verb that records what AWS answers here.

The calls, and what is left out of the answers, are in `adapters/recorder`.
"""
