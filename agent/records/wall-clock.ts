/** CLOCK_BOOTTIME of the records -> wall clock of the events. */

/** Where time comes from. */
export interface ClockSource {
  /** CLOCK_BOOTTIME in nanoseconds. */
  bootTimeNs(): bigint;
  /** Wall clock in milliseconds since the epoch. */
  wallMs(): number;
}

/** Seconds since the epoch and the nanoseconds beyond them. */
export interface WallTime {
  seconds: number;
  nanos: number;
}

const NANOS = 1_000_000_000;
/** 2^32 nanoseconds are four seconds and this much. */
const HIGH_NANOS = 294_967_296;
/** When a tick of the millisecond clock takes longer than this, the process was interrupted: the reading at hand is used. */
const MAX_SPIN_NS = 5_000_000n;
const MAX_SPINS = 50_000;
/** Beyond this much the wall clock was stepped or has drifted: the offset is taken again. */
const TOLERANCE_NS = 2_000_000n;

interface Offset {
  /** Boot time from which on it holds. */
  sinceLow: number;
  sinceHigh: number;
  seconds: number;
  nanos: number;
  total: bigint;
}

/**
 * Converts boot times to wall times. A step of the wall clock moves what happens after it and never what happened
 * before: records keep the offset that held at their boot time.
 */
export class WallClock {
  #offsets: Offset[] = [];
  readonly #source: ClockSource;

  constructor(source: ClockSource) {
    this.#source = source;
    this.#offsets.push(makeOffset(0n, this.#measure()));
  }

  /** Milliseconds of the wall clock now. */
  wallMs(): number {
    return this.#source.wallMs();
  }

  /** Boot time now. */
  bootTimeNs(): bigint {
    return this.#source.bootTimeNs();
  }

  /**
   * Detects a stepped or drifted wall clock; to be called about once a second while records come, before those from
   * `sinceNs` on are converted (default: now). Returns whether it was. When in a silence the clock was stepped cannot be
   * known, and nothing of it has a record.
   */
  recheck(sinceNs?: bigint): boolean {
    const bootNs = this.#source.bootTimeNs();
    const rough = BigInt(this.#source.wallMs()) * 1_000_000n - bootNs;
    const newest = this.#offsets[0] as Offset;
    // wallMs() rounds down by up to a millisecond
    if (abs(rough + 500_000n - newest.total) <= TOLERANCE_NS) return false;
    this.#offsets = [makeOffset(sinceNs ?? bootNs, this.#measure()), ...this.#offsets.slice(0, 7)];
    return true;
  }

  /** Wall time of a boot time given as two 32-bit words; writes into `into` so that nothing is allocated. */
  convert(low: number, high: number, into: WallTime): void {
    const offset = this.#at(low, high);
    // exact in doubles for the first four years of uptime
    const rest = high * HIGH_NANOS + low;
    const wholeSeconds = Math.floor(rest / NANOS);
    let nanos = rest - wholeSeconds * NANOS + offset.nanos;
    let seconds = high * 4 + wholeSeconds + offset.seconds;
    if (nanos >= NANOS) {
      nanos -= NANOS;
      seconds++;
    }
    into.seconds = seconds;
    into.nanos = nanos;
  }

  /** A boot time as an RFC 3339 string. */
  text(ktimeNs: bigint): string {
    const time = { seconds: 0, nanos: 0 };
    this.convert(Number(ktimeNs & 0xffffffffn), Number(ktimeNs >> 32n), time);
    return formatTime(time);
  }

  #at(low: number, high: number): Offset {
    const offsets = this.#offsets;
    for (let i = 0; i < offsets.length - 1; i++) {
      const offset = offsets[i] as Offset;
      if (high > offset.sinceHigh || (high === offset.sinceHigh && low >= offset.sinceLow)) return offset;
    }
    return offsets[offsets.length - 1] as Offset;
  }

  /** Wall minus boot time in nanoseconds, read at a tick of the millisecond clock: precise to microseconds. */
  #measure(): bigint {
    const begin = this.#source.bootTimeNs();
    const first = this.#source.wallMs();
    let boot = begin;
    for (let i = 0; i < MAX_SPINS && boot - begin < MAX_SPIN_NS; i++) {
      const wall = this.#source.wallMs();
      boot = this.#source.bootTimeNs();
      if (wall !== first) return BigInt(wall) * 1_000_000n - boot;
    }
    // no tick was seen: the middle of the millisecond
    return BigInt(this.#source.wallMs()) * 1_000_000n + 500_000n - this.#source.bootTimeNs();
  }
}

function makeOffset(since: bigint, total: bigint): Offset {
  const nanos = ((total % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return {
    sinceLow: Number(since & 0xffffffffn),
    sinceHigh: Number(since >> 32n),
    seconds: Number((total - nanos) / 1_000_000_000n),
    nanos: Number(nanos),
    total,
  };
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** RFC 3339 in UTC with 0, 3, 6 or 9 fractional digits, as protojson prints timestamps. */
export function formatTime(time: WallTime): string {
  const whole = new Date(time.seconds * 1000).toISOString().slice(0, 19);
  const digits = String(time.nanos).padStart(9, "0");
  if (time.nanos === 0) return `${whole}Z`;
  if (digits.endsWith("000000")) return `${whole}.${digits.slice(0, 3)}Z`;
  if (digits.endsWith("000")) return `${whole}.${digits.slice(0, 6)}Z`;
  return `${whole}.${digits}Z`;
}
