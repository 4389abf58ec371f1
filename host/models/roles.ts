import { freemem } from 'node:os';
import { ModelError, type ListedModel, type Model, type ModelInfo } from '../../kit/model.ts';
import { roles, type Role } from '../settings.ts';

/** A role's model, and why it is this one, in words for the person. */
interface Picked {
  name: string;
  why: string;
}

/** What is known about the models that there are. */
export interface Survey {
  installed: ListedModel[];
  infos: ModelInfo[];
  /** Names of the models that are in memory. */
  loaded: string[];
  /** Bytes that a model may take: free ones and those that loaded models hold. Undefined where Ollama is elsewhere. */
  freeMemory?: number;
}

interface Candidate {
  name: string;
  size: number;
  /** Billions of parameters. */
  billions: number;
  capabilities: string[];
}

/** Below 3B models lose the thread of a task with tools; above 34B few machines of one person answer in time. */
const LEAST = 3;
const MOST = 34;
const SMALL_MOST = 4.5;
const EMBED_MOST = 1;
/** Bytes a parameter at four bits with the tables beside them, where only one of both figures is told. */
const BYTES_PER_PARAMETER = 0.6;
/** Beside its weights a model needs room for the context and its own buffers. */
const OVERHEAD = 1.15;
const CONTEXT_ROOM = 0.7e9;
const CODERS = /cod(?:e|er|ing)|codestral|devstral|starcoder/i;
const AT_ONCE = 8;

/** Something that is liked in a model: said of the one that has it, and of one that was taken without. */
interface Liking {
  holds: (candidate: Candidate) => boolean;
  says: string;
  lacks: string;
}

const has = (capability: string) => (candidate: Candidate) => candidate.capabilities.includes(capability);
const tools: Liking = {
  holds: has('tools'),
  says: 'calls tools',
  lacks: 'none that fits better calls tools by itself, so constrained answers drive it',
};
const usual: Liking = {
  holds: ({ billions }) => billions >= LEAST && billions <= MOST,
  says: `between ${LEAST}B and ${MOST}B`,
  lacks: `outside ${LEAST}B to ${MOST}B`,
};
const general: Liking = {
  holds: ({ name }) => !CODERS.test(name),
  says: 'made for all tasks',
  lacks: 'made for code',
};
const coder: Liking = {
  holds: ({ name, capabilities }) => CODERS.test(name) || capabilities.includes('insert'),
  says: 'made for code',
  lacks: 'none is made for code',
};
const little: Liking = {
  holds: ({ billions }) => billions >= 0.5 && billions <= SMALL_MOST,
  says: `at most ${SMALL_MOST}B, so it answers fast`,
  lacks: `none between 0.5B and ${SMALL_MOST}B`,
};
const compact: Liking = {
  holds: ({ billions }) => billions <= EMBED_MOST,
  says: `at most ${EMBED_MOST}B`,
  lacks: `none at most ${EMBED_MOST}B`,
};

/** Each role: what a model must be able to do, what is liked in it (the first counts most), which size wins then. */
const WANTS: Record<Role, { must: string; likes: Liking[]; order: 'largest' | 'smallest' }> = {
  default: { must: 'completion', likes: [tools, usual, general], order: 'largest' },
  code: { must: 'completion', likes: [coder, usual, tools], order: 'largest' },
  vision: { must: 'vision', likes: [usual], order: 'largest' },
  small: { must: 'completion', likes: [little, general], order: 'smallest' },
  embed: { must: 'embedding', likes: [compact], order: 'largest' },
};

/**
 * The model for a role: the configured one, else of those that can do it one that fits in memory, by what is liked in
 * it, then by size. Undefined where none can do it.
 */
export function pickRole(
  role: Role,
  known: Omit<Survey, 'loaded'> & { settings?: Partial<Record<Role, string>> },
): Picked | undefined {
  const { installed, infos, settings = {}, freeMemory } = known;
  const configured = settings[role];
  if (configured !== undefined) {
    const there = installed.some(({ name }) => name === configured || name === `${configured}:latest`);
    const missing = there ? '' : `, but not installed: ollama pull ${configured}`;
    return { name: configured, why: `configured (models.${role})${missing}` };
  }
  const { must, likes, order } = WANTS[role];
  const able = infos
    .filter(({ capabilities }) => capabilities.includes(must))
    .map((info) => candidate(info, installed));
  const fits: Liking = {
    holds: ({ size }) => freeMemory === undefined || needs(size) <= freeMemory,
    says: freeMemory === undefined ? '' : `fits in the ${gigabytes(freeMemory)} that are free`,
    lacks: freeMemory === undefined ? '' : `none fits in the ${gigabytes(freeMemory)} that are free`,
  };
  const all = [fits, ...likes];
  const [best] = able.sort((a, b) => {
    for (const { holds } of all) if (holds(a) !== holds(b)) return holds(a) ? -1 : 1;
    const bySize = order === 'largest' ? b.billions - a.billions : a.billions - b.billions;
    return bySize || a.name.localeCompare(b.name);
  });
  if (!best) return undefined;
  const reasons = all.map(({ holds, says, lacks }) => (holds(best) ? says : lacks)).filter(Boolean);
  const alike = able.filter((one) => all.every(({ holds }) => holds(one) === holds(best)));
  const alone =
    able.length === 1
      ? 'the only one for it'
      : alike.length > 1
        ? `the ${order} of ${alike.length} like that`
        : '';
  const size = `${round(best.billions)}B`;
  const words = [must === 'vision' ? 'sees images' : '', ...reasons, alone].filter(Boolean).join('; ');
  return { name: best.name, why: `${size}; ${words}` };
}

/** Every role that some model can take. */
export function pickRoles(known: Survey & { settings?: Partial<Record<Role, string>> }): Map<Role, Picked> {
  const picks = new Map<Role, Picked>();
  for (const role of roles) {
    const pick = pickRole(role, known);
    if (pick) picks.set(role, pick);
  }
  return picks;
}

/** Asks Ollama about all its models. One that cannot be told about is left out; throws ModelError without a server. */
export async function survey(
  model: Model,
  signal: AbortSignal,
  options: { local?: boolean; memoryMb?: number } = {},
): Promise<Survey> {
  const installed = await model.list(signal);
  const infos: ModelInfo[] = [];
  for (let at = 0; at < installed.length; at += AT_ONCE) {
    const some = installed.slice(at, at + AT_ONCE).map(({ name }) => model.show(name, signal));
    for (const one of await Promise.allSettled(some)) if (one.status === 'fulfilled') infos.push(one.value);
  }
  if (signal.aborted) throw new ModelError('cancelled', 'Cancelled.');
  // Servers with Ollama's API may not know this question.
  const running = await model.running(signal).catch(() => []);
  const held = running.reduce((sum, { size, vram }) => sum + Math.max(size, vram), 0);
  const free = options.local === false ? undefined : freemem() + held;
  const budget = options.memoryMb === undefined ? undefined : options.memoryMb * 1e6;
  const freeMemory = free === undefined ? budget : Math.min(free, budget ?? free);
  return { installed, infos, loaded: running.map(({ name }) => name), freeMemory };
}

function candidate({ name, capabilities, parameters }: ModelInfo, installed: ListedModel[]): Candidate {
  const size = installed.find((one) => one.name === name)?.size ?? 0;
  const billions = parametersIn(parameters) ?? size / BYTES_PER_PARAMETER / 1e9;
  return { name, capabilities, billions, size: size || billions * BYTES_PER_PARAMETER * 1e9 };
}

/** `7.6B`, `494.03M`, `8x7B` in billions. */
function parametersIn(text = ''): number | undefined {
  const [, times = '1', number, unit = ''] = /^(?:(\d+)\s*x\s*)?([\d.]+)\s*([KMBT])/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  return Number(times) * Number(number) * (UNITS[unit.toUpperCase()] ?? 1);
}

const UNITS: Record<string, number> = { K: 1e-6, M: 1e-3, B: 1, T: 1e3 };
const needs = (size: number) => size * OVERHEAD + CONTEXT_ROOM;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const round = (billions: number) => Number(billions.toPrecision(2));
