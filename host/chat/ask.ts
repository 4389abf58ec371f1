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
    const shown = clean(label);
    const room = Math.max(10, io.columns() - 4);
    const fits = fit(shown, room) === shown;
    // What to choose from must be seen whole.
    if (!fits) io.out(`${shown}\n`);
    const said = await prompt.read(fits ? `${shown} ` : '> ');
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

const MOST_TRIES = 3;

/**
 * What a server wants filled in, field by field; undefined when the person stopped it or left out what is needed. What
 * does not fit is asked for again.
 */
export async function fillIn(fields: FormField[], ask: AskFor): Promise<JsonObject | undefined> {
  const filled: JsonObject = {};
  for (const field of fields) {
    const { name, required, preset } = field;
    for (let tries = 1; filled[name] === undefined; tries++) {
      const again = tries > 1 ? `${WANTED[field.type]}, please. ` : '';
      const said = await ask(`${again}${labelOf(field)}:`);
      if (said === undefined || tries > MOST_TRIES) return undefined;
      if (said === '') {
        if (preset !== undefined) filled[name] = preset;
        else if (required) return undefined;
        break;
      }
      filled[name] = valueOf(said, field);
    }
  }
  return filled;
}

const WANTED: Record<FormField['type'], string> = {
  string: 'One of these',
  list: 'Some of these, with commas between them',
  boolean: 'y or n',
  number: 'A number',
  integer: 'A whole number',
};

function labelOf({ title, description, type, options, required, preset }: FormField): string {
  const choices = options?.map(({ value, label }) =>
    label && label !== value ? `${value}: ${label}` : value,
  );
  const choice = choices
    ? ` [${choices.join(type === 'list' ? ', ' : ' | ')}]`
    : type === 'boolean'
      ? ' [y/n]'
      : '';
  const shown = typeof preset === 'boolean' ? (preset ? 'y' : 'n') : [preset ?? []].flat().join(', ');
  const empty = preset === undefined ? (required ? '' : ', or nothing') : `, or nothing for ${shown}`;
  return `${title}${description ? ` (${description})` : ''}${choice}${empty}`;
}

function valueOf(said: string, { type, options }: FormField): FormField['preset'] {
  const chosen = (one: string) =>
    options?.find(({ value, label }) =>
      [value, label].some((word) => word?.toLowerCase() === one.toLowerCase()),
    )?.value;
  if (type === 'list') {
    const words = said
      .split(',')
      .map((one) => one.trim())
      .filter(Boolean);
    const values = options ? words.map(chosen) : words;
    const fit = values.filter((one) => one !== undefined);
    return fit.length === words.length ? fit : undefined;
  }
  if (type === 'string') return options ? chosen(said) : said;
  if (type === 'boolean')
    return /^(?:y|yes|t|tak|true)$/i.test(said) || (/^(?:n|no|nie|false)$/i.test(said) ? false : undefined);
  const number = Number(said);
  return Number.isNaN(number) || (type === 'integer' && !Number.isInteger(number)) ? undefined : number;
}
