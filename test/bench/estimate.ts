import { Window } from '../../host/turn/window.ts';
import { complete, type ChatMessage, type Model, type OfferedTool } from '../../kit/model.ts';
import { ollamaModel } from '../../kit/ollama.ts';
import { startOllama } from '../real-ollama.ts';
import { figure, type Figure, type Scope } from './figure.ts';

const tools: OfferedTool[] = ['weather', 'news', 'stock'].map((noun) => ({
  name: `get_${noun}`,
  description: `Gets the ${noun} of a place on a day, with its source and how sure it is.`,
  parameters: {
    type: 'object',
    properties: { place: { type: 'string', description: 'a town' }, day: { type: 'string' } },
    required: ['place'],
  },
}));
const QUESTIONS = [
  'Which towns lie on the river Vistula? Name three of them.',
  'Zażółć gęślą jaźń: co to zdanie znaczy i po co je napisano?',
  'What does this line print? `const [a, ...rest] = [1, 2, 3]; console.log(rest.length);` Say the number only.',
  'Here is a log:\n2026-11-22T23:01:17Z ERROR connect ECONNREFUSED 10.0.0.7:5432\n2026-11-22T23:01:18Z retry 2 of 5\nWhat failed?',
  'Sum up all that we talked about so far, in two sentences that a child of ten would understand.',
  '{"id": 4711, "state": "failed", "jobs": [{"name": "lint", "ms": 12031}, {"name": "test", "ms": 99128}]} Which job took longer?',
];

/** How far estimates are off, turn by turn, as a share of what the model counted. */
export async function estimateErrors(model: Model, name: string, signal: AbortSignal): Promise<number[]> {
  const window = new Window();
  window.use(await model.show(name, signal));
  const messages: ChatMessage[] = [
    { role: 'system', content: 'You are a helpful assistant. Answer briefly.' },
  ];
  const errors: number[] = [];
  for (const content of QUESTIONS) {
    messages.push({ role: 'user', content });
    const request = window.sized({
      model: name,
      messages: [...messages],
      tools,
      options: { temperature: 0, num_predict: 24 },
    });
    const guess = window.gauge.estimate(name, request);
    const { text, done } = await complete(model, request, signal);
    errors.push(Math.abs(guess - done.promptTokens) / done.promptTokens);
    await window.read(request, done);
    messages.push({ role: 'assistant', content: text });
  }
  return errors;
}

/** By a real tokenizer: Ollama with its tiny model. */
export async function estimate(_scope: Scope): Promise<Figure[]> {
  const what = 'prompt tokens estimated against counted, largest error after three turns';
  const made = { name: 'estimate', what, unit: '%', bar: 5 };
  const server = await startOllama();
  if (!server) return [figure({ ...made, value: undefined, note: 'needs KUZNIA_REAL_OLLAMA', details: {} })];
  try {
    const model = ollamaModel({ host: server.url });
    const errors = await estimateErrors(model, 'smollm2-tools', AbortSignal.timeout(300_000));
    return [figure({ ...made, value: Math.max(...errors.slice(3)) * 100, details: { 'by turn': errors } })];
  } finally {
    await server.stop();
  }
}
