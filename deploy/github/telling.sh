# shellcheck shell=bash
# How a job is told: its log, its summary, its annotations. Sourced by check.sh and rollout.sh.

# GitHub drops a summary above 1 MiB.
readonly most_bytes=1000000

# Show what comes in the log; a line of it that looks like a command of GitHub is none.
shown() {
    local token
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "::stop-commands::$token"
    cat
    echo "::$token::"
}

# Add what comes to the summary, as long as it fits.
summarised() {
    local text size
    text=$(cat)
    size=$(wc -c <"$GITHUB_STEP_SUMMARY")
    if [ $((size + ${#text} * 4)) -le "$most_bytes" ]; then
        printf '%s\n\n' "$text" >>"$GITHUB_STEP_SUMMARY"
    else
        echo "::warning title=rolloutctl::the summary is full; the log has everything"
    fi
}

# The file of a report, which action.yml attaches to the run.
report_file() {
    local folder=${RUNNER_TEMP:-/tmp}/rolloutctl-report
    mkdir -p -- "$folder"
    printf '%s' "$folder/${1//[^A-Za-z0-9]/-}.html"
}

# Fold what comes away below a title.
folded() {
    echo "<details><summary>$1</summary>"
    echo
    echo "<pre>$(sed 's/&/\&amp;/g; s/</\&lt;/g')</pre>"
    echo
    echo "</details>"
}

# An error at the top of a file, with a title, in the words of stdin.
annotated() {
    local text
    text=$(cat)
    echo "::error file=$(property "$1"),line=1,title=$(property "$2")::$(escaped "${text:-no words}")"
}

property() {
    local text
    text=$(escaped "$1")
    text=${text//:/%3A}
    printf '%s' "${text//,/%2C}"
}

escaped() {
    local text=${1//%/%25}
    text=${text//$'\r'/%0D}
    printf '%s' "${text//$'\n'/%0A}"
}
