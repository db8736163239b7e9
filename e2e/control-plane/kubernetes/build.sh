# Builds in this directory as `go build ARGUMENT…` does: build.sh COPIES ARGUMENT…
# Two files of Kubernetes that only its tests need make 58 packages of fake API clients part of its programs. Its modules
# are built from copies without them, below COPIES, which stay for the next time.
set -e
copies=$1
shift
if ! [ -e "$copies/complete" ]; then
	rm -rf "$copies"
	mkdir -p "$copies"
	cp go.mod go.sum "$copies/"
	while read -r module file; do
		go mod download "$module"
		copy=$copies/$(basename "$module")
		original=$(go list -m -f '{{.Dir}}' "$module")
		cp -rl "$original" "$copy" 2>/dev/null || cp -r "$original" "$copy"
		chmod u+w "$copy" "$copy/$(dirname "$file")"
		rm "$copy/$file"
		go mod edit -replace "$module=$copy" "$copies/go.mod"
	done <<-END
		k8s.io/apiserver pkg/admission/plugin/policy/generic/policy_test_context.go
		k8s.io/kubernetes pkg/scheduler/backend/queue/testing.go
	END
	touch "$copies/complete"
fi
exec go build "-modfile=$copies/go.mod" "$@"
