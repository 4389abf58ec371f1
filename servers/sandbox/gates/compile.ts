import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { allowProgram, command } from '../../../kit/command.ts';
import type { JsonObject } from '../../../kit/tool.ts';
import { typeOf } from './contract.ts';

export type Language = 'javascript' | 'typescript';

/** What the compiler made of a tool's code. */
interface Compiled {
  /** Plain JavaScript: the code itself, or what TypeScript emitted. */
  javascript: string;
  /** One line a fault, with line numbers of the code as it was written. */
  faults: string[];
  /** The code does not parse, so that nothing can be run. */
  broken: boolean;
}

const DEADLINE_MS = 10_000;

/** What a tool finds in the lane beside ECMAScript; see runner/guest-globals.ts. */
const GLOBALS = `
declare const console: Record<'log' | 'info' | 'warn' | 'error' | 'debug', (...values: any[]) => void>;
declare function setTimeout(work: (...args: any[]) => void, ms?: number, ...args: any[]): number;
declare function setInterval(work: (...args: any[]) => void, ms?: number, ...args: any[]): number;
declare function clearTimeout(id?: number): void;
declare function clearInterval(id?: number): void;
declare function queueMicrotask(work: () => void): void;
declare function structuredClone<T>(value: T): T;
declare function atob(text: string): string;
declare function btoa(text: string): string;
declare const performance: { now(): number };
declare class TextEncoder { encode(text?: string): Uint8Array }
declare class TextDecoder { constructor(label?: string); decode(bytes?: Uint8Array | ArrayBuffer): string }
`;

/**
 * `noResolve`: the code is a model's, and the compiler runs outside the sandbox. Without it an import, a JSDoc type or a
 * reference would have it read, compile and even overwrite any file of the user's.
 */
const FLAGS = [
  '--target es2023 --lib es2023 --module esnext --moduleResolution bundler --rootDir . --outDir out',
  '--allowJs --checkJs --strict --noImplicitAny false --useUnknownInCatchVariables false',
  '--skipLibCheck --pretty false --noResolve',
]
  .flatMap((line) => line.split(' '))
  .concat('--types', ''); // none

/**
 * In JavaScript, types are only guessed, and good code offends them (`new Date(a) - new Date(b)`). What counts there
 * is what would fail at run time: it does not parse, a name exists nowhere, a module, a constant is assigned to.
 */
const COUNTS_IN_JAVASCRIPT = new Set([2304, 2552, 2580, 2584, 2307, 2451, 2448, 2588, 2792, 2583, 2591]);

/** Type-checks a tool's code against its schemas with the TypeScript compiler, and emits JavaScript. */
export async function compile(
  tool: { code: string; language: Language; input_schema: JsonObject; output_schema?: JsonObject },
  signal?: AbortSignal,
): Promise<Compiled> {
  const file = tool.language === 'typescript' ? 'tool.ts' : 'tool.js';
  const folder = await mkdtemp(join(tmpdir(), 'kuznia-tsc-'));
  try {
    await mkdir(join(folder, 'out'));
    await Promise.all([
      writeFile(join(folder, file), tool.code),
      writeFile(join(folder, 'globals.d.ts'), GLOBALS),
      writeFile(join(folder, 'contract.ts'), contract(tool.input_schema, tool.output_schema)),
    ]);
    const files = ['contract.ts', 'globals.d.ts', file];
    locateCompiler();
    const { stdout } = await command('tsc', [...FLAGS, ...files], {
      cwd: folder,
      deadlineMs: DEADLINE_MS,
      // The compiler is written in Go, which collects harder as this comes near: a guard against types that explode.
      env: { GOMEMLIMIT: '512MiB' },
      allowExit: [0, 1, 2],
      signal,
    });
    const found = [
      ...directives(tool.code),
      ...stdout.split(/\n(?! )/).flatMap((line) => diagnostic(line, tool.language)),
    ];
    const javascript =
      tool.language === 'typescript' ? await readFile(join(folder, 'out', 'tool.js'), 'utf8') : tool.code;
    return {
      javascript,
      faults: found.map((one) => one.text).slice(0, 12),
      broken: found.some((one) => one.code < 2000),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Comments that would switch the check off, or ask for other files. */
function directives(code: string): { code: number; text: string }[] {
  return code.split('\n').flatMap((line, i) => {
    const found = /@ts-(?:nocheck|ignore|expect-error)|\/\/\/\s*<(?:reference|amd)/.exec(line)?.[0];
    if (found === undefined) return [];
    return [{ code: 2000, text: `line ${i + 1}: \`${found}\` has no place in a tool: remove it.` }];
  });
}

function contract(input: JsonObject, output: JsonObject | undefined): string {
  const result = output ? typeOf(output) : 'unknown';
  return [
    `import tool from './tool.js';`,
    `type Input = ${typeOf(input)};`,
    `type Output = ${result};`,
    `export const run: (input: Input) => Output | Promise<Output> = tool;`,
  ].join('\n');
}

function diagnostic(line: string, language: Language): { code: number; text: string }[] {
  const found = /^(?:(\w+\.\w+)\((\d+),\d+\): )?error TS(\d+): (.*)((?:\n .*)*)/.exec(line);
  if (!found) return [];
  const [, file, row, number, first = '', details = ''] = found;
  // The last, deepest line of the details is the reason.
  const reason = details.split('\n').at(-1)?.trim() ?? '';
  const message = plain(reason === '' ? first : `${first} ${reason}`);
  const code = Number(number);
  if (file === 'contract.ts') return [{ code, text: contractFault(code, message) }];
  if (language === 'javascript' && code >= 8000 && code < 9000) {
    return [{ code: 1000, text: `line ${row ?? '?'}: ${message} Save it with language "typescript".` }];
  }
  if (language === 'javascript' && code >= 2000 && !COUNTS_IN_JAVASCRIPT.has(code)) return [];
  return [{ code, text: `line ${row ?? '?'}: ${message}${hint(code, message)}` }];
}

/** Without the compiler's advice about packages, of which a tool has none. */
const plain = (message: string) => message.replace(/ Do you need to (install|change).*/, '');

function contractFault(code: number, message: string): string {
  if (code === 1192 || code === 2613 || code === 2306) {
    return 'There is no default export. End with `export default (input) => { ... }`.';
  }
  return `The default export does not fit the schemas: ${message} It must be a function from the input to the output.`;
}

function hint(code: number, message: string): string {
  if (code === 2307 || code === 2792 || message.includes("'node:")) {
    return ' There are no modules to import in a tool; write the code itself.';
  }
  if (/fetch|require|process|Buffer|document|window|__dirname/.test(message)) {
    return ' A tool has no network, files, process or page: only ECMAScript, console and timers.';
  }
  return '';
}

let located = false;

/** The native compiler that the `typescript` package brings for this platform; its own launcher costs a Node start. */
function locateCompiler(): void {
  if (located) return;
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  const folder = dirname(createRequire(typescript).resolve(`${platform}/package.json`));
  allowProgram(join(folder, 'lib', process.platform === 'win32' ? 'tsc.exe' : 'tsc'));
  located = true;
}

/** A guess for code that came without a language: TypeScript shows in its annotations. */
export function guessLanguage(code: string): Language {
  const typed =
    /^\s*(export\s+)?(interface|type)\s+\w+|[)\w]\s*:\s*(string|number|boolean|unknown|any|void|never)\b(\[\])?\s*[,)=;{}|&\n]|[)\w]\s*:\s*(Record|Array|Promise|Map|Set)<|\bas\s+(const|string|number|any|unknown)\b|\bsatisfies\b/m;
  const asJavaScript = code
    .replace(/(["'`])(?:\\.|(?!\1)[^\\])*\1/g, '""')
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  return typed.test(asJavaScript) ? 'typescript' : 'javascript';
}
