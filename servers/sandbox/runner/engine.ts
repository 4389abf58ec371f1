import { isObject } from '../../../kit/json.ts';
import { readFile } from 'node:fs/promises';
import { EvalFlags, type JSValueHandle, MAX_STACK_SIZE, QuickJS, type QuickJSOptions } from 'quickjs-wasi';
import { GUEST_FILE, GUEST_FUNCTIONS, GUEST_SOURCE, type GuestFunction } from './guest.ts';
import { DEFAULT_MEMORY_BYTES } from './wire.ts';

// Node's types of this major have no WebAssembly; these are the two members that we touch.
declare global {
  namespace WebAssembly {
    // oxlint-disable-next-line typescript/no-extraneous-class -- a declaration of what exists
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

/** Thrown to a guest that imports something. */
export const NO_MODULES =
  'there are no modules to import here; write the code out, or use what ECMAScript has';

/** Everything that workers need to make a fresh instance, compiled once by the child. */
export interface EngineKit {
  module: WebAssembly.Module;
  /** The engine's binary, for the rare call with a memory limit of its own. */
  wasm: Uint8Array;
  /** The prelude as QuickJS's bytecode: it costs a third of reading its source again. */
  prelude: Uint8Array;
}

/** Whether a worker was given a kit. */
export function isEngineKit(value: unknown): value is EngineKit {
  return (
    isObject(value) &&
    value['module'] instanceof WebAssembly.Module &&
    value['wasm'] instanceof Uint8Array &&
    value['prelude'] instanceof Uint8Array
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

  /** Compiles the engine and the prelude. */
  static async prepare(): Promise<EngineKit> {
    const wasm = await readFile(new URL(import.meta.resolve('quickjs-wasi/quickjs.wasm')));
    const module = limited(wasm, DEFAULT_MEMORY_BYTES);
    const vm = await QuickJS.create(module);
    const prelude = vm.compile(GUEST_SOURCE, GUEST_FILE);
    vm.dispose();
    const shared = new Uint8Array(new SharedArrayBuffer(wasm.length));
    shared.set(wasm);
    return { module, prelude, wasm: shared };
  }

  /**
   * A fresh instance: nothing of any earlier call is in it. Made anew, and not from a snapshot, since that copies a
   * megabyte of empty stack and costs more (2.4 ms of CPU against 1.8).
   */
  static async open(kit: EngineKit, memoryBytes: number): Promise<Engine> {
    const engine = new Engine();
    const module = memoryBytes === DEFAULT_MEMORY_BYTES ? kit.module : special(kit.wasm, memoryBytes);
    const vm = await QuickJS.create(engine.#options(module, memoryBytes));
    engine.#vm = vm;
    const print = vm.newFunction('print', (line) => {
      if (line?.isString) engine.print(line.toString());
      return vm.undefined;
    });
    const functions = vm.callFunction(vm.evalBytecode(kit.prelude), vm.undefined, print);
    for (const [index, name] of GUEST_FUNCTIONS.entries()) {
      engine.#functions.set(name, functions.getProp(String(index)));
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

  #options(wasm: WebAssembly.Module, memoryLimit: number): QuickJSOptions {
    return {
      wasm,
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

function refuse(): string {
  const error = new Error(NO_MODULES);
  // The library copies the stack into the guest, where our paths have no business.
  error.stack = '';
  throw error;
}

/** The last engine of this thread with another limit: compiling one costs more than a call. */
let other: { memoryBytes: number; module: WebAssembly.Module } | undefined;

function special(wasm: Uint8Array, memoryBytes: number): WebAssembly.Module {
  if (other?.memoryBytes !== memoryBytes) other = { memoryBytes, module: limited(wasm, memoryBytes) };
  return other.module;
}

/** The engine, compiled so that its linear memory cannot grow past the guest's limit and its own needs. */
function limited(wasm: Uint8Array, memoryBytes: number): WebAssembly.Module {
  return new WebAssembly.Module(capMemory(wasm, Math.ceil(memoryBytes / PAGE) + OWN_PAGES));
}

/**
 * The binary with a maximum in its memory section, which the published one lacks.
 * https://webassembly.github.io/spec/core/binary/modules.html#memory-section
 */
function capMemory(wasm: Uint8Array, pages: number): Uint8Array {
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
