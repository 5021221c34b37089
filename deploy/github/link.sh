#!/usr/bin/env bash
# Links the attached report in the summary of the job.
#
# URL: as action.yml says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/github/telling.sh
. "$here/telling.sh"

summarised <<<"[Report of the rollout (HTML)]($URL)"
