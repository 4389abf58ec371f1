import { readFile } from 'node:fs/promises';
import { EvalFlags, type JSValueHandle, MAX_STACK_SIZE, QuickJS, type QuickJSOptions } from 'quickjs-wasi';
import { GUEST_FILE, GUEST_FUNCTIONS, GUEST_SOURCE, type GuestFunction } from './guest.ts';
import { isRecord } from './runner-wire.ts';

// Node's types of this major have no WebAssembly; these are the two members that we touch.
declare global {
  namespace WebAssembly {
    class Module {
      constructor(bytes: Uint8Array);
    }
    interface Memory {
      readonly buffer: ArrayBuffer;
    }
  }
}

const PAGE = 65_536;

/** Pages over the guest's limit for the engine itself: its stack (16), its data, what its allocator loses. */
const OWN_PAGES = 64;

/** 2026-01-01T00:00:00Z, where the clock stands under test. */
const FIXED_NS = 1_767_225_600_000n * 1_000_000n;

/** The memory of a call that does not say otherwise; instances for it are made in advance. */
export const DEFAULT_MEMORY = 64 * 1024 * 1024;

/** Thrown to a guest that imports something. */
export const NO_MODULES = 'there are no modules to import here; write the code out, or use what ECMAScript has';

/** Everything that workers need to make a fresh instance: compiled once, a snapshot taken once, by the child. */
export interface EngineKit {
  module: WebAssembly.Module;
  extensions: { name: string; wasm: WebAssembly.Module }[];
  /** The engine's binary, for the rare call with a memory limit of its own. */
  wasm: Uint8Array;
  /** The memory of an instance in which the prelude has run, in shared memory. */
  snapshot: Uint8Array;
  /** Where in that memory the prelude's functions are, in the order of GUEST_FUNCTIONS. */
  tokens: number[];
}

/** Whether a worker was given a kit. */
export function isEngineKit(value: unknown): value is EngineKit {
  return (
    isRecord(value) &&
    value['module'] instanceof WebAssembly.Module &&
    value['wasm'] instanceof Uint8Array &&
    value['snapshot'] instanceof Uint8Array &&
    Array.isArray(value['extensions']) &&
    Array.isArray(value['tokens'])
  );
}

/**
 * One WebAssembly instance with one QuickJS in it, used for one call and thrown away.
 * The limit on memory is kept twice: by QuickJS's own accounting, and by the maximum of the linear memory.
 */
export class Engine {
  /** Which clock `Date` shows; set before user code runs. */
  clock: 'real' | 'fixed' = 'fixed';
  /** Receives each line that the guest prints. */
  print: (line: string) => void = () => {};
  #vm: QuickJS | undefined;
  #memory: WebAssembly.Memory | undefined;
  #functions = new Map<GuestFunction, JSValueHandle>();

  /** Compiles the engine, runs the prelude, and keeps the memory that this leaves. */
  static async prepare(): Promise<EngineKit> {
    const asset = (name: string) => readFile(new URL(import.meta.resolve(`quickjs-wasi/${name}`)));
    const [wasm, encoding, clone] = await Promise.all(['quickjs.wasm', 'encoding.so', 'structured-clone.so'].map(asset));
    if (!wasm || !encoding || !clone) throw new Error('quickjs-wasi lacks one of its files: reinstall it');
    const kit = {
      module: limited(wasm, DEFAULT_MEMORY),
      extensions: [
        { name: 'encoding', wasm: new WebAssembly.Module(encoding) },
        { name: 'structured-clone', wasm: new WebAssembly.Module(clone) },
      ],
    };
    const engine = new Engine();
    const vm = await QuickJS.create(engine.#options(kit, DEFAULT_MEMORY));
    // Named, so that instances made from the snapshot find it again (quickjs-wasi, "Host callbacks after restore").
    const print = vm.newFunction('print', () => vm.undefined);
    const functions = vm.callFunction(vm.evalCode(GUEST_SOURCE, GUEST_FILE), vm.undefined, print);
    const tokens = GUEST_FUNCTIONS.map((_, index) => vm.exportHandle(functions.getProp(String(index))));
    vm.runGC();
    return { ...kit, tokens, snapshot: shared(QuickJS.serializeSnapshot(vm.snapshot())), wasm: shared(wasm) };
  }

  /** A fresh instance: nothing of any earlier call is in it. */
  static async open(kit: EngineKit, memoryBytes: number): Promise<Engine> {
    const engine = new Engine();
    const module = memoryBytes === DEFAULT_MEMORY ? kit.module : limited(kit.wasm, memoryBytes);
    const options = engine.#options({ ...kit, module }, memoryBytes);
    const vm = await QuickJS.restore(QuickJS.deserializeSnapshot(kit.snapshot), options);
    engine.#vm = vm;
    vm.registerHostCallback('print', (line) => {
      if (line?.isString) engine.print(line.toString());
      return vm.undefined;
    });
    for (const [index, name] of GUEST_FUNCTIONS.entries()) {
      engine.#functions.set(name, vm.importHandle(kit.tokens[index] ?? 0));
    }
    return engine;
  }

  /** The instance; gone after `close`. */
  get vm(): QuickJS {
    if (!this.#vm) throw new Error('this engine is closed');
    return this.#vm;
  }

  /** Bytes of linear memory; it only grows. */
  get memoryBytes(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  /** Evaluates user code: a promise of a module's namespace, or of a script's `{ value }`. Throws what does not parse. */
  load(code: string, file: string, as: 'module' | 'script'): JSValueHandle {
    return this.vm.evalCode(code, file, as === 'module' ? EvalFlags.TYPE_MODULE : EvalFlags.ASYNC);
  }

  /** Calls a function of the prelude. */
  call(name: GuestFunction, ...parts: JSValueHandle[]): JSValueHandle {
    const found = this.#functions.get(name);
    if (!found) throw new Error(`the prelude has no ${name}`);
    return this.vm.callFunction(found, this.vm.undefined, ...parts);
  }

  /** Lets go of the instance, for the collector. */
  close(): void {
    this.#functions.clear();
    this.#vm?.dispose();
    this.#vm = undefined;
    this.#memory = undefined;
  }

  #options(kit: Pick<EngineKit, 'module' | 'extensions'>, memoryLimit: number): QuickJSOptions {
    const refuse = (): string => {
      const error = new Error(NO_MODULES);
      // The library copies the stack into the guest, where our paths have no business.
      error.stack = '';
      throw error;
    };
    return {
      wasm: kit.module,
      extensions: kit.extensions,
      memoryLimit,
      maxStackSize: MAX_STACK_SIZE,
      // The same program tells the same day under test and in use, whatever the machine's zone.
      timezoneOffset: 0,
      moduleLoader: { load: refuse },
      wasi: (memory: WebAssembly.Memory) => {
        this.#memory = memory;
        return {
          clock_time_get: (_clock: number, _precision: bigint, result: number) => {
            const now = this.clock === 'fixed' ? FIXED_NS : BigInt(Date.now()) * 1_000_000n;
            new DataView(memory.buffer).setBigUint64(result, now, true);
            return 0;
          },
          // The library's own writes to our stdout and stderr.
          fd_write: () => 8,
        };
      },
    };
  }
}

/** The engine, compiled so that its linear memory cannot grow past the guest's limit and its own needs. */
function limited(wasm: Uint8Array, memoryBytes: number): WebAssembly.Module {
  return new WebAssembly.Module(capMemory(wasm, Math.ceil(memoryBytes / PAGE) + OWN_PAGES));
}

/**
 * The binary with a maximum in its memory section, which the published one lacks.
 * https://webassembly.github.io/spec/core/binary/modules.html#memory-section
 */
export function capMemory(wasm: Uint8Array, pages: number): Uint8Array {
  let at = 8;
  const number = () => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = wasm[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < wasm.length) {
    const start = at;
    const section = wasm[at++];
    const size = number();
    const end = at + size;
    if (section === 5) {
      at += 2; // how many memories (one), and its flags
      const body = [1, 1, ...leb(number()), ...leb(pages)];
      const memory = Uint8Array.from([5, ...leb(body.length), ...body]);
      return Buffer.concat([wasm.subarray(0, start), memory, wasm.subarray(end)]);
    }
    at = end;
  }
  throw new Error('quickjs.wasm has no memory section: another version of quickjs-wasi needs another look');
}

function leb(value: number): number[] {
  const low = value & 127;
  return value > 127 ? [low | 128, ...leb(value >>> 7)] : [low];
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
