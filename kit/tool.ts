import { z } from 'zod';
import type { Journal } from './journal.ts';
import type { Model } from './ollama.ts';

/**
 * What a call does to the world: `read` changes nothing that anyone else sees, `write` can be undone (or undone
 * by a counterpart), `destroy` cannot. The MCP annotations follow from it.
 */
export type Effect = 'read' | 'write' | 'destroy';

/** What a handler gets beside its input and its server's dependencies. */
export interface ToolContext {
  /** Aborts when the client cancels, the deadline passes or the server stops. */
  signal: AbortSignal;
  /** Tells the client how far a long call is. `total` may be unknown. */
  progress(done: number, total?: number, note?: string): void;
  journal: Journal;
  /** What the person said to the address of `visit`; undefined where the client opens none. */
  visited?: 'accepted' | 'declined';
}

/** An address that a person opens, with why. */
export interface Visit {
  url: string;
  message: string;
}

/** A question that a person answers before `run` starts. */
export interface Question {
  /**
   * What is about to happen, whole enough to decide on. An answer counts for these words only: the same state must
   * give the same ones, or the person is asked for ever.
   */
  message: string;
  /** What a person does where the client cannot ask: a command, said whole. */
  elsewhere: string;
}

/** An error that is safe to show a model: one or two sentences, ending with what to do next. */
export class ToolError extends Error {
  override name = 'ToolError';
}

type Shape = z.ZodObject;

/** What the author of a tool writes. */
interface ToolSpec<Deps, I extends Shape, O extends Shape> {
  name: string;
  title: string;
  /** One or two sentences that say when to use it. */
  description: string;
  effect: Effect;
  /** Calling it twice with the same input changes nothing more. Reads always are. */
  idempotent?: boolean;
  /** It reaches systems that others see (GitLab, a chat). */
  openWorld?: boolean;
  /** The call is cut after so long, in ms (default 50,000: clients' own limit is 60 s). */
  deadlineMs?: number;
  /**
   * The call may take minutes: the kit adds `wait_s` and `job`, runs it as a job, and answers
   * `{ status: 'running', job }` when `wait_s` is over. Its output needs an optional `status`, `job` and `note`.
   */
  long?: boolean;
  /** Its answer holds text that others wrote: it is marked as data, which no model should take for an instruction. */
  untrusted?: boolean;
  /** Requests that it answers, in a person's words: a host finds it by them; no client is shown them. */
  examples?: string[];
  input: I;
  output: O;
  /** Only reads. Asked before `run`; undefined means that nothing need be asked. */
  confirm?: (input: z.output<I>, deps: Deps, ctx: ToolContext) => Promise<Question | undefined>;
  /**
   * Begins what a person completes at an address. Called instead of `run` where the client opens addresses (MCP,
   * elicitation in URL mode); `run` comes after the person's answer, and is told it. Not for a tool that has `confirm`.
   */
  visit?: (input: z.output<I>, deps: Deps, ctx: ToolContext) => Promise<Visit>;
  /**
   * Only reads. What a dry run of an `openWorld` write says it would send; without it the kit runs `run` with writing
   * HTTP requests held back and tells the first. Needed where several follow each other, or a program does the writing.
   */
  preview?: (input: z.output<I>, deps: Deps, ctx: ToolContext) => Promise<unknown>;
  run: (input: z.output<I>, deps: Deps, ctx: ToolContext) => Promise<z.input<O>>;
}

/** A tool with its types folded away: raw input in, plain checked value out. */
export interface Tool<Deps> {
  name: string;
  title: string;
  description: string;
  effect: Effect;
  idempotent: boolean;
  openWorld: boolean;
  deadlineMs: number;
  long: boolean;
  untrusted: boolean;
  examples: string[];
  inputSchema: () => JsonObject;
  outputSchema: () => JsonObject;
  visit?: (raw: unknown, deps: Deps, ctx: ToolContext) => Promise<Visit>;
  preview?: (raw: unknown, deps: Deps, ctx: ToolContext) => Promise<unknown>;
  confirm: (raw: unknown, deps: Deps, ctx: ToolContext) => Promise<Question | undefined>;
  run: (raw: unknown, deps: Deps, ctx: ToolContext) => Promise<JsonObject>;
}

export type JsonObject = Record<string, unknown>;

/** `const tool = toolFor<Deps>()`, then `tool({ ... })` with full types and no cast. */
export function toolFor<Deps>(): <I extends Shape, O extends Shape>(
  spec: ToolSpec<Deps, I, O>,
) => Tool<Deps> {
  return (spec) => {
    const { preview, visit } = spec;
    const parse = (raw: unknown) => parseInput(spec.name, spec.input, raw);
    return {
      name: spec.name,
      title: spec.title,
      description: spec.description,
      effect: spec.effect,
      idempotent: spec.idempotent ?? spec.effect === 'read',
      openWorld: spec.openWorld ?? false,
      deadlineMs: spec.deadlineMs ?? 50_000,
      long: spec.long ?? false,
      untrusted: spec.untrusted ?? false,
      examples: spec.examples ?? [],
      inputSchema: () => listedSchema(spec.input, 'input'),
      outputSchema: () => listedSchema(spec.output, 'output'),
      ...(visit && { visit: async (raw: unknown, deps, ctx) => visit(parse(raw), deps, ctx) }),
      ...(preview && {
        preview: async (raw: unknown, deps, ctx) => preview(parse(raw), deps, ctx),
      }),
      confirm: async (raw, deps, ctx) => spec.confirm?.(parse(raw), deps, ctx),
      run: async (raw, deps, ctx) => spec.output.parse(await spec.run(parse(raw), deps, ctx)),
    };
  };
}

function parseInput<I extends Shape>(tool: string, schema: I, raw: unknown): z.output<I> {
  const known = Object.keys(schema.shape);
  const unknown = Object.keys(raw ?? {}).filter((key) => !known.includes(key));
  const faults = unknown.map((key) => `\`${key}\`: no such argument`);
  const parsed = schema.safeParse(raw ?? {});
  if (parsed.success && faults.length === 0) return parsed.data;
  for (const issue of parsed.error?.issues ?? []) {
    // zod 4: "Invalid input: expected string, received undefined". Models know "missing".
    const said = issue.message.replace(
      /^Invalid input: expected (\w+), received undefined$/,
      'missing: expected $1',
    );
    faults.push(`\`${issue.path.join('.') || 'the arguments'}\`: ${said}`);
  }
  throw new ToolError(
    `${tool} was not run: ${faults.slice(0, 8).join('; ')}. Its arguments are ${known.join(', ')}. Correct them and call again.`,
  );
}

/** JSON Schema as it is listed: no `$schema`, no bounds that only restate JavaScript's integers. */
function listedSchema(schema: Shape, io: 'input' | 'output'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (io === 'output') delete jsonSchema.additionalProperties;
    },
  });
  return rest;
}

/** Something a client can read by URI. `{name}` in the template is filled from the URI. */
export interface Resource<Deps> {
  /** RFC 6570 level 1 template, e.g. `sandbox://tools/{name}/{version}/{part}`. */
  template: string;
  name: string;
  title: string;
  description: string;
  mimeType: string;
  read: (variables: Record<string, string>, deps: Deps) => Promise<{ text: string; mimeType?: string }>;
  /** Values for one variable that begin with `prefix`; `known` holds the ones already filled in. */
  complete?: (
    variable: string,
    prefix: string,
    known: Record<string, string>,
    deps: Deps,
  ) => Promise<string[]>;
}

/** A prompt that a person picks in their client. */
export interface Prompt<Deps> {
  name: string;
  title: string;
  description: string;
  arguments: { name: string; description: string; required: boolean }[];
  render: (args: Record<string, string>, deps: Deps) => Promise<string>;
}

/** A tool that exists as data only (forged at run time), with plain JSON Schemas. */
export interface ListedTool {
  name: string;
  title: string;
  description: string;
  inputSchema: JsonObject;
  outputSchema: JsonObject;
  effect: Effect;
  /** What it is looked for by, beside its description; no model is shown it. */
  examples?: string[] | undefined;
}

/** Tools that come and go while the server runs. */
export interface Catalogue {
  list: () => ListedTool[];
  has: (name: string) => boolean;
  call: (name: string, input: unknown, ctx: ToolContext) => Promise<JsonObject>;
  /** Called after every change of `list`; returns how to stop listening. */
  onChange: (listener: () => void) => () => void;
}

/** What a server is given by whoever starts it. */
export interface Runtime {
  /** KUZNIA_HOME, absolute. */
  home: string;
  journal: Journal;
  env: Record<string, string | undefined>;
  /** The model to use instead of the Ollama that the configuration names: a scripted one, in tests and the demonstration. */
  model?: Model;
}

/** A whole server as data; `kit/server.ts` and `kit/serve.ts` make it run. */
export interface ServerDefinition<Config, Deps> {
  name: string;
  title: string;
  instructions: string;
  /** Parsed once, from environment and configuration file; see `kit/config.ts`. */
  config: z.ZodType<Config>;
  open: (config: Config, runtime: Runtime) => Promise<Deps>;
  close: (deps: Deps) => Promise<void>;
  tools: Tool<Deps>[];
  /** Which of its tools this configuration offers: toolsets, read-only. All, where it says nothing. */
  select?: (tool: Tool<Deps>, config: Config) => boolean;
  resources: Resource<Deps>[];
  prompts: Prompt<Deps>[];
  catalogue?: (deps: Deps) => Catalogue;
}
