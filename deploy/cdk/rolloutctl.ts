/** The rolloutctl stack as a construct: the resources of `deploy/rolloutctl.yaml`, and no others. */

import * as path from "node:path";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { Construct } from "constructs";

/** Parameters of the template by their names there; the file describes each. */
export type RolloutctlParameters = { readonly [name: string]: string };

export interface RolloutctlProps {
  /** What `rolloutctl iam --parameters` prints, and what the template leaves open. */
  readonly parameters: RolloutctlParameters;
  /** The template. Default: the one of this checkout. */
  readonly templateFile?: string;
}

/**
 * Includes the template with the given parameters.
 *
 * A parameter that the template does not have, and a required one that is missing, fail the synthesis.
 */
export class Rolloutctl extends Construct {
  /** The included template, whose resources a stack may read or change by their logical ids. */
  readonly template: CfnInclude;

  constructor(scope: Construct, id: string, props: RolloutctlProps) {
    super(scope, id);
    this.template = new CfnInclude(this, "Template", {
      templateFile: props.templateFile ?? path.join(__dirname, "..", "rolloutctl.yaml"),
      parameters: props.parameters,
    });
  }
}
