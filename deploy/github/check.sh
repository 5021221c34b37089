#!/usr/bin/env bash
# Validates, plans and rehearses policies. Mistakes are annotations, the rest is in the log and the
# summary; ends with 1 when something is wrong with one of them.
#
# POLICIES SCENARIOS INTERVAL REQUESTS_PER_MINUTE LIVE HISTORIES MAX_FALSE_ROLLBACKS ALSO STORE JUNIT REPORT COMMENT: as action.yml says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/github/telling.sh
. "$here/telling.sh"

[ -z "$STORE" ] || export ROLLOUTCTL_STORE=$STORE

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
wrong=0

main() {
    local policy
    while read -r pattern; do
        [ "$pattern" ] || continue
        # What matches nothing stays as it is, and is told as a file that is not there.
        compgen -G "$pattern" || printf '%s\n' "$pattern"
    done <<<"$POLICIES" >"$work/policies"
    while read -r policy; do
        check "$policy" || wrong=1
    done <"$work/policies"
    exit "$wrong"
}

check() {
    local policy=$1 failed=0 one
    echo "::group::$(escaped "$policy")"
    begin_comment
    [ -z "$comment_folder" ] || printf '%s' "$policy" >"$comment_folder/policy"
    if validated "$policy"; then
        planned "$policy" || failed=1
        while read -r one; do
            [ -z "$one" ] || rehearsed "$policy" "${one%%=*}" "${one#*=}" || failed=1
        done <<<"$SCENARIOS"
        while read -r one; do
            [ "${one%%=*}" != "$policy" ] || backtested "$policy" "${one#*=}" || failed=1
        done <<<"$HISTORIES"
        also "$policy" || failed=1
    else
        failed=1
    fi
    [ -z "$comment_folder" ] || [ "$failed" = 0 ] || touch "$comment_folder/failed"
    echo "::endgroup::"
    return "$failed"
}

validated() {
    local status=0
    rolloutctl validate --format=github -- "$1" </dev/null >"$work/mistakes" 2>"$work/words" ||
        status=$?
    if [ "$status" != 0 ]; then
        cat "$work/mistakes" # each mistake is an annotation already
        [ -z "$comment_folder" ] || rolloutctl validate -- "$1" </dev/null 2>&1 | block | commented
        [ ! -s "$work/words" ] || annotated "$1" validate <"$work/words"
        return "$status"
    fi
    shown <"$work/mistakes"
}

planned() {
    local options=()
    [ "$LIVE" != true ] || options+=(--live)
    [ -z "$REQUESTS_PER_MINUTE" ] || options+=(--requests-per-minute="$REQUESTS_PER_MINUTE")
    if ! rolloutctl plan "${options[@]}" -- "$1" </dev/null >"$work/plan" 2>"$work/words"; then
        annotated "$1" plan <"$work/words"
        return 1
    fi
    shown <"$work/plan"
    folded "Plan" <"$work/plan" | summarised
}

rehearsed() {
    local policy=$1 scenario=$2 end=$3 options=() status=0
    [ "$end" != "$scenario" ] || end=succeeded
    [ -z "$JUNIT" ] || options+=(--junit="$(junit "$policy-$scenario")")
    [ -z "$REPORT" ] || options+=(--report="$(report_file "$policy-$scenario")")
    rolloutctl rehearse --scenario="$scenario" --expect="$end" --interval="$INTERVAL" --markdown \
        "${options[@]}" -- "$policy" </dev/null >"$work/page" 2>"$work/words" || status=$?
    [ "$status" = 0 ] || annotated "$policy" "rehearsal of $scenario" <"$work/words"
    [ ! -s "$work/page" ] || { shown <"$work/page" && summarised <"$work/page"; }
    return "$status"
}

backtested() {
    local options=() status=0
    [ -z "$REPORT" ] || options+=(--report="$(report_file "$1-on-$2")")
    rolloutctl backtest --csv="$2" --max-false-rollbacks="$MAX_FALSE_ROLLBACKS" \
        "${options[@]}" -- "$1" </dev/null >"$work/tried" 2>"$work/words" || status=$?
    [ ! -s "$work/tried" ] || { shown <"$work/tried" && folded "Backtest" <"$work/tried" | summarised; }
    # What it printed says why it ended with 7; otherwise the words on stderr do.
    [ "$status" != 7 ] || cat "$work/tried" >"$work/words"
    [ "$status" = 0 ] || annotated "$1" "backtest on $2" <"$work/words"
    return "$status"
}

# One more check, if there is one.
also() {
    local status=0
    [ "$ALSO" ] || return 0
    POLICY=$1 bash -euo pipefail -c "$ALSO" </dev/null || status=$?
    [ "$status" = 0 ] || commented <<<"The check of the input \`also\` failed; the log of the job has its output."
    return "$status"
}

junit() {
    mkdir -p -- "$JUNIT"
    echo "$JUNIT/${1//[^A-Za-z0-9]/-}.xml"
}

main
