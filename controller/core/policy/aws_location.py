"""The account, region and partition in which a policy names its resources."""

from controller.immutable import Immutable


class AwsLocation(Immutable):
    """Account, region and partition of a role; CloudFormation's `Fn::Sub` fills unknown ones in."""

    account: str = "${AWS::AccountId}"
    region: str = "${AWS::Region}"
    partition: str = "${AWS::Partition}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` of `service` in this location."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` of `service` that belongs to no region."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    def full_arn(self, name: str, service: str, resource: str) -> str:
        """Return `name` if it is an ARN, else that of `resource`, in which `{}` is the name."""
        return name if name.startswith("arn:") else self.arn(service, resource.format(name))
