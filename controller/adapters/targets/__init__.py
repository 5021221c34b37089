"""What holds the weight: a Lambda environment, a Lambda alias, the rules of a load balancer.

The models that a policy names them by are in `core/policy/targets`.
"""
