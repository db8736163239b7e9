/** Process images by pid, built from exec, fork and exit records in stream order and from /proc. */
import { joinWords } from "../records/decode.ts";
import type { ExecRecord } from "../records/decode-exec.ts";
import type { WallClock } from "../records/wall-clock.ts";
import { execFacts, forkFacts, kernelFacts, scannedFacts } from "./facts.ts";
import { adopt, type ForkIdentity, processOf, type RecordIdentity, sameProcess, ticks } from "./identity.ts";
import { type Image, SEQ_UNKNOWN } from "./image.ts";
import { ImageMaker, type ProcLookup } from "./image-maker.ts";
import { ImageTable } from "./image-table.ts";
import type { Redact } from "./redaction.ts";
import type { ScannedProcess } from "./scan.ts";

/** What the cache needs. */
export interface ProcessCacheOptions {
  nodeName: string;
  clock: WallClock;
  proc: ProcLookup;
  /** Upper bound of images with a pid; beyond it the oldest is dropped. */
  capacity?: number;
  /** How long an image outlives its end, for records that come late. */
  graceMs?: number;
  keepCredentials?: boolean;
  keepNamespaces?: boolean;
  /** Default: arguments are shown as they are. */
  redact?: Redact | undefined;
}

/** What went wrong or was dropped, since the start. */
export interface CacheStats {
  evictions: number;
  /** Records of a process that neither a record nor the scan had named before. */
  processMisses: number;
  /** Records of an image whose exec record is missing. */
  execMisses: number;
  /** Misses that /proc could not fill. */
  unknown: number;
  /** Images whose process was gone without an exit record. */
  exitMisses: number;
}

/** Finds the image that a record belongs to; never one of another process. */
export class ProcessCache {
  readonly #options: ProcessCacheOptions;
  readonly #images: ImageTable;
  readonly #counts = { processMisses: 0, execMisses: 0 };
  readonly #maker: ImageMaker;
  /** Images of which nothing is known, until /proc has been asked once more. */
  readonly #unknown = new Set<Image>();
  /** How many of the misses the checks of images have followed. */
  #checkedMisses = 0;

  /** Upper bound of `size`. */
  readonly capacity: number;
  /** Called with the pid of a process that has ended without an exit record. */
  onLostExit: ((pid: number) => void) | undefined;
  /** Parent of pid 1 and of kernel threads that the boot code made. */
  readonly kernel: Image;

  constructor(options: ProcessCacheOptions) {
    this.#options = options;
    this.#maker = new ImageMaker(options);
    this.capacity = options.capacity ?? 65_536;
    const isAlive = (image: Image) => options.proc.isAlive(image.pid, ticks(image));
    this.#images = new ImageTable(
      {
        capacity: this.capacity,
        graceMs: options.graceMs ?? 10_000,
        isAlive,
        onLostExit: ({ pid }) => this.onLostExit?.(pid),
      },
      this.#bootMs(),
    );
    const identity = { pid: 0, startLow: 1, startHigh: 0, startExact: true, seq: 0 };
    this.kernel = this.#maker.make(identity, { ktimeNs: 1n, forked: false }, kernelFacts(), undefined);
  }

  /** Images with a pid, ended ones in their grace time included. */
  get size(): number {
    return this.#images.size;
  }

  /** The images with a pid. */
  images(): IterableIterator<Image> {
    return this.#images.values();
  }

  /** The image of a pid after so many execs, if it is remembered; the newest one otherwise. Also for some seconds after its end. */
  atExec(pid: number, seq: number): Image | undefined {
    const newest = this.#images.get(pid);
    for (let image = newest; image?.pid === pid; image = image.parent) if (image.seq === seq) return image;
    return newest;
  }

  /** Whether a record has told of this exec of the process, or of a later one. */
  hasSeen(pid: number, seq: number): boolean {
    const newest = this.#images.get(pid);
    return newest !== undefined && (newest.seq === SEQ_UNKNOWN || ((newest.seq - seq) | 0) >= 0);
  }

  /** Counts since the start. */
  get stats(): CacheStats {
    const { evictions, lostExits } = this.#images;
    return { evictions, exitMisses: lostExits, unknown: this.#maker.unknown, ...this.#counts };
  }

  /** The image that a header names exactly; the hot path. */
  find(pid: number, startLow: number, startHigh: number, seq: number): Image | undefined {
    const image = this.#images.get(pid);
    if (image === undefined) return undefined;
    if (image.seq === seq && image.startLow === startLow && image.startHigh === startHigh) return image;
    return undefined;
  }

  /**
   * The image of this process whose exec is in flight or whose exec record is lost: what the kernel does between
   * counting an exec and reporting it (commit_creds, for one) still belongs to the earlier image.
   */
  executing(record: RecordIdentity): Image | undefined {
    const image = this.#images.get(record.pid);
    if (image === undefined || image.seq === SEQ_UNKNOWN || !sameProcess(image, record)) return undefined;
    return ((record.seq - image.seq) | 0) === 1 ? image : undefined;
  }

  /** The image of a record that find() does not know: a scanned one, or one from /proc, or one without facts. */
  resolve(record: RecordIdentity): Image {
    const image = this.#images.get(record.pid);
    if (image === undefined || !sameProcess(image, record)) {
      this.#counts.processMisses++;
      return this.#put(this.#fromProc(record, undefined));
    }
    if (image.seq === SEQ_UNKNOWN) return adopt(image, record);
    if (image.seq === record.seq) return adopt(image, record);
    if (((record.seq - image.seq) | 0) < 0) return this.#earlier(image, record);
    this.#counts.execMisses++;
    return this.#put(this.#fromProc(record, image));
  }

  /** A new image from an exec record. */
  exec(record: ExecRecord): Image {
    const identity = { ...record, seq: record.execSeq, startExact: true };
    const known = this.#images.get(record.pid);
    const same = known !== undefined && sameProcess(known, record) ? known : undefined;
    // /proc was read after this exec: the scanned image is this one or a later one, not the earlier one
    const stale = same?.scannedAtNs !== undefined && same.scannedAtNs > record.ktimeNs;
    const previous = stale ? undefined : same;
    const afterFork = previous === undefined || previous.forked;
    const parent = afterFork ? (this.#parentOf(record) ?? previous?.parent) : previous;
    const inherited = same ?? parent;
    const facts = execFacts(record, {
      clone: afterFork,
      inInitTree: inherited?.facts.inInitTree === true,
      securityLabel: this.#securityLabel(record),
      ...this.#options,
    });
    return this.#put(this.#maker.make(identity, { ktimeNs: record.ktimeNs, forked: false }, facts, parent));
  }

  /** A child that runs what its creator runs, which is its parent unless it was cloned as a sibling (CLONE_PARENT). */
  fork(record: ForkIdentity): Image {
    let parent = this.#process(record.parentPid, record.parentStartLow, record.parentStartHigh);
    const creator = record.creatorPid === parent.pid ? parent : this.#images.get(record.creatorPid);
    const image = creator === undefined ? undefined : this.#imageWithSeq(creator, record);
    if (record.creatorPid === parent.pid) parent = image ?? parent;
    let facts = image && forkFacts(image.facts, record.nspid, record.pid);
    if (facts === undefined || record.creatorPid !== parent.pid)
      facts = this.#maker.factsOfSibling(record, parent, facts);
    const birth = { ktimeNs: record.ktimeNs, forked: true };
    return this.#put(this.#maker.make({ ...record, startExact: true }, birth, facts, parent));
  }

  /** Whether the process still runs this image, unless it has executed since without a record of that. */
  isCurrent(image: Image): boolean {
    if (image.ended || this.#images.get(image.pid) !== image) return false;
    return this.#options.proc.isAlive(image.pid, ticks(image));
  }

  /** The process has exited; its image stays for late records. */
  end(image: Image): void {
    this.#images.end(image);
  }

  /** An image from the /proc scan, unless records know more of this pid already. */
  addScanned(scanned: ScannedProcess): Image | undefined {
    const startLow = Number(scanned.startNs & 0xffffffffn);
    const startHigh = Number(scanned.startNs >> 32n);
    const known = this.#images.get(scanned.pid);
    if (known !== undefined && ticks(known) >= scanned.startNs) return undefined;
    const parent = this.#scannedParent(scanned);
    const identity = { pid: scanned.pid, startLow, startHigh, startExact: false, seq: SEQ_UNKNOWN };
    const birth = { ktimeNs: scanned.startNs, forked: false, scannedAtNs: this.#options.clock.bootTimeNs() };
    return this.#put(this.#maker.make(identity, birth, scannedFacts(scanned, parent), parent));
  }

  /** It is so late now, in milliseconds of the boot clock; to be called before the records of a batch. */
  advance(nowMs: number): void {
    this.#images.advance(nowMs);
  }

  /**
   * To be called about once a second while records come: lets go of ended images. Where records are lost, those of exits
   * may be among them, and an image that no exec or fork record made may have come after the exit: then images are
   * compared with /proc. Images of which nothing is known are looked up there, too. Returns whether it must be called again though no record comes.
   */
  sweep(recordsAreLost = false): boolean {
    this.#maker.refill();
    const misses = this.#counts.processMisses + this.#counts.execMisses;
    if (recordsAreLost || misses > this.#checkedMisses) this.#images.checkAll();
    this.#checkedMisses = misses;
    const isSweeping = this.#images.sweep(this.#bootMs());
    this.#learn();
    return isSweeping || this.#unknown.size > 0;
  }

  #put(image: Image): Image {
    if (image.facts.flags === 0) this.#unknown.add(image);
    return this.#images.put(image);
  }

  /** A lost record, or a second with too many of them, does not leave a process without a name for ever. */
  #learn(): void {
    for (const image of this.#unknown) {
      const isCurrent = !image.ended && this.#images.get(image.pid) === image;
      if (isCurrent && !this.#maker.learn(image)) return;
      this.#unknown.delete(image);
    }
  }

  /** The current image of a process that is only known as a parent. */
  #process(pid: number, startLow: number, startHigh: number): Image {
    if (pid === 0) return this.kernel;
    const record = { pid, startLow, startHigh, seq: SEQ_UNKNOWN, ktimeNs: joinWords(startLow, startHigh) };
    const image = this.#images.get(pid);
    if (image !== undefined && sameProcess(image, record)) return image;
    this.#counts.processMisses++;
    return this.#put(this.#fromProc(record, undefined));
  }

  /** Read before it is asked whether the process is still the one of the record. */
  #securityLabel(record: ExecRecord): string | undefined {
    const { proc } = this.#options;
    const label = proc.securityLabel?.(record.pid);
    return label !== undefined && proc.isAlive(record.pid, ticks(record)) ? label : undefined;
  }

  #parentOf(record: ExecRecord): Image | undefined {
    const { parentPid, parentStartLow, parentStartHigh } = record;
    if (parentPid === record.pid) return undefined;
    return this.#process(parentPid, parentStartLow, parentStartHigh);
  }

  #scannedParent(scanned: ScannedProcess): Image {
    const parent = this.#images.get(scanned.parentPid);
    return parent !== undefined && ticks(parent) <= scanned.startNs ? parent : this.kernel;
  }

  /** The creator's image at the fork: a child has its exec_seq, so another one means that we have missed an exec. */
  #imageWithSeq(creator: Image, { seq, ktimeNs, uid }: ForkIdentity): Image {
    const isKnown = creator === this.kernel || creator.seq === SEQ_UNKNOWN || creator.seq === seq;
    return isKnown ? creator : this.resolve({ ...processOf(creator), seq, ktimeNs, uid });
  }

  /** An image before the current one of the same process. */
  #earlier(image: Image, record: RecordIdentity): Image {
    const parent = image.parent;
    if (parent?.pid === record.pid && parent.seq === record.seq && sameProcess(parent, record)) return parent;
    return this.#maker.makeUnknown(record, image);
  }

  #fromProc(record: Omit<RecordIdentity, "uid"> & { uid?: number }, previous: Image | undefined): Image {
    return this.#maker.fromProc(record, previous, (pid) => this.#images.get(pid));
  }

  #bootMs(): number {
    return Number(this.#options.clock.bootTimeNs() / 1_000_000n);
  }
}
