import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostTool } from '../host/mcp/connections.ts';
import { salvage } from '../host/turn/salvage.ts';
import { cpuClock } from './pace.ts';

const tool = (name: string): HostTool => ({
  name,
  server: 's',
  title: name,
  description: '',
  effect: 'read',
  long: false,
  foreign: false,
  openWorld: false,
  inputSchema: {
    type: 'object',
    properties: {
      city: { type: 'string' },
      days: { type: 'number' },
      tags: { type: 'array', items: { type: 'string' } },
    },
    required: ['city'],
    additionalProperties: false,
  },
});
const tools = [tool('get_weather'), tool('get_news')];
const wanted = [{ name: 'get_weather', arguments: { city: 'Łódź', days: 3 } }];

const forms: Record<string, string> = {
  'Hermes and Qwen':
    'Let me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Łódź", "days": 3}}\n</tool_call>',
  'a tag that is not closed': '<tool_call>{"name":"get_weather","arguments":{"city":"Łódź","days":3}}',
  Mistral: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Łódź", "days": 3}}]',
  'Mistral, newer': '[TOOL_CALLS]get_weather[ARGS]{"city": "Łódź", "days": 3}',
  'Llama 3.1': '<function=get_weather>{"city": "Łódź", "days": 3}</function>',
  'Llama, bare': '{"name": "get_weather", "parameters": {"city": "Łódź", "days": "3"}}',
  'a python tag': '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Łódź", "days": 3}}',
  fenced:
    'I call it:\n```json\n{"name": "get_weather", "arguments": {"city": "Łódź", "days": 3}}\n```\nDone.',
  'as OpenAI has it':
    '{"function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Łódź\\", \\"days\\": 3}"}}',
  'Python-like': '[get_weather(city="Łódź", days=3)]',
  'a call of Python at the end': 'I look it up.\n\nget_weather(\n  city="Łódź",\n  days=3,\n)\n',
  'all in backticks': '`get_weather(city="Łódź", days=3)`',
  'Python in a fence': "```tool_code\nprint(get_weather(city='Łódź', days=3))\n```",
};

for (const [name, text] of Object.entries(forms)) {
  test(`a call written as text: ${name}`, () => assert.deepEqual(salvage(text, tools), wanted));
}

test('several calls, lists and words of Python', () => {
  const text = 'get_weather(city="a", tags=["x", \'y\'])\nget_news(city="b")';
  assert.deepEqual(salvage(text.replaceAll("'", '"'), tools), [
    { name: 'get_weather', arguments: { city: 'a', tags: ['x', 'y'] } },
    { name: 'get_news', arguments: { city: 'b' } },
  ]);
});

const answers: Record<string, string> = {
  'a tool that is not there': '<tool_call>{"name": "rm_all", "arguments": {}}</tool_call>',
  'arguments that do not fit': '<tool_call>{"name": "get_weather", "arguments": {"town": "x"}}</tool_call>',
  'an explanation with JSON in it':
    'The configuration reads {"name": "get_weather", "arguments": {"city": "a"}}, see above.',
  'a function in prose': 'You could use get_weather(city) for that.',
  'a broken one': '<tool_call>{"name": "get_weather", "arguments": {"city": </tool_call>',
  nothing: 'It rains.',
  'a call of Python in the middle of an explanation':
    'You can write\nget_weather(city="a")\nand you will get the weather.',
  'an example of code':
    'In Python you would write:\n```python\nimport weather\nprint(weather.get_weather(city="a"))\n```\nor so.',
  'a quoted example':
    'The log has:\n> <tool_call>{"name": "get_weather", "arguments": {"city": "a"}}</tool_call>',
  'a tag in backticks':
    'Write `<tool_call>{"name": "get_weather", "arguments": {"city": "a"}}</tool_call>` to call it.',
  'a program that has a function of that name':
    'Here is the function:\n```python\ndef get_weather(city="a"):\n    return fetch(city)\n```',
  'a program that calls it among other things':
    'Try this:\n```python\nfor city in cities:\n    pass\nget_weather(city="a")\nplot(x)\n```',
  'JSON of another thing': '```json\n{"name": "get_weather", "version": "1.0", "arguments": "none"}\n```',
  'a list of tools': '```json\n[{"name": "get_weather", "description": "Tells it."}]\n```',
};

for (const [name, text] of Object.entries(answers)) {
  test(`an answer stays one: ${name}`, () => assert.deepEqual(salvage(text, tools), []));
}

test('hostile texts take linear time', () => {
  const started = cpuClock();
  for (const text of ['{'.repeat(19_999), 'get_weather('.repeat(1_600), '<tool_call>'.repeat(1_800)])
    salvage(text, tools);
  assert.ok(started() < 1_000);
});
