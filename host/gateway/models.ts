import { z } from 'zod';
import { complete, ModelError, type ChatMessage, type Model } from '../../kit/model.ts';
import { ToolError, toolFor, type ServerDefinition, type ToolContext } from '../../kit/tool.ts';
import { isLocal, wantedModel } from '../models/models.ts';
import { pickRole, survey, type Survey } from '../models/roles.ts';
import { modelOf } from '../session.ts';
import { hostSettings, type Role } from '../settings.ts';

interface Models {
  model: Model;
  /** The model for a role, or the one that was named. */
  pick: (role: Role, named: string | undefined, signal: AbortSignal) => Promise<string>;
}

const tool = toolFor<Models>();

/** Base64; half as many bytes again as a photo of twelve megapixels has. */
const MOST_IMAGE = 8 * 1024 * 1024;
const MOST_PROMPT = 400_000;
const MOST_ANSWER = 200_000;
/** Of the models that are there, since each is asked about. */
const KNOWN_MS = 60_000;

const named = z.string().max(200).optional().describe('a model of model_list; else a fitting one is chosen');
const tokens = z.int().min(1).max(16_384).default(2_048).describe('the longest answer, in tokens');
/** What a call that takes long says while it runs. */
const job = { status: z.string().optional(), job: z.string().optional(), note: z.string().optional() };
const answer = z.object({
  ...job,
  text: z.string().optional(),
  model: z.string().optional(),
  cut: z.boolean().optional().describe('it reached max_tokens: the end is missing'),
});

interface Asked {
  role: Role;
  model?: string;
  messages: ChatMessage[];
  maxTokens: number;
  temperature?: number;
}

/** One whole answer; how far it is is told as it grows. */
async function ask(asked: Asked, { model, pick }: Models, ctx: ToolContext) {
  const { signal } = ctx;
  return told(async () => {
    const name = await pick(asked.role, asked.model, signal);
    let chars = 0;
    let toldAt = performance.now();
    ctx.progress(0, undefined, `${name} is asked`);
    const watched: Model = {
      ...model,
      async *chat(request, signal) {
        for await (const event of model.chat(request, signal)) {
          if (event.type === 'text' || event.type === 'thinking') chars += event.text.length;
          if (performance.now() - toldAt > 1_000) {
            toldAt = performance.now();
            ctx.progress(chars, undefined, `${name} wrote ${chars} characters`);
          }
          yield event;
        }
      },
    };
    const options = { num_predict: asked.maxTokens, temperature: asked.temperature };
    const { text, done } = await complete(
      watched,
      { model: name, messages: asked.messages, options },
      signal,
    );
    const cut = done.reason === 'length' || text.length > MOST_ANSWER;
    return { text: text.slice(0, MOST_ANSWER), model: name, ...(cut && { cut }) };
  });
}

/** What is wrong with a model is for the client to know: the message says what to do. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ModelError) throw new ToolError(error.message, { cause: error });
    throw error;
  }
}

/** The local models themselves, as tools. */
export const models: ServerDefinition<object, Models> = {
  name: 'model',
  title: 'Local models',
  instructions: 'model_… asks the local models themselves.',
  config: z.object({}),
  async open(_config, runtime) {
    const model = runtime.model ?? modelOf(runtime);
    let known: { at: number; survey: Survey } | undefined;
    return {
      model,
      async pick(role, wanted, signal) {
        if (wanted !== undefined) return wanted;
        const settings = { ...hostSettings(runtime.home).models, default: wantedModel(undefined, runtime) };
        const configured = settings[role];
        if (configured !== undefined) return configured;
        if (!known || performance.now() - known.at > KNOWN_MS) {
          known = { at: performance.now(), survey: await survey(model, signal, { local: isLocal(runtime) }) };
        }
        const found = pickRole(role, { ...known.survey, settings });
        if (found) return found.name;
        known = undefined;
        const which = role === 'vision' ? 'sees images' : 'can write';
        throw new ToolError(
          `No installed model ${which}. A person can get one, for example: ollama pull ${role === 'vision' ? 'qwen2.5vl:7b' : 'qwen3:4b'}.`,
        );
      },
    };
  },
  async close() {},
  resources: [],
  prompts: [],
  tools: [
    tool({
      name: 'model_generate',
      title: 'Ask the local model',
      description: 'Has a local model answer a prompt, for example to draft, summarise or translate a text.',
      effect: 'read',
      idempotent: false,
      long: true,
      untrusted: true,
      examples: ['summarise this text with the local model', 'let the local model draft a reply'],
      input: z.object({
        prompt: z.string().min(1).max(MOST_PROMPT),
        system: z.string().max(MOST_PROMPT).optional().describe('how it is to answer'),
        model: named,
        max_tokens: tokens,
        temperature: z.number().min(0).max(2).optional(),
      }),
      output: answer,
      run: ({ prompt, system, model, max_tokens: maxTokens, temperature }, deps, ctx) => {
        const messages: ChatMessage[] = [{ role: 'user', content: prompt }];
        if (system !== undefined) messages.unshift({ role: 'system', content: system });
        return ask({ role: 'default', model, messages, maxTokens, temperature }, deps, ctx);
      },
    }),
    tool({
      name: 'model_code',
      title: 'Have code written',
      description: 'Has the local model that is best at code write or explain some.',
      effect: 'read',
      idempotent: false,
      long: true,
      untrusted: true,
      examples: ['write a function that parses this format', 'explain this code with the local model'],
      input: z.object({
        task: z.string().min(1).max(MOST_PROMPT).describe('what is wanted'),
        language: z.string().max(60).optional(),
        code: z.string().max(MOST_PROMPT).optional().describe('code that it is about'),
        model: named,
        max_tokens: tokens,
      }),
      output: answer,
      run: ({ task, language, code, model, max_tokens: maxTokens }, deps, ctx) => {
        const system = `You write correct, short, complete code${language === undefined ? '' : ` in ${language}`}. Answer with the code and at most a few sentences.`;
        const content = code === undefined ? task : `${task}\n\n\`\`\`\n${code}\n\`\`\``;
        const messages: ChatMessage[] = [
          { role: 'system', content: system },
          { role: 'user', content },
        ];
        return ask({ role: 'code', model, messages, maxTokens, temperature: 0.2 }, deps, ctx);
      },
    }),
    tool({
      name: 'model_describe_image',
      title: 'Describe a picture',
      description: 'Has a local model that sees describe a picture, or answer a question about it.',
      effect: 'read',
      idempotent: false,
      long: true,
      untrusted: true,
      examples: ['what is on this screenshot', 'read the text in this picture'],
      input: z.object({
        image: z.base64().min(16).max(MOST_IMAGE).describe('PNG, JPEG or WebP in base64'),
        question: z
          .string()
          .max(4_000)
          .default('Describe this picture. Repeat every text in it word for word.'),
        model: named,
        max_tokens: tokens,
      }),
      output: answer,
      run: ({ image, question, model, max_tokens: maxTokens }, deps, ctx) => {
        if (!isPicture(image)) {
          throw new ToolError(
            '`image` is no PNG, JPEG or WebP picture in base64. Send the file itself, without a data: prefix.',
          );
        }
        const messages: ChatMessage[] = [{ role: 'user', content: question, images: [image] }];
        return ask({ role: 'vision', model, messages, maxTokens }, deps, ctx);
      },
    }),
    tool({
      name: 'model_list',
      title: 'List local models',
      description: 'The local models that are installed.',
      effect: 'read',
      examples: ['which models are installed here'],
      input: z.object({}),
      output: z.object({
        models: z.array(z.object({ name: z.string(), parameters: z.string().optional(), size: z.number() })),
      }),
      run: async (_input, { model }, { signal }) => {
        const all = await told(() => model.list(signal));
        return {
          models: all.slice(0, 200).map(({ name, parameters, size }) => ({ name, parameters, size })),
        };
      },
    }),
    tool({
      name: 'model_show',
      title: 'Show a local model',
      description: 'What a local model can do, and how much it can read at once.',
      effect: 'read',
      examples: ['can this model see images', 'how long is the context of this model'],
      input: z.object({ name: z.string().min(1).max(200) }),
      output: z.object({
        name: z.string(),
        capabilities: z.array(z.string()),
        context_length: z.number(),
        parameters: z.string().optional(),
      }),
      run: async ({ name }, { model }, { signal }) => {
        const { capabilities, contextLength, parameters, ...info } = await told(() =>
          model.show(name, signal),
        );
        return { name: info.name, capabilities, context_length: contextLength, parameters };
      },
    }),
  ],
};

/** By the first bytes of the formats that models read. */
const isPicture = (image: string) => /^(?:iVBORw0KGgo|\/9j\/|UklGR)/.test(image);
