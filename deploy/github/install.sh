#!/usr/bin/env bash
# Puts rolloutctl on the path of the job, and nothing else of its environment. With IMAGE, it is a
# container of that image each time (container.sh). Otherwise this is tried, in this order:
#
#   1. a rolloutctl of this version that is on the path: of the image, or of an earlier step
#   2. the folder of wheels, which the cache of the workflow or an earlier job has filled
#   3. the package index, for INDEX_LIMIT_S seconds in all; the wheels stay in the folder
#   4. a rolloutctl of another version that is on the path
#
# The outputs `wheels` (the folder) and `key` (of the cache) say what the cache should keep: nothing
# where no wheel was fetched. `install.sh look` says with the same outputs what it should restore.
#
# No module of the checkout runs here, and none hides one of Python's: a logging.py in its
# root, say. So each Python is isolated (-I), and so is rolloutctl; `leave_checkout` is for what they
# start.
#
# COMMAND IMAGE: as action.yml says.
set -euo pipefail
# shellcheck source=deploy/github/telling.sh
. "$GITHUB_ACTION_PATH/telling.sh"

source=$(cd "$GITHUB_ACTION_PATH/../.." && pwd)
home=$RUNNER_TEMP/rolloutctl
job=$PWD
locks=(-r "$source/requirements.lock" -r "$source/requirements-build.lock")

main() {
    # A rollback waits for neither an index nor a registry.
    limit_s=${INDEX_LIMIT_S:-120}
    [ "$COMMAND" != rollback ] || limit_s=${INDEX_LIMIT_S:-20}
    if [ "$IMAGE" ]; then
        from_image
        return
    fi
    if of_this_version; then
        rolloutctl --version
        return
    fi
    leave_checkout
    python_is_new_enough ||
        another_version "rolloutctl needs Python 3.11 or newer: let actions/setup-python go before"
    new_environment || another_version "rolloutctl is not installed: python3 -m venv failed"
    kept_at
    if [ -d "$wheels" ] && install; then
        echo "installed from the wheels in $wheels"
    else
        echo "there are no usable wheels in $wheels: asking the package index, for at most $limit_s s"
        { fetch && install; } || another_version \
            "rolloutctl is not installed: no usable wheels in the cache, none from the package index within $limit_s s"
        told OUTPUT "wheels=$wheels" "key=$key"
    fi
    make_program "$home/bin/python" -I "$home/bin/rolloutctl"
    told PATH "$home/path"
    "$home/path/rolloutctl" --version
}

from_image() {
    [[ $IMAGE =~ ^[a-z0-9][A-Za-z0-9./:@_-]*$ ]] || another_version "the input image is the name of an image"
    command -v docker >/dev/null || another_version "there is no docker, which the input image needs"
    pulled || another_version "the image was not pulled within $limit_s s"
    make_program env "IMAGE=$IMAGE" "$GITHUB_ACTION_PATH/container.sh"
    "$home/path/rolloutctl" --version || another_version "the image does not run"
    PATH=$home/path:$PATH of_this_version ||
        echo "::warning title=rolloutctl::the image is of another version than the action"
    told PATH "$home/path"
}

# Write a rolloutctl that runs the given command, with the words that it is given itself.
make_program() {
    mkdir -p "$home/path"
    printf '#!/usr/bin/env bash\nexec %s"$@"\n' "$(printf '%q ' "$@")" >"$home/path/rolloutctl"
    chmod +x "$home/path/rolloutctl"
}

# An image that is named by its digest is never another one: where it is there, no registry is asked.
pulled() {
    if [[ $IMAGE == *@sha256:* ]] && docker image inspect "$IMAGE" >/dev/null 2>&1; then return; fi
    limited "$limit_s" docker pull --quiet "$IMAGE"
}

look() {
    if [ "$IMAGE" ] || of_this_version; then return; fi
    leave_checkout
    if python_is_new_enough; then
        kept_at
        [ -d "$wheels" ] || told OUTPUT "wheels=$wheels" "key=$key"
    fi
}

of_this_version() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$source/pyproject.toml")
    [ "$(rolloutctl --version 2>/dev/null)" = "rolloutctl, version $version" ]
}

# pip and venv start a Python that is not isolated: it must not find the checkout either, neither as the
# current folder nor by a variable.
leave_checkout() {
    mkdir -p "$home"
    cd "$home"
    unset PYTHONPATH PYTHONHOME
}

python_is_new_enough() {
    python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'
}

# The wheels depend on the lock files, the Python and the platform; so do the folder and the key.
kept_at() {
    key=$(python3 -I - "$source" <<'PYTHON'
import hashlib, pathlib, sys, sysconfig
source = pathlib.Path(sys.argv[1])
locks = [(source / name).read_bytes() for name in ("requirements.lock", "requirements-build.lock")]
of = hashlib.sha256(b"".join(locks)).hexdigest()[:32]
print(f"rolloutctl-{sys.implementation.cache_tag}-{sysconfig.get_platform()}-{of}")
PYTHON
)
    wheels=$HOME/.cache/rolloutctl/$key
}

# An environment with a pip of its own takes three seconds more.
new_environment() {
    local options=(--clear --without-pip)
    pip=(python3 -I -m pip --disable-pip-version-check)
    if ! python3 -I -c 'import pip' 2>/dev/null; then
        options=(--clear)
        pip=("$home/bin/python" -I -m pip --disable-pip-version-check)
    fi
    python3 -I -m venv "${options[@]}" "$home"
}

# Install from the folder of wheels, and from nowhere else, whatever the configuration of pip says.
# What has another hash than the lock files say is refused, so the cache need not be trusted.
install() {
    local into=("${pip[@]}" --isolated --python "$home/bin/python" install --quiet --no-index)
    into+=(--no-deps --no-compile) # the lock files are complete, and one start needs little bytecode
    "${into[@]}" --find-links "$wheels" --require-hashes --only-binary :all: "${locks[@]}" &&
        "${into[@]}" --no-build-isolation "$source"
}

# Fill the folder of wheels: as a whole, or not at all. pip runs where the job stands, because paths in
# PIP_* variables may begin there.
fetch() {
    rm -rf "$wheels" "$wheels.part"
    mkdir -p "$wheels.part"
    (cd "$job" && limited "$limit_s" "${pip[@]}" download --quiet --retries 2 --timeout 5 \
        --require-hashes --only-binary :all: --dest "$wheels.part" "${locks[@]}") &&
        mv "$wheels.part" "$wheels"
}

# Run a command for at most so many seconds. Not every system has the command `timeout`.
limited() {
    python3 -I - "$@" <<'PYTHON'
import subprocess, sys
limit_s, *command = sys.argv[1:]
try:
    sys.exit(subprocess.run(command, timeout=float(limit_s)).returncode)
except subprocess.TimeoutExpired:
    sys.exit(f"not done within {limit_s} s, and stopped")
PYTHON
}

# The last resort. $1: why it is needed.
another_version() {
    local by_hand=""
    if command -v rolloutctl >/dev/null; then
        echo "::warning title=rolloutctl::$1. The rolloutctl on the path is used; it is of another version"
        exit 0
    fi
    [ "$COMMAND" != rollback ] || by_hand=". Set 0 % by hand: \
aws lambda get-function-configuration --function-name FUNCTION --query Environment >variables.json; \
edit variables.json: the percentage is \"0\", the boolean \"false\"; \
aws lambda update-function-configuration --function-name FUNCTION --environment file://variables.json"
    echo "::error title=rolloutctl::${1//%/%25}${by_hand//%/%25}"
    exit 1
}

case ${1:-} in
look) look ;;
*) main ;;
esac
