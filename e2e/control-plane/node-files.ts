/** Configuration of a node: containerd, its network plugin, kubelet, and the script that starts them. Pure. */
import { NETWORK, type NodeAddresses } from "./network.ts";

/** Settings that differ between nodes and machines. */
export interface NodeSettings {
  name: string;
  /** The node runs inside a container of the guest, as kind's nodes do. */
  inContainer: boolean;
  addresses: NodeAddresses;
  /** Directory of this node as the guest sees it; it is writable and logs go there. */
  directory: string;
  /** Directory with containerd, its shim and ctr. */
  containerdDirectory: string;
  kubelet: string;
  /** A containerd root that already has the images. */
  imageStore: string;
  pauseImage: string;
}

/** Contents by file name, to be written into the node's directory. */
export function nodeFiles(settings: NodeSettings): Record<string, string> {
  return {
    "containerd.toml": containerdConfig(settings),
    "cni/10-bridge.conflist": json(networkConfig(settings.addresses)),
    "kubelet.yaml": json(kubeletConfig()),
    "node.sh": nodeScript(settings),
    ...(settings.inContainer && { "container.sh": containerScript(settings) }),
    "daemons.sh": daemonsScript(settings),
  };
}

const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

function containerdConfig({ directory, imageStore, pauseImage }: NodeSettings): string {
  return `version = 3
root = '${imageStore}'
state = '/run/containerd'
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${pauseImage}'
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '${directory}/cni'
`;
}

function networkConfig({ podCidr }: NodeAddresses) {
  return {
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        ipam: { type: "host-local", ranges: [[{ subnet: podCidr }]], routes: [{ dst: "0.0.0.0/0" }] },
      },
    ],
  };
}

function kubeletConfig() {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    cgroupDriver: "cgroupfs",
    failSwapOn: false,
    // As kubeadm and kind have it.
    staticPodPath: "/etc/kubernetes/manifests",
    enforceNodeAllocatable: [],
    makeIPTablesUtilChains: false,
    resolvConf: "/etc/resolv.conf",
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    // The root file system is a RAM disk, so no other program can fill it.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    // In a test, speed matters more than the number of API calls.
    nodeStatusUpdateFrequency: "5s",
    syncFrequency: "10s",
    fileCheckFrequency: "2s",
    registryPullQPS: 0,
    enableProfilingHandler: false,
    volumeStatsAggPeriod: "0s",
  };
}

/**
 * The image store is read through the guest's root: only the snapshots that containers write to need a file system
 * that overlayfs accepts as an upper layer, so the ready ones are linked into a RAM disk.
 */
function nodeScript(settings: NodeSettings): string {
  const { addresses, directory, imageStore, inContainer } = settings;
  const snapshots = `${imageStore}/io.containerd.snapshotter.v1.overlayfs/snapshots`;
  return `exec >>${directory}/node.log 2>&1
set -e
ip addr add ${addresses.address}/24 dev eth0
ip link set eth0 up
ip route add default via ${NETWORK.hostAddress}
echo 1 >/proc/sys/net/ipv4/ip_forward
mkdir -p /run/ready-snapshots
mount --bind ${snapshots} /run/ready-snapshots
mount -t tmpfs -o size=75% snapshots ${snapshots}
for snapshot in /run/ready-snapshots/*; do ln -s "$snapshot" ${snapshots}/; done
${inContainer ? enterContainer(directory) : ""}exec sh ${directory}/daemons.sh
`;
}

/** Any id: the cgroup of a container is named after it. */
const CONTAINER_ID = "7".repeat(64);
const CONTAINER_CGROUP = `/sys/fs/cgroup/docker/${CONTAINER_ID}`;

/**
 * Goes on in a container like kind's: with pid, mount, UTS, IPC and cgroup namespaces of its own, and the machine's
 * /proc mounted as in kind-config.yaml. Only the network stays the machine's.
 */
function enterContainer(directory: string): string {
  return `mkdir -p ${CONTAINER_CGROUP} /run/trigon/proc
mount --bind /proc /run/trigon/proc
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  echo "+$controller" >/sys/fs/cgroup/docker/cgroup.subtree_control
done
echo $$ >${CONTAINER_CGROUP}/cgroup.procs
# The namespace begins at this cgroup. unshare itself waits outside: a cgroup with processes passes no controllers on.
exec unshare --cgroup sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs
exec unshare --pid --fork --mount --uts --ipc --mount-proc sh ${directory}/container.sh'
`;
}

/** Process 1 of the container. */
function containerScript({ directory }: NodeSettings): string {
  return `set -e
umount --recursive /sys
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/init.scope
echo 0 >/sys/fs/cgroup/init.scope/cgroup.procs
sh ${directory}/daemons.sh
`;
}

function daemonsScript(settings: NodeSettings): string {
  const { name, addresses, directory, containerdDirectory, kubelet } = settings;
  return `set -e
export PATH=${containerdDirectory}:$PATH
# Go's preemption by signals costs an emulated processor more than it gains.
export GODEBUG=asyncpreemptoff=1
# Kubernetes wants a shared root; not before, or the RAM disk would cover the ready snapshots too.
mount --make-rshared /
containerd --config ${directory}/containerd.toml >>${directory}/containerd.log 2>&1 &
while ! [ -S /run/containerd/containerd.sock ]; do kill -0 $!; sleep 0.1; done
exec ${kubelet} --config ${directory}/kubelet.yaml --kubeconfig ${directory}/kubeconfig \\
  --root-dir /var/lib/kubelet --hostname-override ${name} --node-ip ${addresses.address} \\
  >>${directory}/kubelet.log 2>&1
`;
}
