/** Writes /run/trigon/session.sh, which runs in a guest once its root is mounted. */
import type { GuestOptions } from "./options.ts";

/** Quotes a word for sh. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The script of process 1: mounts, modules, setup lines, the command, and the report of its exit status. */
export function sessionScript(options: GuestOptions, projectDir: string, endMarker: string): string {
  const environment = {
    HOME: "/root",
    LANG: "C.UTF-8",
    NODE_COMPILE_CACHE: "/run/trigon/node-cache",
    NODE_OPTIONS: `--require ${JSON.stringify(`${projectDir}/e2e/guest/baseline-wasm.cjs`)}`,
    PATH: `${projectDir}/node_modules/.bin:${PATH}`,
    TERM: "dumb",
    USER: "root",
    ...options.env,
  };
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`);
  return `# Process 1 of the guest.
exec </dev/null >/dev/console 2>&1
cd /
# A static program in memory: what is started from the host's root costs ten times as long.
bb() {
	/run/trigon/busybox "$@"
}
${exports.join("\n")}

${mounts(options)}

${identity(options.hostname ?? "guest")}
${(options.modules ?? []).map((name) => `modprobe ${quote(name)} || echo "trigon-guest: modprobe ${name} failed"`).join("\n")}

${streams(options.stdin !== undefined)}
{
cd ${quote(options.cwd ?? projectDir)}
${(options.setup ?? []).join("\n")}
} || finish 125
echo started >&7
(exec 5>&- 6>&- 7>&- 8<&-; exec ${options.command.map(quote).join(" ")}) </run/trigon/stdin >/run/trigon/stdout 2>/run/trigon/stderr &
wait $!
finish $?
`.replaceAll("@END@", endMarker);
}

function mounts({ tmpfs = [], shares = [] }: GuestOptions): string {
  const lines = [
    "bb mkdir -p /dev/pts /dev/shm /dev/mqueue",
    "bb mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts",
    "bb mount -t tmpfs -o mode=1777 shm /dev/shm",
    "bb mount -t mqueue mqueue /dev/mqueue",
    "bb mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    "bb mount -t bpf bpf /sys/fs/bpf",
    "bb mount -t securityfs securityfs /sys/kernel/security",
    "bb mount -t debugfs debugfs /sys/kernel/debug",
    "bb mount -t tracefs tracefs /sys/kernel/tracing",
    "bb ln -sfn /proc/self/fd /dev/fd",
    "bb ln -sfn /proc/self/fd/0 /dev/stdin",
    "bb ln -sfn /proc/self/fd/1 /dev/stdout",
    "bb ln -sfn /proc/self/fd/2 /dev/stderr",
  ];
  for (const path of tmpfs)
    lines.push(`bb mkdir -p ${quote(path)}`, `bb mount -t tmpfs tmpfs ${quote(path)}`);
  for (const [index, { guestPath, readOnly }] of shares.entries()) {
    // Without a cache both sides see each other's writes at once.
    const mode = `trans=virtio,version=9p2000.L,msize=262144,cache=none,${readOnly ? "ro" : "rw"}`;
    lines.push(
      `bb mkdir -p ${quote(guestPath)}`,
      `bb mount -t 9p -o ${mode} share${index} ${quote(guestPath)}`,
    );
  }
  return lines.join("\n");
}

/** There is no name server: an empty resolv.conf keeps every start from waiting for one. */
function identity(hostname: string): string {
  return `echo ${quote(hostname)} >/proc/sys/kernel/hostname
echo ${quote(hostname)} >/etc/hostname
printf '127.0.0.1 localhost %s\\n::1 localhost\\n' ${quote(hostname)} >/etc/hosts
bb rm -f /etc/resolv.conf
: >/etc/resolv.conf
bb ip link set lo up`;
}

/**
 * The command writes into pipes because a port cannot be opened a second time, for example as /dev/stderr.
 * At the end all other processes are killed, so that the pipes end; then each port gets the end marker.
 */
function streams(withStdin: boolean): string {
  return `port() {
	for entry in /sys/class/virtio-ports/*; do
		read -r name <"$entry/name"
		if [ "$name" = "trigon.$1" ]; then echo "/dev/\${entry##*/}"; fi
	done
}
finish() {
	trap '' TERM
	for entry in /proc/[0-9]*; do
		read -r stat 2>/dev/null <"$entry/stat" || continue
		# Behind the name in parentheses: state, parent. Kernel threads are children of process 2.
		set -- "$1" \${stat##*) }
		case " 1 2 $stdout_relay $stderr_relay " in *" \${entry#/proc/} "*) continue ;; esac
		if [ "$3" != 2 ]; then kill -KILL "\${entry#/proc/}" 2>/dev/null; fi
	done
	wait $stdout_relay $stderr_relay
	printf %s @END@ >&5
	printf %s @END@ >&6
	echo "exit $1" >&7
	while :; do bb sleep 1000; done
}
bb mkfifo /run/trigon/stdout /run/trigon/stderr
exec 5>"$(port stdout)" 6>"$(port stderr)" 7>"$(port control)" 8<${withStdin ? `"$(port stdin)"` : "/dev/null"}
/run/trigon/busybox cat /run/trigon/stdout >&5 &
stdout_relay=$!
/run/trigon/busybox cat /run/trigon/stderr >&6 &
stderr_relay=$!
${withStdin ? "bb mkfifo /run/trigon/stdin\n/run/trigon/busybox cat <&8 >/run/trigon/stdin &" : "bb ln -s /dev/null /run/trigon/stdin"}`;
}
