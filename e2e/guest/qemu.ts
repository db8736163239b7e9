/** The command line of QEMU. Guests are emulated (TCG): they run wherever the tests run, nested or not. */
import type { GuestOptions } from "./options.ts";

/** Files and sockets of one boot. */
export interface Boot {
  kernelImage: string;
  initramfs: string;
  /** Directory with session.sh, on the host's root so that the guest finds it at the same path. */
  session: string;
  /** Socket path per port. */
  ports: { stdin: string; stdout: string; stderr: string; control: string };
}

/**
 * All that QEMU emulates except what programs and the kernel choose for speed and what is slower there: AVX, and copying
 * and clearing by single bytes ("fast string operations"), which takes a quarter of a guest's time.
 */
const CPU = "max,avx=off,avx2=off,erms=off,fsrm=off";

/** For `kernelArgs` of guests that show Trigon rather than test it: retpolines cost an emulated processor time and protect nothing. */
export const FOR_SPEED = ["mitigations=off"];

/** Arguments that boot a guest with its four ports, shares and taps. */
export function qemuArguments(boot: Boot, options: GuestOptions): string[] {
  return [
    ...machine(options),
    ...["-kernel", boot.kernelImage, "-initrd", boot.initramfs, "-append", kernelCommandLine(boot, options)],
    ...["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
    ...["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"],
    ...(options.shares ?? []).flatMap(share),
    ...["-device", "virtio-serial-pci"],
    ...Object.entries(boot.ports).flatMap(([name, path]) => port(name, path)),
    ...(options.taps ?? []).flatMap(tap),
  ];
}

function machine(options: GuestOptions): string[] {
  const { cpus = 2, memoryMb = 2048, accelerator = "tcg,thread=multi", qemuArgs = [] } = options;
  return [
    ...["-machine", "q35", "-accel", accelerator, "-cpu", CPU],
    ...["-smp", String(cpus), "-m", String(memoryMb)],
    ...[
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-display",
      "none",
      "-monitor",
      "none",
      "-serial",
      "stdio",
    ],
    ...["-device", "virtio-rng-pci"],
    ...qemuArgs,
  ];
}

/**
 * Later parameters win: a caller's own `lsm=` replaces ours. QEMU's processors share one TSC, but the kernel considers it
 * unsynchronized and would read the HPET instead. Each such read leaves the emulated processor.
 */
function kernelCommandLine(boot: Boot, { kernelArgs = [] }: GuestOptions): string {
  // no_timer_check: on a busy host an emulated CPU may not run in time for the kernel's test of its timer interrupt.
  // syscall.x32: Debian's kernels have the x32 ABI, and allow it to those who ask for it.
  // oops=panic: a guest that lost the process of a relay to a fault of the kernel would wait for it for ever.
  const fixed = [
    ...["console=ttyS0", "quiet", "panic=-1", "oops=panic"],
    ...["tsc=reliable", "no_timer_check", "syscall.x32=y"],
  ];
  const lsm = "lsm=lockdown,capability,yama,apparmor,bpf";
  return [...fixed, lsm, ...kernelArgs, `trigon.session=${boot.session}`].join(" ");
}

function share({ hostPath, readOnly }: { hostPath: string; readOnly?: boolean }, index: number): string[] {
  const mode = readOnly ? ",readonly=on" : "";
  return [
    ...[
      "-fsdev",
      `local,id=share${index},path=${escapeComma(hostPath)},security_model=none,multidevs=remap${mode}`,
    ],
    ...["-device", `virtio-9p-pci,fsdev=share${index},mount_tag=share${index}`],
  ];
}

function port(name: string, path: string): string[] {
  return [
    ...["-chardev", `socket,id=${name},path=${escapeComma(path)}`],
    ...["-device", `virtserialport,chardev=${name},name=trigon.${name}`],
  ];
}

function tap({ name, mac }: { name: string; mac: string }, index: number): string[] {
  return [
    ...["-netdev", `tap,id=net${index},ifname=${name},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=net${index},mac=${mac}`],
  ];
}

const escapeComma = (value: string) => value.replaceAll(",", ",,");
