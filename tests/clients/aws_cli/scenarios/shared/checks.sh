# What every script begins with: a folder of its own, an end at the first command that fails, and a few comparisons.
set -Eeuo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND ended with $?" >&2' ERR
shared=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
cd "$own"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# same FOUND EXPECTED
same() {
  [ "$1" = "$2" ] || fail "expected [$2], found [$1]"
}

# has FOUND PART
has() {
  [[ $1 == *"$2"* ]] || fail "no [$2] in [$1]"
}

# lacks FOUND PART
lacks() {
  [[ $1 != *"$2"* ]] || fail "[$2] in [$1]"
}

# refused PART COMMAND...: the command fails, and says so with these words
refused() {
  local said
  if said=$("${@:2}" 2>&1 < /dev/null); then
    fail "went well: ${*:2}: $said"
  fi
  has "$said" "$1"
}

# until EXPECTED COMMAND...: the command's output becomes this
until_says() {
  local said="" end=$((SECONDS + 600))
  while [ $SECONDS -lt $end ]; do
    said=$("${@:2}")
    [ "$said" != "$1" ] || return 0
    sleep 1
  done
  fail "never [$1], but [$said]: ${*:2}"
}
