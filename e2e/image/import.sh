# Fills a containerd root: import.sh CONTAINERD CTR STORE ARCHIVE…
# Runs in a mount namespace of its own; containerd listens on a socket for this script only.
set -e
containerd=$1 ctr=$2 store=$3
shift 3
rm -rf "$store"
state=$(mktemp -d)
cat >"$state/config.toml" <<END
version = 3
root = '$store'
state = '$state/state'
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime']
[grpc]
  address = '$state/socket'
[ttrpc]
  address = '$state/ttrpc'
END
"$containerd" --config "$state/config.toml" --log-level warn >"$state/log" 2>&1 &
pid=$!
trap 'kill $pid; wait $pid || true; rm -rf "$state"' EXIT
tries=0
until "$ctr" --address "$state/socket" version >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 $pid 2>/dev/null; then
		cat "$state/log" >&2
		exit 1
	fi
	sleep 0.1
done
for archive; do
	"$ctr" --address "$state/socket" --namespace k8s.io images import --snapshotter overlayfs "$archive" >&2
done
