#!/usr/bin/env bash
# rolloutctl as a container of IMAGE, for one command: with the variables, the folders, the network
# and the user of the job, a root that is read-only, and no capability.
set -euo pipefail

options=(--rm --network host --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)
options+=(--user "$(id -u):$(id -g)" --workdir "$PWD")
for folder in "$GITHUB_WORKSPACE" "$RUNNER_TEMP"; do
    options+=(--volume "$folder:$folder")
done
while read -r name; do
    case $name in
    # These are of the machine. The values of the others stay off the command line.
    HOME | HOSTNAME | IMAGE | LD_* | OLDPWD | PATH | PWD | PYTHON* | SHELL | SHLVL | TMPDIR | _) ;;
    *) options+=(--env "$name") ;;
    esac
done < <(compgen -e)
exec docker run "${options[@]}" --env HOME=/tmp "$IMAGE" "$@"
