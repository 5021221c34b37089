#!/usr/bin/env bash
# Starts, follows or rolls back one rollout, and ends as rolloutctl does: its exit statuses are in
# the README of the program.
#
# COMMAND ROLLOUT REVISION ADOPT REASON TIMEOUT INTERVAL STORE JUNIT REPORT COMMENT: as action.yml says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/github/telling.sh
. "$here/telling.sh"

[ -z "$STORE" ] || export ROLLOUTCTL_STORE=$STORE

refused() {
    echo "::error title=rolloutctl::$(escaped "$1")"
    exit 2
}

[ "$ROLLOUT" ] || refused "the input rollout says which: a policy, or the name or id of a rollout"

begin=()
[ -z "$REVISION" ] || begin+=(--revision="$REVISION")
[ "$ADOPT" != true ] || begin+=(--adopt)
why=()
[ -z "$REASON" ] || why+=(--reason="$REASON")

# What the gates can decide in the traffic of the account; it is there where a rollout begins.
plan=""
if [ "$COMMENT" = true ] && [[ $COMMAND =~ ^(start|run)$ ]]; then
    plan=$(rolloutctl plan --live -- "$ROLLOUT" 2>/dev/null </dev/null) || plan=""
fi

status=0
case $COMMAND in
start) rolloutctl start "${begin[@]}" -- "$ROLLOUT" || status=$? ;;
run) rolloutctl run "${begin[@]}" --interval="$INTERVAL" --timeout="$TIMEOUT" -- "$ROLLOUT" || status=$? ;;
wait) rolloutctl status --wait --interval="$INTERVAL" --timeout="$TIMEOUT" -- "$ROLLOUT" || status=$? ;;
status) rolloutctl status --exit-code -- "$ROLLOUT" || status=$? ;;
rollback) rolloutctl rollback "${why[@]}" -- "$ROLLOUT" || status=$? ;;
*) refused "command is check, start, run, wait, status or rollback, not '$COMMAND'" ;;
esac
told OUTPUT "status=$status"

options=()
if [ "$JUNIT" ]; then
    mkdir -p -- "$JUNIT"
    options+=(--junit="$JUNIT/rollout.xml")
fi
# What was done stays done, whether it can be shown or not.
if [ "$COMMENT" = true ] && about=$(rolloutctl status --json -- "$ROLLOUT" 2>/dev/null); then
    begin_comment
    printf '%s' "$about" >"$comment_folder/rollout.json"
fi
if page=$(rolloutctl status --markdown "${options[@]}" -- "$ROLLOUT" 2>/dev/null); then
    summarised <<<"$page"
fi
[ -z "$plan" ] || folded "Plan" <<<"$plan" | summarised
if [ "$REPORT" ]; then
    file=$(report_file rollout)
    rolloutctl report --html="$file" -- "$ROLLOUT" 2>/dev/null | shown || true
fi
exit "$status"
