#!/bin/sh
# Runs each fuzz target of the module for FUZZTIME (default 30s), one after the other.
set -eu
GO=${GO:-go}
for dir in $($GO list -f '{{.Dir}}' ./...); do
	files=$(grep -l '^func Fuzz' "$dir"/*_test.go 2>/dev/null || true)
	[ -n "$files" ] || continue
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $files); do
		echo "fuzz $target in ${dir##*/mailtwin/}"
		(cd "$dir" && $GO test -run XXX -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" .)
	done
done
