# shellcheck shell=bash
# What a job shows and tells the runner: its log, its summary, its annotations, its comments, its outputs.
# Sourced by the other scripts.

# GitHub drops a summary above 1 MiB.
readonly most_bytes=1000000

# The folder of the comment that is being written; empty where none is asked for.
comment_folder=""

# Add lines to a file that the runner reads: OUTPUT, PATH or STEP_SUMMARY. Nothing else writes there.
told() {
    local file=GITHUB_$1
    shift
    printf '%s\n' "$@" >>"${!file}"
}

# Begin a comment on the pull request, which comment.py posts.
begin_comment() {
    local all=$RUNNER_TEMP/rolloutctl-comments
    [ "$COMMENT" = true ] || return 0
    mkdir -p -- "$all"
    comment_folder=$all/$(printf '%04d' "$(find "$all" -mindepth 1 -maxdepth 1 | wc -l)")
    mkdir -- "$comment_folder"
}

# Add a section to the comment, if there is one.
commented() {
    [ "$comment_folder" ] || { cat >/dev/null && return; }
    cat >"$comment_folder/$(printf '%02d' "$(find "$comment_folder" -name '*.md' | wc -l)").md"
}

# Show what comes in the log; a line of it that looks like a command of GitHub is none.
shown() {
    local token
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "::stop-commands::$token"
    cat
    echo "::$token::"
}

# Add a section to the comment, and to the summary as long as it fits.
summarised() {
    local text size
    text=$(cat)
    commented <<<"$text"
    size=$(wc -c <"$GITHUB_STEP_SUMMARY")
    if [ $((size + ${#text} * 4)) -le "$most_bytes" ]; then
        told STEP_SUMMARY "$text" ""
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
    block
    echo
    echo "</details>"
}

# Show what comes as it stands: nothing in it is Markdown, HTML or a mention.
block() {
    echo "<pre>$(sed 's/&/\&amp;/g; s/</\&lt;/g')</pre>"
}

# An error at the top of a file, with a title, in the words of stdin; it is in the comment, too.
annotated() {
    local text
    text=$(cat)
    printf '%s: %s\n' "$2" "${text:-no words}" | block | commented
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
