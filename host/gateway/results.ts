import type { FormSchema } from '../../kit/passed.ts';
import type { CallResult, FormField, HostTool } from '../mcp/connections.ts';

/** A result past this is refused: it would fill any context, and a line of stdio holds 10 MiB. */
export const MOST_TEXT = 1_000_000;
const MOST_BINARY = 7 * 1024 * 1024;

/** A result as the server gave it, unless it is too much. */
export function passed(name: string, tool: HostTool, { text, content = [], value, untrusted }: CallResult) {
  const size = content.reduce((sum, part) => sum + binarySize(part), 0);
  const chars = Math.max(text.length, value ? JSON.stringify(value).length : 0);
  if (chars > MOST_TEXT || size > MOST_BINARY) {
    const what = chars > MOST_TEXT ? `${chars} characters` : `${size} bytes of pictures or sound`;
    const message = `The result of ${name} has ${what}, which is too much. Ask for a smaller part.`;
    return { kind: 'error', message } as const;
  }
  // Ours say so themselves.
  const marked = untrusted === true && tool.foreign;
  return { kind: 'passed', content, value, ...(marked && { untrusted: true }) } as const;
}

function binarySize(part: NonNullable<CallResult['content']>[number]): number {
  if ('data' in part) return part.data.length;
  return part.type === 'resource' && 'blob' in part.resource ? part.resource.blob.length : 0;
}

/** What a server wants filled in, as a client can show it: as the server said it. */
export function formOf(fields: FormField[]): FormSchema {
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map((one) => [one.name, propertyOf(one)])),
    required: fields.filter((one) => one.required).map((one) => one.name),
  };
}

function propertyOf(field: FormField): FormSchema['properties'][string] {
  const { type, title, description, options = [], preset } = field;
  const about = { title, ...(description !== undefined && { description }) };
  const values = options.map(({ value }) => value);
  const choices = options.map(({ value, label }) => ({ const: value, title: label ?? value }));
  const labelled = options.some(({ label }) => label !== undefined);
  if (type === 'list') {
    const list = { type: 'array' as const, ...about, ...(Array.isArray(preset) && { default: preset }) };
    return labelled
      ? { ...list, items: { anyOf: choices } }
      : { ...list, items: { type: 'string', enum: values } };
  }
  if (type === 'string') {
    const text = { type, ...about, ...(typeof preset === 'string' && { default: preset }) };
    if (labelled) return { ...text, oneOf: choices };
    return { ...text, ...(values.length > 0 && { enum: values }) };
  }
  if (type === 'boolean') return { type, ...about, ...(typeof preset === 'boolean' && { default: preset }) };
  return { type, ...about, ...(typeof preset === 'number' && { default: preset }) };
}
