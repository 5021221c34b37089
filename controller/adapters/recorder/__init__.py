"""Records what AWS answers, without secrets: which calls, and what of their answers is left out.

The verb is in `tools/record`.
"""
