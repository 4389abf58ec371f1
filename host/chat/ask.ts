import type { JsonObject } from '../../kit/tool.ts';
import type { FormField, HostPrompt } from '../mcp/connections.ts';
import type { Io } from '../terminal/io.ts';
import type { Prompt } from '../terminal/prompt.ts';
import { clean, fit } from '../terminal/text.ts';

/** Asks for one value; undefined when the person stopped it. */
export type AskFor = (label: string) => Promise<string | undefined>;

/** Asks at the prompt. An answer that is typed while `stopped` is none. */
export function askFor(io: Io, prompt: Prompt, stopped: () => boolean): AskFor {
  return async (label) => {
    const said = await prompt.read(`${fit(clean(label), Math.max(10, io.columns() - 4))} `);
    return stopped() ? undefined : said?.trim();
  };
}

/** The arguments of a server's prompt: `key=value` words, and what is missing asked for. */
export async function promptArguments(
  wanted: HostPrompt['arguments'],
  rest: string,
  ask: AskFor,
): Promise<Record<string, string> | undefined> {
  const given: Record<string, string> = {};
  for (const [, name = '', quoted, plain = ''] of rest.matchAll(/([\w.-]+)=(?:"([^"]*)"|(\S*))/g)) {
    given[name] = quoted ?? plain;
  }
  const [only, ...others] = wanted;
  // One argument needs no name.
  if (only && others.length === 0 && rest.trim() !== '' && Object.keys(given).length === 0) {
    return { [only.name]: rest.trim() };
  }
  for (const { name, description, required } of wanted) {
    if (given[name] !== undefined) continue;
    const about = description ? ` (${description})` : '';
    const said = await ask(`${name}${about}${required ? '' : ', or nothing'}:`);
    if (said === undefined || (said === '' && required)) return undefined;
    if (said !== '') given[name] = said;
  }
  return given;
}

/** What a server wants filled in, field by field; undefined when the person stopped it or left out what is needed. */
export async function fillIn(fields: FormField[], ask: AskFor): Promise<JsonObject | undefined> {
  const filled: JsonObject = {};
  for (const { name, title, type, required, options } of fields) {
    const choice = options ? ` [${options.join(' | ')}]` : type === 'boolean' ? ' [y/n]' : '';
    const said = await ask(`${title}${choice}${required ? '' : ', or nothing'}:`);
    if (said === undefined || (said === '' && required)) return undefined;
    if (said === '') continue;
    const value = valueOf(said, type);
    if (value === undefined || (options && !options.includes(said))) return undefined;
    filled[name] = value;
  }
  return filled;
}

function valueOf(said: string, type: FormField['type']): string | number | boolean | undefined {
  if (type === 'string') return said;
  if (type === 'boolean')
    return /^(?:y|yes|t|tak|true)$/i.test(said) || (/^(?:n|no|nie|false)$/i.test(said) ? false : undefined);
  const number = Number(said);
  return Number.isNaN(number) || (type === 'integer' && !Number.isInteger(number)) ? undefined : number;
}
